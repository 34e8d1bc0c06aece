"""Whether the weights of a method fit into the memory, told before any of them are made."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import torch
from torch import nn

from gssl.common.errors import InputError

COPIES = 4  # weights, gradients and the two moments of the optimizer
_TOO_LARGE = ("overflow", "too large", "exceeds", "invalid size")  # what torch says of sizes that no tensor can have
_ADVICE = "choose a smaller encoder.hidden_dim, encoder.out_dim or encoder.num_layers, or smaller dimensions of heads"


def require_memory(make: Callable[[], nn.Module], available: int | None = None) -> None:
    """Refuse a module whose training does not fit.

    It is built on torch's device without memory; one that cannot be built there is not checked.

    Args:
        make: builds it; called once.
        available: bytes; None for those that are free now.

    Raises:
        InputError: weights, gradients and moments need more.
    """
    try:
        with torch.device("meta"):
            module = make()
    except InputError:
        raise
    except Exception as error:
        if any(sign in str(error).lower() for sign in _TOO_LARGE):
            raise InputError(f"the weights would be larger than any tensor can be; {_ADVICE}") from error
        return
    number = sum(parameter.numel() for parameter in module.parameters())
    needed = COPIES * sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    free = psutil.virtual_memory().available if available is None else available
    if needed > free:
        raise InputError(
            f"the method and its encoder would have {number:,} parameters, whose training needs {needed / 2**30:,.1f} "
            f"GiB, and {free / 2**30:,.1f} GiB of memory are free; {_ADVICE}"
        )
