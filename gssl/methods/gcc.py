"""GCC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from gssl.augment.structure import Structure
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Fraction, NonNegativeInt, Positive, PositiveInt, Probability
from gssl.common.space import Choice, Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.ema import EMATarget
from gssl.models.encoder import Encoder
from gssl.models.queue import NegativesQueue
from gssl.models.structural import StructuralEncoder
from gssl.objectives.nt_xent import nt_xent
from gssl.objectives.queue_info_nce import queue_info_nce
from gssl.samplers.base import Sampler
from gssl.samplers.full import GraphBatches
from gssl.samplers.pair import PairSampler

_VIEWS = (1, 2)
"""Streams of the walks of an embedding."""
_AT_ONCE = 512  # nodes that are embedded together


class GCC(Method):
    """Graph contrastive coding (Qiu et al., 2020, arXiv:2006.09963).

    Random walks with restart span two subgraphs around a node, an encoder sees them as small graphs whose features are
    structural (leading eigenvectors, degrees, a mark of the node), and both agree, against the subgraphs of other nodes
    (InfoNCE). These are the keys of former batches, which a moving average of the encoder made and a queue holds
    (MoCo), or with ``queue=0`` the other nodes of the batch (end to end). No feature of the data is looked at, so that
    what one graph taught can be judged on any other, also on a set of graphs (``--pretrain-on``). The embedding of a
    node is the mean of two subgraphs'.

    Of a set of graphs, each graph gives a node of its own in each step, drawn by its degree to the power of 0.75, and
    its embedding is that of the whole graph around the node of the most neighbors, as in the authors' code. That code
    pretrains on nodes of six large graphs drawn in this way; here, on one graph, the sampler draws them uniformly.

    As in that code the output of the encoder is the embedding, there is no head. It differs in this: eigenvectors begin
    with the greatest eigenvalue (there they end with it, before zeros, so that a column means something else in each
    size), and the signs of eigenvectors, arbitrary there, are such that the node has no negative entry; a layer ends
    with one norm and activation (there with two); and the rate is what ``train.schedule`` says (there it rises over a
    tenth of the steps and then falls to 0).

    Args:
        encoder: of subgraphs; another one like it, for structural features, is made. It must give the outputs of its
            layers.
        dim: of the embedding.
        positions: eigenvectors.
        degree_dim: dimension of the embedding of degrees.
        max_degree: greater degrees count as this one.
        steps: of the walks around a node, at least; hubs have more.
        restart: probability of a restart before a step.
        queue: keys of former batches that are negatives; 0 for the other items of the batch.
        momentum: share of the key encoder that survives an update, where there is a queue.
        temperature: of the cosine similarity.
        dropout: probability on the readout of each layer, in the query encoder.
    """

    levels: ClassVar[tuple[Level, ...]] = ("node", "graph")
    structural: ClassVar[bool] = True
    default_encoder: ClassVar[str] = "GIN"
    card: ClassVar[Card] = Card(
        family="cross-view",
        views="subgraphs that two random walks with restart span around a node, with eigenvectors as features",
        encoders="one for the queries; its moving average for the keys",
        objective="InfoNCE of two subgraphs of a node, keys of former batches (or other nodes) as negatives",
        time="n s + r q³ + n k d (s steps, r subgraphs of q nodes, whose eigenvectors are found anew; k keys)",
        memory="r q² + k d",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "restart": Float(0.2, 0.9),
        "steps": Choice((64, 128, 256)),
        "momentum": Float(0.9, 0.999),
        "temperature": Float(0.05, 0.5, log=True),
        "encoder.num_layers": Int(2, 6),
        "train.lr": Float(1e-4, 1e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        dim: PositiveInt = 64,
        positions: PositiveInt = 32,
        degree_dim: PositiveInt = 16,
        max_degree: PositiveInt = 512,
        steps: PositiveInt = 256,
        restart: Annotated[float, Field(gt=0, le=1)] = 0.8,
        queue: NonNegativeInt = 32,
        momentum: Fraction = 0.999,
        temperature: Positive = 0.07,
        dropout: Probability = 0.5,
    ) -> None:
        if encoder.uses_edge_attr:
            raise InputError("GCC sees structure alone; leave out encoder.edge_attr=true")
        sizes = {"positions": positions, "degree_dim": degree_dim, "max_degree": max_degree}
        tower = StructuralEncoder(encoder, dim=dim, dropout=dropout, **sizes)
        super().__init__(tower.encoder)
        self.tower = tower
        self.dim, self.positions, self.steps, self.restart = dim, positions, steps, restart
        self.temperature = temperature
        self.target: EMATarget | None = None
        self.queue: NegativesQueue | None = None
        if queue:
            self.target = EMATarget(tower, momentum=momentum)
            cast("StructuralEncoder", self.target.encoder).dropout = 0.0
            self.queue = NegativesQueue(queue, dim)
        self.structure: Structure | None = None
        self._keys: tuple[Tensor, Tensor | None] | None = None

    @property
    def measured(self) -> nn.Module:
        return self.tower

    @property
    def embedding_dim(self) -> int:
        return self.dim

    @property
    def num_layers(self) -> int:
        """Of a batch only the targets are looked at."""
        return 1

    def check_embedding(self, sampler: Sampler) -> None:
        super().check_embedding(sampler)
        if isinstance(sampler, PairSampler) and sampler.store is not None:
            raise InputError(
                "GCC walks on the graph itself, so a history of embeddings is of no use to it; use --sampler full, or "
                "graphsage with --batch-size"
            )

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        graph = sampler.graph
        if not graph.num_edges:
            raise InputError("GCC tells nodes apart by the edges around them, but there are none; use other data")
        if graph.ptr is not None and not bool(graph.ptr.diff().all()):
            raise InputError("GCC walks from a node of each graph, but some graphs have none; leave them out")
        items, at_once = _sizes(sampler)
        if self.queue is not None and len(self.queue) > items:
            raise InputError(
                f"a queue of {len(self.queue)} keys is longer than the data, so an item would be its own negative; "
                f"there are {items} items: set --set queue to less, or to 0 for the other items of a batch"
            )
        if self.queue is None and at_once < 2:
            raise InputError(
                "GCC without a queue tells the items of a batch apart, but a batch has only 1; use --batch-size 2 at "
                "least, or --set queue=N for the keys of N former items"
            )

    def prepare(self, graph: Graph, seed: int) -> None:
        key = f"structure for {self.positions} positions"
        self.structure = graph.derived(key, lambda: Structure.of(graph, self.positions))

    def loss(self, batch: MiniBatch) -> Tensor:
        streams = torch.randint(2**62, (3,), generator=self.rng, device=self.rng.device).tolist()
        seeds = self._seeds(batch, streams[0])
        first, second = (self._nets(seeds, stream, batch.device) for stream in streams[1:])
        query = self.tower(first)
        if self.target is None or self.queue is None:
            key = self.tower(second)
            # The keys are the anchors in the authors' code.
            return nt_xent(key, query, temperature=self.temperature, positive_in_denominator=True, weight=batch.weight)
        key = self.target(second)
        self._keys = key, batch.weight
        return queue_info_nce(
            query,
            key,
            self.queue.rows,
            temperature=self.temperature,
            queue_weight=self.queue.weight,
            weight=batch.weight,
        )

    def after_step(self, progress: float) -> None:
        if self.target is None or self.queue is None or self._keys is None:
            return
        self.target.update(self.tower, 0.0)  # the momentum does not rise
        self.queue.push(*self._keys)
        self._keys = None

    def embed(self, batch: MiniBatch) -> Tensor:
        structure = self._known()
        if structure.whole is not None:
            assert batch.graph_ids is not None
            whole: Tensor = self.tower(structure.whole.graph_batch(batch.graph_ids.cpu()).to(batch.device))
            return whole
        parts = batch.node_ids[: batch.num_targets].cpu().split(_AT_ONCE)
        views = [torch.cat([self.tower(self._nets(part, view, batch.device)) for part in parts]) for view in _VIEWS]
        return torch.stack(views).mean(0)

    def _known(self) -> Structure:
        if self.structure is None:
            raise InputError("GCC knows no graph yet; call prepare(graph, seed) first")
        return self.structure

    def _seeds(self, batch: MiniBatch, stream: int) -> Tensor:
        """The node that stands for each item of a batch, shape (num_items,), int64, on the CPU."""
        structure = self._known()
        if structure.ptr is None:
            return batch.node_ids[: batch.num_targets].cpu()
        assert batch.graph_ids is not None
        return structure.drawn_nodes(batch.graph_ids.cpu(), stream)

    def _nets(self, seeds: Tensor, stream: int, device: torch.device) -> MiniBatch:
        """Subgraphs around nodes."""
        return self._known().around(seeds, stream, steps=self.steps, restart=self.restart).sent(device)


def _sizes(sampler: Sampler) -> tuple[int, int]:
    """How many items there are to train on, and how many a batch has."""
    if isinstance(sampler, GraphBatches):
        return len(sampler.items), sampler.batch_size
    if isinstance(sampler, PairSampler):
        return len(sampler.selection.population), sampler.selection.batch_size
    graph = sampler.graph
    items = graph.num_nodes if graph.ptr is None else graph.num_graphs
    return items, items
