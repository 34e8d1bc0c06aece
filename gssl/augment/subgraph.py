"""Subgraphs grown by a random walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from torch import Tensor

from gssl.augment.graphwise import (
    GraphwiseAugmenter,
    distinct_blocks,
    edges_between,
    graph_offsets,
    induced,
    induced_of,
    rank_within,
    segment_index,
    share,
)
from gssl.common.options import Fraction
from gssl.graph.batch import MiniBatch
from gssl.graph.crossing import brought, sent
from gssl.graph.kept import Kept, true_places
from gssl.graph.sparse import Pattern


@dataclass(frozen=True, kw_only=True)
class WalkSubgraph(GraphwiseAugmenter):
    """Keep the nodes that a random walk from a random node finds first (GraphCL, You et al., 2020, appendix A).

    The walk of the paper steps from the nodes visited so far to a uniformly chosen unvisited neighbour of any of
    them, and where there is none to a uniformly chosen unvisited node. Edge directions are ignored.

    Attributes:
        keep: ``floor(keep * size)`` nodes of each graph stay, one at least.
    """

    # GraphCL's code discards the neighbourhoods of all nodes but the first (``idx_neigh.union(...)`` without
    # assignment), so that it never leaves one hop; its authors list that as a known error. Here the walk goes on.
    keep: Fraction = 0.2

    def transform(self, batch: MiniBatch, rng: torch.Generator, chosen: Tensor) -> MiniBatch:
        offsets = graph_offsets(batch)
        sizes = offsets.diff()
        kept = torch.where(chosen, share(sizes, self.keep).clamp(min=1), sizes)
        # One graph serves all layers of a square batch, so the first block tells who is a neighbour of whom.
        walk, (kept,) = _walk(batch.blocks[0].pattern, offsets, rng, kept)
        keep = walk.rank() < kept[segment_index(walk.offsets, batch.num_nodes)]
        if batch.device.type == "cpu" or len(distinct_blocks(batch)) > 1:
            return induced(batch, sent(keep, batch.device))
        return _known(batch, keep, walk)


def walk_rank(pattern: Pattern, offsets: Tensor, rng: torch.Generator) -> Tensor:
    """When the walk reaches each node of its graph.

    A uniform choice among the unvisited neighbours is what a race of exponential clocks gives: a node's clock of
    mean 1 starts when its first neighbour is visited. Arrival times are then shortest paths with one random length
    per node, and all graphs walk at once. A component is entered at the node that comes first in a random order.

    Args:
        pattern: square, no edge joins two graphs.
        offsets: node rows of the graphs, shape (num_graphs + 1,), int64.
        rng: generator on the device of ``offsets``.

    Returns:
        Shape (num_nodes,), int64: 0 for the first node of each graph, 1 for the second, and so on.
    """
    return sent(_walk(pattern, offsets, rng)[0].rank(), offsets.device)


@dataclass(frozen=True, eq=False)
class _Walk:
    """What a walk needs, in host memory: the edges, the graphs' offsets, the clocks and the random order of nodes."""

    row: Tensor
    col: Tensor
    offsets: Tensor
    clock: Tensor
    key: Tensor

    def rank(self) -> Tensor:
        """As :func:`walk_rank` gives it."""
        num_nodes = self.clock.numel()
        clock, key, row, col = (part.numpy() for part in (self.clock, self.key, self.row, self.col))
        here, there = np.concatenate([row, col]), np.concatenate([col, row])
        lengths = csr_array((np.ones(here.size), (here, there)), shape=(num_nodes, num_nodes))
        lengths.data = clock[lengths.indices]  # only now, since scipy added up the values of repeated edges
        num_parts, part = connected_components(lengths, directed=False)
        first_key = np.full(num_parts, num_nodes)
        np.minimum.at(first_key, part, key)
        entries = np.flatnonzero(key == first_key[part])
        arrival = dijkstra(lengths, indices=entries, min_only=True)
        graph = segment_index(self.offsets, num_nodes).numpy()
        order = np.lexsort((arrival, first_key[part], graph))
        return rank_within(self.offsets, torch.from_numpy(order))


def _walk(pattern: Pattern, offsets: Tensor, rng: torch.Generator, *more: Tensor) -> tuple[_Walk, list[Tensor]]:
    """A walk and more values in host memory, for one wait."""
    device = offsets.device
    clock = torch.empty(pattern.num_rows, dtype=torch.float64, device=device).exponential_(generator=rng)
    key = torch.randperm(pattern.num_rows, generator=rng, device=device)
    row, col, ptr, clock, key, *rest = brought(pattern.row, pattern.col, offsets, clock, key, *more)
    return _Walk(row, col, ptr, clock, key), rest


def _known(batch: MiniBatch, keep: Tensor, walk: _Walk) -> MiniBatch:
    """The subgraph on nodes that the host knows, ``keep`` (num_nodes,) bool, without a wait; of a single block."""
    targets = int(keep[: batch.num_targets].count_nonzero())
    num_edges = int((keep[walk.row.long()] & keep[walk.col.long()]).count_nonzero())
    there = sent(keep, batch.device)
    (edges,) = edges_between(batch, there)
    kept = Kept(edges, true_places(edges, num_edges))
    return induced_of(batch, there, true_places(there, int(keep.count_nonzero())), targets, [kept])
