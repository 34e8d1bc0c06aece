"""Lets a PyTorch that was built without CUDA believe in a device.

There, a tensor of device type CUDA cannot enter autograd at all: no guard for such devices is there, and the engine
asks for an accelerator. So the emulated tensors are of type MAIA for the C++ side, a type without kernels of its own
whose autocast lists are those of CUDA, and a guard written in Python is put where the library looks for that of MAIA
(and for that of CUDA, which streams and generators ask for).
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch

TORCH = "2.13"
"""The version whose private parts this is written for."""
_SLOTS = 21  # c10::DeviceType::COMPILE_TIME_MAX_DEVICE_TYPES
_PRIVATE_USE = 20
_STAND_INS = {"MAIA": 8, "CUDA": 1}
_REGISTRY = "_ZN3c104impl26device_guard_impl_registryE"


@cache
def obstacle() -> str:
    """Why there is no emulated device here; empty where there is one."""
    version = torch.__version__.split("+")[0]
    if version.rpartition(".")[0] != TORCH:
        return f"the emulated CUDA device is written for torch {TORCH}, and this is {version}"
    if torch.backends.cuda.is_built() or torch.cuda.is_available():
        return "this build of torch knows CUDA devices, so none can be emulated beside them"
    if sys.platform != "linux" or _registry() is None:
        return "the emulated CUDA device needs torch's libraries for Linux"
    return ""


def _registry() -> Any:
    path = Path(torch.__file__).parent / "lib" / "libc10.so"
    try:
        return (ctypes.c_void_p * _SLOTS).in_dll(ctypes.CDLL(str(path)), _REGISTRY)
    except (OSError, ValueError):
        return None


@cache
def install() -> tuple[Any, ...]:
    """Put the guards in place, once in a process and before its first backward pass, which counts the devices.

    Returns:
        The guards, which must live as long as the process.

    Raises:
        RuntimeError: there is an :func:`obstacle`.
    """
    if reason := obstacle():
        raise RuntimeError(reason)
    told = torch.__config__.show()  # asks every guard for the version of its library
    torch.__config__.show = lambda: told
    registry, made = _registry(), []
    private = registry[_PRIVATE_USE]
    for name, slot in _STAND_INS.items():
        guard = _guard_of(name)
        torch._C._acc.register_python_privateuseone_device_guard(guard)
        registry[slot], registry[_PRIVATE_USE] = registry[_PRIVATE_USE], private
        made.append(guard)
    return tuple(made)


def _guard_of(name: str) -> Any:
    kind = getattr(torch._C._autograd.DeviceType, name)

    class Guard(torch._C._acc.DeviceGuard):
        def type_(self) -> Any:
            return kind

    return Guard()
