"""What CUDA refuses, and where it makes the host wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gssl.testing.emulated.streams import stream_device

# The number of results is known on the device alone, or a number is handed to the program.
_WAITING = {
    "_local_scalar_dense",
    "is_nonzero",
    "equal",
    "nonzero",
    "masked_select",
    "_unique",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "isin",  # sorts and counts the distinct ones, unless there are few
    "bincount",
    "histc",
    "multinomial",  # looks whether what it was given are probabilities
    "_linalg_check_errors",
}
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"}
COPYING = {"copy_", "_to_copy"}
_DRAWING = ("rand", "dropout", "bernoulli", "normal", "uniform", "exponential", "multinomial", "rrelu", "geometric")


class DeviceFault(RuntimeError):  # noqa: N818  a fault of the program that is tested
    """What a CUDA device would have refused."""


@cache
def plain_name(func: Any) -> str:
    """Name of an operation without its library, such as ``index_select``."""
    name: str = func._schema.name
    return name.partition("::")[2]


def tensors_in(value: object) -> list[Tensor]:
    """Every tensor among the arguments of an operation."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [found for item in value for found in tensors_in(item)] if isinstance(value, (tuple, list)) else []


def mapped(change: Callable[[Tensor], Any], value: Any) -> Any:
    """Arguments or results of an operation with another value in place of each tensor.

    They are tensors, numbers and plain collections of them, for which torch's own map of trees takes ten times as long.
    """
    if isinstance(value, Tensor):
        return change(value)
    if type(value) in (tuple, list):
        return type(value)([mapped(change, item) for item in value])
    return {key: mapped(change, item) for key, item in value.items()} if type(value) is dict else value


@cache
def draws(name: str) -> bool:
    """Whether an operation takes random numbers from a generator."""
    return any(word in name for word in _DRAWING)


def waits(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether the host waits for this operation before it goes on."""
    if name in _INDEXING:  # a mask has as many places as it has ones
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    if name == "repeat_interleave":
        return kwargs.get("output_size") is None and not any(type(argument) is int for argument in args[1:])
    return name in _WAITING


def strays(name: str, args: Sequence[Any], foreign: Sequence[Tensor]) -> list[Tensor]:
    """Indices on the host that the library copies to the device by itself.

    Args:
        name: of an operation on tensors of the device.
        args: its positional arguments.
        foreign: those of all its arguments that are on the host.

    Raises:
        DeviceFault: the operation mixes devices in a way that CUDA does not allow. A number (a tensor without
            dimensions) may come from the host.
    """
    apart = [t for t in foreign if t.dim() > 0]
    indices: list[Tensor] = []
    if name in _INDEXING:
        if any(args[0] is t for t in foreign):
            raise DeviceFault("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        indices = [i for i in args[1] if any(i is t for t in foreign)]
        apart = [t for t in apart if all(t is not index for index in indices)]
    if apart:
        shapes = ", ".join(f"{tuple(t.shape)} {t.dtype}" for t in apart)
        raise DeviceFault(f"Expected all tensors to be on the same device, but {name} got cuda:0 and cpu ({shapes})")
    return indices


def check_generator(name: str, args: Sequence[Any], kwargs: dict[str, Any], device: str) -> None:
    """Refuse a generator of another device than the numbers are made on.

    Raises:
        DeviceFault: it is one.
    """
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch._C.Generator) and stream_device(value).type != device:
            found = stream_device(value).type
            raise DeviceFault(f"Expected a '{device}' device type for generator but found '{found}' ({name})")
