"""What CUDA refuses, and where it makes the host wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def plain_name(func: Any) -> str:
    """Name of an operation without its library, such as ``index_select``."""
    name: str = func._schema.name
    return name.partition("::")[2]


def tensors_in(value: object) -> Iterator[Tensor]:
    """Every tensor among the arguments of an operation."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)


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


def strays(name: str, args: Sequence[Any], kwargs: dict[str, Any], ours: type[Tensor]) -> list[Tensor]:
    """Indices on the host that the library copies to the device by itself.

    Raises:
        DeviceFault: the operation mixes devices in a way that CUDA does not allow. A number (a tensor without
            dimensions) may come from the host.
    """
    foreign = [t for t in tensors_in((args, kwargs)) if not isinstance(t, ours) and t.dim() > 0]
    indices: list[Tensor] = []
    if name in _INDEXING:
        if not isinstance(args[0], ours):
            raise DeviceFault("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        indices = [i for i in args[1] if i is not None and not isinstance(i, ours)]
        foreign = [t for t in foreign if all(t is not index for index in indices)]
    if foreign:
        shapes = ", ".join(f"{tuple(t.shape)} {t.dtype}" for t in foreign)
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
