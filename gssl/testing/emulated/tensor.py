"""Tensors that say ``cuda:0`` and hold their numbers on the host, and the one way through which they are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes, _get_current_dispatch_mode

from gssl.testing.emulated.ledger import Ledger, calling_line
from gssl.testing.emulated.rules import (
    COPYING,
    DeviceFault,
    check_generator,
    draws,
    mapped,
    plain_name,
    strays,
    tensors_in,
    waits,
)
from gssl.testing.emulated.streams import CUDA, on_device

_BENEATH = torch.device("maia", 0)  # what the C++ side sees, see gssl.testing.emulated.guards
_HOST = torch.device("cpu")


class Emulation:
    """The device while it is there.

    Attributes:
        ledger: what happened on it.
        stream: state of its default generator.
    """

    current: ClassVar[Emulation | None] = None

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.stream: Tensor = torch.get_rng_state()

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Carry out an operation as CUDA would, or refuse it."""
        name, asked = plain_name(func), kwargs.get("device")
        found = tensors_in((args, kwargs))
        foreign = [t for t in found if not isinstance(t, EmulatedTensor)]
        ours = len(foreign) < len(found)
        if not (ours or on_device(asked)):
            return _on_host(func, name, args, kwargs)
        if name in COPYING:
            return self._copy(func, name, args, kwargs)
        if ours and asked is not None and not on_device(asked):  # zeros_like(x, device="cpu")
            return _compute(func, mapped(_held, args), mapped(_held, kwargs))
        if ours and foreign:
            for index in strays(name, args, foreign):
                self._came_in(index, waits=True)
        check_generator(name, args, kwargs, "cuda")
        self.ledger.kernels[name] += 1
        if waits(name, args, kwargs):
            self.ledger.wait()
        return self._kernel(func, name, args, kwargs)

    def _kernel(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = {key: value for key, value in kwargs.items() if key != "pin_memory"}
        if given.get("device") is not None:
            given["device"] = _HOST
        own_stream = any(isinstance(value, torch._C.Generator) for value in (*args, *kwargs.values()))
        if draws(name) and not own_stream:
            with self.drawing():
                out = _compute(func, mapped(_held, args), mapped(_held, given))
        else:
            out = _compute(func, mapped(_held, args), mapped(_held, given))
        if torch.Tag.inplace_view in func.tags:
            _reshape_wrapper(func, args, given)
        return _results(func, args, kwargs, out)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Random numbers without a generator come from the device's own stream."""
        before = torch.default_generator.get_state()
        torch.default_generator.set_state(self.stream)
        try:
            yield
        finally:
            self.stream = torch.default_generator.get_state()
            torch.default_generator.set_state(before)

    def _copy(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "copy_":
            target, source = args[0], args[1]
            non_blocking = len(args) > 2 and bool(args[2]) and is_pinned(target if target.is_cpu else source)
            self._moved(source, isinstance(target, EmulatedTensor), non_blocking)
            _compute(func, mapped(_held, args), kwargs)
            return target
        (source,) = args
        asked = kwargs.get("device")
        there = isinstance(source, EmulatedTensor) if asked is None else on_device(asked)
        self._moved(source, there, bool(kwargs.get("non_blocking")))
        rest = {key: value for key, value in kwargs.items() if key not in ("device", "pin_memory", "non_blocking")}
        held = _held(source)
        out = _converted(held, rest) if held.layout == torch.sparse_csr else _compute(func, (held,), rest)
        if there:
            return EmulatedTensor(out)
        if kwargs.get("non_blocking") and out is not held:
            out.__dict__["_emulated_pin"] = True  # torch takes pinned memory for such a copy
        return out

    def _moved(self, source: Tensor, to_device: bool, non_blocking: bool) -> None:
        here = isinstance(source, EmulatedTensor)
        if to_device and not here:
            # Torch waits for every copy that was not said to be non-blocking, whatever the memory.
            self._came_in(source, waits=not non_blocking)
        elif here and not to_device:
            self.ledger.copies_out += 1
            if not non_blocking:
                self.ledger.wait()
        elif here:
            self.ledger.kernels["copy_"] += 1

    def _came_in(self, source: Tensor, *, waits: bool) -> None:
        self.ledger.copies_in += 1
        self.ledger.bytes_in += source.numel() * source.element_size()
        if waits:
            self.ledger.wait()
        if source.dim() and not is_pinned(source):
            self.ledger.pageable[calling_line()] += 1


class EmulatedTensor(Tensor):
    """A tensor on the emulated device.

    Attributes:
        held: its numbers, on the host.
    """

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # as torch's own wrappers

    def __new__(cls, held: Tensor) -> EmulatedTensor:
        strided = held.layout == torch.strided  # a matrix in CSR poses as a dense one
        made: EmulatedTensor = Tensor._make_wrapper_subclass(  # private
            cls,
            held.size(),
            strides=held.stride() if strided else (held.shape[1], 1),
            storage_offset=held.storage_offset() if strided else 0,
            dtype=held.dtype,
            layout=torch.strided,
            device=_BENEATH,
            requires_grad=False,
        )
        return made

    def __init__(self, held: Tensor) -> None:
        self.held = held

    @property
    def device(self) -> torch.device:  # type: ignore[override]  # an attribute of tensors
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @property
    def is_cpu(self) -> bool:  # type: ignore[override]
        return False

    def numpy(self, *, force: bool = False) -> Any:
        if not force:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        return self.cpu().numpy()

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def data_ptr(self) -> int:
        raise DeviceFault("the memory of an emulated device has no address")

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.detach().__reduce_ex__(protocol)  # what is saved are the numbers

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made = self.detach().clone()
        if isinstance(self, torch.nn.Parameter):
            made = torch.nn.Parameter(made, self.requires_grad)
        memo[id(self)] = made
        return made

    # These two make torch.nn.Module.to replace parameters, where it would set their data otherwise.
    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], meta: None, size: Any, stride: Any) -> EmulatedTensor:
        return EmulatedTensor(inner["held"])

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"{self.held!r} on an emulated cuda:0"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        emulation = Emulation.current
        if emulation is None:
            raise DeviceFault("a tensor of an emulated device is used after the device has gone")
        return emulation.run(func, args, kwargs or {})


class Watching(TorchDispatchMode):
    """Sees to what is made on the device out of nothing, and to generators on the host."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        emulation = Emulation.current
        assert emulation is not None
        return emulation.run(func, args, kwargs or {})


def pinned(tensor: Tensor) -> Tensor:
    """``Tensor.pin_memory``: a copy that remembers that it is one."""
    if isinstance(tensor, EmulatedTensor):
        raise DeviceFault("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
    if is_pinned(tensor):
        return tensor
    made = tensor.clone()
    made._emulated_pin = True  # type: ignore[attr-defined]  # a mark of ours
    return made


def is_pinned(tensor: Tensor) -> bool:
    """``Tensor.is_pinned``; a view of pinned memory is pinned."""
    base = tensor if tensor._base is None else tensor._base
    return getattr(tensor, "_emulated_pin", False) or getattr(base, "_emulated_pin", False)


def csr_maker(real: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``torch.sparse_csr_tensor`` of tensors on either device."""

    def make(crow: Tensor, col: Tensor, values: Tensor, size: Any = None, **options: Any) -> Tensor:
        parts = (crow, col, values)
        there = [isinstance(part, EmulatedTensor) for part in parts]
        if any(there) and not all(there):
            raise DeviceFault("the parts of a sparse matrix are on different devices")
        made = real(*(_held(part.detach()) for part in parts), size=size, **options)
        return EmulatedTensor(made) if all(there) else made

    return make


def _held(value: Tensor) -> Tensor:
    return value.held if isinstance(value, EmulatedTensor) else value


def _wrapped(value: Tensor) -> Tensor:
    return value if isinstance(value, EmulatedTensor) else EmulatedTensor(value)


def _on_host(func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
    check_generator(name, args, kwargs, "cpu")
    out = _compute(func, args, {key: value for key, value in kwargs.items() if key != "pin_memory"})
    if kwargs.get("pin_memory") and isinstance(out, Tensor):
        out.__dict__["_emulated_pin"] = True
    return out


def _compute(func: Any, args: Any, kwargs: Any) -> Any:
    """The operation on the host; in float32 where the host has no kernel for 16-bit numbers."""
    # No mode is there where the one of the emulation handed over, nor in other threads.
    with _disable_current_modes() if _get_current_dispatch_mode() is not None else nullcontext():
        try:
            return func(*args, **kwargs)
        except (NotImplementedError, RuntimeError) as error:
            short = [t.dtype for t in tensors_in((args, kwargs)) if t.dtype in (torch.float16, torch.bfloat16)]
            if not short or "not implemented" not in str(error):
                raise
            out = func(*mapped(_lengthened, args), **kwargs)
            return mapped(lambda v: v.to(short[0]), out)


def _lengthened(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _converted(matrix: Tensor, options: dict[str, Any]) -> Tensor:
    values = matrix.values().to(options.get("dtype") or matrix.dtype)
    return torch.sparse_csr_tensor(matrix.crow_indices(), matrix.col_indices(), values, matrix.shape)


def _reshape_wrapper(func: Any, args: Any, kwargs: Any) -> None:
    """Operations such as ``squeeze_`` change the shape of their argument, so that of the wrapper must follow."""
    with _disable_current_modes(), torch._C._DisableTorchDispatch():
        before = torch._C._meta_in_tls_dispatch_include()
        torch._C._set_meta_in_tls_dispatch_include(True)
        try:
            func(*args, **kwargs)
        finally:
            torch._C._set_meta_in_tls_dispatch_include(before)


def _results(func: Any, args: Any, kwargs: dict[str, Any], out: Any) -> Any:
    """Results as tensors of the device; what was written in place is the object that was given."""
    places = _written_places(func)
    if not places:
        return mapped(_wrapped, out)
    given = [args[position] if position < len(args) else kwargs.get(name) for position, name in places]
    written = {id(_held(t)): t for t in tensors_in(given)}
    if isinstance(out, tuple):
        return tuple(written.get(id(part), _wrapped(part)) for part in out)
    return written.get(id(out), _wrapped(out))


@cache
def _written_places(func: Any) -> list[tuple[int, str]]:
    """Number and name of each argument that an operation writes, where these are what it returns."""
    returns, arguments = func._schema.returns, func._schema.arguments
    if not returns or any(r.alias_info is None or not r.alias_info.is_write for r in returns):
        return []
    return [(n, a.name) for n, a in enumerate(arguments) if a.alias_info is not None and a.alias_info.is_write]
