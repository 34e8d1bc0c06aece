"""A CUDA device that is not there, so that tests of what runs on one need none.

While :func:`emulated_cuda` is entered, ``torch.cuda.is_available()`` is true, tensors may say ``cuda:0``, and every
operation on them is

- **checked** as CUDA would check it: one device, generators of that device, no numpy;
- **computed** by the kernel of the CPU, so that results can be compared with those of the CPU number by number;
- **counted** (:class:`~gssl.testing.emulated.ledger.Ledger`): where the host waits for the device (``item``,
  ``nonzero``, masks as indices, blocking copies), kernels, copies out of pageable memory, bytes to the device.

It shows device faults and counts. It does not show streams, races, types that only kernels of CUDA refuse, their
rounding, memory or speed. It uses private parts of PyTorch and is there for one version of it
(:data:`~gssl.testing.emulated.guards.TORCH`), in builds without CUDA, on Linux; tests skip with the reason elsewhere.

Example, the test of a method of one's own (``same_losses`` trains it on both devices)::

    from gssl.testing.emulated.cuda import needs_emulated_cuda
    from gssl.testing.emulated.training import same_losses

    pytestmark = needs_emulated_cuda()  # at the top of the file, for it must come before the first backward pass


    def test_my_method_runs_on_a_gpu():
        same_losses(lambda: (build_my_method(), FullBatch(toy_graph())))
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from unittest import mock

import pytest
import torch

from gssl.testing.emulated.guards import install, obstacle
from gssl.testing.emulated.ledger import Ledger
from gssl.testing.emulated.streams import EmulatedGenerator, host_state
from gssl.testing.emulated.tensor import Emulation, Watching, csr_maker, is_pinned, pinned


def needs_emulated_cuda() -> pytest.MarkDecorator:
    """The mark of a file of tests: it gets the device ready, or skips its tests with the reason why there is none."""
    reason = obstacle()
    if not reason:
        install()
    return pytest.mark.skipif(bool(reason), reason=reason)


@contextmanager
def emulated_cuda() -> Iterator[Ledger]:
    """While entered there is a CUDA device.

    Yields:
        What happens on it.

    Raises:
        RuntimeError: there is none here (:func:`~gssl.testing.emulated.guards.obstacle`), or a backward pass was
            made before the device was got ready: call :func:`needs_emulated_cuda` at the top of the file.
    """
    install()
    importlib.import_module("torch._dynamo")  # it lists what torch.cuda has when it is imported, as optimizers do
    if Emulation.current is not None:
        raise RuntimeError("there is an emulated device already")
    emulation = Emulation()
    with ExitStack() as stack:
        for name, replacement in _replacements(emulation).items():
            stack.enter_context(mock.patch(name, replacement))
        lift = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        stack.callback(torch._C._set_only_lift_cpu_tensors, lift)
        Emulation.current = emulation
        stack.callback(setattr, Emulation, "current", None)
        with Watching():
            _try_backward()
            emulation.ledger.clear()
            yield emulation.ledger


def _try_backward() -> None:
    try:
        torch.ones(1, device="cuda", requires_grad=True).mul(2).sum().backward()
    except RuntimeError as error:
        raise RuntimeError(
            "autograd was used in this process before the emulated device was got ready; call needs_emulated_cuda() at "
            "the top of the file of tests"
        ) from error


def _replacements(emulation: Emulation) -> dict[str, Any]:
    def seed(number: int) -> None:
        emulation.stream = host_state(number)

    def state(device: Any = "cuda") -> torch.Tensor:
        return emulation.stream.clone()

    def set_state(new: torch.Tensor, device: Any = "cuda") -> None:
        emulation.stream = new.clone()

    def nothing(*_: Any, **__: Any) -> None:
        return None

    moment = type("EmulatedStream", (_Moment,), {"synchronize": lambda self: emulation.ledger.wait()})
    current = moment()
    cuda: dict[str, Callable[..., Any]] = {
        "_lazy_init": nothing,
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": nothing,
        "synchronize": lambda device=None: emulation.ledger.wait(),
        "current_stream": lambda device=None: current,
        "Stream": moment,
        "Event": moment,
        "stream": nullcontext,
        "empty_cache": nothing,
        "is_bf16_supported": lambda including_emulation=True: True,
        "get_device_name": lambda device=None: "emulated",
        "get_device_capability": lambda device=None: (9, 0),
        "manual_seed": seed,
        "manual_seed_all": seed,
        "get_rng_state": state,
        "set_rng_state": set_state,
        "reset_peak_memory_stats": nothing,
        "max_memory_allocated": lambda device=None: 0,
        "mem_get_info": lambda device=None: (2**36, 2**36),
    }
    return {f"torch.cuda.{name}": function for name, function in cuda.items()} | {
        "torch.Generator": EmulatedGenerator,
        "torch.Tensor.record_stream": nothing,
        "torch.Tensor.pin_memory": lambda tensor, device=None: pinned(tensor),
        "torch.Tensor.is_pinned": lambda tensor, device=None: is_pinned(tensor),
        "torch.sparse_csr_tensor": csr_maker(torch.sparse_csr_tensor),
        "torch.autocast.__init__": _autocast(torch.autocast.__init__),
        "torch.is_autocast_enabled": _asked_beneath(torch.is_autocast_enabled),
        "torch.get_autocast_dtype": _asked_beneath(torch.get_autocast_dtype),
        "threading.Thread.run": _watched(threading.Thread.run),
    }


class _Moment:
    """An event, or a stream of work: all is done at once, so that nothing waits for anything but the host."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def record(self, stream: Any = None) -> None:
        """Nothing is behind schedule."""

    def wait_stream(self, stream: Any) -> None:
        """Everything before it is done."""

    def wait_event(self, event: Any) -> None:
        """It has happened."""


def _autocast(real: Callable[..., None]) -> Callable[..., None]:
    def begin(self: torch.autocast, device_type: str, *args: Any, **options: Any) -> None:
        real(self, "maia" if device_type == "cuda" else device_type, *args, **options)

    return begin


def _asked_beneath(real: Callable[..., Any]) -> Callable[..., Any]:
    def ask(*device_type: str) -> Any:
        return real(*("maia" if name == "cuda" else name for name in device_type))

    return ask


def _watched(real: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    """Modes belong to a thread: one that is started while the device is there sees it, too."""

    def run(self: threading.Thread) -> None:
        with Watching():
            real(self)

    return run
