"""What the propagations with a history share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from gssl.common.options import Neutral
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.history import BatchHistory, History, Mode, Precision, Storage
from gssl.graph.plan import Plan
from gssl.graph.sparse import BatchFeatures, ask_ends
from gssl.graph.storage import Graph
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.beside_exact import BesideExact
from gssl.samplers.selection.base import Draw

_CROWDED = 8
"""Rows that a piece of an exact draw reads, at most, as a multiple of its nodes (more where one node reads more)."""


class StoredPropagation(BesideExact):
    """A propagation that reads what earlier batches wrote. Draws that must be exact refresh it.

    An exact draw in pieces goes layer by layer: whatever its targets hear from in the next layers is computed piece
    by piece without gradients and written to the history, and then each piece of targets reads rows that are exact.
    Its memory is that of a piece, and every edge is used once a layer, where the pieces' own neighborhoods of several
    hops would each be most of a large graph. The gradient of such a batch stops at the history, so a draw that the
    optimizer steps after is cut into pieces with their whole neighborhoods instead.

    Args:
        graph: where messages flow.
        num_layers: message-passing layers of the encoder.
        history_storage: where rows are kept: beside the encoder, in (pinned) host memory, or in files.
        history_precision: of the stored rows.
        history_folder: for the files.
        precompute: aggregates the features once, before training, so that the first layer needs no neighbors; for
            methods that do not augment features and edges.
        backend: of the engine; the batches are the same.

    Attributes:
        mode: how the encoder uses the stored rows.
        frozen: while set, batches read only, so that an instrument can draw from one state repeatedly.
    """

    mode: ClassVar[Mode] = "truncated"

    def __init__(
        self,
        graph: Graph,
        *,
        num_layers: int,
        history_storage: Storage = "device",
        history_precision: Precision = "float32",
        history_folder: str | Path | None = None,
        precompute: bool = False,
        backend: Annotated[Backend, Neutral("auto")] = "auto",
    ) -> None:
        super().__init__(graph, num_layers=num_layers, backend=backend, precompute=precompute)
        folder = None if history_folder is None else Path(history_folder)
        self.store = History(graph.num_nodes, storage=history_storage, precision=history_precision, folder=folder)
        self.frozen = False
        self.first = self.exact.first

    @property
    def complete(self) -> bool:
        return True

    def batch(self, draw: Draw) -> MiniBatch:
        if not draw.exact:
            return self.stored_batch(draw)
        batch = self.exact.batch(draw)
        history = BatchHistory(self.store, "truncated", batch.node_ids, batch.num_nodes, frozen=self.frozen)
        return batch.planned(history=history)

    def batches(self, draw: Draw) -> Iterator[tuple[Draw, MiniBatch]]:
        if draw.step or not draw.exact or draw.piece is None:
            yield from super().batches(draw)
            return
        silent = replace(draw, step=False, measure=False)
        for number, ids in enumerate(self._below(draw)):
            yield silent, self.one_shot(ids, None, is_step=number == 0, turned=False).planned(refresh=True)
        for part in draw.parts():
            made = self.one_shot(part.ids, self.engine.into(part.here), is_step=self.num_layers == 1, turned=False)
            yield part, replace(made, weight=self.target_weight(part))

    def _below(self, draw: Draw) -> Iterator[Tensor]:
        """Nodes whose rows of the first layer, then of the second, and so on, the layers above them read, in pieces."""
        assert draw.piece is not None
        growing, sizes = self.engine.start(draw.ids, self.engine.into(draw.here)), [len(draw.ids)]
        for hop in range(self.num_layers - 1):
            done = sizes[-2] if hop else 0
            for rows in self.pieces(growing.nodes[done:], draw.piece):
                growing.add(self.graph.block.pattern.select_rows(rows)[0].col.long())
            sizes.append(len(growing.nodes))
        nodes = growing.nodes
        for size in reversed(sizes[1:]):
            yield from self.pieces(nodes[:size], draw.piece)

    def pieces(self, ids: Tensor, most: int) -> Iterator[Tensor]:
        """Runs of at most ``most`` nodes that have not many times as many neighbors.

        The nodes with most neighbors are reached first, and a piece of them alone would be most of a large graph.
        """
        while len(ids):
            fitting = self._fitting(ids[:most], _CROWDED * most)
            yield ids[:fitting]
            ids = ids[fitting:]

    def _fitting(self, ids: Tensor, budget: int) -> int:
        """How many of the first nodes, at least one, are with their neighbors at most ``budget`` distinct nodes."""
        pattern, places = self.graph.block.pattern, torch.arange(len(ids), device=ids.device)
        entries = (pattern.rowptr[ids + 1] - pattern.rowptr[ids] + 1).cumsum(0)
        near = int(torch.searchsorted(entries, 2 * budget, right=True))  # a node is rarely there more often than twice
        if near <= 1 or int(entries[near - 1]) <= budget:
            return max(1, near)
        ids, places = ids[:near], places[:near]
        rows, _ = pattern.select_rows(ids)
        distinct, inverse = torch.cat([ids, rows.col.long()]).unique(return_inverse=True)
        place = torch.cat([places, rows.row.long()])
        first = torch.full_like(distinct, near).scatter_reduce(0, inverse, place, "amin")
        so_far = first.bincount(minlength=near).cumsum(0)
        return max(1, int(torch.searchsorted(so_far, budget, right=True)))

    def stored_batch(self, draw: Draw) -> MiniBatch:
        """The batch of a draw that need not be exact."""
        raise NotImplementedError

    def one_shot(
        self, ids: Tensor, edges: int | None, *, is_step: bool = True, turned: bool = True, ahead: bool = True
    ) -> MiniBatch:
        """The batch without weights in which every layer computes the nodes ``ids`` alone and reads the others."""
        block, sources = self.incoming(ids, edges, turned=turned)
        ask_heads(block, len(ids))
        history = BatchHistory(self.store, "truncated", sources, len(ids), frozen=self.frozen, is_step=is_step)
        return MiniBatch(
            x=self.features(sources, len(ids), ahead=ahead),
            blocks=(block,) * self.num_layers,
            node_ids=sources,
            num_targets=len(ids),
            plan=Plan(history=history, first=self.first),
        )

    def incoming(self, ids: Tensor, edges: int | None, *, turned: bool = True) -> tuple[Block, Tensor]:
        """Messages of all in-neighbors into some nodes.

        Args:
            ids: destinations, distinct global ids, shape (n,), int64.
            edges: into them, where the number is known.
            turned: whether somebody may ask for the block's transpose.

        Returns:
            The block, and the global ids of its sources, ``ids`` first, shape (num_src,), int64.
        """
        growing = self.engine.start(ids, edges)
        hop = growing.uniform(-1, 0)
        nodes = growing.nodes
        return self.exact.block(hop, None, self.graph.block.degree[nodes], turned=turned), nodes

    def features(self, sources: Tensor, num_fresh: int, *, ahead: bool) -> BatchFeatures:
        """Features of all sources, or of the fresh ones where the first layer hears from no others."""
        return self.exact.features(sources if self.first is None else sources[:num_fresh], ahead=ahead)

    def handle(self, ids: Tensor, num_fresh: int, sources: Sequence[Tensor] = ()) -> BatchHistory:
        """The history as a batch with these rows, and these sources of each layer, sees it."""
        return BatchHistory(self.store, self.mode, ids, num_fresh, tuple(sources), frozen=self.frozen)


def ask_heads(block: Block, num_fresh: int) -> None:
    """Let a block know how many edges its first destinations, and its first sources, have: encoders ask for them."""
    pattern = block.pattern
    ask_ends((pattern, pattern.transposed[0]) if pattern.knows_transpose else (pattern,), num_fresh)
