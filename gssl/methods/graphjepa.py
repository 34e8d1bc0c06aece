"""Graph-JEPA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch_geometric.utils import segment

from gssl.augment.graphwise import random_rank
from gssl.augment.patches import Patches, cut_patches, partition_graphs, walk_returns
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Fraction, NonNegativeInt, Positive, PositiveInt, Probability
from gssl.common.seeds import derive_seed
from gssl.common.space import Choice, Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.graph.crossing import sent
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph
from gssl.method import Method, OverItems
from gssl.models.ema import EMATarget
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.models.patch_attention import PatchTransformer
from gssl.models.patch_encoder import PatchEncoder, rectified_map
from gssl.objectives.hyperbola import hyperbola_error
from gssl.samplers.base import Sampler


class GraphJEPA(Method):
    """Graph representations by joint-embedding prediction (Skenderi et al., 2023, arXiv:2309.16014).

    METIS cuts each graph into patches that overlap, anew before every epoch. From the latent of one patch and the
    positions of a few others a perceptron predicts where the latents of these lie on a hyperbola; the latents come from
    a transformer that follows the one of the context slowly and gets no gradient. The embedding of a graph is the mean
    over all its patches of what the slow transformer makes of them, by attention that counts the nodes that two patches
    share.

    As in the authors' code (geriskenderi/graph-jepa), the position of a patch is the largest probability of return of
    its nodes in training and their mean in the embedding, and the latents of targets have no positions. Its target
    starts from weights of its own, here from those of the context; there as here its momentum stays where it begins,
    since its schedule moves once an epoch by what is meant for a step. Its layers have shortcuts, a linear map behind
    each, and one before the first; here they are those of the encoder. It pretrains without the graphs of the test
    fold, and judges by logistic regression; sets without node labels have one feature there.

    Args:
        encoder: of the patches; its readout pools them.
        patches: parts that METIS cuts a graph into; one with fewer nodes has a patch around each.
        hops: how far a patch reaches beyond its part.
        drop: share of the edges that METIS does not see before an epoch. The code drops each direction with a
            probability of 0.3, so that 0.09 of the edges are gone.
        targets: patches that are predicted of each graph; fewer where it has not as many.
        positions: steps of the walks whose probabilities of return are the position of a node.
        layers: of both transformers.
        heads: of their attention.
        momentum: share of the target transformer that survives an update.
        beta: distance at which the squared error becomes a straight line.
    """

    title: ClassVar[str] = "Graph-JEPA"
    levels: ClassVar[tuple[Level, ...]] = ("graph",)
    default_encoder: ClassVar[str] = "GINE"
    card: ClassVar[Card] = Card(
        family="invariance",
        views="patches that METIS cuts, with the nodes near them; one is the context, a few are targets",
        encoders="one of patches; a transformer of the context, and its moving average of the targets; a predictor",
        objective="smooth L1 distance on a hyperbola of predicted and target latents",
        time="c d² + n t d² (c rows of all patches, t targets); before an epoch METIS on every graph",
        memory="c d + n t d",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "patches": Choice((8, 16, 32, 64)),
        "hops": Int(0, 2),
        "drop": Float(0.0, 0.3),
        "targets": Int(1, 6),
        "layers": Int(1, 4),
        "encoder.hidden_dim": Choice((64, 128, 256, 512)),
        "train.lr": Float(1e-5, 1e-3, log=True),
    }

    returns: Tensor
    still: Tensor
    moving: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        patches: PositiveInt = 32,
        hops: NonNegativeInt = 1,
        drop: Probability = 0.09,
        targets: PositiveInt = 4,
        positions: PositiveInt = 15,
        layers: PositiveInt = 4,
        heads: PositiveInt = 8,
        momentum: Fraction = 0.996,
        beta: Positive = 1.0,
    ) -> None:
        super().__init__(encoder)
        if patches < 2:
            raise InputError("Graph-JEPA predicts patches of a graph from another one; set patches to 2 at least")
        self.patches, self.hops, self.drop, self.targets, self.beta = patches, hops, drop, targets, beta
        self.positions = positions
        self.patchwise = PatchEncoder(encoder)
        dim = self.patchwise.out_dim
        self.place = rectified_map(positions, dim)
        self.context = PatchTransformer(dim, layers, heads)
        self.target = EMATarget(self.context, momentum=momentum, rises=False)
        self.predictor = mlp_head(dim, dim, 2, hidden_layers=2)
        self._graph: tuple[Pattern, Tensor, int] | None = None

    @property
    def embedding_dim(self) -> int:
        return self.patchwise.out_dim

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        ptr = sampler.graph.ptr
        if ptr is not None and not bool((ptr.diff() > 1).any()):
            raise InputError(
                "Graph-JEPA predicts patches of a graph from another one, but no graph has two nodes; use other data"
            )

    def prepare(self, graph: Graph, seed: int) -> None:
        if graph.ptr is None:
            raise InputError("Graph-JEPA cuts each graph of a set; use a set of graphs")
        pattern, ptr = graph.block.pattern, graph.ptr
        # The patches of an embedding do not depend on the seed of the run.
        still = graph.derived(f"{self.patches} parts", lambda: partition_graphs(pattern, ptr, self.patches, seed=0))
        returns = graph.derived(f"{self.positions} returns", lambda: walk_returns(pattern, self.positions))
        self._graph = pattern, ptr, seed
        self.register_buffer("returns", returns, persistent=False)
        self.register_buffer("still", still, persistent=False)
        self.register_buffer("moving", still.clone())

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        pattern, ptr, seed = self._known()
        seed = derive_seed(seed, epoch)
        self.moving.copy_(partition_graphs(pattern, ptr, self.patches, seed=seed, drop=self.drop))

    def _known(self) -> tuple[Pattern, Tensor, int]:
        if self._graph is None:
            raise InputError("Graph-JEPA knows no graphs yet; call prepare(graph, seed) first")
        return self._graph

    def cut(self, batch: MiniBatch, part: Tensor) -> Patches:
        """Patches of a batch, given the part of every node of all graphs."""
        self._known()
        return cut_patches(batch, part[batch.node_ids], hops=self.hops)

    def latents(self, patches: Patches, batch: MiniBatch) -> Tensor:
        """Embeddings of patches, shape (num_patches, dim)."""
        rows: Tensor = self.patchwise(patches.view, patches.rows, batch.num_nodes)
        return rows

    def pooled_returns(self, patches: Patches, reduce: str) -> Tensor:
        """Probabilities of return of the nodes of each patch, shape (num_patches, positions)."""
        assert patches.view.graph_ptr is not None
        found: Tensor = segment(self.returns[patches.view.node_ids], patches.view.graph_ptr, reduce=reduce)
        return found

    def loss(self, batch: MiniBatch) -> Tensor:
        patches = self.cut(batch, self.moving)
        latents, returns = self.latents(patches, batch), self.pooled_returns(patches, "max")
        context, target, there, places = self.chosen(patches)
        if not len(places):
            return latents.sum() * 0.0
        alone = torch.ones(len(context), 1, dtype=torch.bool, device=batch.device)
        around = (latents[context] + self.place(returns[context])).unsqueeze(1)
        seen = self.context(around, alone)
        where = self.place(returns[target.flatten()[places]])
        prediction = self.predictor(seen + _padded(where, there)).flatten(0, 1)
        graphs = patches.graphs[context]
        weight = None if batch.weight is None else batch.weight[graphs].unsqueeze(1).expand_as(there).flatten()[places]
        wanted = self.wanted(latents, patches, target, there, batch).flatten(0, 1)
        return hyperbola_error(prediction[places], wanted[places], beta=self.beta, weight=weight)

    def chosen(self, patches: Patches) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A random context and random targets of each graph with two patches at least.

        Returns:
            The patch that is the context, shape (n,), int64; those that are targets, shape (n, targets), int64; which
            of these there are, bool, of the same shape; and where that is set among all of them, int64.
        """
        rank = random_rank(sent(patches.ptr, patches.graphs.device), self.rng, len(patches.graphs))
        order = torch.argsort(patches.graphs * (len(rank) + 1) + rank)  # of each graph the context first
        sizes, first = patches.ptr.diff(), patches.ptr[:-1]
        some = sizes > 1
        sizes, first = sizes[some], first[some].unsqueeze(1)
        after = torch.arange(1, self.targets + 1)
        there = after < sizes.unsqueeze(1)
        places = there.flatten().nonzero().squeeze(1)
        target = (first + after).where(there, first)
        first, target, there, places = (sent(values, order.device) for values in (first, target, there, places))
        return order[first.squeeze(1)], order[target], there, places

    @torch.no_grad()
    def wanted(self, latents: Tensor, patches: Patches, target: Tensor, there: Tensor, batch: MiniBatch) -> Tensor:
        """Latents of targets that attend to each other, shape (n, targets, dim), without a gradient."""
        assert batch.graph_ptr is not None
        overlaps, number = patches.overlaps(batch.graph_ptr), patches.number[target]
        graphs = patches.graphs[target[:, :1]]
        shared = overlaps[graphs.unsqueeze(2), number.unsqueeze(2), number.unsqueeze(1)]
        rows: Tensor = self.target.encoder(latents[target], there, shared)
        return rows

    def embed(self, batch: MiniBatch) -> Tensor:
        assert batch.graph_ptr is not None
        patches = self.cut(batch, self.still)
        rows = self.latents(patches, batch) + self.place(self.pooled_returns(patches, "mean"))
        padded, there = patches.padded(rows)
        mixed = self.target.encoder(padded, there, patches.overlaps(batch.graph_ptr)) * there.unsqueeze(2)
        means: Tensor = mixed.sum(1) / there.sum(1, keepdim=True).clamp(min=1)
        return means

    def after_step(self, progress: float) -> None:
        self.target.update(self.context, progress)


def _padded(rows: Tensor, there: Tensor) -> Tensor:
    """Rows (number of True, dim) at the places that are True, zero elsewhere, shape (*there.shape, dim)."""
    return rows.new_zeros(*there.shape, rows.shape[1]).masked_scatter(there.unsqueeze(2), rows)
