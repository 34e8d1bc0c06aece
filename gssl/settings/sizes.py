"""Whether the weights of a method fit into the memory, told before any of them are made."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from gssl.common.errors import InputError

COPIES = 4  # weights, gradients and the two moments of the optimizer
_TOO_LARGE = ("overflow", "too large", "exceeds", "invalid size")  # what torch says of sizes that no tensor can have
_ADVICE = "choose a smaller encoder.hidden_dim, encoder.out_dim or encoder.num_layers, or smaller dimensions of heads"
_HOPELESS = 4  # times the memory: more than a module drops again while it is built


def require_memory(make: Callable[[], nn.Module], available: int | None = None) -> None:
    """Refuse a module whose training does not fit.

    It is built on torch's device without memory, or only begun where that would take for ever; one that cannot be built
    there is not checked.

    Args:
        make: builds it; called once.
        available: bytes; None for those that are free now.

    Raises:
        InputError: weights, gradients and moments need more.
    """
    free = psutil.virtual_memory().available if available is None else available
    begun, more = _Begun(_HOPELESS * free), ""
    try:
        with torch.device("meta"), begun:
            parameters = set(make().parameters())
    except _TooManyError:
        parameters, more = begun.parameters, " or more"
    except InputError:
        raise
    except Exception as error:
        if any(sign in str(error).lower() for sign in _TOO_LARGE):
            raise InputError(f"the weights would be larger than any tensor can be; {_ADVICE}") from error
        return
    number, needed = sum(parameter.numel() for parameter in parameters), sum(map(_needed, parameters))
    if needed > free:
        raise InputError(
            f"the method and its encoder would have {number:,} parameters{more}, whose training needs "
            f"{needed / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB of memory are free; {_ADVICE}"
        )


def _needed(parameter: nn.Parameter) -> int:
    return COPIES * parameter.numel() * parameter.element_size()


class _TooManyError(Exception):
    """Ends the building of a module that cannot fit."""


class _Begun:
    """The parameters of modules that are being built within this context, until they need more than there can be."""

    def __init__(self, limit: int) -> None:
        self.parameters: set[nn.Parameter] = set()  # also those that are dropped again
        self._left = limit

    def __enter__(self) -> None:
        self._hook = register_module_parameter_registration_hook(self._count)

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def _count(self, module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is None or parameter in self.parameters or isinstance(parameter, nn.UninitializedParameter):
            return
        self.parameters.add(parameter)
        self._left -= _needed(parameter)
        if self._left < 0:
            raise _TooManyError
