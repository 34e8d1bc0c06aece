"""A batch that grows on the device: the host learns the sizes of each hop at once, in one synchronisation."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.gpu.support import INTERPRETED, launch
from gssl.graph.sparse import Pattern, entries_in
from gssl.samplers.gpu import kernels
from gssl.samplers.propagation.growing import Expansion, Hop

# Sizes of a program. Interpreted ones take the same time whatever their size, so a few large ones are tested.
_BLOCK = 1 << 14 if INTERPRETED else 1024  # edges, or nodes
_PICKS = 1 << 16 if INTERPRETED else 2048
_ROWS, _LANES = (256, 64) if INTERPRETED else (8, 32)  # of a filter: rows, and edges of each that are seen together
_SLACK, _SPARE = 1.25, 1024  # room for edges that are drawn: that much above their expected number


class TritonExpansion(Expansion):
    """An expansion by Triton kernels, the same one as that of the numba kernels.

    A hop with a fan-out writes into room for as many edges as there may be, so that the host waits once, for the sizes
    that it then cuts its tensors to; the in-edges of the nodes, which a hop along all of them needs to know, come with
    these. Slots are made anew for each batch: 4 bytes for each node of the graph.

    Args:
        pattern: edges of the graph, on the device.
        ids: the targets, distinct, shape (n,), int64, on the same device.
        edges: into these, where the number is known.
    """

    def __init__(self, pattern: Pattern, ids: Tensor, edges: int | None = None) -> None:
        self._pattern = pattern
        self._ids = ids.to(pattern.col.dtype).contiguous()
        self._count = len(ids)
        self._incoming: dict[int, int] = {0: 0}  # in-edges of the first nodes, by their number, as far as known
        if edges is not None:
            self._incoming[len(ids)] = edges
        self._slots = self._new_slots()

    @property
    def nodes(self) -> Tensor:
        return self._ids[: self._count].long()

    def in_edges(self, skip: int = 0) -> int | None:
        known = self._incoming
        return known[self._count] - known[skip] if {skip, self._count} <= known.keys() else None

    def uniform(self, fanout: int, stream: int, skip: int = 0) -> Hop:
        rows = self._count - skip
        start, degree, kept = self._extents(skip, fanout)
        offsets = self._offsets(kept)
        if fanout < 0:
            edges = self._in_edges(skip)
            source = self._room(edges)
            if edges:
                steps = max(1, rows.bit_length())
                launch(
                    kernels.all_edges,
                    _grid(edges),
                    self._pattern.col,
                    start,
                    offsets,
                    source,
                    self._slots,
                    rows,
                    edges,
                    self._count,
                    steps,
                    _BLOCK,
                )
            local, _ = self._numbered(source, offsets[-1:])
            return Hop(Pattern(offsets, local, self._count), None, degree, start)
        room = min(rows * fanout, self._pattern.nnz)
        position, source = start.new_empty(room), self._room(room)
        width = 1 << (fanout - 1).bit_length()
        block = max(1, _PICKS // width)
        if not room:
            return Hop(Pattern(offsets, source, self._count), position, degree)
        launch(
            kernels.pick_edges,
            (-(-rows // block),),
            self._pattern.col,
            self._ids[skip:],
            start,
            degree,
            offsets,
            position,
            source,
            self._slots,
            stream,
            rows,
            self._count,
            fanout,
            width,
            block,
        )
        local, edges = self._numbered(source, offsets[-1:])
        return Hop(Pattern(offsets, local, self._count), position[:edges], degree)

    def shared(self, fanout: int, stream: int, skip: int = 0) -> Hop:
        start, degree, _ = self._extents(skip, -1)
        size = degree.double()
        chance = torch.where(size <= fanout, 1.0, torch.full_like(size, fanout) / size)
        offsets = self._offsets(self._filtered(start, degree, chance, stream))
        rows = self._count - skip
        room = min(self._known(skip), int(_SLACK * rows * fanout) + _SPARE)
        while True:
            position, source = self._written(start, degree, chance, stream, offsets, room)
            before = self._count
            local, edges = self._numbered(source, offsets[-1:])
            if edges <= room:
                return Hop(Pattern(offsets, local, self._count), position[:edges], degree)
            room, self._count = edges, before  # rare: sources that many rows share were drawn
            self._slots = self._new_slots()

    def inner(self) -> Hop:
        start, degree, _ = self._extents(0, -1)
        offsets = self._offsets(self._filtered(start, degree, None, 0))
        position, local = self._written(start, degree, None, 0, offsets, int(offsets[-1]))
        return Hop(Pattern(offsets, local, self._count), position, degree)

    def number(self, ids: Tensor) -> Tensor:
        source = ids.to(self._ids.dtype).contiguous()
        self._claim(source)
        limit = torch.full((1,), len(source), dtype=torch.int64, device=source.device)
        return self._numbered(source, limit)[0]

    def take(self, rowptr: Tensor, position: Tensor, skip: int = 0) -> Hop:
        dtype = self._pattern.rowptr.dtype
        _, degree, _ = self._extents(skip, -1)
        offsets, source = rowptr.to(dtype), self._pattern.col[position]
        self._claim(source)
        local, _ = self._numbered(source, offsets[-1:])
        return Hop(Pattern(offsets, local, self._count), position.to(dtype), degree)

    def _new_slots(self) -> Tensor:
        nodes = self._ids[: self._count].long()
        slots = torch.full((self._pattern.num_rows,), kernels.FREE, dtype=torch.int32, device=nodes.device)
        slots[nodes] = torch.arange(len(nodes), dtype=torch.int32, device=nodes.device)
        return slots

    def _room(self, edges: int) -> Tensor:
        """Room for the sources of so many edges.

        Raises:
            InputError: more than numbers of 32 bits can tell apart.
        """
        if self._count + edges >= kernels.FREE:
            raise InputError(f"a batch may have {edges} edges, more than a device can number; choose a smaller batch")
        return self._ids.new_empty(edges)

    def _extents(self, skip: int, fanout: int) -> tuple[Tensor, Tensor, Tensor]:
        """First in-edge, in-degree and kept edges of each node but the first few, dtype of ``rowptr``."""
        rowptr, rows = self._pattern.rowptr, self._count - skip
        start, degree, kept = (rowptr.new_empty(rows) for _ in range(3))
        if rows:
            launch(
                kernels.row_extents, _grid(rows), rowptr, self._ids[skip:], start, degree, kept, rows, fanout, _BLOCK
            )
        return start, degree, kept

    def _offsets(self, kept: Tensor) -> Tensor:
        offsets = kept.new_zeros(len(kept) + 1)
        torch.cumsum(kept, 0, out=offsets[1:])
        return offsets

    def _known(self, skip: int) -> int:
        """In-edges of the nodes but the first few, if they are known, else all edges of the graph."""
        known = self.in_edges(skip)
        return self._pattern.nnz if known is None else known

    def _in_edges(self, skip: int) -> int:
        """In-edges of the nodes but the first few; they are read from the device unless they are known."""
        for until in (skip, self._count):
            if until not in self._incoming:
                self._incoming[until] = entries_in(self._pattern.rowptr, self._ids[:until].long())
        return self._incoming[self._count] - self._incoming[skip]

    def _filtered(self, start: Tensor, degree: Tensor, chance: Tensor | None, stream: int) -> Tensor:
        """How many edges of each row a filter keeps: those to nodes of the batch, or by chance."""
        kept = torch.empty_like(degree)
        self._filter(start, degree, chance, stream, kept=kept)
        return kept

    def _written(
        self, start: Tensor, degree: Tensor, chance: Tensor | None, stream: int, offsets: Tensor, room: int
    ) -> tuple[Tensor, Tensor]:
        """Which edges a filter keeps, and their sources, or the numbers of these; as many as there is room for."""
        position, source = degree.new_empty(room), self._room(room)
        self._filter(start, degree, chance, stream, offsets=offsets, position=position, source=source)
        return position, source

    def _filter(
        self,
        start: Tensor,
        degree: Tensor,
        chance: Tensor | None,
        stream: int,
        *,
        kept: Tensor | None = None,
        offsets: Tensor | None = None,
        position: Tensor | None = None,
        source: Tensor | None = None,
    ) -> None:
        none = degree  # a pointer that is not followed
        if len(degree):
            launch(
                kernels.filtered_edges,
                (-(-len(degree) // _ROWS),),
                self._pattern.col,
                start,
                degree,
                none if chance is None else chance,
                none if offsets is None else offsets,
                none if kept is None else kept,
                none if position is None else position,
                none if source is None else source,
                self._slots,
                stream,
                len(degree),
                self._count,
                0 if source is None else len(source),
                chance is None,
                kept is None,
                _ROWS,
                _LANES,
            )

    def _claim(self, source: Tensor) -> None:
        self._room(len(source))
        if len(source):
            launch(kernels.claim, _grid(len(source)), source, self._slots, len(source), self._count, _BLOCK)

    def _numbered(self, source: Tensor, limit: Tensor) -> tuple[Tensor, int]:
        """Numbers of sources that were claimed, of which new ones join the batch; waits for the device.

        Args:
            source: room for the sources, shape (room,).
            limit: how many there are, shape (1,).

        Returns:
            The numbers, shape (edges,), and how many edges there are; where that is more than there is room for, the
            batch is in disorder.
        """
        room, count, pattern = len(source), self._count, self._pattern
        if not room:
            return source, int(limit)
        self._ids = torch.cat([self._ids[:count], source.new_empty(room)])
        first = torch.empty(room, dtype=torch.int32, device=source.device)
        told = torch.zeros(3, dtype=torch.int64, device=source.device)
        local, grid = torch.empty_like(source), _grid(room)
        launch(kernels.first_places, grid, source, self._slots, first, limit, room, count, _BLOCK)
        rank = first.cumsum(0, dtype=torch.int32)
        launch(kernels.number_sources, grid, source, self._slots, rank, self._ids, local, limit, room, count, _BLOCK)
        launch(kernels.settle, grid, self._ids, self._slots, rank, pattern.rowptr, limit, told, room, count, _BLOCK)
        edges, new, incoming = told.tolist()
        self._count += new
        if count in self._incoming:
            self._incoming.setdefault(self._count, self._incoming[count] + incoming)
        return local[:edges], edges


def _grid(size: int) -> tuple[int]:
    return (-(-size // _BLOCK),)
