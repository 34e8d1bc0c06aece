"""A device without Triton: torch operators do the same there, bit by bit, and the result says so, once."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from gssl.benchmarks.gpu import batches
from gssl.graph.gpu import aggregate, support, trial
from gssl.methods.bgrl import BGRL
from gssl.methods.dgi import DGI
from gssl.models.gcn import GCN
from gssl.registry import PROPAGATIONS, SAMPLERS
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.testing.emulated.cuda import emulated_cuda, needs_emulated_cuda
from gssl.testing.toy import toy_graph, toy_graphs
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain
from gssl.training.result import TrainResult

pytestmark = needs_emulated_cuda()
CUDA = torch.device("cuda", 0)
GRAPH = toy_graph(num_nodes=60, in_dim=8)
ABSENT = "Triton is not installed (pip install 'gssl[gpu]')"


@pytest.fixture(autouse=True)
def without_triton(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a machine where it cannot be imported."""
    for module in (support, aggregate):
        monkeypatch.setattr(module, "INTERPRETED", False)
    monkeypatch.setattr(trial, "find_spec", lambda name: None)
    with emulated_cuda():
        yield


@pytest.mark.parametrize("name", PROPAGATIONS.names())
def test_batches_are_those_of_the_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "find_spec", lambda name: None)
    case = batches.same_batches(name, CUDA, "auto")
    assert (case.verdict, case.detail) == ("same", "made by torch operators")
    (note,) = batches.built(name, GRAPH.to(CUDA), "auto").notes
    told = "batches are made by torch operators, which give the same ones, and not by Triton kernels"
    assert note == f"{told}: {ABSENT}"


def test_the_check_finds_a_triton_that_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is installed, and cannot be used."""
    monkeypatch.setattr(batches, "find_spec", lambda name: object())
    for case in (batches.same_batches("neighbor", CUDA, "auto"), batches.kernels(CUDA)):
        assert case.verdict == "failed"
        assert ABSENT in case.detail
    assert batches.same_batches("neighbor", CUDA, "torch").verdict == "same", "it was asked for"
    monkeypatch.setattr(batches, "find_spec", lambda name: None)
    assert batches.kernels(CUDA).verdict == "skipped"


def trained(name: str, **options: Any) -> TrainResult:
    torch.manual_seed(0)
    sampler = SAMPLERS.get(name)(GRAPH, num_layers=2, batch_size=30, seed=0, **options)
    method = BGRL(GCN(8, hidden_dim=8), predictor_dim=8)
    return pretrain(method, sampler, TrainConfig(epochs=1), seed=0, device="cuda")


def test_a_training_on_full_batches_says_so() -> None:
    config = TrainConfig(epochs=1)
    graphs = toy_graphs(num_graphs=8)
    for encoder, sampler in (
        (GCN(8, hidden_dim=8), FullBatch(GRAPH)),
        (GCN(graphs.in_dim, hidden_dim=8), GraphBatches(graphs, batch_size=4)),
    ):
        (note,) = pretrain(DGI(encoder), sampler, config, seed=0, device="cuda").notes
        assert note == f"sums over neighbors are made by torch operators, and not by a Triton kernel: {ABSENT}"
        assert pretrain(DGI(encoder), sampler, config, seed=0, device="cpu").notes == ()


def test_a_training_on_sampled_batches_says_so_once() -> None:
    (note,) = trained("graphsage", fanouts=3).notes
    assert note.startswith("batches are made by torch operators")
    (note,) = trained("graphsage", fanouts=3, backend="numba").notes  # whose sampler has nothing to say
    assert note.startswith("sums over neighbors are made by torch operators")


def test_a_device_with_triton_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "obstacle", lambda device, check: None)
    monkeypatch.setattr("gssl.models.ops.is_fused", lambda x: False)
    method = DGI(GCN(8, hidden_dim=8))
    assert pretrain(method, FullBatch(GRAPH), TrainConfig(epochs=1), seed=0, device="cuda").notes == ()
