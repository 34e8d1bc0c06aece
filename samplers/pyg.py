"""The neighbor samplers as objects of PyG, for people who want just them.

``NodeLoader(data, node_sampler=NeighborSampling(data, fanouts=(15, 10, 5)), batch_size=1024)`` gives the batches of
``NeighborLoader`` without pyg-lib or torch-sparse.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.sampler import BaseSampler, EdgeSamplerInput, NodeSamplerInput, SamplerOutput

from gssl.common.errors import InputError
from gssl.graph.sparse import Pattern
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.expansion import Engine
from gssl.samplers.propagation.growing import Expansion, Hop
from gssl.samplers.propagation.neighbor import check_fanouts
from gssl.samplers.rng import Key, Slot


class NeighborSampling(BaseSampler):  # type: ignore[misc]  # PyG carries no annotations for mypy
    """Uniform neighbor sampling without replacement.

    As in ``NeighborLoader``, each hop expands the nodes that the hop before added, and all layers of a model see all
    edges. A batch depends on the seed, the epoch and its seed nodes alone, not on the number of workers; set
    ``epoch`` before each pass over a loader that does not shuffle, or its batches stay the same.

    Args:
        data: a homogeneous graph with ``edge_index``.
        fanouts: in-edges of each node, those of the seed nodes first; -1 for all.
        seed: of the draws.
        backend: of the engine; the batches are the same.

    Raises:
        InputError: a fan-out that is neither -1 nor positive.
    """

    def __init__(self, data: Data, *, fanouts: tuple[int, ...], seed: int = 0, backend: Backend = "auto") -> None:
        super().__init__()
        self.fanouts = check_fanouts(fanouts, len(fanouts))
        self.seed = seed
        self.epoch = 0
        size = int(data.num_nodes)
        source, target = data.edge_index
        pattern, order = Pattern.from_coo(target, source, size, size)
        self.engine = Engine(pattern, backend)
        self._order = order

    def sample_from_nodes(self, index: NodeSamplerInput, **kwargs: Any) -> SamplerOutput:
        """The subgraph around some seed nodes.

        Raises:
            InputError: a seed node is there twice.
        """
        seeds = index.node
        if len(seeds.unique()) != len(seeds):
            raise InputError("the seed nodes of a batch must be distinct: sample without replacement")
        batch = self.engine.start(seeds)
        key = Key(self.seed, self.epoch, int.from_bytes(hashlib.blake2b(seeds.numpy().tobytes()).digest()[:7], "big"))
        sizes, hops, rows = [0, len(seeds)], [], []
        for number, fanout in enumerate(self.fanouts):
            skip = sum(sizes[:-1])
            hop = self.hop(batch, fanout, key.stream(Slot.PROPAGATION + number), skip)
            hops.append(hop)
            rows.append(hop.pattern.row.long() + skip)
            sizes.append(hop.pattern.num_cols - sum(sizes))
        return SamplerOutput(
            node=batch.nodes,
            row=_joined([hop.pattern.col.long() for hop in hops]),
            col=_joined(rows),
            edge=self._order[_joined([hop.position.long() for hop in hops])],
            num_sampled_nodes=sizes[1:],
            num_sampled_edges=[hop.pattern.nnz for hop in hops],
            metadata=(index.input_id, index.time),
        )

    def sample_from_edges(self, index: EdgeSamplerInput, neg_sampling: Any = None) -> SamplerOutput:
        raise NotImplementedError("this sampler starts from nodes; use NodeLoader")

    def hop(self, batch: Expansion, fanout: int, stream: int, skip: int) -> Hop:
        """The edges into the nodes of the batch but the first few."""
        return batch.uniform(fanout, stream, skip)


class LaborSampling(NeighborSampling):
    """LABOR-0 (Balin and Çatalyürek, 2023, arXiv:2210.13339): fewer nodes for the same variance.

    ``fanouts`` are expected numbers of in-edges; the rest is as in :class:`NeighborSampling`.
    """

    def hop(self, batch: Expansion, fanout: int, stream: int, skip: int) -> Hop:
        return batch.uniform(-1, stream, skip) if fanout < 0 else batch.shared(fanout, stream, skip)


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)
