"""Random streams that say on which device they are."""

from __future__ import annotations

from typing import Any

import torch

CUDA = torch.device("cuda", 0)
_HOST = torch.device("cpu")
_Generator = torch.Generator
# What a stream says, by its address: operations are given another object for it.
_DEVICES: dict[int, torch.device] = {}


def on_device(device: Any) -> bool:
    """Whether a ``device`` argument means the emulated one (MAIA is what the C++ side takes it for)."""
    return device is not None and torch.device(device).type in ("cuda", "maia")


class EmulatedGenerator(_Generator):
    """``torch.Generator`` while the device is there; its numbers are those of the CPU's with the same seed."""

    def __new__(cls, device: Any = "cpu") -> EmulatedGenerator:
        made: EmulatedGenerator = _Generator.__new__(cls, _HOST)  # type: ignore[call-arg]  # the stubs do not show it
        _DEVICES[_address(made)] = CUDA if on_device(device) else _HOST
        return made

    def __init__(self, device: Any = "cpu") -> None:
        pass

    def __del__(self) -> None:
        _DEVICES.pop(_address(self), None)  # the next generator may be put there, whatever its kind

    @property
    def device(self) -> torch.device:  # type: ignore[override]  # an attribute of generators
        return stream_device(self)


def stream_device(stream: Any) -> torch.device:
    """Where a random stream is."""
    return _DEVICES.get(_address(stream), _HOST)


def _address(stream: Any) -> int:
    found: int = stream._cdata
    return found


def host_state(seed: int) -> torch.Tensor:
    """State of a stream of the CPU that starts from ``seed``."""
    return _Generator().manual_seed(seed).get_state()
