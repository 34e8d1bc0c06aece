"""The emulated device itself: it refuses what CUDA refuses, and counts what makes a program wait."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from gssl.testing.emulated import guards
from gssl.testing.emulated.cuda import emulated_cuda, needs_emulated_cuda
from gssl.testing.emulated.rules import DeviceFault
from gssl.testing.emulated.streams import _address, stream_device

pytestmark = needs_emulated_cuda()
CUDA = "cuda"


def test_there_is_a_device_inside_alone() -> None:
    assert not torch.cuda.is_available()
    with emulated_cuda():
        assert torch.cuda.is_available()
        made = torch.ones(2, device=CUDA)
        assert made.device == torch.device(CUDA, 0)
        assert made.is_cuda
        with pytest.raises(RuntimeError, match="there is an emulated device already"), emulated_cuda():
            pass
    assert not torch.cuda.is_available()
    with pytest.raises(DeviceFault, match="after the device has gone"):
        made.add(1)


def test_numbers_and_gradients_are_those_of_the_cpu() -> None:
    torch.manual_seed(0)
    here = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    x = torch.randn(5, 3)
    here(x).square().sum().backward()
    gradients = [p.grad for p in here.parameters()]
    here.zero_grad()
    with emulated_cuda():
        there = here.to(CUDA)
        there(x.to(CUDA)).square().sum().backward()
        assert all(p.grad is not None and p.grad.is_cuda for p in there.parameters())
        assert all(torch.equal(p.grad.cpu(), g) for p, g in zip(there.parameters(), gradients, strict=True))  # type: ignore[union-attr,arg-type]


def test_devices_do_not_mix() -> None:
    with emulated_cuda():
        there, here = torch.ones(2, device=CUDA), torch.ones(2)
        with pytest.raises(DeviceFault, match=r"same device, but add got cuda:0 and cpu"):
            there + here
        with pytest.raises(DeviceFault, match="indices should be either on cpu"):
            _ = here[torch.zeros(1, dtype=torch.int64, device=CUDA)]
        with pytest.raises(DeviceFault, match="cannot pin"):
            there.pin_memory()
        assert (there * torch.tensor(2.0)).tolist() == [2.0, 2.0], "a number may come from the host"


def test_generators_belong_to_a_device() -> None:
    with emulated_cuda():
        stream = torch.Generator(CUDA).manual_seed(3)
        drawn = torch.rand(4, generator=stream, device=CUDA)
        assert torch.equal(drawn.cpu(), torch.rand(4, generator=torch.Generator().manual_seed(3)))
        with pytest.raises(DeviceFault, match="'cpu' device type for generator but found 'cuda'"):
            torch.rand(4, generator=stream)
        with pytest.raises(DeviceFault, match="'cuda' device type for generator but found 'cpu'"):
            torch.rand(4, generator=torch.Generator(), device=CUDA)


def test_the_default_streams_are_two() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with emulated_cuda():
        torch.cuda.manual_seed(1)
        first = torch.rand(3, device=CUDA).cpu()
        torch.cuda.manual_seed(1)
        assert torch.equal(first, torch.rand(3, device=CUDA).cpu())
    assert torch.equal(before, torch.get_rng_state())


def test_numpy_does_not_reach_it() -> None:
    with emulated_cuda():
        there = torch.ones(2, device=CUDA)
        with pytest.raises(TypeError, match=r"Use Tensor\.cpu\(\)"):
            there.numpy()


@pytest.mark.parametrize(
    ("work", "waits"),
    [
        (lambda x: x + 1, 0),
        (lambda x: x.sum().item(), 1),
        (lambda x: float(x.sum()) if bool(x.any()) else 0.0, 2),
        (lambda x: x[x > 0], 1),
        (lambda x: x[torch.zeros(3, dtype=torch.int64, device=CUDA)], 0),
        (lambda x: x.nonzero(), 1),
        (lambda x: torch.nonzero_static(x, size=2), 0),
        (lambda x: x.unique(), 1),
        (lambda x: torch.bincount(x.long()), 1),
        (lambda x: x.tolist(), 1),
        (lambda x: x.cpu(), 1),
        (lambda x: x.to("cpu", non_blocking=True), 0),
        (lambda x: x.repeat_interleave(x.long() + 1), 1),
        (lambda x: x.repeat_interleave(x.long() + 1, output_size=7), 0),
        (lambda x: torch.tensor([1.0, 2.0], device=CUDA), 1),
        (lambda x: torch.zeros(3, device=CUDA), 0),
        (lambda x: torch.cuda.synchronize(), 1),
    ],
)
def test_waits_are_counted(work: Callable[[torch.Tensor], object], waits: int) -> None:
    with emulated_cuda() as ledger:
        x = torch.tensor([0.0, 1.0, 3.0]).to(CUDA)
        ledger.clear()
        work(x)
        assert ledger.counts().waits == waits
        assert all("test_emulated_device.py" in place for place in ledger.waits)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.zeros_like(x, device=CUDA),
        lambda x: torch.rand_like(x, device=CUDA),
        lambda x: x.new_full((2,), 3.0, device=CUDA),
    ],
)
def test_what_is_made_like_a_tensor_of_the_host_may_be_on_the_device(make: Callable[[torch.Tensor], Any]) -> None:
    with emulated_cuda() as ledger:
        assert make(torch.ones(2)).is_cuda
        assert ledger.counts().waits == ledger.counts().copies_in == 0


def test_copies_are_counted_with_their_memory() -> None:
    with emulated_cuda() as ledger:
        plain, locked = torch.ones(4), torch.ones(2).pin_memory()
        plain.to(CUDA, non_blocking=True)
        assert (ledger.counts().pageable, ledger.counts().bytes_in) == (1, 16)
        ledger.clear()
        locked[:1].to(CUDA, non_blocking=True)
        assert (ledger.counts().pageable, ledger.counts().waits, ledger.counts().bytes_in) == (0, 0, 4)
        locked.to(CUDA)
        assert ledger.counts().waits == 1, "torch waits for a copy that was not said to be non-blocking"


def test_elsewhere_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    guards.obstacle.cache_clear()
    monkeypatch.setattr(torch, "__version__", "3.0.1+cpu")
    try:
        assert "is written for torch 2.13, and this is 3.0.1" in guards.obstacle()
        mark = needs_emulated_cuda().mark
        assert mark.args == (True,)
        assert "torch 2.13" in mark.kwargs["reason"]
    finally:
        guards.obstacle.cache_clear()


def test_a_generator_at_the_place_of_one_that_is_gone_is_on_the_host() -> None:
    host = torch.Generator
    with emulated_cuda():
        places, again = set(), 0
        for _ in range(500):
            gone = torch.Generator(device="cuda")
            places.add(_address(gone))
            del gone
            other = host()
            assert stream_device(other).type == "cpu"
            again += _address(other) in places
        assert again, "places are used again, or this shows nothing"
