"""The loop against bare torch, and what it promises about seeds, stopping, failing and reporting."""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from gssl.common.errors import InputError, TrainingError
from gssl.common.seeds import derive_seed
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.reference import Untrained
from gssl.models.gcn import GCN
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.testing.toy import toy_graph, toy_graphs
from gssl.training.checkpoint import load_weights
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain
from gssl.training.result import EpochRecord


@pytest.fixture
def graph() -> Graph:
    return toy_graph(num_nodes=30, in_dim=8)


@pytest.fixture
def batches() -> GraphBatches:
    """Ten graphs in three batches of at most four graphs."""
    return GraphBatches(toy_graphs(num_graphs=10, in_dim=8), batch_size=4, seed=5)


class Fit(Method):
    """Regression of node embeddings onto the features; graph batches regress sums."""

    def __init__(self, dropout: float = 0.0) -> None:
        torch.manual_seed(0)
        super().__init__(GCN(8, hidden_dim=8, dropout=dropout))
        self.noise: list[Tensor] = []
        self.progress: list[float] = []

    def loss(self, batch: MiniBatch) -> Tensor:
        self.noise.append(torch.rand(1, generator=self.rng))
        assert isinstance(batch.x, Tensor)
        loss: Tensor = (self.encoder(batch) - batch.x).square().mean()
        return loss

    def after_step(self, progress: float) -> None:
        self.progress.append(progress)


class Scripted(Method):
    """Given losses, one per batch, whose gradient is 1 whatever their value; ``value`` counts the updates."""

    def __init__(self, losses: Sequence[float]) -> None:
        super().__init__(GCN(8, hidden_dim=1))
        self.encoder.requires_grad_(False)
        self.value = nn.Parameter(torch.zeros(()))
        self.losses = iter(losses)

    def loss(self, batch: MiniBatch) -> Tensor:
        return self.value - self.value.detach() + next(self.losses)


class Accumulating(Sampler):
    """The same batches as another sampler, with an update only where ``steps`` says so."""

    def __init__(self, inner: Sampler, steps: Sequence[bool]) -> None:
        self.inner = inner
        self.steps = steps

    @property
    def batches_per_epoch(self) -> int:
        return len(self.steps)

    def epoch(self, epoch: int) -> Iterator[MiniBatch]:
        for batch, step in zip(self.inner.epoch(epoch), self.steps, strict=True):
            yield batch.planned(step=step)


class Recorder:
    """A display that writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def start(self, epochs: int, done: int) -> None:
        self.calls.append((epochs, done))

    def epoch(self, record: EpochRecord) -> None:
        self.calls.append(record)

    def stop(self) -> None:
        self.calls.append("stop")


SGD = TrainConfig(optimizer="sgd", lr=1.0)


def weights(method: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in method.parameters()]


def same(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(epochs=7, lr=0.02),
        TrainConfig(epochs=7, lr=0.02, weight_decay=0.1),
        TrainConfig(epochs=7, lr=0.02, optimizer="adamw", weight_decay=0.1, clip_norm=0.05),
        TrainConfig(epochs=7, lr=0.3, optimizer="sgd", schedule="cosine", warmup_epochs=2),
        TrainConfig(epochs=7, lr=0.3, optimizer="sgd", clip_norm=0.05, weight_decay=0.1, warmup_epochs=3),
    ],
    ids=repr,
)
@pytest.mark.parametrize("level", ["full", "graphs"])
def test_equals_a_bare_torch_loop(config: TrainConfig, level: str, graph: Graph, batches: GraphBatches) -> None:
    sampler: Sampler = FullBatch(graph) if level == "full" else batches
    ours, bare = Fit(), Fit()
    result = pretrain(ours, sampler, config, seed=0)

    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
    }
    optimizer = kinds[config.optimizer](bare.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    per_epoch = sampler.batches_per_epoch
    warm, total = config.warmup_epochs * per_epoch, config.epochs * per_epoch

    def factor(step: int) -> float:
        if step < warm:
            return step / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm))) if config.schedule == "cosine" else 1.0

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    expected: list[Any] = []
    for epoch in range(config.epochs):
        losses = []
        for batch in sampler.epoch(epoch):
            optimizer.zero_grad()
            loss = bare.loss(batch)
            loss.backward()
            if config.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(bare.parameters(), config.clip_norm)
            rate = schedule.get_last_lr()[0]
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        expected.append((epoch, pytest.approx(sum(losses) / len(losses), rel=1e-5), pytest.approx(rate)))

    assert [(r.epoch, r.loss, r.lr) for r in result.curve] == expected
    for mine, theirs in zip(ours.parameters(), bare.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_gradients_add_up_until_a_batch_steps(batches: GraphBatches) -> None:
    ours, bare = Fit(), Fit()
    pretrain(ours, Accumulating(batches, [False, False, True]), TrainConfig(epochs=3, optimizer="sgd", lr=0.1), seed=0)
    for epoch in range(3):
        total = torch.stack([bare.loss(batch) for batch in batches.epoch(epoch)]).sum()
        gradients = torch.autograd.grad(total, list(bare.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(bare.parameters(), gradients, strict=True):
                parameter.sub_(0.1 * gradient)
    for mine, theirs in zip(ours.parameters(), bare.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert ours.progress == [1 / 3, 2 / 3, 1.0]


def test_an_epoch_must_end_with_an_update(batches: GraphBatches) -> None:
    with pytest.raises(TrainingError, match="epoch 0: the sampler Accumulating"):
        pretrain(Fit(), Accumulating(batches, [True, True, False]), TrainConfig(epochs=2), seed=0)


def test_gradients_from_before_do_not_count(graph: Graph) -> None:
    used, fresh = Fit(), Fit()
    used.loss(graph.full_batch()).backward()
    for method in (used, fresh):
        pretrain(method, FullBatch(graph), TrainConfig(epochs=1, optimizer="sgd", lr=1.0), seed=0)
    assert same(weights(used), weights(fresh))


def test_seed_decides_everything(batches: GraphBatches) -> None:
    results = []
    for seed in (7, 7, 8):
        torch.rand(seed)  # the state of the global generator must not matter
        method = Fit(dropout=0.5)
        pretrain(method, batches, TrainConfig(epochs=3), seed=seed)
        results.append((method.noise, weights(method)))
    (noise, first), (noise_again, again), (other_noise, other) = results
    assert same(first, again)
    assert same(noise, noise_again)
    assert not same(first, other)
    assert not same(noise, other_noise)
    assert len({float(value) for value in noise}) == 9  # every batch of every epoch draws anew


def test_each_epoch_starts_its_own_streams(graph: Graph) -> None:
    method = Fit()
    pretrain(method, FullBatch(graph), TrainConfig(epochs=3), seed=7)
    streams = [torch.Generator().manual_seed(derive_seed(7, "augment", epoch)) for epoch in range(3)]
    assert same(method.noise, [torch.rand(1, generator=stream) for stream in streams])


def test_progress_ends_at_one(batches: GraphBatches) -> None:
    method = Fit()
    pretrain(method, batches, TrainConfig(epochs=4), seed=0)
    assert method.progress == pytest.approx([(step + 1) / 12 for step in range(12)])
    assert method.progress[-1] == 1.0


def test_patience_returns_to_the_best_epoch(graph: Graph) -> None:
    method = Scripted([5, 4, 3, 3.5, 3.0, 2.0])
    result = pretrain(method, FullBatch(graph), TrainConfig(optimizer="sgd", lr=1.0, patience=2), seed=0)
    assert result.stopped_early
    assert (result.epochs, result.best_epoch) == (5, 2)  # 3.0 again is no improvement
    assert method.value.item() == -3.0


def test_best_weights_count_when_the_epochs_run_out(graph: Graph) -> None:
    method = Scripted([5, 3, 4])
    result = pretrain(method, FullBatch(graph), TrainConfig(optimizer="sgd", lr=1.0, epochs=3, patience=9), seed=0)
    assert (result.stopped_early, result.epochs, result.best_epoch) == (False, 3, 1)
    assert method.value.item() == -2.0


def test_without_patience_the_last_weights_stay(graph: Graph) -> None:
    method = Scripted([5, 3, 4])
    result = pretrain(method, FullBatch(graph), TrainConfig(optimizer="sgd", lr=1.0, epochs=3), seed=0)
    assert (result.best_epoch, method.value.item()) == (None, -3.0)


def test_validation_replaces_the_loss_as_criterion(graph: Graph) -> None:
    method = Scripted([5, 4, 3, 2, 1])
    scores = iter([0.1, 0.7, 0.7, 0.2, 0.9])
    modes = []

    def validate() -> float:
        modes.append(method.training)
        return next(scores)

    config = TrainConfig(optimizer="sgd", lr=1.0, epochs=5, patience=2)
    result = pretrain(method, FullBatch(graph), config, seed=0, validate=validate)
    assert [record.val for record in result.curve] == [0.1, 0.7, 0.7, 0.2]
    assert (result.best_epoch, method.value.item()) == (1, -2.0)
    assert modes == [False] * 4


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_names_its_epoch(bad: float, graph: Graph) -> None:
    method = Scripted([0.5, 0.25, bad])
    with pytest.raises(
        TrainingError, match=r"loss is -?(nan|inf) in epoch 2 \(last good mean loss: 0\.25\).*train\.lr"
    ):
        pretrain(method, FullBatch(graph), SGD, seed=0)
    assert method.value.item() == -2.0  # no update from the bad loss


@pytest.mark.parametrize(("losses", "explodes"), [((1, 2e8), True), ((1, -2e8), True), ((1e7, 2e8), False)])
def test_a_loss_explodes_relative_to_the_first_epoch(losses: list[float], explodes: bool, graph: Graph) -> None:
    config = TrainConfig(optimizer="sgd", lr=1.0, epochs=2)
    if not explodes:
        assert pretrain(Scripted(losses), FullBatch(graph), config, seed=0).epochs == 2
        return
    with pytest.raises(TrainingError, match="in epoch 1"):
        pretrain(Scripted(losses), FullBatch(graph), config, seed=0)


@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_gradient_that_is_not_finite_is_not_applied(clip: float | None, graph: Graph) -> None:
    class Root(Scripted):
        def loss(self, batch: MiniBatch) -> Tensor:
            return self.value.sqrt()

    method = Root([])
    with pytest.raises(TrainingError, match=r"gradient norm is inf in epoch 0 \(last good mean loss: none"):
        pretrain(method, FullBatch(graph), TrainConfig(optimizer="sgd", clip_norm=clip), seed=0)
    assert method.value.item() == 0.0


def test_no_epochs_keeps_the_initial_weights(graph: Graph) -> None:
    method = Fit()
    before = weights(method)
    result = pretrain(method, FullBatch(graph), TrainConfig(epochs=0), seed=0)
    assert same(before, weights(method))
    assert (result.epochs, result.curve, result.seconds_per_epoch) == (0, (), 0.0)
    assert not method.training


def test_weights_can_be_read_back_however_long_training_was(graph: Graph, tmp_path: Path) -> None:
    for number, config in enumerate((TrainConfig(epochs=0), TrainConfig(epochs=3), TrainConfig(epochs=3, patience=1))):
        path, method = tmp_path / f"{number}.pt", Scripted([3, 1, 2])
        assert load_weights(path, config_key="k") is None
        pretrain(method, FullBatch(graph), config, seed=0, checkpoint=path, config_key="k")
        stored = load_weights(path, config_key="k")
        assert stored is not None
        assert {name: value.tolist() for name, value in stored.items()} == {
            name: value.tolist() for name, value in method.state_dict().items()
        }
        with pytest.raises(InputError, match="another configuration"):
            pretrain(method, FullBatch(graph), config, seed=0, checkpoint=path, config_key="other")


def test_a_reference_row_is_never_trained(graph: Graph) -> None:
    method = Untrained(GCN(8))
    before = weights(method)
    assert pretrain(method, FullBatch(graph), TrainConfig(epochs=5), seed=0).epochs == 0
    assert same(before, weights(method))


def test_nothing_to_train_is_an_error(graph: Graph) -> None:
    method = Fit()
    method.requires_grad_(False)
    with pytest.raises(InputError, match="Fit has no parameters to train"):
        pretrain(method, FullBatch(graph), TrainConfig(epochs=1), seed=0)


def test_only_parameters_that_require_gradients_move(graph: Graph) -> None:
    method = Fit()
    frozen, *others = method.encoder.parameters()
    frozen.requires_grad_(False)
    before = frozen.clone(), [p.clone() for p in others]
    pretrain(method, FullBatch(graph), TrainConfig(epochs=3, weight_decay=1.0), seed=0)
    assert torch.equal(before[0], frozen)
    assert not any(torch.equal(a, b) for a, b in zip(before[1], others, strict=True))


def test_the_display_hears_of_every_epoch_and_of_the_end(graph: Graph) -> None:
    display = Recorder()
    result = pretrain(Scripted([2, 1]), FullBatch(graph), TrainConfig(epochs=2), seed=0, progress=display)
    assert display.calls == [(2, 0), *result.curve, "stop"]
    with pytest.raises(TrainingError):
        pretrain(Scripted([math.nan]), FullBatch(graph), TrainConfig(epochs=2), seed=0, progress=display)
    assert display.calls[-1] == "stop"


def test_from_the_caller_to_the_loss_there_is_one_frame_between(graph: Graph) -> None:
    class Deep(Fit):
        depth: ClassVar[list[str]] = []

        def loss(self, batch: MiniBatch) -> Tensor:
            modules = ((f.function, f.frame.f_globals["__name__"]) for f in inspect.stack())
            self.depth[:] = [function for function, module in modules if module.startswith("gssl.")]
            return super().loss(batch)

    pretrain(Deep(), FullBatch(graph), TrainConfig(epochs=1), seed=0)
    assert Deep.depth == ["_epoch", "pretrain"]


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda method, batch: method.embed(batch).square().mean(1), r"one number, but has the shape \(30,\)"),
        (lambda method, batch: 1.0, "must be a tensor with one number, but is a float"),
        (lambda method, batch: torch.tensor(1.0), "depends on none of its parameters"),
    ],
    ids=["vector", "float", "constant"],
)
def test_a_loss_that_is_no_scalar_is_named(loss: Any, message: str, graph: Graph) -> None:
    class Vague(Fit):
        def loss(self, batch: MiniBatch) -> Tensor:
            found: Tensor = loss(self, batch)
            return found

    with pytest.raises(TrainingError, match=message):
        pretrain(Vague(), FullBatch(graph), TrainConfig(epochs=1), seed=0)
