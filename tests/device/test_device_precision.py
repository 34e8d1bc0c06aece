"""Precisions of training on an emulated device: 16-bit losses are near those of float32, whatever the parts."""

import math

import pytest
import torch

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.bgrl import BGRL
from gssl.methods.grace import GRACE
from gssl.methods.graphmae import GraphMAE
from gssl.models.encoder import Encoder
from gssl.registry import ENCODERS, PROPAGATIONS, SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch
from gssl.samplers.pair import PairSampler
from gssl.testing.emulated.cuda import emulated_cuda, needs_emulated_cuda
from gssl.testing.emulated.training import SHORT, losses
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

pytestmark = needs_emulated_cuda()
LOW = ("bf16-mixed", "16-mixed")
PLAIN = [name for name in ENCODERS.names() if not ENCODERS.get(name).needs_types]


def low(precision: str) -> TrainConfig:
    return TrainConfig(epochs=2, lr=0.01, optimizer="sgd", precision=precision)  # type: ignore[arg-type]  # one of LOW


def encoder_of(name: str, graph: Graph) -> Encoder:
    torch.manual_seed(0)
    options = {"edge_dim": 2} if name in ("GIN", "GINE") else {}
    made: Encoder = ENCODERS.get(name)(graph.in_dim, hidden_dim=8, num_layers=2, **options)
    return made


@pytest.mark.parametrize("precision", LOW)
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("encoder", PLAIN)
def test_encoders(encoder: str, sparse: bool, precision: str) -> None:
    graph = toy_graph(num_nodes=40, in_dim=8, attributes=True, sparse=sparse)

    def make() -> tuple[Method, Sampler]:
        return GRACE(encoder_of(encoder, graph), projector_dim=8), FullBatch(graph)

    assert losses(make, low(precision), device="cuda") == pytest.approx(losses(make), rel=0.05)


@pytest.mark.parametrize("precision", LOW)
@pytest.mark.parametrize("encoder", ["GCN", "GAT"])
def test_mask_tokens_of_sparse_features(encoder: str, precision: str) -> None:
    graph = toy_graph(num_nodes=40, in_dim=8, sparse=True)

    def make() -> tuple[Method, Sampler]:
        torch.manual_seed(0)
        return GraphMAE(encoder_of(encoder, graph)), FullBatch(graph)

    found = losses(make, low(precision), device="cuda")
    # The scaler of 16-mixed skips the first steps, until its factor is one that these gradients bear.
    assert found[0] == pytest.approx(losses(make)[0], rel=0.05)


def sampled(propagation: str) -> tuple[Method, PairSampler]:
    graph = toy_graph(num_nodes=40, in_dim=8, attributes=True)
    method = BGRL(encoder_of("GCN", graph), predictor_dim=8)
    options = {"gamma": 0.5, "checkpoint_every": 2}
    sampler = SAMPLERS.get(f"minvar+{propagation}")(graph, num_layers=2, batch_size=16, seed=0, **options)
    assert isinstance(sampler, PairSampler)
    return method, sampler


def watched(sampler: PairSampler) -> list[torch.Tensor]:
    """The norms that the selection is going to be told."""
    seen: list[torch.Tensor] = []

    def observe(ids: torch.Tensor, norms: torch.Tensor, *, time: int = 0) -> None:
        seen.append(norms.cpu())

    sampler.selection.observe = observe  # type: ignore[method-assign]  # a spy on one object
    return seen


@pytest.mark.parametrize("precision", LOW)
@pytest.mark.parametrize("propagation", PROPAGATIONS.names())
def test_norms_are_without_the_scale_of_the_loss(propagation: str, precision: str) -> None:
    if precision == "16-mixed" and propagation in ("adjoint", "lmc"):
        with pytest.raises(InputError, match="use bf16-mixed"):
            losses(lambda: sampled(propagation), low(precision), device="cuda")
        return

    def norms(config: TrainConfig, device: str) -> list[torch.Tensor]:
        method, sampler = sampled(propagation)
        seen = watched(sampler)
        pretrain(method, sampler, config, seed=0, device=device)
        return seen

    expected = norms(SHORT, "cpu")
    with emulated_cuda():
        found = norms(low(precision), "cuda")
    assert len(found) == len(expected)
    for there, here in zip(found[:2], expected[:2], strict=True):  # later draws follow from them
        torch.testing.assert_close(there, here, rtol=0.25, atol=0.02 * float(here.max()))


def test_gradients_that_overflow_are_not_taken_for_norms() -> None:
    """The scaler begins with a factor that some losses do not bear; then it skips the step and halves the factor."""
    method, sampler = sampled("exact")
    loss, seen = method.loss, watched(sampler)
    method.loss = lambda batch: loss(batch) * 1e30  # type: ignore[method-assign]
    with emulated_cuda():
        pretrain(method, sampler, low("16-mixed"), seed=0, device="cuda")
    assert all(bool(norms.isfinite().all()) for norms in seen)


def test_tf32_is_for_training_on_a_device_alone() -> None:
    graph = toy_graph(num_nodes=40, in_dim=8)
    seen = []

    class Spy(GRACE):
        def loss(self, batch: MiniBatch) -> torch.Tensor:
            seen.append(torch.get_float32_matmul_precision())
            return super().loss(batch)

    config = TrainConfig(epochs=1, tf32=True)
    with pytest.raises(InputError, match="needs a CUDA device"):
        pretrain(Spy(encoder_of("GCN", graph)), FullBatch(graph), config, seed=0)
    with emulated_cuda():
        result = pretrain(Spy(encoder_of("GCN", graph)), FullBatch(graph), config, seed=0, device="cuda")
    assert seen == ["high"]
    assert torch.get_float32_matmul_precision() == "highest"
    assert math.isfinite(result.curve[0].loss)
