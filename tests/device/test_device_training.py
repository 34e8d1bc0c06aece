"""Training on an emulated device: checkpoints, memory, what instruments see, and what a step costs."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gssl.common.errors import InputError, TrainingError
from gssl.method import Method
from gssl.methods.bgrl import BGRL
from gssl.methods.dgi import DGI
from gssl.methods.gae import GAE
from gssl.methods.grace import GRACE
from gssl.methods.graphmae import GraphMAE
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch
from gssl.samplers.pair import PairSampler
from gssl.testing.emulated.cuda import emulated_cuda, needs_emulated_cuda
from gssl.testing.emulated.training import Make, counted_steps
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.countdown import Countdown
from gssl.training.loop import pretrain
from gssl.training.progress import Quiet
from gssl.training.result import EpochRecord

pytestmark = needs_emulated_cuda()
GRAPH = toy_graph(num_nodes=60, in_dim=8)


def bgrl() -> Method:
    torch.manual_seed(0)
    return BGRL(GCN(8, hidden_dim=8, dropout=0.2), predictor_dim=8)


def sampled(name: str, **options: Any) -> Make:
    return lambda: (bgrl(), SAMPLERS.get(name)(GRAPH, num_layers=2, batch_size=12, seed=0, **options))


@pytest.mark.parametrize(
    ("name", "options"),
    [("graphsage", {"fanouts": 3}), ("gas", {}), ("lmc", {"history_storage": "pinned"}), ("mvs", {"gamma": 0.5})],
)
def test_a_resumed_training_ends_with_the_same_bits(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    precision = "16-mixed" if name == "graphsage" else "32-true"  # with the state of the scaler

    def make() -> tuple[Method, Sampler]:
        torch.manual_seed(0)
        method = GRACE(GCN(8, hidden_dim=8, dropout=0.2), projector_dim=8)  # whose steps know no end of training
        return method, SAMPLERS.get(name)(GRAPH, num_layers=2, batch_size=12, seed=0, **options)

    def run(epochs: int, file: Path | None) -> tuple[Method, Sampler]:
        method, sampler = make()
        config = TrainConfig(epochs=epochs, lr=0.01, precision=precision)  # type: ignore[arg-type]
        pretrain(method, sampler, config, seed=0, device="cuda", checkpoint=file)
        return method, sampler

    with emulated_cuda():
        whole, _ = run(3, None)
        run(2, tmp_path / "checkpoint")
        resumed, sampler = run(3, tmp_path / "checkpoint")
        weights = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
        assert all(torch.equal(a.cpu(), b.cpu()) for a, b in weights)
        store = getattr(sampler, "store", None)
        if store is not None:
            rows = store._rows.values()
            assert rows
            assert {row.device.type for row in rows} == {"cpu" if store.storage == "pinned" else "cuda"}


def test_memory_that_is_too_small_is_said_before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    with emulated_cuda():
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2**36))
        method, sampler = bgrl(), FullBatch(GRAPH)
        with pytest.raises(InputError, match="GiB of memory left, but this training needs at least"):
            pretrain(method, sampler, TrainConfig(epochs=1), seed=0, device="cuda")
        assert next(method.parameters()).device.type == "cpu"


def test_a_loss_that_is_not_finite_ends_the_training_before_anything_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    with emulated_cuda():
        method, sampler = sampled("graphsage", fanouts=3)()
        loss, batches = method.loss, iter(range(1000))
        method.loss = lambda batch: loss(batch) * (math.nan if next(batches) > 6 else 1)  # type: ignore[method-assign]
        config = TrainConfig(epochs=3, checkpoint_seconds=1e-9)
        with pytest.raises(TrainingError, match="the loss is nan in epoch 1"):
            pretrain(method, sampler, config, seed=0, device="cuda", checkpoint=file)
        fresh, sampler = sampled("graphsage", fanouts=3)()
        result = pretrain(fresh, sampler, TrainConfig(epochs=2), seed=0, device="cuda", checkpoint=file)
        assert all(math.isfinite(record.loss) for record in result.curve)


def full(build: Callable[[], Method]) -> Make:
    return lambda: (build(), FullBatch(GRAPH))


def seeded(kind: type[Any], **options: Any) -> Callable[[], Method]:
    def build() -> Method:
        torch.manual_seed(0)
        made: Method = kind(GCN(8, hidden_dim=8), **options)
        return made

    return build


def on_the_host(name: str, **options: Any) -> Make:
    """A training whose batches numba makes on the CPU."""
    return sampled(name, backend="numba", **options)


def made_there(name: str, **options: Any) -> Make:
    """A training whose batches torch operators make on the device, each when it is asked for."""
    return sampled(name, backend="torch", prefetch=0, **options)


# How often the host waits in a step, and the operations that it gives the device. An ``.item()`` or a mask in the loop,
# a propagation or an encoder is one more; fewer are to be written down here.
WAITS: dict[str, tuple[Make, int, int]] = {
    "DGI": (full(seeded(DGI)), 0, 203),
    "GRACE": (full(seeded(GRACE, projector_dim=8)), 2, 443),
    "BGRL": (full(bgrl), 2, 479),
    "GAE": (full(seeded(GAE)), 1, 159),
    "GraphMAE": (full(seeded(GraphMAE)), 1, 387),
    "graphsage": (on_the_host("graphsage", fanouts=3), 2, 522),
    "labor": (on_the_host("labor", fanouts=3), 2, 538),
    "ladies": (on_the_host("ladies", nodes_per_layer=10), 2, 538),
    "clustergcn": (on_the_host("clustergcn"), 2, 490),
    "shadow": (on_the_host("shadow"), 2, 490),
    "exact": (on_the_host("uniform+exact"), 2, 522),
    "gas": (on_the_host("gas"), 2, 584),
    "gas, host memory": (on_the_host("gas", history_storage="pinned"), 3, 528),
    "lmc": (on_the_host("lmc"), 2, 880),
    "vrgcn": (on_the_host("vrgcn"), 2, 761),
    "minvar+adjoint": (on_the_host("minvar+adjoint"), 2, 785),
    "mvs": (on_the_host("mvs", gamma=0.5), 4, 607),
}


# Batches that are made on the device by torch operators, which wait for sizes once a hop. Two of each are those of the
# training, whose views drop edges; mvs has one for the norms that it draws by.
MADE_THERE: dict[str, tuple[Make, int, int]] = {
    "graphsage": (made_there("graphsage", fanouts=3), 4, 912),
    "labor": (made_there("labor", fanouts=3), 4, 806),
    "ladies": (made_there("ladies", nodes_per_layer=10), 4, 926),
    "fastgcn": (made_there("fastgcn", nodes_per_layer=10), 4, 798),
    "exact": (made_there("uniform+exact"), 4, 676),
    "clustergcn": (made_there("clustergcn"), 3, 548),
    "graphsaint": (made_there("graphsaint"), 4, 681),
    "shadow": (made_there("shadow"), 4, 1333),
    "gas": (made_there("gas"), 3, 678),
    "lmc": (made_there("lmc"), 4, 1034),
    "vrgcn": (made_there("vrgcn"), 4, 1015),
    "minvar+adjoint": (made_there("minvar+adjoint"), 3, 943),
    "mvs": (made_there("mvs", gamma=0.5), 4, 701),
}


@pytest.mark.parametrize(
    "case", [*WAITS.values(), *MADE_THERE.values()], ids=[*WAITS, *(f"{n}, there" for n in MADE_THERE)]
)
def test_a_step_makes_the_host_wait_so_often(case: tuple[Make, int, int]) -> None:
    make, waits, kernels = case
    step = counted_steps(make, TrainConfig(epochs=5, lr=0.01))[-2]
    assert step.counts.waits == waits, step.waits
    assert step.counts.kernels == kernels, step.kernels
    assert not step.pageable, "batches travel from pinned memory"


def test_an_instrument_that_watches_sees_every_loss() -> None:
    with emulated_cuda():
        method, sampler = sampled("graphsage", fanouts=3)()
        seen: list[float] = []

        def noted(value: float) -> bool:
            seen.append(value)
            return False

        result = pretrain(method, sampler, TrainConfig(epochs=1), seed=0, device="cuda", watch=noted)
        assert result.curve[0].loss == pytest.approx(sum(seen) / len(seen))
        pretrain(method, sampler, TrainConfig(epochs=1), seed=0, device="cuda", watch=Countdown(1))


def test_variance_and_convergence_are_those_of_the_cpu() -> None:
    from gssl.convergence.watch import ObservationPlan, Observer
    from gssl.variance.frozen import FrozenMethod
    from gssl.variance.measure import measure

    def errors(device: str) -> list[float]:
        method = seeded(BGRL, predictor_dim=8)().to(device).eval()
        frozen = FrozenMethod(method, GRAPH, 0)
        sampler = SAMPLERS.get("minvar+adjoint")(GRAPH, num_layers=2, batch_size=20, prefetch=0)
        assert isinstance(sampler, PairSampler)
        frozen.settle(sampler)
        found = measure(frozen, frozen.full_gradient(2), frozen.layer_outputs(frozen.full), sampler, 3)
        return [found.total.bias2, found.total.variance, *found.embedding]

    def points(device: str) -> list[float]:
        method, sampler = sampled("graphsage", fanouts=3)()
        watch = Observer(ObservationPlan(0.0, 4, 2), lambda: 0.5, method, GRAPH.full_batch())
        config = TrainConfig(epochs=2, lr=0.01, optimizer="sgd")
        pretrain(method, sampler, config, seed=0, device=device, watch=watch)
        return [value for point in watch.points for value in (point.loss, point.gradient_error or 0.0)]

    expected = errors("cpu"), points("cpu")
    with emulated_cuda():
        assert errors("cuda") == pytest.approx(expected[0], rel=1e-3)
        assert points("cuda") == pytest.approx(expected[1], rel=1e-3)


class Shown(Quiet):
    """The epochs that a display was told of."""

    def __init__(self) -> None:
        self.epochs: list[EpochRecord] = []

    def epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)


def test_losses_that_are_told_together_are_those_of_their_epochs(tmp_path: Path) -> None:
    """Also across a checkpoint, which looks at what is left; each epoch is shown once, with its share of the time."""
    config = TrainConfig(epochs=21, lr=0.01, optimizer="sgd")
    here = pretrain(seeded(DGI)(), FullBatch(GRAPH), config, seed=0).curve
    for file, seconds in ((None, 30.0), (tmp_path / "checkpoint", 1e-9)):
        shown = Shown()
        with emulated_cuda():
            method = seeded(DGI)()
            watched = replace(config, checkpoint_seconds=seconds)
            there = pretrain(method, FullBatch(GRAPH), watched, seed=0, device="cuda", checkpoint=file, progress=shown)
        assert [record.loss for record in there.curve] == pytest.approx([record.loss for record in here], abs=1e-5)
        assert [record.epoch for record in shown.epochs] == list(range(21))
        assert all(math.isfinite(record.loss) for record in shown.epochs)
        assert there.seconds == pytest.approx(sum(record.seconds for record in shown.epochs))
