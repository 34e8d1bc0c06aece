"""SUBG-CON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gssl.augment.central_subgraph import CentralSubgraphs
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegative
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.kept import occurrences
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.encoder import Encoder
from gssl.objectives.margin import margin_ranking
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler

Share = Annotated[float, Field(gt=0, lt=1)]
Size = Annotated[int, Field(ge=2)]

_AT_ONCE = 512  # subgraphs that are embedded together where nothing is learned


class SUBGCON(Method):
    """Sub-graph contrast for scalable self-supervised learning (Jiao et al., 2020, arXiv:2009.10273).

    Around each node is a subgraph of the nodes that personalised PageRank leads to. The embedding of a node in its
    subgraph agrees with the mean embedding of that subgraph more, by a margin, than that of another node of the batch
    does, and than with the mean of another subgraph. A node is embedded by its subgraph alone, so that batches of any
    size, with any sampler, are as good as the whole graph: features and edges are read from it.

    The agreement is the sigmoid of the inner product, and the pooled subgraph is a plain mean, as in the authors' code
    (yzjiao/Subg-Con); in the paper the mean goes through a sigmoid, too, which ``sigmoid_summary`` does. The code's
    walks have no self-loops and ten steps, here they have both as everywhere in this program, and as many steps as
    ``eps`` asks for. The code stops training by the accuracy on validation labels; here nothing sees labels.

    Args:
        encoder: of the nodes of subgraphs.
        subgraph_size: nodes of a subgraph at most, the node itself included.
        centers: nodes of a batch that are learned from in a step, drawn anew each time; all where there are fewer.
        alpha: probability of a return in each step of PageRank.
        eps: tolerance of PageRank.
        margin: by which scores of a node and its own subgraph shall be above others; scores are between 0 and 1.
        sigmoid_summary: whether the mean of a subgraph goes through a sigmoid.
    """

    title: ClassVar[str] = "SUBG-CON"
    least_items: ClassVar[int] = 2
    card: ClassVar[Card] = Card(
        family="cross-scale",
        views="around each node the subgraph of the greatest personalised PageRank, and what it is on average",
        encoders="one, on subgraphs side by side",
        objective="margin between a node with its own subgraph and with another's, and the other way round",
        time="c k d, c centers of a step and k nodes of a subgraph",
        memory="c k d",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "subgraph_size": Int(5, 50, log=True),
        "centers": Choice((200, 500, 1000)),
        "margin": Float(0.1, 0.9),
        "encoder.hidden_dim": Choice((256, 512, 1024)),
        "train.lr": Float(1e-4, 1e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        subgraph_size: Size = 20,
        centers: Annotated[int, Field(ge=2)] = 500,
        alpha: Share = 0.15,
        eps: Share = 1e-4,
        margin: Annotated[NonNegative, Field(lt=1)] = 0.5,
        sigmoid_summary: bool = False,
    ) -> None:
        super().__init__(encoder)
        self.subgraph_size, self.centers, self.alpha, self.eps = subgraph_size, centers, alpha, eps
        self.margin, self.sigmoid_summary = margin, sigmoid_summary
        self.of_centers = nn.Identity()
        self.views: CentralSubgraphs | None = None

    def prepare(self, graph: Graph, seed: int) -> None:
        self.views = CentralSubgraphs.of(graph, size=self.subgraph_size, alpha=self.alpha, eps=self.eps)

    @property
    def measured(self) -> nn.Module:
        return self.of_centers  # the encoder gives rows of whole subgraphs

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        nodes = sampler.graph.num_nodes
        if self.subgraph_size > nodes:
            raise InputError(
                f"SUBG-CON cannot find subgraphs of {self.subgraph_size} among {nodes} nodes; choose --set "
                f"subgraph_size of at most {nodes}"
            )
        if isinstance(sampler, PairSampler) and sampler.store is not None:
            raise InputError(
                "SUBG-CON embeds every node in a subgraph of its own, which a history knows nothing of; use a "
                "propagation without history, for example --sampler graphsage"
            )

    def loss(self, batch: MiniBatch) -> Tensor:
        targets, weight = batch.node_ids[: batch.num_targets], batch.weight
        if len(targets) > self.centers and not batch.plan.measure:
            drawn = torch.randperm(len(targets), generator=self.rng, device=self.rng.device)[: self.centers]
            targets, weight = targets[drawn], None if weight is None else weight[drawn]
        hidden, owner = self._encoded(targets)
        nodes = self.of_centers(hidden[: len(targets)])
        return self.contrast(nodes, self.summaries(hidden, owner, len(targets)), weight)

    def contrast(self, nodes: Tensor, summaries: Tensor, weight: Tensor | None) -> Tensor:
        """The objective, a scalar.

        Args:
            nodes: embeddings of the centers, shape (n, dim).
            summaries: of their subgraphs, shape (n, dim).
            weight: of the centers, shape (n,), or None for 1 each. A pair weighs the product of both.
        """
        order = torch.randperm(len(nodes), generator=self.rng, device=self.rng.device)
        own = _agreement(nodes, summaries)
        other_node, other_summary = _agreement(nodes[order], summaries), _agreement(nodes, summaries[order])
        pair = None if weight is None else weight * weight[order]
        return margin_ranking(own, other_node, margin=self.margin, weight=pair) + margin_ranking(
            own[order], other_summary, margin=self.margin, weight=pair
        )

    def embed(self, batch: MiniBatch) -> Tensor:
        targets = batch.node_ids[: batch.num_targets]
        return torch.cat([self._encoded(some)[0][: len(some)] for some in targets.split(_AT_ONCE)])

    def summaries(self, hidden: Tensor, owner: Tensor, count: int) -> Tensor:
        """Mean embedding of each of ``count`` subgraphs, shape (count, dim).

        Args:
            hidden: of the nodes of all subgraphs, shape (num_rows, dim).
            owner: subgraph of each row, shape (num_rows,), int64.
            count: subgraphs.
        """
        size = occurrences(owner, count).unsqueeze(1)
        mean = hidden.new_zeros(count, hidden.shape[1]).index_add(0, owner, hidden) / size
        return torch.sigmoid(mean) if self.sigmoid_summary else mean

    def _encoded(self, centers: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of the nodes of all subgraphs, the centers first, and the subgraph of each row."""
        if self.views is None:
            raise InputError("SUBG-CON knows no subgraphs yet; call prepare(graph, seed) first")
        batch, owner = self.views.batch(centers)
        return self.encoder(batch), owner


def _agreement(nodes: Tensor, summaries: Tensor) -> Tensor:
    return torch.sigmoid(torch.linalg.vecdot(nodes, summaries))
