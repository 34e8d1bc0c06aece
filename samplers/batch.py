"""The one batch type: a full graph, a set of small graphs and a sampled mini-batch look the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.samplers.history import BatchHistory
from gssl.samplers.sparse import BatchFeatures, Pattern, SparseMatrix, dense_features

if TYPE_CHECKING:
    from gssl.samplers.first import FirstAggregates


@dataclass(frozen=True, eq=False)
class Block:
    """Messages into one layer: row i of the pattern lists the sources that destination i aggregates.

    Destination i is also source i, so a layer finds its own input in the first ``num_dst`` source rows.

    Attributes:
        pattern: CSR positions, rows are destinations, columns are sources.
        weight: weight of each edge, shape (num_edges,), float; None means 1 each.
        edge_attr: attributes of each edge, shape (num_edges, edge_dim), float or int64; None if there are none.
        full_degree: weighted in-degree of each source in the graph that the block was cut from, shape (num_src,),
            float; None if the block is the whole graph or stands for itself (an induced subgraph).
        sample_weight: for a control variate, Horvitz-Thompson factor of each edge that was drawn and 0 for the
            others, shape (num_edges,), float; None where the edges are there to be summed.
    """

    pattern: Pattern
    weight: Tensor | None = None
    edge_attr: Tensor | None = None
    full_degree: Tensor | None = None
    sample_weight: Tensor | None = None

    @property
    def num_dst(self) -> int:
        return self.pattern.num_rows

    @property
    def num_src(self) -> int:
        return self.pattern.num_cols

    @property
    def num_edges(self) -> int:
        return self.pattern.nnz

    @property
    def edge_index(self) -> Tensor:
        """Edges as PyG writes them: row 0 sources, row 1 destinations, shape (2, num_edges), int64."""
        return torch.stack([self.pattern.col.long(), self.pattern.row.long()])

    @cached_property
    def degree(self) -> Tensor:
        """Weighted in-degree of each destination within the block, shape (num_dst,), float."""
        if self.weight is None:  # without ``pattern.counts``, which would be kept, too
            return self.pattern.rowptr.diff().to(torch.get_default_dtype())
        return self.weight.new_zeros(self.num_dst).index_add(0, self.pattern.row, self.weight)

    @cached_property
    def gcn_scale(self) -> Tensor:
        """D^-1/2 of each source with the self-loop counted, shape (num_src,), float.

        Raises:
            InputError: a bipartite block without ``full_degree``.
        """
        degree = self.degree if self.full_degree is None else self.full_degree
        if degree.numel() != self.num_src:
            raise InputError("a bipartite block needs full_degree to be normalised symmetrically")
        return (degree + 1).clamp(min=1e-12).rsqrt()

    def filter(self, keep: Tensor) -> Block:
        """Keep the edges where ``keep`` (num_edges,) bool is set, with their weights and attributes."""
        return self._with_edges(self.pattern.filter(keep), lambda values: values[keep])

    def head(self, num_dst: int) -> Block:
        """The messages into the first destinations, without a copy."""
        pattern = self.pattern.head(num_dst)
        return self._with_edges(pattern, lambda values: values[: pattern.nnz])

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Block:
        if self.pattern.col.device == device:
            return self
        return self.map(lambda values: values.to(device, non_blocking=non_blocking))

    def map(self, change: Callable[[Tensor], Tensor]) -> Block:
        """The block with each tensor replaced by an equal one."""
        changed = self._with_edges(self.pattern.map(change), change)
        return changed if self.full_degree is None else replace(changed, full_degree=change(self.full_degree))

    def _with_edges(self, pattern: Pattern, select: Callable[[Tensor], Tensor]) -> Block:
        """Another pattern over the same sources; ``select`` gives what belongs to its edges."""
        edges = (self.weight, self.edge_attr, self.sample_weight)
        weight, edge_attr, sample_weight = (None if values is None else select(values) for values in edges)
        return Block(pattern, weight, edge_attr, self.full_degree, sample_weight)


@dataclass(frozen=True, eq=False)
class MiniBatch:
    """What encoders, augmenters and methods see. There are no labels in it.

    Attributes:
        x: features of the source nodes of the first block, shape (num_src, in_dim), float: dense, sparse, or rows of
            a matrix that are not copied (:func:`~gssl.samplers.sparse.dense_features` makes any of them dense).
        blocks: one block per encoder layer, the first layer first; a single block serves every layer.
        node_ids: global ids of the rows of ``x``, targets first, shape (num_src,), int64.
        num_targets: number of nodes that the batch is about; they are the first rows.
        weight: importance weight of each item (target node, or graph), shape (num_items,), float;
            None means 1 each. A weight of 2 means what including the item twice means.
        graph_ptr: offsets of the graphs in the node rows, shape (num_graphs + 1,), int64; None at node level.
        graph_ids: global ids of the graphs, shape (num_graphs,), int64; None at node level.
        population: number of items that the weights stand for; the training loop then turns the objective's
            self-normalised mean into the Horvitz-Thompson one, ``sum(w * terms) / population``. None keeps the mean.
        step: whether the optimizer steps after this batch.
        measure: whether the sampler wants the gradient norm of each item; the gradient of a measured batch without
            a step is thrown away.
        refresh: whether the batch is there for the history alone: a forward pass without gradient.
        history: handle of the history that the propagation uses, if it has one.
        first: what the first layer reads instead of neighbors, if that is known. The rows of ``x`` are then those of
            the first block's destinations that are computed anew, and the features cannot be augmented.
        scale: what the training loop multiplies the loss by, so that the mean of the gradients of several ranks is
            that of the batch which they share.
        time: draws before that of the batch, as the selection counts them.
    """

    x: BatchFeatures
    blocks: tuple[Block, ...]
    node_ids: Tensor
    num_targets: int
    weight: Tensor | None = None
    graph_ptr: Tensor | None = None
    graph_ids: Tensor | None = None
    population: int | None = None
    step: bool = True
    measure: bool = False
    refresh: bool = False
    history: BatchHistory | None = None
    first: FirstAggregates | None = None
    scale: float = 1.0
    time: int = 0

    @property
    def num_nodes(self) -> int:
        """Rows of ``x``."""
        return int(self.x.shape[0])

    @property
    def in_dim(self) -> int:
        return int(self.x.shape[1])

    @property
    def num_graphs(self) -> int:
        return 0 if self.graph_ptr is None else self.graph_ptr.numel() - 1

    @property
    def num_items(self) -> int:
        """Graphs at graph level, else target nodes: the length of ``weight``."""
        return self.num_targets if self.graph_ptr is None else self.num_graphs

    @property
    def device(self) -> torch.device:
        return self.node_ids.device

    @property
    def is_square(self) -> bool:
        """Whether every layer maps the same nodes onto themselves (full graphs, graph batches, subgraphs)."""
        return all(b.num_dst == b.num_src == self.num_nodes for b in self.blocks)

    def block(self, layer: int) -> Block:
        """The block of one encoder layer.

        Raises:
            InputError: the batch was made for fewer layers than the encoder has.
        """
        if len(self.blocks) == 1 and self.is_square:
            return self.blocks[0]
        if layer >= len(self.blocks):
            raise InputError(f"the batch has {len(self.blocks)} blocks but the encoder has more layers")
        return self.blocks[layer]

    def graph_index(self) -> Tensor:
        """Graph of each node row, shape (num_nodes,), int64.

        Raises:
            InputError: the batch is not one of graphs.
        """
        if self.graph_ptr is None:
            raise InputError("this needs a batch of graphs, but the batch holds the nodes of one graph")
        graphs = torch.arange(self.num_graphs, device=self.device)
        return graphs.repeat_interleave(self.graph_ptr.diff(), output_size=self.num_nodes)

    def with_x(self, x: BatchFeatures) -> MiniBatch:
        """The batch with other features.

        Raises:
            InputError: the first layer was computed from these already.
        """
        self._require_raw()
        return replace(self, x=x)

    def map_blocks(self, change: Callable[[Block], Block]) -> MiniBatch:
        """Replace every block, each distinct one once.

        Raises:
            InputError: the first layer was computed from these already.
        """
        self._require_raw()
        changed = {id(block): change(block) for block in self.blocks}
        return replace(self, blocks=tuple(changed[id(block)] for block in self.blocks))

    def _require_raw(self) -> None:
        if self.first is not None:
            raise InputError(
                "sampler.precompute aggregates the features before training, but this method's views change features "
                "or edges; set sampler.precompute=false"
            )

    def to(self, device: torch.device, *, non_blocking: bool = False) -> MiniBatch:
        """The batch on another device; the history stays where it is.

        Args:
            device: where to.
            non_blocking: whether copies from pinned memory to a CUDA device may still be under way on return; the
                work that the device is given next waits for them. Not for copies to the CPU.
        """
        if self.device == device:
            return self  # what its pattern learns about itself serves the next user too
        return self._map(lambda values: values.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> MiniBatch:
        """The batch in page-locked memory, without a copy of what is there already."""
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> MiniBatch:
        blocks = {id(block): block.map(change) for block in self.blocks}
        return replace(
            self,
            x=self.x.map(change) if isinstance(self.x, SparseMatrix) else change(dense_features(self.x)),
            blocks=tuple(blocks[id(block)] for block in self.blocks),
            node_ids=change(self.node_ids),
            weight=None if self.weight is None else change(self.weight),
            graph_ptr=None if self.graph_ptr is None else change(self.graph_ptr),
            graph_ids=None if self.graph_ids is None else change(self.graph_ids),
        )
