"""Stored embeddings and adjoints of all nodes, and the handle by which a batch reaches them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.files import inside
from gssl.graph import manifest
from gssl.graph.crossing import Arrivals, gather_across
from gssl.graph.staleness import Kind, StalenessLog

Storage = Literal["device", "pinned", "mmap"]
Precision = Literal["float32", "bfloat16"]
Mode = Literal["truncated", "compensated", "adjoint", "control"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Place:
    """Which rows of the history: of one kind, one view slot (the n-th encoder call of a step) and one layer."""

    kind: Kind
    slot: int
    layer: int


@dataclass(frozen=True, eq=False)
class RowTable:
    """One row for each source of a block.

    Attributes:
        table: shape (n, dim).
        place: where the row of each source stands in ``table``, shape (num_src,), int64; None where they are in order.
        own: rows of the first sources in place of what ``table`` has for them, shape (num_own, dim), float32, on the
            CPU; ``table`` is bfloat16 then. None where ``table`` has all rows.
    """

    table: Tensor
    place: Tensor | None = None
    own: Tensor | None = None


class History:
    """Rows of every node for every :class:`Place`, zero until they are first written.

    Args:
        num_nodes: of the graph.
        storage: ``device`` keeps rows where the encoder works, ``pinned`` in host memory, ``mmap`` in files. With a
            GPU, rows of host memory and of files cross through pinned memory, and wait for each other only. When each
            row was written is kept beside the rows.
        precision: of the stored rows.
        folder: for the files of ``mmap``. Nothing is read from files that a former process left; a folder that
            belongs to another history (see ``signature``) is refused rather than overwritten.
        signature: names graph and encoder; a saved history with another one is refused.

    Raises:
        InputError: ``mmap`` without a folder.
    """

    def __init__(
        self,
        num_nodes: int,
        *,
        storage: Storage = "device",
        precision: Precision = "float32",
        folder: Path | None = None,
        signature: str = "",
    ) -> None:
        if storage == "mmap" and folder is None:
            raise InputError("a memory-mapped history needs a folder; set sampler.history_folder")
        self.num_nodes = num_nodes
        self.storage: Storage = storage
        self.dtype = _DTYPES[precision]
        self.folder = folder
        self.signature = signature
        self.clock = 0
        self._rows: dict[Place, Tensor] = {}
        self._written: dict[Place, Tensor] = {}
        self._arrivals = Arrivals()

    @property
    def places(self) -> tuple[Place, ...]:
        """What has been written so far."""
        return tuple(self._rows)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return sum(rows.numel() * rows.element_size() for rows in self._rows.values())

    def pull(
        self, place: Place, ids: Tensor, like: Tensor, *, near: Tensor | None = None, settled: bool = False
    ) -> Tensor:
        """Stored rows, shape (n, dim), dtype, device and width of ``like``; zeros where nothing was written.

        Args:
            place: which.
            ids: global node ids, shape (n,), int64.
            like: a row or rows of the same layer.
            near: the same ids elsewhere, as on the device of ``like``; None to copy them where they are needed.
            settled: whether none of these rows was written since :meth:`arrive`, so that nothing is to be waited for.
        """
        out = like.new_empty(len(ids), like.shape[1])
        self.fill(place, ids, out, near=near, settled=settled)
        return out

    def fill(
        self, place: Place, ids: Tensor, out: Tensor, *, near: Tensor | None = None, settled: bool = False
    ) -> None:
        """What :meth:`pull` gives, written to ``out``; rows of another type or device are converted a few at a time."""
        if not settled:
            self.arrive()
        rows = self._stored(place, out)
        if rows is None:
            out.zero_()
            return
        there = _beside(rows, ids, near)
        if (rows.dtype, rows.device) == (out.dtype, out.device):
            torch.index_select(rows, 0, there, out=out)
            return
        gather_across(rows, there, out)

    def table(self, place: Place, like: Tensor) -> Tensor | None:
        """The rows of all nodes themselves, where they have the width and device of ``like``; else None."""
        rows = self._stored(place, like)
        if rows is None or (rows.device, rows.shape[1]) != (like.device, like.shape[1]):
            return None
        return rows

    @torch.no_grad()
    def push(self, place: Place, ids: Tensor, rows: Tensor, *, near: Tensor | None = None) -> None:
        """Store rows (n, dim) of nodes ``ids`` (n,), distinct; ``near`` as in :meth:`pull`."""
        if place not in self._rows:
            self._rows[place] = self._allocate(place, rows)
            self._written[place] = torch.full((self.num_nodes,), -1, dtype=torch.int32, device=self._rows[place].device)
        if self.storage != "device" and rows.device.type == "cuda":
            stored, here = self._rows[place], ids.cpu()
            self._written[place].index_fill_(0, here, self.clock)
            self._arrivals.send(rows.detach(), self.dtype, lambda found: stored.index_copy_(0, here, found))
            return
        target = self._stored(place, rows)
        assert target is not None
        there = _beside(target, ids, near)
        self._written[place].index_fill_(0, there, self.clock)
        target.index_copy_(0, there, rows.detach().to(target))

    def arrive(self) -> None:
        """Wait for rows that are still on their way to host memory; a batch does so once, before it reads."""
        self._arrivals.take()

    def _stored(self, place: Place, like: Tensor) -> Tensor | None:
        """All rows of a place; those of a checkpoint move to where the encoder works."""
        rows = self._rows.get(place)
        if rows is not None and self.storage == "device" and rows.device != like.device:
            rows = self._rows[place] = rows.to(like.device)
            self._written[place] = self._written[place].to(like.device)
        return rows

    def sign(self, signature: str) -> None:
        """Say what graph and encoder the rows are of, before the first is written.

        Raises:
            InputError: the folder holds the history of another graph or another encoder.
        """
        self.signature = signature
        if self.storage == "mmap" and self.folder is not None:
            manifest.check(self.folder, signature, self.num_nodes)

    def tick(self) -> None:
        """One more step; staleness is counted in these."""
        self.clock += 1

    def staleness(self, place: Place, ids: Tensor, *, near: Tensor | None = None) -> Tensor:
        """Steps since each row was written, shape (n,), float32; infinite where it never was. As in :meth:`pull`."""
        if place not in self._written:  # beside what later batches find, which would be waited for elsewhere
            beside = ids if near is None or self.storage != "device" else near
            return torch.full((len(ids),), torch.inf, device=beside.device)
        table = self._written[place]
        written = table[_beside(table, ids, near)]
        return torch.where(written < 0, torch.inf, (self.clock - written).float())

    def state_dict(self) -> dict[str, object]:
        """Everything as plain tensors, for a checkpoint."""
        self._arrivals.take()
        return {
            "signature": self.signature,
            "num_nodes": self.num_nodes,
            "clock": self.clock,
            "places": [[p.kind, p.slot, p.layer] for p in self._rows],
            "rows": [rows.cpu().clone() for rows in self._rows.values()],
            "written": [written.cpu().clone() for written in self._written.values()],
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Take over what :meth:`state_dict` gave.

        Raises:
            InputError: it belongs to another graph or another encoder.
        """
        if state.get("signature") != self.signature or state.get("num_nodes") != self.num_nodes:
            raise InputError(
                f"the stored history belongs to another graph or another encoder ({state.get('signature') or 'unnamed'}"
                f", not {self.signature or 'unnamed'}); delete it, or train with the configuration that it was "
                "written for"
            )
        self.clock = int(state["clock"])  # type: ignore[call-overload]
        self._arrivals.forget()
        self._rows.clear()
        self._written.clear()
        for (kind, slot, layer), rows, written in zip(state["places"], state["rows"], state["written"], strict=True):  # type: ignore[call-overload]
            place = Place(kind, slot, layer)
            self._rows[place] = self._allocate(place, rows)
            self._rows[place].copy_(rows)
            self._written[place] = written.to(self._rows[place].device)

    def _allocate(self, place: Place, rows: Tensor) -> Tensor:
        shape = (self.num_nodes, rows.shape[1])
        if self.storage == "device":
            return torch.zeros(shape, dtype=self.dtype, device=rows.device)
        if self.storage == "pinned":
            return torch.zeros(shape, dtype=self.dtype, pin_memory=torch.cuda.is_available())
        assert self.folder is not None
        manifest.claim(self.folder, self.signature, self.num_nodes)
        path = inside(self.folder, f"{place.kind}-{place.slot}-{place.layer}.bin", "the stored history")
        size = shape[0] * shape[1]
        path.unlink(missing_ok=True)
        return torch.from_file(str(path), shared=True, size=size, dtype=self.dtype).view(shape)


@dataclass(eq=False)
class BatchHistory:
    """The history as one batch sees it. The encoder opens it once for each view.

    Attributes:
        store: the rows of all nodes.
        mode: how the encoder uses them.
        ids: global ids of all rows of the batch, shape (num_src,), int64; on the CPU where rows are kept there.
        num_fresh: leading rows whose embeddings are computed in this batch rather than read.
        sources: global ids of the sources of each layer's block where they are not leading rows of the batch
            (``control``), one tensor (num_src,) int64 a layer, beside ``ids``.
        beta: share of the fresh, incomplete value in a halo row (``compensated``), shape (num_src,), float32.
        frozen: reads only, so that an instrument can measure the same state repeatedly.
        is_step: whether its first view is a step of the history; false for pieces of a draw after the first one.
        input_norm: squared norm of the aggregated features of each fresh row, shape (num_fresh,), float32, where
            the first layer does not compute them.
        near: ``ids`` where the encoder works, if that is elsewhere; ``near_sources`` are ``sources`` there.
        squared_norms: what :meth:`listener` has added up, shape (num_fresh,), float32; None before.
        slots: encoder calls so far.
        reads: age of the stored rows that were read so far.
    """

    store: History
    mode: Mode
    ids: Tensor
    num_fresh: int
    sources: tuple[Tensor, ...] = ()
    beta: Tensor | None = None
    frozen: bool = False
    is_step: bool = True
    input_norm: Tensor | None = None
    near: Tensor | None = None
    near_sources: tuple[Tensor, ...] = ()
    squared_norms: Tensor | None = field(default=None, init=False)
    slots: int = field(default=0, init=False)
    reads: StalenessLog = field(default_factory=StalenessLog, init=False)

    def __post_init__(self) -> None:
        """Ids of a batch that was made on a device come to the CPU once, all together, if they are needed there."""
        if self.ids.device.type == "cpu" or self.store.storage == "device":
            return
        away = [self.ids, *self.sources]
        ids, *sources = torch.cat(away).cpu().split([len(each) for each in away])
        self.near, self.near_sources = self.ids, self.sources
        self.ids, self.sources = ids, tuple(sources)

    def map(self, change: Callable[[Tensor], Tensor]) -> BatchHistory:
        """The handle of the same batch in other memory: ids stay where they are, and are copied to the other device.

        Args:
            change: gives a tensor that is equal to another one.
        """
        ids, sources = change(self.ids), tuple(change(ids) for ids in self.sources)
        here = ids.device == self.ids.device
        return replace(
            self,
            ids=ids if here else self.ids,
            sources=sources if here else self.sources,
            near=self.near if here else ids,
            near_sources=self.near_sources if here else sources,
            beta=None if self.beta is None else change(self.beta),
            input_norm=None if self.input_norm is None else change(self.input_norm),
        )

    def open(self) -> int:
        """The slot of the next view: the n-th encoder call of a batch is the n-th of every batch.

        The first view of a batch is a step of the history, unless it is frozen or a further piece of a draw.
        """
        if not self.slots:
            self.store.arrive()
            if self.is_step and not self.frozen:
                self.store.tick()
        self.slots += 1
        return self.slots - 1

    def pull(self, place: Place, rows: slice, like: Tensor) -> Tensor:
        """Stored rows of the batch rows ``rows``, none of which is fresh; see :meth:`History.pull`."""
        ids, near = self.ids[rows], None if self.near is None else self.near[rows]
        self.reads.add(place.kind, place.layer, self.store.staleness(place, ids, near=near))
        return self.store.pull(place, ids, like, near=near, settled=self.slots > 0)

    def pull_sources(self, place: Place, layer: int, like: Tensor) -> Tensor:
        """Stored rows of the sources of a layer's block (``control``); see :meth:`History.pull`."""
        ids, near = self.sources[layer], self.near_sources[layer] if self.near_sources else None
        self.reads.add(place.kind, place.layer, self.store.staleness(place, ids, near=near))
        return self.store.pull(place, ids, like, near=near)

    def row_table(self, place: Place, own: Tensor, num_src: int, *, written: bool) -> RowTable:
        """Rows of the first ``num_src`` rows of the batch: fresh ones, then stored ones.

        Args:
            place: of the stored rows.
            own: fresh rows, shape (num_fresh, dim).
            num_src: fresh and stored rows.
            written: whether ``own`` was pushed there; then nothing needs to be copied.
        """
        others = self.ids[len(own) : num_src]
        near = None if self.near is None else self.near[len(own) : num_src]
        self.reads.add(place.kind, place.layer, self.store.staleness(place, others, near=near))
        table = self.store.table(place, own)
        if table is not None and table.dtype == own.dtype and written and not self.frozen:
            return RowTable(table, self._ids_beside(table)[:num_src])
        if table is not None and _mixes(own, table):
            return RowTable(table, self.ids[:num_src], own)
        rows = own.new_empty(num_src, own.shape[1])
        rows[: len(own)] = own
        self.store.fill(place, others, rows[len(own) :], near=near, settled=self.slots > 0)
        return RowTable(rows)

    def push(self, place: Place, rows: Tensor) -> None:
        """Store fresh rows, which are the first of the batch; nothing happens if the history is frozen."""
        if not self.frozen:
            near = None if self.near is None else self.near[: len(rows)]
            self.store.push(place, self.ids[: len(rows)], rows, near=near)

    def listener(self, *inputs: Tensor) -> Callable[[Tensor], None]:
        """What adds, for each row, the squared norm of its gradient of a linear layer with a bias.

        That is ``(|s_j|^2 + 1) |d_j|^2`` for the row's input ``s_j`` and the adjoint ``d_j`` of its output, which
        the returned function is given in the backward pass.

        Args:
            inputs: rows that the layer takes, each of shape (num_fresh, dim); none for the features.
        """
        taken = [rows.detach() for rows in inputs]

        def tell(adjoint: Tensor) -> None:
            size = sum((rows.square().sum(1) for rows in taken), start=self._input_norm(adjoint, bool(taken)))
            term = (size + 1) * adjoint.square().sum(1)
            self.squared_norms = term if self.squared_norms is None else self.squared_norms + term

        return tell

    def _ids_beside(self, table: Tensor) -> Tensor:
        return _beside(table, self.ids, self.near)

    def _input_norm(self, like: Tensor, hidden: bool) -> Tensor:
        if hidden or self.input_norm is None:
            return like.new_zeros(len(like))
        return self.input_norm.to(like)


def _beside(rows: Tensor, ids: Tensor, near: Tensor | None) -> Tensor:
    """Ids where the rows are."""
    return near if near is not None and near.device == rows.device else ids.to(rows.device)


def _mixes(own: Tensor, table: Tensor) -> bool:
    """Whether a kernel sums rows of both (:func:`gssl.graph.bag.mixed_bags`)."""
    return (own.device.type, own.dtype, table.dtype) == ("cpu", torch.float32, torch.bfloat16)
