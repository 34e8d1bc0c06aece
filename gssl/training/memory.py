"""Peak memory of a stretch of work."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil
import torch

_MIB = 2**20
_NO_LIMIT = 2**60  # version 1 of control groups says "none" by a number near 2 ** 63
_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
# Of both versions of control groups: the limit, what is used, and pages of files, which are given up when need be.
_V2 = ("memory.max", "memory.current", "inactive_file", "active_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "total_active_file")


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


def free_memory() -> int:
    """Bytes that this process may still take: of the machine, of its control group, and of its own limit."""
    own = resource.getrlimit(resource.RLIMIT_DATA)[0]
    rest = [psutil.virtual_memory().available, *_left_in_groups()]
    if own != resource.RLIM_INFINITY:
        info = psutil.Process().memory_info()
        rest.append(own - int(getattr(info, "data", info.rss)))
    return max(0, min(rest))


def group_limit() -> int | None:
    """Bytes that the narrowest control group of this process allows it; None where none has a limit (Linux)."""
    return min((limit for limit, _ in _limits()), default=None)


def _left_in_groups() -> list[int]:
    return [left for _, left in _limits()]


def _limits() -> list[tuple[int, int]]:
    """The limit of each control group that has one, and what is left of it if pages of files are given up."""
    found = []
    for group, names in _groups():
        try:
            limit, used = ((group / name).read_text(encoding="ascii").strip() for name in names[:2])
            stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
            if limit != "max" and int(limit) < _NO_LIMIT:
                found.append((int(limit), int(limit) - int(used) + sum(int(stat.get(name, 0)) for name in names[2:])))
        except (OSError, ValueError):  # no such file, or not allowed
            continue
    return found


def _groups() -> list[tuple[Path, tuple[str, str, str, str]]]:
    """Folders of the groups that may limit memory, innermost first, with the names of their files."""
    try:
        lines = _OWN_GROUPS.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    found = []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        root, names = (_GROUPS, _V2) if not controllers else (_GROUPS / "memory", _V1)
        if not controllers or controllers == "memory":
            inner = root / path.lstrip("/")
            found += [(group, names) for group in (inner, *inner.parents) if group.is_relative_to(root)]
    return found
