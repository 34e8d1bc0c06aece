"""Auxiliary learning: what reaches the self-supervised method, who trains whom, and what is seen of the labels."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.types import Dataset, Labels, Level, Split
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import MAIN, Method, OverItems, Player
from gssl.methods.auxiliary import Auxiliary
from gssl.methods.labelled import Labelled
from gssl.models.encoder import Encoder
from gssl.models.gcn import GCN
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.settings.problem import Problem, make_problem
from gssl.testing.toy import toy_dataset, toy_graph, toy_graphs
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

NONE = torch.empty(0, dtype=torch.int64)


class Companion(Method):
    """Writes down what it is told, draws from its own stream, and plays against a critic."""

    levels = ("node", "graph")
    renewed: Tensor

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.critic = nn.Linear(encoder.out_dim, 1)
        self.idle = nn.Parameter(torch.ones(()))
        self.told: list[object] = []
        self.register_buffer("renewed", torch.zeros(()))

    def players(self) -> Mapping[str, Player]:
        critics, learners = tuple(self.critic.parameters()), tuple(self.encoder.parameters())
        return {"critic": Player(critics, lr=0.5, loss=self.criticism), MAIN: Player(learners)}

    def criticism(self, batch: MiniBatch) -> Tensor:
        with torch.no_grad():
            rows = self.embed(batch)
        found: Tensor = (self.critic(rows + torch.randn(rows.shape, generator=self.rng)) - 1).square().mean()
        return found

    def loss(self, batch: MiniBatch) -> Tensor:
        found: Tensor = self.critic(self.embed(batch)).square().mean() + self.renewed * 0
        return found

    def mass(self, batch: MiniBatch) -> float:
        return 3.0

    def check_sampler(self, sampler: Sampler) -> None:
        self.told.append("sampler")

    def prepare(self, graph: Graph, seed: int) -> None:
        self.told.append(("prepare", graph.num_nodes))

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        self.told.append(("begin", epoch, tuple(over_items(self.embed).shape)))
        self.renewed.add_(1)

    def after_step(self, progress: float) -> None:
        self.told.append(("step", round(progress, 3)))


def learner(labels: Labels, split: Split, *, weight: float = 1.0, in_dim: int = 24) -> tuple[Auxiliary, Companion]:
    torch.manual_seed(1)
    companion = Companion(GCN(in_dim, hidden_dim=6, dropout=0.2))
    method = Auxiliary(companion, weight=weight, dropout=0.1)
    method.fit_labels(labels, split)
    return method, companion


def of_nodes(weight: float = 1.0) -> tuple[Auxiliary, Companion, FullBatch]:
    dataset = toy_dataset("node")
    assert dataset.labels is not None
    return *learner(dataset.labels, dataset.splits[0], weight=weight), FullBatch(dataset.graph)


def of_graphs() -> tuple[Auxiliary, GraphBatches]:
    """Ten graphs in three batches."""
    labels = Labels(torch.arange(10) % 2, "multiclass", 2)
    method, _ = learner(labels, Split("toy", torch.arange(0, 10, 3), NONE, NONE), in_dim=4)
    return method, GraphBatches(toy_graphs(num_graphs=10), batch_size=4, seed=5)


def test_the_companion_lives_as_it_would_alone() -> None:
    method, companion, sampler = of_nodes()
    method.prepare(toy_graph(num_nodes=30), 0)
    pretrain(method, sampler, TrainConfig(epochs=2), seed=0)
    assert companion.told == [
        ("prepare", 30),
        "sampler",
        *(("begin", 0, (120, 6)), ("step", 0.5), ("begin", 1, (120, 6)), ("step", 1.0)),
    ]
    assert companion.rng is method.rng


def test_each_player_moves_its_own_and_the_head_goes_with_the_encoder() -> None:
    method, companion, sampler = of_nodes()
    players = method.players()
    assert list(players) == ["critic", MAIN]
    last = {id(p) for p in players[MAIN].parameters}
    assert last == {id(p) for p in (*companion.encoder.parameters(), *method.head.parameters())}
    before = {name: p.detach().clone() for name, p in method.named_parameters()}
    pretrain(method, sampler, TrainConfig(epochs=1), seed=0)
    moved = {name for name, p in method.named_parameters() if not torch.equal(p, before[name])}
    still = {name for name in before if name not in moved}
    assert still == {"companion.idle"}


def test_the_loss_of_an_adversary_has_the_mass_of_the_companion_and_no_labels() -> None:
    method, companion, sampler = of_nodes(weight=0.0)
    batch = sampler.graph.full_batch()
    critic = method.players()["critic"].loss
    assert critic is not None
    method.eval()
    method.reseed(3, torch.device("cpu"))
    found = critic(batch)
    method.reseed(3, torch.device("cpu"))
    assert torch.equal(found, 3 * companion.criticism(batch))
    gradients = torch.autograd.grad(critic(batch), list(method.head.parameters()), allow_unused=True)
    assert all(gradient is None for gradient in gradients)


def test_with_weight_zero_the_labels_alone_train_the_encoder() -> None:
    method, companion, sampler = of_nodes(weight=0.0)
    method.eval()
    batch = sampler.graph.full_batch()
    parameters = list(companion.encoder.parameters())
    both = torch.autograd.grad(method.loss(batch), parameters)
    alone = torch.autograd.grad(method.label_loss(batch), parameters)
    for one, other in zip(both, alone, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("stop", [1, 4, 8])
def test_an_interrupted_training_ends_with_the_same_bits(stop: int, tmp_path: Path) -> None:
    """In the middle of an epoch too: the stream of the companion is in the checkpoint."""
    config = TrainConfig(epochs=3, lr=0.05, clip_norm=1.0, schedule="cosine")
    whole, sampler = of_graphs()
    pretrain(whole, sampler, config, seed=2, checkpoint=tmp_path / "whole.pt")
    method, sampler = of_graphs()
    label_loss, calls = method.label_loss, []

    def stopped(batch: MiniBatch) -> Tensor:
        calls.append(1)
        if len(calls) == stop:
            os.kill(os.getpid(), signal.SIGINT)
        return label_loss(batch)

    method.label_loss = stopped  # type: ignore[method-assign]
    with suppress(KeyboardInterrupt):
        pretrain(method, sampler, config, seed=2, checkpoint=tmp_path / "parts.pt")
    assert len(calls) == stop
    method, sampler = of_graphs()
    pretrain(method, sampler, config, seed=2, checkpoint=tmp_path / "parts.pt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, method.state_dict()[name]), name
    assert method.get_buffer("companion.renewed") == 3  # no epoch was begun twice


def problem(dataset: Dataset, method: str, *assignments: str, **given: object) -> Problem:
    request = Request(method, setting="auxiliary", preset="none", assignments=assignments)
    config = resolve(replace(request, **given), Subject("toy", "toy", dataset.level, "LBFGS"))  # type: ignore[arg-type]
    return make_problem(config, dataset)


@pytest.mark.parametrize(
    ("level", "name", "options"),
    [("node", "GRACE", {}), ("node", "DGI", {"sampler": "graphsage", "batch_size": 40}), ("graph", "GraphCL", {})],
)
def test_test_labels_move_nothing_but_the_test_score(level: Level, name: str, options: dict[str, object]) -> None:
    dataset = toy_dataset(level)
    assert dataset.labels is not None
    y, test = dataset.labels.y.clone(), dataset.splits[0].test
    y[test] = 1 - y[test]
    found = []
    for data in (dataset, replace(dataset, labels=replace(dataset.labels, y=y))):
        (training,) = problem(data, name, "encoder.hidden_dim=8", epochs=3, **options).trainings(0)
        method = training.method()
        validate = training.validate(method)
        result = pretrain(method, training.sampler(method), training.train, seed=0, validate=validate)
        found.append((method.state_dict(), result, training.scores(method, result, torch.empty(0))[0]))
    (weights, result, score), (other_weights, other_result, other_score) = found
    assert all(torch.equal(value, other_weights[name]) for name, value in weights.items())
    assert [record.val for record in result.curve] == [record.val for record in other_result.curve]
    assert score.val == other_score.val
    assert score.test == pytest.approx(1 - other_score.test)


def test_all_items_are_drawn_and_some_of_them_are_labelled() -> None:
    dataset = toy_dataset("graph")
    (training,) = problem(dataset, "GraphCL", labels=3).trainings(0)
    method = training.method()
    assert isinstance(method, Labelled)
    assert int(method.known.sum()) == 6  # three of each class
    sampler = training.sampler(method)
    assert isinstance(sampler, GraphBatches)
    assert len(sampler.items) == 60
