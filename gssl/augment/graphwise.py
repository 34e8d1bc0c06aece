"""What the augmenters of whole graphs share: exact counts in every graph of a batch, without a loop over graphs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gssl.augment.base import Augmenter
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.kept import Kept, Mask, kept_beside
from gssl.graph.sparse import Pattern, select_features

Step = Callable[[MiniBatch, torch.Generator], MiniBatch]
"""A change of a batch that draws from a generator."""


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

    def planned(self, batch: MiniBatch, chosen: Tensor) -> Step:
        """:meth:`transform`, of a batch in which other graphs than the chosen ones have changed meanwhile.

        What the host must know of the chosen graphs is asked for now and read when it waits for something else.

        Args:
            batch: with the chosen graphs as they will be.
            chosen: as in :meth:`transform`.
        """
        return lambda changed, rng: self.transform(changed, rng, chosen)

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
    return induced_beside([(batch, keep)])[0][0]


def induced_beside(
    parts: Sequence[tuple[MiniBatch, Tensor]], asked: Sequence[Tensor] = (), numbers: Sequence[Tensor] = ()
) -> tuple[list[MiniBatch], tuple[Tensor, ...], tuple[int, ...]]:
    """Several induced subgraphs, and more that is asked for the same wait.

    Args:
        parts: for each subgraph what :func:`induced` takes.
        asked: masks (n,), bool.
        numbers: integers on the device.

    Returns:
        The subgraphs, where each mask is set (count,), int64, and what the numbers are.
    """
    masks = [Mask(edges) for batch, keep in parts for edges in edges_between(batch, keep)]
    targets = [keep[: batch.num_targets].count_nonzero() for batch, keep in parts]
    keeps = [keep for _, keep in parts]
    kept, places, told = kept_beside(masks, [*keeps, *asked], [*targets, *numbers])
    left, views = iter(kept), []
    for (batch, keep), nodes, count in zip(parts, places, told, strict=False):
        views.append(induced_of(batch, keep, nodes, count, [next(left) for _ in distinct_blocks(batch)]))
    return views, places[len(parts) :], told[len(parts) :]


def distinct_blocks(batch: MiniBatch) -> list[Block]:
    """Every block of a batch once, in the order of the layers."""
    return list({id(block): block for block in batch.blocks}.values())


def edges_between(batch: MiniBatch, keep: Tensor) -> list[Tensor]:
    """Edges of each distinct block whose ends are both kept (num_nodes,), shape (num_edges,), bool."""
    patterns = [block.pattern for block in distinct_blocks(batch)]
    return [keep[pattern.row.long()] & keep[pattern.col.long()] for pattern in patterns]


def induced_of(batch: MiniBatch, keep: Tensor, nodes: Tensor, num_targets: int, kept: Sequence[Kept]) -> MiniBatch:
    """:func:`induced`, where it is known already what stays.

    Args:
        batch: a batch whose blocks are square.
        keep: shape (num_nodes,), bool.
        nodes: where it is set, shape (num_kept,), int64.
        num_targets: how often among the targets.
        kept: what stays of each distinct block.
    """
    new_id = keep.cumsum(0) - 1
    targets = nodes[:num_targets]
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
    blocks = zip(distinct_blocks(batch), kept, strict=True)
    left = {id(block): _induced_block(block, own, nodes, new_id) for block, own in blocks}
    return view.map_blocks(lambda block: left[id(block)])


def _induced_block(block: Block, own: Kept, nodes: Tensor, new_id: Tensor) -> Block:
    kept = block.left_by(own)
    # The rows of nodes that go are empty by now, so the other rows' starts are the new offsets.
    rowptr = torch.cat([kept.pattern.rowptr[nodes], kept.pattern.rowptr[-1:]])
    columns = new_id[kept.pattern.col.long()].to(kept.pattern.col.dtype)
    full_degree = None if block.full_degree is None else block.full_degree[nodes]
    return Block(Pattern(rowptr, columns, nodes.numel()), kept.weight, kept.edge_attr, full_degree)
