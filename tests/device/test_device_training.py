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
from gssl.methods.gca import GCA
from gssl.methods.grace import GRACE
from gssl.methods.graphmae import GraphMAE
from gssl.methods.progcl import ProGCL
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch
from gssl.samplers.pair import PairSampler
from gssl.testing.emulated.cuda import emulated_cuda, needs_emulated_cuda
from gssl.testing.emulated.training import Make, Step, counted_steps
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.countdown import Countdown
from gssl.training.loop import pretrain
from gssl.training.progress import Quiet
from gssl.training.result import EpochRecord

pytestmark = needs_emulated_cuda()
GRAPH = toy_graph(num_nodes=60, in_dim=8)


def bgrl(num_layers: int = 2) -> Method:
    torch.manual_seed(0)
    return BGRL(GCN(8, hidden_dim=8, num_layers=num_layers, dropout=0.2), predictor_dim=8)


def sampled(name: str, kind: type[Any] | None = None, *, num_layers: int = 2, **options: Any) -> Make:
    def make() -> tuple[Method, Sampler]:
        method = bgrl(num_layers) if kind is None else seeded(kind)()
        method.prepare(GRAPH, 0)
        layers = method.num_layers
        return method, SAMPLERS.get(name)(GRAPH, num_layers=layers, batch_size=12, seed=0, **options)

    return make


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


def on_the_host(name: str, kind: type[Any] | None = None, **options: Any) -> Make:
    """A training whose batches numba makes on the CPU."""
    return sampled(name, kind, backend="numba", **options)


def made_there(name: str, kind: type[Any] | None = None, **options: Any) -> Make:
    """A training whose batches torch operators make on the device, each when it is asked for."""
    return sampled(name, kind, backend="torch", prefetch=0, **options)


# How often the host waits in a step, and the operations that it gives the device. An ``.item()`` or a mask in the loop,
# a propagation or an encoder is one more; fewer are to be written down here.
WHOLE: dict[str, tuple[Make, int, int]] = {
    "DGI": (full(seeded(DGI)), 0, 203),
    "GRACE": (full(seeded(GRACE, projector_dim=8)), 1, 442),
    "BGRL": (full(bgrl), 1, 478),
    "GAE": (full(seeded(GAE)), 1, 157),
    "GraphMAE": (full(seeded(GraphMAE)), 1, 390),
}


# The same of sampled batches. The second number is what the first step of an epoch adds: 1 for the losses of the epoch
# before, 1 for the ages of stored rows, and with minvar what its checkpoint waits for, which is another batch; ProGCL
# looks at all embeddings once in a training, here in an epoch that is counted. Views are waited for once, all together;
# where norms decide the next draw, they are waited for, too.
ON_THE_HOST: dict[str, tuple[Make, int, int, int]] = {
    "graphsage": (on_the_host("graphsage", fanouts=3), 1, 1, 521),
    "labor": (on_the_host("labor", fanouts=3), 1, 1, 537),
    "ladies": (on_the_host("ladies", nodes_per_layer=10), 1, 1, 537),
    "clustergcn": (on_the_host("clustergcn"), 1, 1, 489),
    "shadow": (on_the_host("shadow"), 1, 1, 489),
    "exact": (on_the_host("uniform+exact"), 1, 1, 521),
    "gas": (on_the_host("gas"), 1, 2, 583),
    "gas, host memory": (on_the_host("gas", history_storage="pinned"), 2, 1, 527),
    "lmc": (on_the_host("lmc"), 1, 2, 879),
    "vrgcn": (on_the_host("vrgcn"), 1, 2, 760),
    "minvar+adjoint": (on_the_host("minvar+adjoint"), 1, 3, 788),
    "minvar+neighbor": (on_the_host("minvar+neighbor", gamma=0.5, fanouts=3), 2, 2, 548),
    "mvs": (on_the_host("mvs", gamma=0.5), 2, 3, 610),
    "graphsage, 3 layers": (on_the_host("graphsage", num_layers=3, fanouts=3), 1, 1, 737),
    "GraphMAE": (on_the_host("graphsage", GraphMAE, fanouts=3), 1, 1, 439),
    "GCA": (on_the_host("graphsage", GCA, fanouts=3), 1, 1, 539),
    "ProGCL": (on_the_host("graphsage", ProGCL, fanouts=3), 1, 3, 751),
}


# Batches that torch operators make on the device wait once a hop besides, for its size: "hops + views (+ norms)".
MADE_THERE: dict[str, tuple[Make, int, int, int]] = {
    "graphsage": (made_there("graphsage", fanouts=3), 2 + 1, 1, 911),
    "labor": (made_there("labor", fanouts=3), 2 + 1, 1, 805),
    "labor, a round": (made_there("labor", fanouts=3, iterations=1), 2 + 1, 1, 1017),
    "ladies": (made_there("ladies", nodes_per_layer=10), 2 + 1, 1, 925),
    "fastgcn": (made_there("fastgcn", nodes_per_layer=10), 2 + 1, 1, 797),
    "exact": (made_there("uniform+exact"), 2 + 1, 1, 675),
    "clustergcn": (made_there("clustergcn"), 1 + 1, 1, 547),
    "graphsaint": (made_there("graphsaint"), 2 + 1, 1, 680),  # a walk, and the edges among its nodes
    "shadow": (made_there("shadow"), 2 + 1, 1, 1332),  # all hops together, and the edges
    "gas": (made_there("gas"), 1 + 1, 2, 677),
    "lmc": (made_there("lmc"), 2 + 1, 2, 1033),
    "vrgcn": (made_there("vrgcn"), 2 + 1, 2, 1014),
    "minvar+adjoint": (made_there("minvar+adjoint"), 1 + 1, 3, 946),
    "minvar+neighbor": (made_there("minvar+neighbor", gamma=0.5, fanouts=3), 2 + 1 + 1, 4, 938),
    "hajek": (made_there("minvar+neighbor", gamma=0.5, fanouts=3, estimator="hajek"), 2 + 1 + 1, 4, 938),
    "mvs": (made_there("mvs", gamma=0.5), 1 + 1 + 1, 5, 704),
    "graphsage, 3 layers": (made_there("graphsage", num_layers=3, fanouts=3), 3 + 1, 1, 1311),
    "labor, 3 layers": (made_there("labor", num_layers=3, fanouts=3), 3 + 1, 1, 1154),
    "ladies, 3 layers": (made_there("ladies", num_layers=3, nodes_per_layer=10), 3 + 1, 1, 1334),
    "exact, 3 layers": (made_there("uniform+exact", num_layers=3), 3 + 1, 1, 957),
    "vrgcn, 3 layers": (made_there("vrgcn", num_layers=3), 3 + 1, 2, 1635),
    "GraphMAE": (made_there("graphsage", GraphMAE, fanouts=3), 3 + 1, 1, 978),
    "GCA": (made_there("graphsage", GCA, fanouts=3), 2 + 1, 1, 905),
    "ProGCL": (made_there("graphsage", ProGCL, fanouts=3), 2 + 1, 3, 1117),
}
BATCHES = 5  # in an epoch


@pytest.mark.parametrize("case", WHOLE.values(), ids=WHOLE)
def test_a_step_on_the_whole_graph_makes_the_host_wait_so_often(case: tuple[Make, int, int]) -> None:
    make, waits, kernels = case
    steps = counted_steps(make, TrainConfig(epochs=5, lr=0.01))[2:]  # the first loss is looked at alone
    assert [step.counts.waits for step in steps] == [waits] * 3, [step.waits for step in steps]
    assert steps[-2].counts.kernels == kernels, steps[-2].kernels


@pytest.mark.parametrize(
    "case", [*ON_THE_HOST.values(), *MADE_THERE.values()], ids=[*ON_THE_HOST, *(f"{n}, there" for n in MADE_THERE)]
)
def test_every_step_of_an_epoch_makes_the_host_wait_so_often(case: tuple[Make, int, int, int]) -> None:
    make, waits, more, kernels = case
    steps = counted_steps(make, TrainConfig(epochs=2, lr=0.01))
    later = steps[BATCHES:]
    found = [awaited(step, sending=False) for step in later]
    assert found[0] == waits + more, later[0].waits
    assert [n for place, n in enumerate(found) if place % BATCHES] == [waits] * (BATCHES - 1), [
        step.waits for step in later
    ]
    assert sum(awaited(step, sending=True) for step in later) <= 6 / 5 * len(later), "once a batch, checkpoints too"
    assert steps[-2].counts.kernels == kernels, steps[-2].kernels
    assert not any(step.pageable for step in later[1:]), "batches travel from pinned memory"


def awaited(step: Step, *, sending: bool) -> int:
    """Waits of a step; those for a buffer to be free again are of the thread that sends batches ahead, if there is one,
    which has the batch of some step at hand.
    """
    return sum(number for place, number in step.waits.items() if ("samplers/delivery.py" in place) == sending)


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
