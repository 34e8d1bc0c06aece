"""Numbers of one kind, whatever the program around has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def single_precision() -> Iterator[None]:
    """Within it, or within a function that it decorates, new tensors are float32; what was set before comes back.

    Features are float32, and ``train.precision`` says how a run computes. ``torch.set_default_dtype`` of the program
    around, or of a plug-in, would make weights and draws of another kind, which fit the features no more, and the
    result another one under the same hash.

    Example:
        >>> torch.set_default_dtype(torch.float64)
        >>> with single_precision():
        ...     torch.zeros(1).dtype
        torch.float32
        >>> torch.zeros(1).dtype
        torch.float64
        >>> torch.set_default_dtype(torch.float32)
    """
    former = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(former)
