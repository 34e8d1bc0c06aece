"""A limit on the memory of a process, and what it holds: of its own, and of pages of files."""

from __future__ import annotations

import ctypes
import mmap
import resource
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from gssl.common.errors import InputError
from gssl.training.memory import group_limit

_PAGEOUT = getattr(mmap, "MADV_PAGEOUT", 21)  # of Linux 5.4; Python names it from 3.13 on
_KIB = 1024


@dataclass(frozen=True)
class Held:
    """Resident memory of this process, in bytes.

    Attributes:
        own: anonymous memory, which cannot be given up.
        files: mapped pages of files, which the system reads again when they are needed.
    """

    own: int
    files: int


def held() -> Held:
    """What this process holds now (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    facts = dict(line.split(":", 1) for line in lines)
    return Held(*(int(facts[key].split()[0]) * _KIB for key in ("RssAnon", "RssFile")))


@dataclass(frozen=True)
class Limit:
    """How a process is kept below a limit.

    Attributes:
        by: ``cgroup`` where a control group does it, ``rlimit`` where the process does it itself.
        bytes: the limit.
        why: in words.
    """

    by: str
    bytes: int
    why: str

    def keep(self, *files: Tensor) -> bool:
        """Give pages of mapped files back if the process holds nearly as much as it may; whether it did.

        Under a control group the kernel does that. ``RLIMIT_DATA`` does not count pages of files, so here the process
        asks the kernel to reclaim its own.
        """
        now = held()
        if self.by == "cgroup" or now.own + now.files < 0.9 * self.bytes:
            return False
        for tensor in files:
            give_back(tensor)
        return True


def limited(wanted: int) -> Limit:
    """Put this process under a limit.

    Args:
        wanted: bytes; a control group that the process is in and that allows no more serves as it is.

    Raises:
        InputError: the process may not limit itself.
    """
    found = group_limit()
    if found is not None and found <= wanted:
        return Limit("cgroup", found, "the control group that the process was started in")
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    except (ValueError, OSError) as error:
        raise InputError(f"the memory cannot be limited to {wanted} bytes ({error}): raise limit_mib") from None
    return Limit(
        "rlimit",
        wanted,
        "the process was started in no control group with such a limit: RLIMIT_DATA bounds memory of its own, and "
        "pages of files are reclaimed by MADV_PAGEOUT whenever both together reach nine tenths of the limit",
    )


def give_back(tensor: Tensor) -> None:
    """Let the kernel reclaim the pages of a tensor that is mapped from a file."""
    start = tensor.data_ptr() // mmap.PAGESIZE * mmap.PAGESIZE
    length = tensor.data_ptr() + tensor.numel() * tensor.element_size() - start
    ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _PAGEOUT)
