"""Graphs whose features nobody looks at: nodes, subgraphs around them and whole graphs by structure alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.augment.ego_nets import ego_nets, restart_walks, simple_pattern, walk_steps
from gssl.augment.graphwise import segment_index, weighted_rank
from gssl.augment.positions import spectral_positions
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph

_ISOLATED = 1e-9  # weight of a node without neighbors among those of its graph


@dataclass(frozen=True, eq=False)
class Structure:
    """A graph, or a set of graphs, as GCC sees it (Qiu et al., 2020, arXiv:2006.09963); all of it is on the CPU.

    The features of what it gives are the positions of nodes by leading eigenvectors, and a column that is 1 for roots.

    Attributes:
        pattern: of the simple undirected graph.
        ptr: offsets of the graphs of a set; None for one graph.
        positions: eigenvectors.
        whole: the graphs of a set with structural features, whose root is the first node of the most neighbors; None
            for one graph.
    """

    pattern: Pattern
    ptr: Tensor | None
    positions: int
    whole: Graph | None

    @classmethod
    def of(cls, graph: Graph, positions: int) -> Structure:
        """That of a graph, or of a set of graphs."""
        pattern, ptr = simple_pattern(graph.block.pattern), graph.ptr
        if ptr is None:
            return cls(pattern, None, positions, None)
        order = torch.argsort(pattern.counts, descending=True, stable=True)
        order = order[torch.argsort(segment_index(ptr)[order], stable=True)]
        filled = ptr.diff() > 0  # a graph without nodes has no root
        roots = order[ptr[:-1][filled]]
        bounds = torch.cat([ptr[:1], ptr[1:][filled]])
        x = _marked(spectral_positions(pattern, bounds, roots, positions), roots)
        return cls(pattern, ptr, positions, Graph(Block(pattern), x, ptr))

    def drawn_nodes(self, graphs: Tensor, seed: int) -> Tensor:
        """A node of each graph of a set, by its degree to the power of 0.75.

        Args:
            graphs: numbers of graphs that have nodes, shape (n,), int64.
            seed: of the draws.

        Returns:
            Node ids, shape (n,), int64.
        """
        assert self.ptr is not None
        begin, sizes = self.ptr[graphs], self.ptr.diff()[graphs]
        ptr = torch.nn.functional.pad(sizes.cumsum(0), (1, 0))
        nodes = torch.arange(int(ptr[-1])) + (begin - ptr[:-1]).repeat_interleave(sizes)
        weight = self.pattern.counts[nodes].double().pow(0.75) + _ISOLATED
        return nodes[weighted_rank(ptr, weight, torch.Generator().manual_seed(seed)) == 0]

    def around(self, nodes: Tensor, stream: int, *, steps: int, restart: float) -> MiniBatch:
        """Subgraphs that random walks span around nodes, as a batch of graphs with structural features.

        Args:
            nodes: shape (n,), int64.
            stream: of the walks, which depend on it and on the node alone.
            steps: of a walk at least; hubs have more.
            restart: probability of a restart before a step.
        """
        length = walk_steps(self.pattern.counts[nodes], steps, restart)
        nets = ego_nets(self.pattern, nodes, restart_walks(self.pattern, nodes, length, restart, stream))
        x = _marked(spectral_positions(nets.pattern, nets.ptr, nets.roots, self.positions), nets.roots)
        return Graph(Block(nets.pattern), x, nets.ptr).full_batch()


def _marked(positions: Tensor, roots: Tensor) -> Tensor:
    """Positions, and one more column that is 1 for the roots."""
    mark = torch.zeros(len(positions), 1)
    mark[roots] = 1.0
    return torch.cat([positions, mark], dim=1)
