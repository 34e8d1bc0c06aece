"""What methods share that predict properties of nodes and of pairs of nodes, which are made once from the graph."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.augment.features import all_alike
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import PredictiveMethod
from gssl.models.encoder import Encoder
from gssl.objectives.weights import weighted_mean
from gssl.samplers.base import Sampler

Made = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Told:
    """What there is to predict.

    Attributes:
        rows: of the batch that it is told of: nodes, shape (n,), int64, or pairs of them, shape (2, n); None for all
            targets in their order.
        target: classes, shape (n,), int64; or values, shape (n,) or (n, k), float.
    """

    rows: Tensor | None
    target: Tensor

    def weights(self, weight: Tensor | None) -> Tensor | None:
        """Importance weight of each row, or the product of those of each pair, shape (n,)."""
        if weight is None or self.rows is None:
            return weight
        return weight[self.rows] if self.rows.dim() == 1 else weight[self.rows[0]] * weight[self.rows[1]]


class PropertyPrediction(PredictiveMethod[Told]):
    """Thin base: make something of the graph once -> encode -> a linear head -> compare.

    Pairs are told by the absolute difference of their embeddings, of which the order does not matter. What is made
    depends on graph and options alone, and on no seed. It is made at the first step, because what is trained already
    embeds other graphs without.

    Args:
        encoder: under the head.
        outputs: of the head: classes, or values.

    Attributes:
        reads_edges: whether a graph without edges has nothing to predict.
        reads_features: whether a graph whose nodes all have the same features has nothing to predict.
    """

    reads_edges: ClassVar[bool] = False
    reads_features: ClassVar[bool] = False

    def __init__(self, encoder: Encoder, outputs: int) -> None:
        super().__init__(encoder)
        self.head = nn.Linear(encoder.out_dim, outputs)
        self._graph: Graph | None = None
        self._made: Made | None = None

    @abstractmethod
    def make(self, graph: Graph) -> Made:
        """What targets are read from, by global ids."""

    def prepare(self, graph: Graph, seed: int) -> None:
        self._graph, self._made = graph, None

    def made(self, device: torch.device) -> Made:
        """What :meth:`make` gives, once for all that has the same options."""
        if self._made is None or self._made[0].device != device:
            graph = self._prepared
            made = graph.derived(f"{type(self).__name__} {self.settings}", lambda: self.make(graph))
            self._made = tuple(values.to(device) for values in made)
        return self._made

    @property
    def num_nodes(self) -> int:
        """Nodes of the graph that it was prepared for."""
        return self._prepared.num_nodes

    @property
    def _prepared(self) -> Graph:
        if self._graph is None:
            raise InputError(f"{self.title} knows no graph yet; call prepare(graph, seed) first")
        return self._graph

    @property
    def settings(self) -> str:
        """The options that decide what is made."""
        return ""

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        graph, name = sampler.graph, self.title
        if self.reads_edges and not graph.num_edges:
            raise InputError(f"{name} predicts what edges say, but the graph has none; use Clustering or GraphMAE")
        if self.reads_features and graph.derived("all features alike", lambda: all_alike(graph.x)):
            raise InputError(
                f"{name} predicts what features say, but those of all nodes are the same; use PairwiseDistance or GAE"
            )

    def error(self, embedding: Tensor, view: MiniBatch, target: Told) -> Tensor:
        return head_error(self.head, embedding, target, view.weight)


class NodePrediction(PropertyPrediction):
    """Thin base of those that predict a property of each target."""

    @property
    def measured(self) -> nn.Module:
        return self.head

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, Told]:
        target = self.made(batch.device)[0]
        return batch, Told(None, target[batch.node_ids[: batch.num_targets]])


class PartPrediction(NodePrediction):
    """Thin base of those that cut the nodes into parts and predict something for each node about all parts.

    Args:
        encoder: under the head.
        count: parts, as many as the head has outputs.

    Attributes:
        counted: name of the option that says how many.
    """

    counted: ClassVar[str] = "clusters"

    def __init__(self, encoder: Encoder, count: int) -> None:
        super().__init__(encoder, count)
        self.count = count

    @property
    def settings(self) -> str:
        return str(self.count)

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        nodes = sampler.graph.num_nodes
        if self.count > nodes:
            raise InputError(
                f"{self.title} cannot make {self.count} parts of {nodes} nodes; choose --set {self.counted} "
                f"of at most {nodes}"
            )


def head_error(head: nn.Module, embedding: Tensor, told: Told, weight: Tensor | None) -> Tensor:
    """Cross-entropy of classes, or squared error of values (the mean over those of a node), by a head.

    Args:
        head: from embeddings of nodes, or from the absolute differences of those of pairs.
        embedding: of the targets, shape (num_targets, dim).
        told: what there is to predict.
        weight: importance weight of each target, shape (num_targets,), or None for 1 each.

    Returns:
        Scalar; 0 where there is nothing to predict.
    """
    if not told.target.numel():
        return embedding.sum() * 0.0
    rows = told.rows
    # index_select, not embedding[...]: its backward adds rows in place instead of sorting the indices.
    if rows is None:
        inputs = embedding
    elif rows.dim() == 1:
        inputs = embedding.index_select(0, rows)
    else:
        inputs = (embedding.index_select(0, rows[0]) - embedding.index_select(0, rows[1])).abs()
    prediction = head(inputs)
    if told.target.is_floating_point():
        terms = (prediction - told.target.reshape(prediction.shape)).square().mean(1)
    else:
        terms = F.cross_entropy(prediction, told.target, reduction="none")
    return weighted_mean(terms, told.weights(weight))
