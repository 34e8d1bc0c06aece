"""Rows that cross between host memory and a device, through pinned memory, without making the host wait for each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_PART = 8192  # rows that are gathered together; they stay in the cache


def sent(values: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device. From host memory it goes through pinned memory, so that nobody waits.

    Args:
        values: any shape and dtype; what the caller writes into it afterwards does not arrive.
        device: where it is wanted.
    """
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def gather_across(rows: Tensor, ids: Tensor, out: Tensor) -> None:
    """Rows ``ids`` of a matrix, written to ``out`` on another device or in another type, some at a time.

    They go through pinned memory where the device is CUDA, so that the host does not wait; PyTorch's allocator gives
    that memory to nobody else before the copy is done. Numbers cross in the type in which they are stored.

    Args:
        rows: shape (n, dim).
        ids: shape (m,), int64, where ``rows`` are.
        out: shape (m, dim), float.
    """
    pinned = out.device.type == "cuda" and rows.device.type == "cpu"
    for part, into in zip(ids.split(_PART), out.split(_PART), strict=True):
        if pinned:
            buffer = torch.empty((len(part), rows.shape[1]), dtype=rows.dtype, pin_memory=True)
            torch.index_select(rows, 0, part, out=buffer)
            into.copy_(buffer.to(out.device, non_blocking=True))
        else:
            into.copy_(rows.index_select(0, part), non_blocking=out.device.type == "cuda")


def brought(*values: Tensor) -> list[Tensor]:
    """Tensors of one device in host memory, for one wait."""
    if values[0].device.type == "cpu":
        return list(values)
    arrivals, found = Arrivals(), list[Tensor]()
    for part in values:
        arrivals.send(part, part.dtype, found.append)
    arrivals.take()
    return found


class Arrivals:
    """Rows that are on their way from a CUDA device to host memory. All of them are waited for at once."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Tensor, Callable[[Tensor], object]]] = []
        self._device: torch.device | None = None

    def send(self, rows: Tensor, dtype: torch.dtype, arrive: Callable[[Tensor], object]) -> None:
        """Begin to copy.

        Args:
            rows: shape (n, dim), on a CUDA device.
            dtype: in which they are wanted.
            arrive: is given them in host memory, once somebody asks.
        """
        here = torch.empty(rows.shape, dtype=dtype, pin_memory=True)
        here.copy_(rows.to(dtype), non_blocking=True)
        self._waiting.append((here, arrive))
        self._device = rows.device

    def take(self) -> None:
        """Wait for what is under way and hand it over, in the order in which it was sent."""
        if not self._waiting:
            return
        torch.cuda.current_stream(self._device).synchronize()
        waiting, self._waiting = self._waiting, []
        for rows, arrive in waiting:
            arrive(rows)

    def forget(self) -> None:
        """Hand nothing over: what is under way is out of date."""
        self._waiting = []
