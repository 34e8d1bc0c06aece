"""What methods share that tell edges from non-edges: the pairs of a batch, their weights, and the samplers that fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import Positive
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern
from gssl.method import Method, PredictiveMethod
from gssl.models.encoder import Encoder
from gssl.objectives.edges import uniform_negatives
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler

Told = TypeVar("Told")


@dataclass(frozen=True, eq=False)
class EdgeTarget:
    """Edges and non-edges among the targets of a batch, each of shape (2, n), int64: rows, the source first."""

    positive: Tensor
    negative: Tensor

    def weights(self, weight: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Importance weight of each pair: the product of its ends'."""
        return pair_weight(weight, self.positive), pair_weight(weight, self.negative)


def pair_weight(weight: Tensor | None, pairs: Tensor) -> Tensor | None:
    """Importance weight of each of the pairs (2, n), int64: the product of its ends'."""
    return None if weight is None else weight[pairs[0]] * weight[pairs[1]]


def among_targets(batch: MiniBatch) -> Pattern:
    """The edges among the targets that are in the last block of a batch, shape (num_targets, num_targets)."""
    pattern, size = batch.blocks[-1].pattern, batch.num_targets
    if pattern.num_rows == pattern.num_cols == size:
        return pattern
    rows = pattern.head(size)
    kept = rows.filter(rows.col < size)
    return Pattern(kept.rowptr, kept.col, size)


class EdgePrediction(PredictiveMethod[Told]):
    """Thin base of methods that tell edges of a batch from uniform non-edges.

    On sampled batches the pairs are those of targets, each with the product of their weights: clusters have many
    edges, uniform draws few.

    Args:
        encoder: gives the embeddings.
        negatives_per_edge: non-edges drawn for every edge that is to be told, anew at each step.
    """

    needs_edges: ClassVar[bool] = True

    def __init__(self, encoder: Encoder, *, negatives_per_edge: Positive = 1.0) -> None:
        super().__init__(encoder)
        self.negatives_per_edge = negatives_per_edge

    def negatives(self, pattern: Pattern, num_edges: int, *, undirected: bool = False) -> Tensor:
        """Non-edges to tell so many edges from, shape (2, n), int64; some even where there is no edge.

        Args:
            pattern: all edges among the targets, hidden ones included.
            num_edges: how many.
            undirected: whether opposites of edges count as edges.
        """
        count = round(self.negatives_per_edge * max(num_edges, 1))
        return uniform_negatives(pattern, count, self.rng, undirected=undirected)

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        require_edges_among_targets(self, sampler)


class EdgeAutoencoder(EdgePrediction[Told]):
    """Thin base of those whose embedding is the outputs of all layers side by side, or the last one.

    Args:
        encoder: gives the embeddings.
        embedding: outputs of ``all`` layers or the ``last`` one.
        normalize: whether embeddings have length one.
        negatives_per_edge: non-edges drawn for every edge that is to be told, anew at each step.

    Attributes:
        decoder: logits of pairs (2, n), int64, from outputs of the last layer, shape (num_nodes, out_dim).
    """

    decoder: nn.Module

    def __init__(
        self, encoder: Encoder, *, embedding: Literal["all", "last"], normalize: bool, negatives_per_edge: Positive
    ) -> None:
        super().__init__(encoder, negatives_per_edge=negatives_per_edge)
        self.layers, self.normalize = embedding, normalize

    @property
    def embedding_dim(self) -> int:
        return sum(self.encoder.layer_dims) if self.layers == "all" else self.encoder.out_dim

    @property
    def pair_decoder(self) -> Callable[[Tensor, Tensor], Tensor] | None:
        decoder: nn.Module = self.decoder
        return decoder if self.layers == "last" and not self.normalize else None  # what it was trained on

    def embed(self, batch: MiniBatch) -> Tensor:
        nodes = torch.cat(self.encoder.outputs(batch), dim=1) if self.layers == "all" else self.encoder(batch)
        return F.normalize(nodes) if self.normalize else nodes


def require_edges_among_targets(method: Method, sampler: Sampler) -> None:
    """For methods that tell edges from non-edges.

    Raises:
        InputError: batches of the sampler leave out edges among their targets, which would be taken for non-edges.
    """
    if isinstance(sampler, PairSampler) and not sampler.propagation.complete:
        raise InputError(
            f"{method.title} tells edges from non-edges among the targets, but the propagation "
            f"{type(sampler.propagation).__name__} leaves some edges among them out; propagations that fit: "
            "exact, induced, saint, history, lmc, adjoint, vrgcn, for example --sampler clustergcn"
        )
