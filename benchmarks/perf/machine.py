"""Where a benchmark ran."""

from __future__ import annotations

import os

import psutil
import torch

from gssl.results.environment import current


def thread_count(threads: int | None) -> int:
    """The wanted number of threads, PyTorch's default if None."""
    return torch.get_num_threads() if threads is None else threads


def describe(threads: int) -> dict[str, object]:
    """Versions, commit, processor and memory of this machine, with the number of threads that was measured."""
    return {
        **current("cpu", {}).content(),
        "threads": threads,
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }
