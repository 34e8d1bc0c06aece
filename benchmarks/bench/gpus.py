"""Which GPU a cell computes on: a whole one for each cell, unless its budget says that several may share one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import SimpleQueue

from gssl.benchmarks.bench.cell import Cell

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable by which CUDA shows a process some of the GPUs of its machine."""


def gpus_here(device: str) -> tuple[str, ...]:
    """The GPUs of this machine that cells may use, as CUDA names them; none where cells compute on the CPU.

    It loads torch, so the runner asks for it in a process of its own.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: there is no such device.
    """
    import torch

    from gssl.training.device import resolve_device

    if resolve_device(device) == "cpu":
        return ()
    named = os.environ.get(VISIBLE)
    if named is None:
        return tuple(str(number) for number in range(torch.cuda.device_count()))
    return tuple(filter(None, (name.strip() for name in named.split(","))))[: torch.cuda.device_count()]


def gpus_of(cell: Cell, device: str, available: float) -> float:
    """What a cell asks a cluster for.

    Args:
        cell: its budget counts, where it says something.
        device: ``auto``, ``cpu`` or ``cuda``.
        available: GPUs of the whole cluster; ``auto`` takes one where there is one.
    """
    if device == "cpu":
        return 0.0
    if cell.budget.gpus:
        return cell.budget.gpus
    return 1.0 if device == "cuda" or available else 0.0


class Pool:
    """GPUs of this machine, each handed to one cell at a time, or to as many as share it.

    Args:
        gpus: as CUDA names them; where there are none, cells get none.
        cells: the smallest share that one of them wants (``budget.gpus`` below 1) is that of all.
    """

    def __init__(self, gpus: Sequence[str] = (), cells: Sequence[Cell] = ()) -> None:
        self._any = bool(gpus)
        self._free: SimpleQueue[str] = SimpleQueue()
        wanted = max((cell.budget.gpus for cell in cells), default=0.0)
        sharing = int(1 / wanted) if 0 < wanted < 1 else 1
        for _ in range(sharing):  # the first cells get a GPU each
            for gpu in gpus:
                self._free.put(gpu)

    @contextmanager
    def one(self) -> Iterator[Mapping[str, str]]:
        """Wait for a free GPU; variables by which a process sees it alone."""
        if not self._any:
            yield {}
            return
        gpu = self._free.get()
        try:
            yield {VISIBLE: gpu}
        finally:
            self._free.put(gpu)
