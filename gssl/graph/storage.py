"""Storage of one graph, or of many small graphs side by side, and the batches cut from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.deriving import Deriving
from gssl.graph.hetero import HeteroParts
from gssl.graph.sparse import Features, Pattern, select_features


@dataclass(frozen=True, eq=False)
class Graph(Deriving):
    """A graph, or a collection of graphs as one block-diagonal graph.

    Attributes:
        block: all edges, rows are destinations.
        x: node features, shape (num_nodes, in_dim), float, dense or sparse.
        ptr: offsets of the graphs of a collection in the node rows, shape (num_graphs + 1,), int64, on the CPU;
            None for a single graph.
        hetero: the other types of nodes and the relations, where the nodes of this graph are those of one type.
    """

    block: Block
    x: Features
    ptr: Tensor | None = None
    hetero: HeteroParts | None = None

    @classmethod
    def from_edge_index(
        cls,
        edge_index: Tensor,
        x: Features,
        *,
        edge_attr: Tensor | None = None,
        edge_weight: Tensor | None = None,
        ptr: Tensor | None = None,
    ) -> Graph:
        """From edges as PyG writes them.

        Args:
            edge_index: row 0 sources, row 1 destinations, shape (2, num_edges), int64.
            x: node features, shape (num_nodes, in_dim).
            edge_attr: shape (num_edges, edge_dim) or None.
            edge_weight: shape (num_edges,), float, or None.
            ptr: offsets of the graphs of a collection.
        """
        num_nodes = int(x.shape[0])
        source, target = edge_index[0], edge_index[1]
        pattern, order = Pattern.from_coo(target, source, num_nodes, num_nodes)
        block = Block(
            pattern,
            None if edge_weight is None else edge_weight[order],
            None if edge_attr is None else edge_attr[order],
        )
        return cls(block, x, ptr)

    @property
    def device(self) -> torch.device:
        """Where the edges are."""
        return self.block.pattern.col.device

    @property
    def num_nodes(self) -> int:
        return int(self.x.shape[0])

    @property
    def num_edges(self) -> int:
        """Directed edges."""
        return self.block.num_edges

    @property
    def in_dim(self) -> int:
        return int(self.x.shape[1])

    @property
    def num_graphs(self) -> int:
        """Graphs in the collection; 0 for a single graph."""
        return 0 if self.ptr is None else self.ptr.numel() - 1

    def to(self, device: torch.device, *, features: bool = True) -> Graph:
        """The graph on another device; the offsets of a collection stay on the CPU.

        Degrees are those that were summed here: a device may add weights in another order.

        Args:
            device: where to.
            features: whether the features go there, too. They stay in host memory, or in their file, otherwise.
        """
        if self.device == device:
            return self
        block = self.block.to(device)
        if not self.block.learned:
            block.__dict__["_degree"] = self.block.degree.to(device)
        hetero = None if self.hetero is None else self.hetero.map(lambda values: values.to(device))
        return Graph(block, self.x.to(device) if features else self.x, self.ptr, hetero)

    @cached_property
    def _full(self) -> MiniBatch:
        graph_ids = None if self.ptr is None else torch.arange(self.num_graphs)
        return MiniBatch(
            x=self.x,
            blocks=(self.block,),
            node_ids=torch.arange(self.num_nodes, device=self.device),
            num_targets=self.num_nodes,
            graph_ptr=self.ptr,
            graph_ids=graph_ids,
            hetero=self.hetero,
        )

    def full_batch(self) -> MiniBatch:
        """Every node (and every graph) in one batch."""
        return self._full

    def graph_batch(self, index: Tensor) -> MiniBatch:
        """Some graphs of a collection as one block-diagonal batch, without a loop over graphs.

        Args:
            index: graphs, in order, repeats allowed, shape (batch_size,), int64.
        """
        if self.ptr is None:
            raise ValueError("a single graph has no graphs to choose from")
        sizes = self.ptr.diff()[index]
        ptr = torch.zeros(index.numel() + 1, dtype=torch.int64)
        ptr[1:] = sizes.cumsum(0)
        total = int(ptr[-1])
        shift = (self.ptr[:-1][index] - ptr[:-1]).repeat_interleave(sizes, output_size=total)
        nodes = torch.arange(total) + shift
        rows, position = self.block.pattern.select_rows(nodes)
        shift_of_edge = shift.to(rows.col.dtype).repeat_interleave(rows.counts.long(), output_size=rows.nnz)
        block = Block(
            Pattern(rows.rowptr, rows.col - shift_of_edge, total),
            None if self.block.weight is None else self.block.weight[position],
            None if self.block.edge_attr is None else self.block.edge_attr[position],
        )
        return MiniBatch(
            x=select_features(self.x, nodes),
            blocks=(block,),
            node_ids=nodes,
            num_targets=total,
            graph_ptr=ptr,
            graph_ids=index,
        )
