"""Whether Triton kernels can be used here, and what they are written with.

Kernels are functions of modules, and modules must be importable without Triton (``pip install 'gssl[gpu]'``); what
stands here for the compiler then only says that it is missing. With ``TRITON_INTERPRET=1`` in the environment before
the program starts, kernels run on the CPU, slowly, as Python: that is how they are tested without a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any


class Values(Any):  # type: ignore[misc]  # whatever a kernel does with it
    """Type of a kernel's pointers and blocks. The compiler lets no other names stand in a kernel than marked ones."""

    __triton_builtin__ = True


class Number(Any):  # type: ignore[misc]
    """Type of an integer argument, of whose value the compiler makes nothing."""

    __triton_builtin__ = True


class constexpr(Any):  # type: ignore[misc]  # noqa: N801  the compiler looks for this name
    """Type of an argument that is known when a kernel is compiled."""

    __triton_builtin__ = True


INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
"""Whether kernels run as Python on the CPU."""


def jit(function: Callable[..., Any]) -> Any:
    """``triton.jit`` for kernels without specialised integers; without Triton, what raises when it is called.

    An integer argument that is 1, or a multiple of 16, would compile a kernel anew; sizes of batches change all the
    time.
    """
    if find_spec("triton") is None:
        return _absent
    import triton

    # Annotations are texts here, since kernels stand in modules that say so.
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    kinds = function.__annotations__
    sizes = [name for name in names if kinds.get(name) == "Number"]
    return triton.jit(function, do_not_specialize=sizes)


def language() -> Any:
    """``triton.language``, or None without Triton."""
    if find_spec("triton") is None:
        return None
    import triton.language

    return triton.language


def launch(kernel: Any, grid: tuple[int, ...], *arguments: object) -> None:
    """Start programs of a kernel; products and sums may be fused, which Triton wants to be told."""
    kernel[grid](*arguments, enable_fp_fusion=True)


def _absent(*arguments: object, **options: object) -> None:
    raise ImportError("Triton is not installed: pip install 'gssl[gpu]'")
