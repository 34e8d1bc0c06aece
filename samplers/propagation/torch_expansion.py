"""A batch that grows by torch operators, on any device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gssl.graph.kept import Kept, places_beside
from gssl.graph.sparse import Pattern
from gssl.samplers.propagation import torch_ops
from gssl.samplers.propagation.growing import Controlled, Expansion, Hop, Touching


class TorchExpansion(Expansion):
    """The same expansion as that of the numba kernels.

    The host waits for a device once a hop, for the number of new nodes. Their in-edges, which a hop along all of them
    has to know, come with it.

    Args:
        pattern: edges of the graph.
        ids: the targets, distinct, shape (n,), int64.
        edges: into these, where the number is known.
    """

    def __init__(self, pattern: Pattern, ids: Tensor, edges: int | None = None) -> None:
        self._pattern = pattern
        self._nodes = ids.long()
        self._incoming = {0: 0}  # in-edges of the first nodes, by their number, as far as known
        if edges is not None:
            self._incoming[len(ids)] = edges

    @property
    def nodes(self) -> Tensor:
        return self._nodes

    def in_edges(self, skip: int = 0) -> int | None:
        until, before = self._incoming.get(len(self._nodes)), self._incoming.get(skip)
        return None if until is None or before is None else until - before

    def uniform(self, fanout: int, stream: int, skip: int = 0) -> Hop:
        if fanout < 0:
            return self.take(*self._all(skip), skip)
        offsets, position, self._nodes, local = torch_ops.uniform_numbered(
            self._pattern, self._nodes, self._nodes[skip:], fanout, stream
        )
        return self._hop(offsets, position, local, skip)

    def number(self, ids: Tensor) -> Tensor:
        return self._enter(ids)[0]

    def shared(self, fanout: int, stream: int, skip: int = 0) -> Hop:
        edges, position = self._pattern.select_rows(self._nodes[skip:], total=self.in_edges(skip))
        return self.take_kept(edges, position, torch_ops.shared_edges(edges, fanout, stream), skip)[0]

    def inner(self) -> Hop:
        return self._hop(*torch_ops.inner_edges(self._pattern, self._nodes, total=self.in_edges()))

    def take(self, rowptr: Tensor, position: Tensor, skip: int = 0) -> Hop:
        return self._hop(rowptr, position, self.number(self._pattern.col[position]), skip)

    def take_kept(self, rows: Pattern, position: Tensor, keep: Tensor, skip: int = 0) -> tuple[Hop, Tensor]:
        # The source of an edge that is left out counts as a node that is there already.
        local, (left,) = self._enter(torch.where(keep, rows.col, self._nodes[0]), keep)
        offsets = rows.left_by(Kept(keep, left)).rowptr
        return self._hop(offsets, position[left], local[left], skip), left

    def both_ways(self, turned: Pattern, order: Tensor, *, total: int | None = None) -> Touching:
        targets = self._nodes
        out_of, out = turned.select_rows(targets, total=total)
        offsets, position = self._all()
        ids, first, number = self._numbered(torch.cat([self._pattern.col[position], out_of.col]))
        local, reached = number.split([len(position), out_of.nnz])
        (leaving,), _ = self._grow(ids, first, [reached >= len(targets)])
        return Touching(self._hop(offsets, position, local), out_of, order[out], reached, leaving)

    def controlled(self, fanout: int, stream: int) -> Controlled:
        targets, size = self._nodes, len(self._nodes)
        offsets, position = self._all()
        sources = self._pattern.col[position]
        factor = torch_ops.drawn_edges(Pattern(offsets, sources, self._pattern.num_cols), targets, fanout, stream)
        ids, first, local = self._numbered(sources)
        is_fresh = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)  # by number
        is_fresh.index_fill_(0, torch.where(factor > 0, local, 0), True)
        is_fresh[:size] = True
        edges = self._pattern.counts[targets].sum() + self._incoming_of(ids[size:], first[size:] & is_fresh[local])
        _, (num_fresh, into) = self._grow(ids, first, numbers=[is_fresh.count_nonzero(), edges])
        return Controlled(self._hop(offsets, position, local), factor, num_fresh, into)

    def _all(self, skip: int = 0) -> tuple[Tensor, Tensor]:
        """Offsets and places of all edges into the nodes from ``skip`` on."""
        rows = self._nodes[skip:] if skip else self._nodes
        return torch_ops.uniform_edges(self._pattern, rows, -1, 0, total=self.in_edges(skip))

    def _incoming_of(self, ids: Tensor, which: Tensor) -> Tensor:
        """In-edges of some of the ids, shape (), int64."""
        return torch.where(which, self._pattern.counts[ids], 0).sum()

    def _enter(self, sources: Tensor, *masks: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Add what is new among some nodes; the number of each of these, and where masks are set."""
        ids, first, number = self._numbered(sources)
        return number, self._grow(ids, first, masks)[0]

    def _numbered(self, sources: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The nodes and some sources, which of them all appear for the first time, and the number of each source."""
        ids = torch.cat([self._nodes, sources.long()])
        first, number = torch_ops.numbered(ids)
        return ids, first, number[len(self._nodes) :]

    def _grow(
        self, ids: Tensor, first: Tensor, masks: Sequence[Tensor] = (), numbers: Sequence[Tensor] = ()
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """Let the nodes be those ids that appear for the first time.

        Args:
            ids: the nodes so far and more, shape (n,), int64.
            first: which appear for the first time, shape (n,), bool.
            masks: of which is asked, for the same wait, where they are set.
            numbers: integers on the device that are asked for, too.
        """
        size, known = len(self._nodes), self._incoming.get(len(self._nodes))
        asked = [] if known is None else [self._incoming_of(ids[size:], first[size:])]
        (new, *places), told = places_beside([first, *masks], [*numbers, *asked])
        self._nodes = ids[new]
        if known is not None:
            self._incoming[len(self._nodes)] = known + told[-1]
        return tuple(places), told[: len(numbers)]

    def _hop(self, rowptr: Tensor, position: Tensor, local: Tensor, skip: int = 0) -> Hop:
        """A hop into the nodes from ``skip`` on, as many as there are rows, along edges whose sources have numbers."""
        dtype = self._pattern.rowptr.dtype
        rows = self._nodes[skip : skip + len(rowptr) - 1]
        pattern = Pattern(rowptr.to(dtype), local.to(dtype), len(self._nodes))
        return Hop(pattern, position.to(dtype), self._pattern.counts[rows])
