"""The one batch type: a full graph, a set of small graphs and a sampled mini-batch look the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.block import Block
from gssl.graph.crossing import sent
from gssl.graph.hetero import HeteroParts
from gssl.graph.kept import kept_later
from gssl.graph.plan import Plan
from gssl.graph.sparse import BatchFeatures, SparseMatrix, dense_features


@dataclass(frozen=True, eq=False)
class MiniBatch:
    """What encoders, augmenters and methods see. There are no labels in it.

    Attributes:
        x: features of the source nodes of the first block, shape (num_src, in_dim), float: dense, sparse, or rows of
            a matrix that are not copied (:func:`~gssl.graph.sparse.dense_features` makes any of them dense).
        blocks: one block per encoder layer, the first layer first; a single block serves every layer.
        node_ids: global ids of the rows of ``x``, targets first, shape (num_src,), int64.
        num_targets: number of nodes that the batch is about; they are the first rows.
        weight: importance weight of each item (target node, or graph), shape (num_items,), float;
            None means 1 each. A weight of 2 means what including the item twice means.
        graph_ptr: offsets of the graphs in the node rows, shape (num_graphs + 1,), int64; None at node level.
        graph_ids: global ids of the graphs, shape (num_graphs,), int64; None at node level.
        plan: what the sampler says to the training loop and to encoders that read stored rows; methods and augmenters
            leave it alone.
        hetero: the other types of nodes and the relations, where the rows are all nodes of the target type of a graph
            that has them; None for any other batch, and once the edges have changed.
    """

    x: BatchFeatures
    blocks: tuple[Block, ...]
    node_ids: Tensor
    num_targets: int
    weight: Tensor | None = None
    graph_ptr: Tensor | None = None
    graph_ids: Tensor | None = None
    plan: Plan = Plan()  # noqa: RUF009  frozen
    hetero: HeteroParts | None = None

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
        """Replace every block, each distinct one once; relations, which would not follow, are left out.

        Raises:
            InputError: the first layer was computed from these already.
        """
        self._require_raw()
        changed = {id(block): change(block) for block in self.blocks}
        return replace(self, blocks=tuple(changed[id(block)] for block in self.blocks), hetero=None)

    def filtering(self, keep: Callable[[Block], Tensor]) -> Callable[[MiniBatch], MiniBatch]:
        """Drop edges of every distinct block, later: which stay is asked now, and a device is looked at when they go.

        Args:
            keep: the edges of a block that stay, shape (num_edges,), bool; asked in the order of the layers.

        Returns:
            What drops the edges of a batch with the blocks of this one.

        Raises:
            InputError: the first layer was computed from these already.
        """
        self._require_raw()
        # A block that serves several layers is asked for each, and its last answer counts: so were results made.
        asked = {id(block): (block, block.pattern.mask(keep(block))) for block in self.blocks}
        drawn = {
            key: (mask.keep & (block.sample_weight > 0)).count_nonzero()
            for key, (block, mask) in asked.items()
            if block.sample_weight is not None
        }
        answer = kept_later([mask for _, mask in asked.values()], (), list(drawn.values()))

        def filtered(batch: MiniBatch) -> MiniBatch:
            kept, _, numbers = answer()
            left = {key: block.left_by(own) for (key, (block, _)), own in zip(asked.items(), kept, strict=True)}
            for key, number in zip(drawn, numbers, strict=True):
                left[key] = replace(left[key], num_drawn=number)
            return batch.map_blocks(lambda block: left[id(block)])

        return filtered

    def _require_raw(self) -> None:
        if self.plan.first is not None:
            raise InputError(
                "sampler.precompute aggregates the features before training, but this method's views change features "
                "or edges; set sampler.precompute=false"
            )

    def planned(self, **changes: Any) -> MiniBatch:
        """The batch with some attributes of its plan replaced."""
        return replace(self, plan=replace(self.plan, **changes))

    def to(self, device: torch.device, *, non_blocking: bool = False) -> MiniBatch:
        """The batch on another device; what the history keeps for all nodes stays where it is.

        Args:
            device: where to.
            non_blocking: whether copies from pinned memory to a CUDA device may still be under way on return; the
                work that the device is given next waits for them. Not for copies to the CPU.
        """
        if self.device == device:
            return self  # what its pattern learns about itself serves the next user too
        return self._map(lambda values: values.to(device, non_blocking=non_blocking))

    def sent(self, device: torch.device) -> MiniBatch:
        """The batch on another device, through pinned memory where that is CUDA, so that the host does not wait."""
        return self if self.device == device else self._map(lambda values: sent(values, device))

    def pin_memory(self) -> MiniBatch:
        """The batch in page-locked memory, without a copy of what is there already."""
        return self._map(Tensor.pin_memory)

    def carried(self, change: Callable[[Tensor], Tensor], x: BatchFeatures) -> MiniBatch:
        """The batch with each tensor replaced by an equal one, and its features by ``x``."""
        return replace(replace(self, x=self.node_ids.new_empty(0, 0))._map(change), x=x)

    def _map(self, change: Callable[[Tensor], Tensor]) -> MiniBatch:
        known: dict[int, Tensor] = {}  # ids of nodes are those of the history too, and travel once

        def once(values: Tensor) -> Tensor:
            if id(values) not in known:
                known[id(values)] = change(values)
            return known[id(values)]

        blocks = {id(block): block.map(once) for block in self.blocks}
        history = self.plan.history
        return replace(
            self,
            x=self.x.map(once) if isinstance(self.x, SparseMatrix) else once(dense_features(self.x)),
            blocks=tuple(blocks[id(block)] for block in self.blocks),
            node_ids=once(self.node_ids),
            weight=None if self.weight is None else once(self.weight),
            graph_ptr=None if self.graph_ptr is None else once(self.graph_ptr),
            graph_ids=None if self.graph_ids is None else once(self.graph_ids),
            hetero=None if self.hetero is None else self.hetero.map(once),
            plan=self.plan if history is None else replace(self.plan, history=history.map(once)),
        )
