"""Peak memory of a stretch of work."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

_MIB = 2**20


class PeakMemory:
    """Largest memory since construction.

    On the CPU it is the resident memory of the whole process. Linux can restart its high-water mark; elsewhere the
    mark is that of the process's whole life, which is an upper bound. On CUDA it is the memory that PyTorch
    allocated.

    Args:
        device: where the work runs.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:  # not Linux, or a sandbox that forbids it
            return

    def mib(self) -> float:
        """The peak so far, in MiB."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / _MIB
        try:
            status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
            return int(status.partition("VmHWM:")[2].split()[0]) / 1024
        except (OSError, IndexError):
            unit = 1 if sys.platform == "darwin" else 1024
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MIB
