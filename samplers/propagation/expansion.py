"""The engine of sampled propagation: a batch grows hop by hop, by kernels of numba or Triton or by torch operators.

All give the same edges and the same numbers for the same stream; ``tests/samplers`` hold them to it.
"""

from __future__ import annotations

import threading
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.gpu import support, trial
from gssl.graph.sparse import Pattern, entries_in
from gssl.graph.turning import Turner
from gssl.samplers.kernels import expand
from gssl.samplers.kernels.transpose import transposed
from gssl.samplers.propagation import torch_ops
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.growing import Expansion, Hop
from gssl.samplers.propagation.torch_expansion import TorchExpansion

_FEW = 1 << 14  # slots, 64 KB
_ROOM = 2  # slots for each node that a batch may get


class Engine:
    """Starts expansions on one graph; may be used by several threads at once, and travels to other processes.

    Args:
        pattern: edges of the graph, rows are destinations.
        backend: what does the work; all give the same batches.

    Attributes:
        kind: what does the work here.
        notes: why that is not what was asked for, or what would be faster, if so.

    Raises:
        InputError: numba for a graph that is not on the CPU.
    """

    def __init__(self, pattern: Pattern, backend: Backend = "auto") -> None:
        self.pattern = pattern
        self.backend = backend
        self.kind, self.notes = chosen(backend, pattern.col.device)
        self._local = threading.local()
        self._turners: dict[int, Turner[Pattern]] = {}
        self._offsets = pattern.rowptr if pattern.col.device.type == "cpu" else None  # stays where the host reads it

    @property
    def numba(self) -> bool:
        """Whether numba kernels do the work."""
        return self.kind == "numba"

    def on(self, pattern: Pattern) -> Engine:
        """The same for the same graph in other memory."""
        moved = Engine(pattern, self.backend)
        moved._offsets = self._offsets
        return moved

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_local"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    def start(self, ids: Tensor, edges: int | None = None) -> Expansion:
        """A batch of some targets; it ends the thread's one before.

        Args:
            ids: distinct, shape (n,), int64.
            edges: into them, where the number is known (:meth:`into`); else a device may be waited for.
        """
        if self.kind == "triton":
            from gssl.samplers.gpu.expansion import TritonExpansion  # it brings the compiler along

            return TritonExpansion(self.pattern, ids, edges)
        if self.kind == "torch":
            return TorchExpansion(self.pattern, ids, edges)
        return _NumbaExpansion(self._space(), ids)

    def into(self, here: Tensor | None) -> int | None:
        """In-edges of nodes whose ids (n,) are on the CPU, where an expansion has a use for the number; else None."""
        if here is None or self._offsets is None or self.numba:
            return None
        return entries_in(self._offsets, here)

    def ego_edges(self, nodes: Tensor, starts: Tensor, *, total: int | None = None) -> tuple[Pattern, Tensor]:
        """The edges within each of many small node sets, which do not see each other.

        Args:
            nodes: global ids, the first node of every set, then the others set by set, shape (n,), int64.
            starts: where the others of each set begin and end in ``nodes``, shape (num_sets + 1,), int64.
            total: in-edges of the nodes, where the number is known; else a device is waited for.

        Returns:
            The square pattern over ``nodes``, and which edge of the graph each non-zero is.
        """
        if not self.numba:
            return torch_ops.ego_edges(self.pattern, nodes, starts, total=total)
        return self._space().ego_edges(nodes, starts)

    def _space(self) -> _Workspace:
        if not hasattr(self._local, "workspace"):
            self._local.workspace = _Workspace(self.pattern)
        space: _Workspace = self._local.workspace
        return space

    def with_transpose(self, pattern: Pattern, layer: int = 0) -> Pattern:
        """The same pattern, whose transpose is made by a kernel that is faster than a sort, where there is one.

        It is made when it is asked for: a layer that sums features, which need no gradient, never does. Once those of a
        layer were asked for, they are made at once, which may be in a thread that works ahead of training.

        Args:
            pattern: of the block of a layer.
            layer: of the encoder, the first that the block serves.
        """
        if not self.numba or not pattern.nnz:
            return pattern
        return pattern.turned_by(self._turners.setdefault(layer, Turner(transposed)))


def chosen(backend: Backend, device: torch.device) -> tuple[Literal["numba", "torch", "triton"], tuple[str, ...]]:
    """What does the work on a device, and what should be said of that.

    Raises:
        InputError: numba on another device than the CPU.
    """
    if backend == "numba" and device.type != "cpu":
        raise InputError(f"the numba backend works on the CPU, the graph is on {device.type}; set backend=torch")
    usual: Literal["numba", "torch"] = "numba" if device.type == "cpu" else "torch"
    if backend in ("numba", "torch"):
        return "numba" if backend == "numba" else "torch", ()
    if backend == "auto" and (device.type == "cpu" or support.INTERPRETED):
        return usual, ()
    obstacle = trial.obstacle(device, _checked)
    if obstacle is None:
        return "triton", ()
    others = "numba kernels" if usual == "numba" else "torch operators"
    return usual, (f"batches are made by {others}, which give the same ones, and not by Triton kernels: {obstacle}",)


def _checked(device: torch.device) -> bool:
    from gssl.samplers.gpu.trial import checked  # it brings the compiler along

    return checked(device)


class _Workspace:
    """What the kernels keep between batches of a thread: where the numbers of nodes are, and the ids of a batch."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.slots, self.shift = _new_slots(_FEW, pattern.num_rows)
        self.nodes = np.empty(1024, self.col.dtype)
        self.base = self.count = self.most = 0
        self.owner: object = None

    # Views are made when they are used: a tensor that is sent to another process moves to shared memory meanwhile.
    @property
    def rowptr(self) -> np.ndarray:
        return self.pattern.rowptr.numpy()

    @property
    def col(self) -> np.ndarray:
        return self.pattern.col.numpy()

    def reserve(self, more: int) -> None:
        """Room for ``more`` ids beyond those there."""
        self.most = self.count + more
        if self.count + more >= len(self.nodes):
            grown = np.empty((self.count + more) * 5 // 4 + 1, self.nodes.dtype)
            grown[: self.count] = self.nodes[: self.count]
            self.nodes = grown
        if self.shift != expand.DIRECT and _ROOM * (self.count + more) > len(self.slots):
            self.move(_ROOM * (self.count + more))

    def move(self, size: int) -> None:
        """Let the batch have at least so many slots, or one for each node of the graph."""
        self.slots, self.shift = _new_slots(size, self.pattern.num_rows)
        self.base = 0
        expand.enter(self.slots, self.shift, self.nodes[: self.count], self.base)

    def incoming(self, skip: int = 0) -> int:
        """In-edges of the nodes of the batch but the first few."""
        rowptr, rows = self.rowptr, self.nodes[skip : self.count]
        return int((rowptr[rows + 1] - rowptr[rows]).sum(dtype=np.int64))

    def begin(self, owner: object, ids: Tensor) -> None:
        """A batch of some targets in place of the one before."""
        self.forget(owner)
        self.spend(self.pattern.num_rows)
        self.reserve(len(ids))
        self.number(ids.to(torch.int64).numpy().astype(self.nodes.dtype))

    def forget(self, owner: object) -> None:
        """Begin with no nodes. Every number that may have been given is spent, also where a hop was interrupted."""
        self.base, self.count, self.most, self.owner = self.base + self.most, 0, 0, owner

    def spend(self, numbers: int) -> None:
        """See to it that so many numbers can follow the base."""
        if self.base > 2**31 - 2 - numbers:
            self.slots.fill(-1)
            self.base = 0

    def ego_edges(self, nodes: Tensor, starts: Tensor) -> tuple[Pattern, Tensor]:
        """What :meth:`Engine.ego_edges` says."""
        rowptr, col = self.rowptr, self.col
        self.forget(None)
        if self.shift != expand.DIRECT:
            self.move(self.pattern.num_rows)
        ids, bounds = nodes.numpy(), starts.numpy()
        offsets, nothing = np.zeros(len(ids) + 1, rowptr.dtype), np.empty(0, rowptr.dtype)
        position, local = nothing, nothing
        for _ in range(2):  # count, then fill
            self.spend(len(ids))
            self.base = expand.ego_edges(rowptr, col, ids, bounds, self.slots, self.base, offsets, position, local)
            if len(position) == 0:
                np.cumsum(offsets, out=offsets)
                position, local = (np.empty(offsets[-1], rowptr.dtype) for _ in range(2))
                if len(position) == 0:
                    break
        pattern = Pattern(torch.from_numpy(offsets), torch.from_numpy(local), len(ids))
        return pattern, torch.from_numpy(position)

    def number(self, ids: np.ndarray) -> np.ndarray:
        """Numbers of the ids in the batch, in place; new ones are appended."""
        self.count = expand.renumber(self.nodes, self.count, self.slots, self.shift, self.base, ids)
        return ids


def _new_slots(size: int, num_nodes: int) -> tuple[np.ndarray, int]:
    """Free slots, at least ``size`` or one for each node, and the shift of the hash that finds them."""
    bits = max(1, (size - 1).bit_length())
    if 2**bits >= num_nodes:
        return np.full(num_nodes, -1, np.int32), expand.DIRECT
    return np.full(2**bits, -1, np.int32), 64 - bits


class _NumbaExpansion(Expansion):
    def __init__(self, workspace: _Workspace, ids: Tensor) -> None:
        self._space = workspace
        workspace.begin(self, ids)

    @property
    def space(self) -> _Workspace:
        if self._space.owner is not self:
            raise RuntimeError("another batch was started in this thread before this one was done")
        return self._space

    @property
    def nodes(self) -> Tensor:
        return torch.from_numpy(self.space.nodes[: self.space.count].astype(np.int64))

    def uniform(self, fanout: int, stream: int, skip: int = 0) -> Hop:
        space = self.space
        col, rows, dtype = space.col, space.count - skip, space.rowptr.dtype
        start, degree, offsets = np.empty(rows, dtype), np.empty(rows, dtype), np.empty(rows + 1, dtype)
        edges = expand.hop_offsets(space.rowptr, space.nodes[skip : space.count], fanout, start, degree, offsets)
        space.reserve(edges)
        nodes, slots, shift, base = space.nodes, space.slots, space.shift, space.base
        local, picked = np.empty(edges, col.dtype), None
        if fanout < 0:
            space.count = expand.whole_hop(col, nodes, space.count, start, degree, slots, shift, base, local)
        else:
            picked = np.empty(edges, dtype)
            frontier = (skip, rows, start, degree, offsets)
            space.count = expand.uniform_hop(
                col, nodes, space.count, *frontier, fanout, stream, slots, shift, base, picked, local
            )
        pattern = Pattern(torch.from_numpy(offsets), torch.from_numpy(local), space.count)
        if picked is None:
            return Hop(pattern, None, torch.from_numpy(degree), torch.from_numpy(start))
        return Hop(pattern, torch.from_numpy(picked), torch.from_numpy(degree))

    def number(self, ids: Tensor) -> Tensor:
        self.space.reserve(len(ids))
        return torch.from_numpy(self.space.number(ids.numpy().astype(self.space.nodes.dtype)))

    def shared(self, fanout: int, stream: int, skip: int = 0) -> Hop:
        space = self.space
        rowptr, col, rows = space.rowptr, space.col, space.nodes[skip : space.count]
        position = np.empty(space.incoming(skip) + 1, rowptr.dtype)  # written in vain beyond the edges that are kept
        offsets = np.empty(len(rows) + 1, rowptr.dtype)
        edges = expand.shared_edges(rowptr, col, rows, fanout, stream, offsets, position)
        return self.take(torch.from_numpy(offsets), torch.from_numpy(position[:edges].copy()), skip)

    def inner(self) -> Hop:
        space = self.space
        rowptr, col, rows = space.rowptr, space.col, space.nodes[: space.count]
        room, offsets = space.incoming() + 1, np.empty(len(rows) + 1, rowptr.dtype)
        position, local = np.empty(room, rowptr.dtype), np.empty(room, col.dtype)
        edges = expand.inner_edges(rowptr, col, rows, space.slots, space.shift, space.base, offsets, position, local)
        pattern = Pattern(torch.from_numpy(offsets), torch.from_numpy(local[:edges].copy()), space.count)
        degree = torch.from_numpy(rowptr[rows + 1] - rowptr[rows])
        return Hop(pattern, torch.from_numpy(position[:edges].copy()), degree)

    def take(self, rowptr: Tensor, position: Tensor, skip: int = 0) -> Hop:
        space = self.space
        rows = space.nodes[skip : space.count]
        first = space.rowptr
        degree = first[rows + 1] - first[rows]
        space.reserve(len(position))
        local = space.number(space.col[position.numpy()])
        dtype = torch.from_numpy(degree).dtype
        pattern = Pattern(rowptr.to(dtype), torch.from_numpy(local), space.count)
        return Hop(pattern, position.to(dtype), torch.from_numpy(degree))
