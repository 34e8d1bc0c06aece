"""Random numbers of the CPU on every device, so that two devices can be told apart by their arithmetic alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_CREATE = ("rand", "randn", "randint", "randperm")
_LIKE = {"rand_like", "randn_like", "randint_like"}
_FILL = {"uniform_", "normal_", "exponential_", "bernoulli_", "random_", "log_normal_", "geometric_", "cauchy_"}
_FROM = {"bernoulli", "multinomial", "normal", "poisson", "binomial"}
_Generator = torch.Generator


class HostGenerator(_Generator):
    """A generator of the CPU that says which device it was asked for."""

    said: torch.device

    def __new__(cls, device: torch.device | str = "cpu") -> HostGenerator:
        """On the CPU, whatever the device."""
        made = _Generator.__new__(cls, torch.device("cpu"))  # type: ignore[call-arg]  # the stub has none
        made.said = torch.device(device)
        return made

    def __init__(self, device: torch.device | str = "cpu") -> None:
        pass

    @property
    def device(self) -> torch.device:  # type: ignore[override]  # an attribute of the C type
        """What was asked for."""
        return self.said


class _SameRandom(TorchFunctionMode):
    """Draws on the CPU, and what is drawn travels."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is F.dropout:
            return _dropout(*args, **kwargs)
        if func is F.gumbel_softmax:
            return _gumbel_softmax(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name in _LIKE:
            return _like(func, args, kwargs)
        if getattr(func, "__module__", "") == "torch.nn.init":
            return _initialised(func, args, kwargs)
        if name in _FILL:
            return _filled(func, args[0], args[1:], kwargs)
        if name in _FROM:
            device = next((v.device for v in (*args, *kwargs.values()) if isinstance(v, Tensor)), None)
            drawn = func(*_on_cpu(args), **_on_cpu_named(kwargs))
            return drawn if device is None else drawn.to(device)
        return func(*args, **kwargs)


def _created(make: Callable[..., Tensor], *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
    drawn = make(*args, **kwargs, device="cpu")
    return drawn if device is None else drawn.to(device)


def _initialised(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    """What ``torch.nn.init`` does; its functions get the tensor in either way."""
    kwargs = dict(kwargs)
    own = kwargs.pop("tensor", None)
    if own is None:
        own, args = args[0], args[1:]
    elif args and args[0] is own:
        args = args[1:]
    return own if own.is_meta else _filled(func, own, args, kwargs)


def _filled(func: Callable[..., Any], own: Tensor, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    """A tensor whose numbers ``func`` replaces; drawn in a copy on the CPU if it is elsewhere."""
    if own.device.type == "cpu":
        func(own, *args, **kwargs)
        return own
    drawn = func(torch.empty(own.shape, dtype=own.dtype), *_on_cpu(args), **_on_cpu_named(kwargs))
    with torch.no_grad():
        own.copy_(drawn)
    return own


def _like(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    own = args[0]
    device = kwargs.pop("device", None) or own.device
    drawn: Tensor = func(torch.empty(own.shape, dtype=own.dtype), *args[1:], **kwargs)
    return drawn.to(device)


def _on_cpu(values: Sequence[Any]) -> list[Any]:
    return [value.cpu() if isinstance(value, Tensor) else value for value in values]


def _on_cpu_named(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(zip(values, _on_cpu(list(values.values())), strict=True))


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if not training or p == 0:
        return input
    keep = (torch.rand(input.shape) >= p).to(device=input.device, dtype=input.dtype) / (1 - p)
    return input.mul_(keep) if inplace else input * keep


def _gumbel_softmax(logits: Tensor, tau: float = 1.0, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    noise = -torch.empty(logits.shape).exponential_().log().to(device=logits.device, dtype=logits.dtype)
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    chosen = torch.zeros_like(soft).scatter_(dim, soft.max(dim, keepdim=True).indices, 1.0)
    return chosen - soft.detach() + soft


@contextmanager
def same_random() -> Iterator[None]:
    """While entered, what is drawn depends on the seeds alone and not on the device. Dropout is drawn in another way
    than else, so numbers are to be compared with others that were made within it.
    """
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(torch, "Generator", HostGenerator))
        for name in _CREATE:  # not by the mode, which is not there in the threads of backward passes on a GPU
            stack.enter_context(mock.patch.object(torch, name, partial(_created, getattr(torch, name))))
        stack.enter_context(_SameRandom())
        yield
