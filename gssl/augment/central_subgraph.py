"""Around each node the subgraph of the nodes that matter most to it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.crossing import sent
from gssl.graph.diffusion import ppr
from gssl.graph.sparse import Pattern, select_features
from gssl.graph.storage import Graph
from gssl.samplers.propagation.expansion import Engine


@dataclass(frozen=True, eq=False)
class CentralSubgraphs:
    """For each node those that personalised PageRank leads to, per unit of degree, and the edges among them.

    The central views of Subg-Con (Jiao et al., 2020, arXiv:2009.10273). The entries ``pi_j / d_j`` of a walk from i are
    those of row i of the PageRank matrix with the transition ``A' D^-1``, up to a factor of the row (see
    :mod:`gssl.graph.diffusion`), so that its greatest entries name the members.

    Attributes:
        graph: what subgraphs are cut from.
        members: row i lists the members of the subgraph of node i, itself among them, shape (num_nodes, num_nodes).
        engine: finds the edges within subgraphs.
    """

    graph: Graph
    members: Pattern
    engine: Engine

    @classmethod
    def of(cls, graph: Graph, *, size: int, alpha: float, eps: float) -> CentralSubgraphs:
        """The subgraphs of all nodes; their members are kept with the graph and found once for each set of options.

        Args:
            graph: a single graph; edge weights must not be negative.
            size: nodes of a subgraph, at most: there are fewer where PageRank reaches fewer.
            alpha: probability of a return in each step of the walk.
            eps: tolerance of PageRank, see :func:`gssl.graph.diffusion.ppr`.

        Raises:
            InputError: an option is out of range, or an edge weight is negative.
        """

        def make() -> Pattern:
            pattern, _ = ppr(graph.block, alpha=alpha, eps=eps, top_k=size, normalization="col")
            return with_own(pattern, size)

        members = graph.derived(f"central subgraphs size={size} alpha={alpha} eps={eps}", make)
        return cls(graph, members, Engine(graph.block.pattern))

    def batch(self, centers: Tensor) -> tuple[MiniBatch, Tensor]:
        """The subgraphs of some nodes side by side, as one square batch of which all nodes are targets.

        Args:
            centers: global ids, repeats allowed, shape (n,), int64.

        Returns:
            The batch, whose first rows are the centers, in order, and for each of its rows which subgraph it is in,
            shape (num_rows,), int64. On the device of ``centers``.
        """
        ids = centers.cpu()
        rows, _ = self.members.select_rows(ids)
        owner, node = rows.row.long(), rows.col.long()
        others = node != ids[owner]
        owner, node = owner[others], node[others]
        starts = torch.zeros(len(ids) + 1, dtype=torch.int64)
        starts[1:] = torch.bincount(owner, minlength=len(ids)).cumsum(0)
        nodes = torch.cat([ids, node])
        pattern, position = self.engine.ego_edges(nodes, starts + len(ids))
        whole, edge = self.graph.block, position.long()
        block = Block(
            self.engine.with_transpose(pattern),
            None if whole.weight is None else whole.weight[edge],
            None if whole.edge_attr is None else whole.edge_attr[edge],
        )
        batch = MiniBatch(select_features(self.graph.x, nodes), (block,), nodes, len(nodes))
        owners = torch.cat([torch.arange(len(ids)), owner])
        return batch.sent(centers.device), sent(owners, centers.device)


def with_own(pattern: Pattern, size: int) -> Pattern:
    """The pattern in which every row lists itself, in place of its last entry where there are ``size`` already.

    In an undirected graph the entry of the node itself is the greatest of its row. A directed one may lead away.
    """
    missing = torch.ones(pattern.num_rows, dtype=torch.bool, device=pattern.col.device)
    missing[pattern.row[pattern.row == pattern.col].long()] = False
    if not bool(missing.any()):
        return pattern
    place = torch.arange(pattern.nnz, device=pattern.col.device) - pattern.rowptr[:-1].long()[pattern.row.long()]
    keep = ~(missing[pattern.row.long()] & (place >= size - 1))
    own = missing.nonzero().squeeze(1)
    row, col = (torch.cat([ends[keep].long(), own]) for ends in (pattern.row, pattern.col))
    return Pattern.from_coo(row, col, pattern.num_rows, pattern.num_cols)[0]
