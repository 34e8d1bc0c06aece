"""What the augmenters of whole graphs share: exact counts in every graph of a batch, without a loop over graphs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gssl.augment.base import Augmenter
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern, select_features


class GraphwiseAugmenter(Augmenter):
    """An augmenter that treats every graph of a batch by itself; the nodes of a single graph count as one graph."""

    @abstractmethod
    def transform(self, batch: MiniBatch, rng: torch.Generator, chosen: Tensor) -> MiniBatch:
        """Change some graphs and leave the others as they are.

        Args:
            batch: a batch whose blocks are square.
            rng: generator on the device of the batch.
            chosen: which graphs to change, shape (max(num_graphs, 1),), bool.
        """

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        if not batch.is_square:
            raise InputError(
                f"{type(self).__name__} needs whole graphs, but the batch was sampled layer by layer; "
                f"use an induced or exact propagation"
            )
        chosen = torch.ones(graph_offsets(batch).numel() - 1, dtype=torch.bool, device=batch.device)
        return self.transform(batch, rng, chosen)


def graph_offsets(batch: MiniBatch) -> Tensor:
    """Offsets of the graphs in the node rows, shape (max(num_graphs, 1) + 1,), int64."""
    if batch.graph_ptr is not None:
        return batch.graph_ptr
    return offsets_of([batch.num_nodes], batch.device)


def offsets_of(ends: Sequence[int], device: torch.device) -> Tensor:
    """0, then the ends of segments, as a tensor (num_segments + 1,), int64, for which no device waits."""
    offsets = torch.zeros(len(ends) + 1, dtype=torch.int64, device=device)
    for number, end in enumerate(ends):
        offsets[number + 1].fill_(end)
    return offsets


def share(sizes: Tensor, ratio: float) -> Tensor:
    """``floor(ratio * size)`` of each size (n,) int64, safe against the rounding of ``ratio``."""
    return (sizes.double() * ratio + 1e-9).floor().long()


def random_rank(offsets: Tensor, rng: torch.Generator, total: int | None = None) -> Tensor:
    """Rank of every item in a random order of its own segment.

    Args:
        offsets: segments of the items, shape (num_segments + 1,), int64.
        rng: generator on the device of ``offsets``.
        total: items altogether, where the number is known; else a device is waited for.

    Returns:
        Shape (num_items,), int64; the items of a segment of size s get 0 .. s - 1, every order equally likely.
    """
    segment = segment_index(offsets, total)
    order = torch.randperm(segment.numel(), generator=rng, device=offsets.device)
    return rank_within(offsets, order[torch.argsort(segment[order], stable=True)])


def weighted_rank(offsets: Tensor, weight: Tensor, rng: torch.Generator) -> Tensor:
    """Rank of every item in a random order of its own segment that puts heavy items first.

    The item of rank 0 is drawn with probability ``weight / sum of the weights of its segment``, that of rank 1 likewise
    among the others, and so on: drawing without replacement, which is what sorting log weights with Gumbel noise gives
    (Kool et al., 2019, arXiv:1903.06059). All segments are drawn from at once.

    Args:
        offsets: segments of the items, shape (num_segments + 1,), int64.
        weight: positive, shape (num_items,), float.
        rng: generator on the device of ``offsets``.

    Returns:
        Shape (num_items,), int64; the items of a segment of size s get 0 .. s - 1.
    """
    # An exponential clock whose rate is the weight: its logarithm is the negative of log weight plus Gumbel noise.
    clock = torch.empty(weight.shape, dtype=torch.float64, device=weight.device).exponential_(generator=rng) / weight
    order = torch.argsort(clock)
    return rank_within(offsets, order[torch.argsort(segment_index(offsets, len(order))[order], stable=True)])


def rank_within(offsets: Tensor, order: Tensor) -> Tensor:
    """Position of every item in its segment, given the items (num_items,) sorted by segment first."""
    start = offsets[:-1].repeat_interleave(offsets.diff(), output_size=order.numel())
    rank = torch.empty_like(order)
    rank[order] = torch.arange(order.numel(), device=order.device) - start
    return rank


def segment_index(offsets: Tensor, total: int | None = None) -> Tensor:
    """Segment of every item, shape (num_items,), int64, from offsets of shape (num_segments + 1,).

    ``total`` is the number of items, where it is known; else a device is waited for.
    """
    segments = torch.arange(offsets.numel() - 1, device=offsets.device)
    return segments.repeat_interleave(offsets.diff(), output_size=total)


def induced(batch: MiniBatch, keep: Tensor) -> MiniBatch:
    """The subgraph on some nodes, with everything that belongs to them and to the edges between them.

    Args:
        batch: a batch whose blocks are square.
        keep: shape (num_nodes,), bool.

    Returns:
        A batch whose nodes stay in order. At node level ``node_ids`` tells which targets are left.
    """
    nodes = keep.nonzero().squeeze(1)
    new_id = keep.cumsum(0) - 1
    targets = nodes[: int(keep[: batch.num_targets].sum())]
    graph_ptr = batch.graph_ptr
    if graph_ptr is not None:
        graph_ptr = torch.nn.functional.pad(keep.cumsum(0), (1, 0))[graph_ptr]
    by_node = batch.weight is not None and batch.graph_ptr is None
    view = replace(
        batch,
        x=select_features(batch.x, nodes),
        node_ids=batch.node_ids[nodes],
        num_targets=targets.numel(),
        graph_ptr=graph_ptr,
        weight=batch.weight[targets] if batch.weight is not None and by_node else batch.weight,
    )
    return view.map_blocks(lambda block: _induced_block(block, keep, nodes, new_id))


def _induced_block(block: Block, keep: Tensor, nodes: Tensor, new_id: Tensor) -> Block:
    rows, columns = block.pattern.row.long(), block.pattern.col.long()
    kept = block.filter(keep[rows] & keep[columns])
    # The rows of nodes that go are empty by now, so the other rows' starts are the new offsets.
    rowptr = torch.cat([kept.pattern.rowptr[nodes], kept.pattern.rowptr[-1:]])
    columns = new_id[kept.pattern.col.long()].to(kept.pattern.col.dtype)
    full_degree = None if block.full_degree is None else block.full_degree[nodes]
    return Block(Pattern(rowptr, columns, nodes.numel()), kept.weight, kept.edge_attr, full_degree)
