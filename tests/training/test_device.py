"""Device and precision of training."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.gcn import GCN
from gssl.samplers.full import FullBatch
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.device import Mover
from gssl.training.loop import pretrain

META = torch.device("meta")


@pytest.fixture
def graph() -> Graph:
    return toy_graph(num_nodes=30, in_dim=8)


class Fit(Method):
    """Regression of node embeddings onto the features."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(GCN(8, hidden_dim=8))

    def loss(self, batch: MiniBatch) -> Tensor:
        assert isinstance(batch.x, Tensor)
        loss: Tensor = (self.encoder(batch) - batch.x).square().mean()
        return loss


def test_a_batch_that_comes_again_travels_once() -> None:
    move = Mover()
    batch = toy_graph(num_nodes=30).full_batch()
    moved = move(batch, META)
    assert moved.device.type == moved.blocks[0].pattern.col.device.type == "meta"
    assert move(batch, META) is moved
    assert move(toy_graph(num_nodes=20).full_batch(), META).num_nodes == 20
    assert move(batch, META).num_nodes == 30


def test_a_batch_in_place_is_left_alone() -> None:
    batch = toy_graph().full_batch()
    assert Mover()(batch, torch.device("cpu")) is batch


def test_bf16_computes_low_and_keeps_weights_high(graph: Graph) -> None:
    class Spy(Fit):
        seen: ClassVar[list[torch.dtype]] = []

        def loss(self, batch: MiniBatch) -> Tensor:
            assert isinstance(batch.x, Tensor)
            self.seen.append((batch.x @ batch.x.T).dtype)
            return super().loss(batch)

    low, high = Spy(), Fit()
    config = TrainConfig(epochs=20, lr=0.01)
    pretrain(low, FullBatch(graph), TrainConfig(epochs=20, lr=0.01, precision="bf16-mixed"), seed=0)
    pretrain(high, FullBatch(graph), config, seed=0)
    assert set(Spy.seen) == {torch.bfloat16}
    assert {p.dtype for p in low.parameters()} == {torch.float32}
    batch = graph.full_batch()
    assert low.loss(batch).item() == pytest.approx(high.loss(batch).item(), rel=0.05)


def test_float16_on_the_cpu_is_refused(graph: Graph) -> None:
    with pytest.raises(InputError, match="bf16-mixed"):
        pretrain(Fit(), FullBatch(graph), TrainConfig(precision="16-mixed"), seed=0, device="cpu")


@pytest.mark.parametrize("epochs", [0, 1])
def test_unknown_and_absent_devices(epochs: int, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device, message in (("tpu", "use auto, cpu or cuda"), ("cuda", "finds no CUDA device")):
        with pytest.raises(InputError, match=message):
            pretrain(Fit(), FullBatch(graph), TrainConfig(epochs=epochs), seed=0, device=device)
    pretrain(Fit(), FullBatch(graph), TrainConfig(epochs=epochs), seed=0, device="auto")


def test_a_cluster_scheduler_does_not_make_ranks(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SLURM_NTASKS": "4",
        "SLURM_JOB_NAME": "bench",
        "SLURM_PROCID": "3",
        "SLURM_LOCALID": "3",
    }.items():
        monkeypatch.setenv(name, value)
    assert pretrain(Fit(), FullBatch(graph), TrainConfig(epochs=1), seed=0).epochs == 1
