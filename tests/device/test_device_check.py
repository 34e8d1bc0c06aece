"""The check of a device takes the ways of CUDA, here on an emulated device: it finds nothing, and what is wrong."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from gssl.benchmarks.gpu import batches
from gssl.benchmarks.gpu.methods import CONFIG
from gssl.benchmarks.gpu.parts import part_named
from gssl.benchmarks.gpu.report import Report
from gssl.benchmarks.gpu.same_random import same_random
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.gpu.toys import ON_THE_HOST, training
from gssl.benchmarks.gpu.trace import compare
from gssl.graph.gathered import GatheredRows
from gssl.method import Method
from gssl.samplers.base import Sampler
from gssl.samplers.delivery import Delivery
from gssl.testing.emulated.cuda import emulated_cuda, needs_emulated_cuda

pytestmark = needs_emulated_cuda()
CUDA = torch.device("cuda", 0)
FEW = {"methods": 50, "pairs": 45, "history": 23, "precision": 70, "resume": 11}


@pytest.mark.parametrize("name", FEW)
def test_a_part_finds_the_numbers_of_the_cpu(name: str, tmp_path: Path) -> None:
    report = Report(tmp_path / "found.json", name, "correctness", 60, {}, {})
    with emulated_cuda():
        part_named(name).run(Setup("cuda", 0.0004, FEW[name]), report)
    assert report.cases
    assert not [case for case in report.cases if case.verdict != "same"]


@pytest.mark.parametrize(("name", "backend"), list(batches.cases()))
def test_batches_are_bit_equal(name: str, backend: str | None) -> None:
    with emulated_cuda():
        assert batches.same_batches(name, CUDA, backend).verdict == "same"


@pytest.mark.parametrize("way", ["made by numba", "made by numba, none ahead"])
def test_features_from_the_host_arrive_as_they_are(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_BUSY", 8)
    monkeypatch.setattr(batches, "_EPOCHS", 1)
    with emulated_cuda():
        case = batches.delivered(way, CUDA, ON_THE_HOST[way])
        assert (case.verdict, case.detail) == ("same", "30 batches")
        gather = Delivery._gathered

        def late(self: Delivery, x: GatheredRows, buffer: Any) -> torch.Tensor:
            if buffer.arrival is None:
                return gather(self, x, buffer)
            former: torch.Tensor = buffer.memory[: x.shape[0] * 512].view(x.shape)
            return former

        monkeypatch.setattr(Delivery, "_gathered", late)
        assert batches.delivered(way, CUDA, ON_THE_HOST[way]).verdict in ("differs", "failed"), "rows of another batch"


@pytest.mark.parametrize("name", ["epoch", "gcn", "infonce"])  # the others take minutes here
def test_figures_are_had(name: str, tmp_path: Path) -> None:
    report = Report(tmp_path / "found.json", name, "figures", 60, {}, {})
    with emulated_cuda():
        part_named(name).run(Setup("cuda", 0.0004), report)
    assert report.figures
    assert not [case for case in report.cases if case.verdict != "same"]


def test_random_numbers_are_those_of_the_cpu() -> None:
    def draws(device: torch.device) -> list[torch.Tensor]:
        torch.manual_seed(0)
        rng = torch.Generator(device).manual_seed(1)
        assert rng.device == device
        rows = torch.ones(4, 5, device=device)
        found = [
            torch.rand(5, generator=rng, device=device),
            torch.randn(5, device=device),
            torch.randint(9, (5,), generator=rng, device=device),
            torch.randperm(9, generator=rng, device=device),
            torch.empty(5, device=device).exponential_(generator=rng),
            torch.rand_like(rows),
            torch.bernoulli(rows / 2, generator=rng),
            torch.multinomial(rows, 2, generator=rng),
            torch.nn.init.xavier_uniform_(torch.empty(4, 5, device=device)),
            F.dropout(rows, 0.5),
            F.gumbel_softmax(rows, hard=True),
        ]
        assert all(tensor.device == device for tensor in found)
        return [tensor.cpu() for tensor in found]

    with emulated_cuda(), same_random():
        for here, there in zip(draws(torch.device("cpu")), draws(CUDA), strict=True):
            assert torch.equal(here, there)


def test_random_numbers_of_backward_passes_are_those_of_the_cpu() -> None:
    """A GPU has a thread of its own for them (COSTA draws its sketch again there)."""
    with emulated_cuda():
        case = compare("COSTA", partial(training, "COSTA", "dense"), CONFIG, "cuda", tolerance=1e-4)
    assert case.verdict == "same", case


def test_a_device_that_computes_something_else_is_found() -> None:
    """A hundredth more on the device alone, in the forward pass and then in the gradient alone."""

    class Away(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, loss: torch.Tensor, forward: float) -> torch.Tensor:
            return loss * (forward if loss.device.type == "cuda" else 1)

        @staticmethod
        def backward(ctx: object, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
            return grad * (1.01 if grad.device.type == "cuda" else 1), None

    for forward in (1.01, 1.0):

        def make(forward: float = forward) -> tuple[Method, Sampler]:
            method, sampler = training("DGI", "dense")
            loss = method.loss
            away: Any = Away.apply
            method.loss = lambda batch: away(loss(batch), forward)  # type: ignore[method-assign]  # of one object
            return method, sampler

        with emulated_cuda():
            case = compare("away", make, CONFIG, "cuda", tolerance=1e-4)
        assert case.verdict == "differs", case
