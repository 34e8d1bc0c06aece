"""Time and memory of steps on a device: every measurement waits for what was begun before and within it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import torch
from torch import Tensor

from gssl.benchmarks.perf.measure import peak_of, rounds

Step = Callable[[], object]
_MIB = 2**20


class Clock:
    """Measures on one device.

    Args:
        device: where steps run.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wait(self) -> None:
        """Until the device has done everything."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def once(self, step: Step) -> float:
        """Seconds of one step."""
        self.wait()
        start = time.perf_counter()
        step()
        self.wait()
        return time.perf_counter() - start

    def turns(self, steps: Sequence[Step], *, repeats: int, warm: int = 2) -> list[float]:
        """Median seconds of each step; they take turns (:func:`~gssl.benchmarks.perf.measure.rounds`)."""
        if self.device.type == "cpu":  # nobody's figures: sizes are small, and machines shared
            repeats, warm = min(repeats, 3), min(warm, 1)
        for _ in range(warm):
            for step in steps:
                step()
        times: list[list[float]] = [[] for _ in steps]
        for index in rounds(len(steps), repeats):
            times[index].append(self.once(steps[index]))
        return [median(seconds) for seconds in times]

    def seconds(self, step: Step, *, repeats: int = 10, warm: int = 2) -> float:
        """Median seconds of a step."""
        return self.turns([step], repeats=repeats, warm=warm)[0]

    def peak_mib(self, step: Step) -> float:
        """Peak memory of two steps above that before them: allocated on a GPU, resident on the CPU."""
        if self.device.type != "cuda":
            return peak_of(step)
        self.wait()
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        step()
        step()
        self.wait()
        return max((torch.cuda.max_memory_allocated(self.device) - before) / _MIB, 1.0)  # as peak_of does


def copy_rate(clock: Clock, numbers: int) -> float:
    """Bytes that the device reads and writes in a second while it copies so many float32 numbers."""
    source = torch.ones(numbers, device=clock.device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / clock.seconds(lambda: target.copy_(source), repeats=10)


def matrix_rate(clock: Clock, dtype: torch.dtype, size: int) -> float:
    """Floating-point operations in a second of the product of two square matrices, in float32 as it is set to be."""
    left, right = (torch.randn(size, size, device=clock.device).to(dtype) for _ in range(2))
    out: Tensor = left @ right
    return 2 * size**3 / clock.seconds(lambda: torch.mm(left, right, out=out), repeats=10, warm=3)
