"""Batches on their way to the device that trains on them, while it works on the ones before.

Features that stayed in host memory, or in a file, are gathered once, straight into a buffer that a device copies from;
buffers are used again as soon as their copy is done. Copies, and what a sampler computes on the device, are issued on a
lane beside that of the training.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.gathered import GatheredRows
from gssl.graph.sparse import BatchFeatures, SparseMatrix

_BUFFERS = 2
_MORE = 5 / 4  # room in a new buffer: batches differ in size


class Arrival(ABC):
    """All that was sent on a lane until some moment."""

    @abstractmethod
    def wait(self) -> None:
        """Return once it is there."""

    @abstractmethod
    def take(self, tensor: Tensor) -> Tensor:
        """Make what the caller's device does next wait for it, and keep the memory until that is done; the tensor."""


class Lane(ABC):
    """A way to a device on which copies are made while the device computes."""

    @abstractmethod
    def is_there(self, tensor: Tensor) -> bool:
        """Whether a tensor is on the device already."""

    @abstractmethod
    def beside(self) -> AbstractContextManager[object]:
        """While entered, what this thread asks of the device is done on the lane."""

    @abstractmethod
    def buffer(self, size: int, dtype: torch.dtype) -> Tensor:
        """Host memory that the device copies from without help, shape (size,)."""

    @abstractmethod
    def send(self, host: Tensor) -> Tensor:
        """Begin to copy from a buffer, or from what :meth:`ready` gave."""

    @abstractmethod
    def ready(self, host: Tensor) -> Tensor:
        """A tensor in host memory that the device copies from without help."""

    @abstractmethod
    def arrival(self) -> Arrival:
        """Of everything that was sent so far."""


class CudaLane(Lane):
    """A stream of a CUDA device.

    Args:
        device: which.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.stream.wait_stream(torch.cuda.current_stream(device))

    def is_there(self, tensor: Tensor) -> bool:
        return tensor.device == self.device

    def beside(self) -> AbstractContextManager[object]:
        return torch.cuda.stream(self.stream)

    def buffer(self, size: int, dtype: torch.dtype) -> Tensor:
        return torch.empty(size, dtype=dtype, pin_memory=True)

    def send(self, host: Tensor) -> Tensor:
        return host.to(self.device, non_blocking=True)

    def ready(self, host: Tensor) -> Tensor:
        return host.pin_memory()

    def arrival(self) -> Arrival:
        event = torch.cuda.Event()
        event.record(self.stream)
        return _CudaArrival(event, self.device)


class _CudaArrival(Arrival):
    def __init__(self, event: torch.cuda.Event, device: torch.device) -> None:
        self._event = event
        self._device = device

    def wait(self) -> None:
        self._event.synchronize()

    def take(self, tensor: Tensor) -> Tensor:
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(self._event)
        tensor.record_stream(stream)
        return tensor


class SlowLane(Lane):
    """An emulated device whose memory is that of the host: copies arrive one after the other, at a given rate.

    Args:
        bytes_per_second: of the copies.
    """

    def __init__(self, bytes_per_second: float) -> None:
        self.rate = bytes_per_second
        self._copier = ThreadPoolExecutor(1, thread_name_prefix="gssl-slow-lane")

    def is_there(self, tensor: Tensor) -> bool:
        return False

    def beside(self) -> AbstractContextManager[object]:
        return nullcontext()

    def buffer(self, size: int, dtype: torch.dtype) -> Tensor:
        return torch.empty(size, dtype=dtype)

    def send(self, host: Tensor) -> Tensor:
        there = torch.empty_like(host)
        self._copier.submit(self._copy, host, there)
        return there

    def ready(self, host: Tensor) -> Tensor:
        return host

    def arrival(self) -> Arrival:
        return self.arrived(self._copier.submit(time.sleep, 0))

    @staticmethod
    def arrived(last: Future[None]) -> Arrival:
        """The arrival of what was begun before some copy."""
        return _SlowArrival(last)

    def _copy(self, host: Tensor, there: Tensor) -> None:
        time.sleep(host.numel() * host.element_size() / self.rate)
        there.copy_(host)


class _SlowArrival(Arrival):
    def __init__(self, last: Future[None]) -> None:
        self._last = last

    def wait(self) -> None:
        self._last.result()

    def take(self, tensor: Tensor) -> Tensor:
        self._last.result()
        return tensor


@dataclass(frozen=True, eq=False)
class Sent:
    """A batch that is under way.

    Attributes:
        batch: as it will be on the device.
        arrival: of its tensors.
    """

    batch: MiniBatch
    arrival: Arrival

    def taken(self) -> MiniBatch:
        """The batch for whoever trains on it; what its patterns know about themselves is made anew there."""
        return self.batch.carried(self.arrival.take, _changed(self.batch.x, self.arrival.take))


@dataclass(eq=False)
class _Buffer:
    memory: Tensor | None = None
    arrival: Arrival | None = field(default=None)


class Delivery:
    """Sends batches over a lane.

    Args:
        lane: to the device.
        buffers: how many batches' features may be under way; before one more is gathered, the first must be there.
    """

    def __init__(self, lane: Lane, *, buffers: int = _BUFFERS) -> None:
        self.lane = lane
        self._buffers = [_Buffer() for _ in range(buffers)]
        self._next = 0

    def send(self, batch: MiniBatch) -> Sent:
        """Begin to copy what is not on the device yet."""
        x, used = batch.x, None
        with self.lane.beside():
            if isinstance(x, GatheredRows) and not self.lane.is_there(x.table):
                used = self._buffers[self._next]
                self._next = (self._next + 1) % len(self._buffers)
                x = self.lane.send(self._gathered(x, used))
            else:
                x = _changed(x, self._carry)
            moved = batch.carried(self._carry, x)
            arrival = self.lane.arrival()
        if used is not None:
            used.arrival = arrival
        return Sent(moved, arrival)

    def _carry(self, tensor: Tensor) -> Tensor:
        return tensor if self.lane.is_there(tensor) else self.lane.send(self.lane.ready(tensor))

    def _gathered(self, x: GatheredRows, buffer: _Buffer) -> Tensor:
        """The rows in a buffer, once what was there before has left it; shape (num_rows, dim)."""
        if buffer.arrival is not None:
            buffer.arrival.wait()
        rows, dim = x.shape
        if buffer.memory is None or buffer.memory.numel() < rows * dim or buffer.memory.dtype != x.dtype:
            buffer.memory = self.lane.buffer(int(rows * dim * _MORE), x.dtype)
        out = buffer.memory[: rows * dim].view(rows, dim)
        torch.index_select(x.table, 0, x.index, out=out)
        return x.masked(out)


def _changed(x: BatchFeatures, change: Callable[[Tensor], Tensor]) -> BatchFeatures:
    if isinstance(x, SparseMatrix):
        return x.map(change)
    if isinstance(x, GatheredRows):
        return GatheredRows(x.table, change(x.index), None if x.keep is None else change(x.keep))
    return change(x)
