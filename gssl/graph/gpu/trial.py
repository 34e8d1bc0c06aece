"""Whether kernels can be used here: the smallest one is compiled and run, then those that are to be used."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor

from gssl.graph.gpu.support import INTERPRETED, Number, Values, constexpr, jit, language, launch

tl = language()
LEAST = (3, 6)
"""The version of Triton from which on the kernels compile."""
Check = Callable[[torch.device], bool]
"""Runs kernels on a device, on tiny input, and says whether their numbers are right."""


@jit
def _count(values: Values, out: Values, length: Number, BLOCK: constexpr) -> None:
    place = tl.arange(0, BLOCK)
    inside = place < length
    tl.store(out + place, tl.load(values + place, mask=inside, other=0) + 1, mask=inside)


def counted(values: Tensor) -> Tensor:
    """Each of at most 16 numbers plus one, by a kernel; int32."""
    out = torch.empty_like(values)
    launch(_count, (1,), values, out, len(values), 16)
    return out


def obstacle(device: torch.device, check: Check) -> str | None:
    """Why the kernels of a check cannot be used on a device; None if they can. It is made once."""
    if find_spec("triton") is None:
        return "Triton is not installed (pip install 'gssl[gpu]')"
    if device.type == "cpu" and not INTERPRETED:
        return "the graph is on the CPU"
    return _trial(device, check)


@lru_cache
def _trial(device: torch.device, check: Check) -> str | None:
    try:
        import triton

        version = tuple(int(part) for part in triton.__version__.split(".")[:2])
        if version < LEAST:
            return f"Triton {triton.__version__} is older than {'.'.join(map(str, LEAST))}"
        values = torch.arange(5, dtype=torch.int32, device=device)
        found: Tensor = counted(values)
        if found.tolist() != [1, 2, 3, 4, 5]:
            return f"a kernel of Triton {triton.__version__} gives wrong numbers"
        if not check(device):
            return f"kernels of Triton {triton.__version__} give wrong numbers"
    except Exception as error:  # whatever a compiler, a driver or a linker may raise
        return f"Triton fails here ({type(error).__name__}: {_first_line(error)})"
    return None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else "no reason given"
