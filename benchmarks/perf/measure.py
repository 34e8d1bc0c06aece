"""Fair measurements: sides take turns in one process for time, and get a process each for memory."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

import psutil
import torch

from gssl.benchmarks.perf.result import Measured
from gssl.common.errors import TrainingError
from gssl.training.memory import PeakMemory

P = ParamSpec("P")
T = TypeVar("T")
Step = Callable[[], object]  # what a step returns is not looked at

# A step that allocates less than this is compared at it, since pages and thread stacks alone come and go by as much.
_RESOLUTION_MIB = 1.0


@dataclass(frozen=True)
class Side:
    """One of the things that are compared.

    Attributes:
        name: whose step it is.
        build: prepares everything that is not measured and returns the step; it travels to other processes, so it
            is a module's function or a partial of one.
    """

    name: str
    build: Callable[[], Step]


def measure(
    sides: Sequence[Side], check: Callable[[], dict[str, float]], *, repeats: int, threads: int
) -> tuple[list[Measured], dict[str, float]]:
    """Time and peak memory of every side, all with the same number of threads.

    Args:
        sides: what is compared.
        check: computes how far the results of the sides agree, before the timing; it travels like ``Side.build``.
        repeats: measured steps of each side.
        threads: of each side.

    Returns:
        The cost of each side, and what ``check`` returned.

    Raises:
        TrainingError: a step was killed, as by the system when memory runs out.
    """
    times, figures = in_fresh_process(take_turns, sides, check, repeats, threads)
    peaks = [in_fresh_process(peak_memory, side, threads) for side in sides]
    return [Measured(s.name, t, p) for s, t, p in zip(sides, times, peaks, strict=True)], figures


def take_turns(
    sides: Sequence[Side], check: Callable[[], dict[str, float]], repeats: int, threads: int
) -> tuple[list[tuple[float, ...]], dict[str, float]]:
    """Seconds of every repeat of every side, after one unmeasured turn, in the order of :func:`rounds`."""
    torch.set_num_threads(threads)
    figures = check()
    steps = [side.build() for side in sides]
    for step in steps:
        step()
    times: list[list[float]] = [[] for _ in steps]
    for index in rounds(len(steps), repeats):
        start = time.perf_counter()
        steps[index]()
        times[index].append(time.perf_counter() - start)
    return [tuple(seconds) for seconds in times], figures


def rounds(sides: int, repeats: int) -> Iterator[int]:
    """Whose turn it is. Each round starts with another side, so that what disturbs the machine for a while disturbs all
    sides alike.
    """
    for repeat in range(repeats):
        for turn in range(sides):
            yield (repeat + turn) % sides


def peak_memory(side: Side, threads: int) -> float:
    """Peak resident memory of two steps in a row above that before them, MiB. Call it in a fresh process."""
    torch.set_num_threads(threads)
    return peak_of(side.build())


def peak_of(step: Step) -> float:
    """The same of a step that is made already."""
    with _Peak() as peak:
        step()
        step()  # the state of an optimizer exists from the second step on
    return peak.mib


def single_step(side: Side, threads: int) -> tuple[float, float]:
    """Seconds and peak memory (MiB, as in :func:`peak_memory`) of one step without warm-up."""
    torch.set_num_threads(threads)
    step = side.build()
    with _Peak() as peak:
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
    return seconds, peak.mib


class _Peak:
    """Peak resident memory within a ``with`` block above that at its beginning."""

    mib: float

    def __enter__(self) -> _Peak:
        gc.collect()
        return_freed_pages()
        self._before = psutil.Process().memory_info().rss / 2**20
        self._meter = PeakMemory(torch.device("cpu"))
        return self

    def __exit__(self, *exception: object) -> None:
        self.mib = max(self._meter.mib() - self._before, _RESOLUTION_MIB)


def in_fresh_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a module's function in a new process.

    Raises:
        TrainingError: the process was killed.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(function, *args, **kwargs).result()
        except BrokenProcessPool:
            raise TrainingError(f"{function.__name__} was killed, probably because memory ran out") from None


def return_freed_pages() -> None:
    """Let glibc give back what building has freed, which the step would else reuse unseen."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
