"""The life of a method: prepared once and before it has weights, told of each epoch once, its learned views stored."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gssl.augment.base import Compose, Identity
from gssl.augment.drop_edge import DropEdge
from gssl.augment.learned import LearnedAugmenter
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.storage import Graph
from gssl.method import MAIN, ContrastiveMethod, Method, OverItems, Player
from gssl.models.gcn import GCN
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.testing.toy import toy_graph, toy_graphs
from gssl.training.checkpoint import load_weights
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

if TYPE_CHECKING:
    from conftest import Lab


class Renewing(Method):
    """Compares embeddings with those that all items had when the epoch began, and with a shuffle of them."""

    levels = ("node", "graph")
    kept: Tensor

    def __init__(self, in_dim: int = 8) -> None:
        torch.manual_seed(0)
        super().__init__(GCN(in_dim, hidden_dim=4, dropout=0.3))
        self.begun: list[tuple[int, bool, bool]] = []
        self.epochs_of_losses: list[float] = []

    def prepare(self, graph: Graph, seed: int) -> None:
        self.register_buffer("kept", torch.zeros(graph.num_graphs or graph.num_nodes, self.embedding_dim))

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        rows = over_items(self.embed)
        self.begun.append((epoch, self.training, rows.requires_grad))
        self.kept.copy_(rows[torch.randperm(len(rows), generator=self.rng)])

    def loss(self, batch: MiniBatch) -> Tensor:
        items = batch.node_ids if batch.graph_ids is None else batch.graph_ids
        self.epochs_of_losses.append(float(self.kept.sum()))
        return (self.embed(batch) - self.kept[items] - 1).square().mean()


def of_graphs() -> tuple[Renewing, GraphBatches]:
    """Ten graphs in three batches."""
    graphs = toy_graphs(num_graphs=10, in_dim=8)
    method = Renewing()
    method.prepare(graphs, 0)
    return method, GraphBatches(graphs, batch_size=4, seed=5)


def of_nodes() -> tuple[Renewing, FullBatch]:
    graph, method = toy_graph(num_nodes=30, in_dim=8), Renewing()
    method.prepare(graph, 0)
    return method, FullBatch(graph)


@pytest.mark.parametrize("make", [of_nodes, of_graphs])
def test_each_epoch_is_begun_once_in_evaluation_and_without_gradients(make: Any) -> None:
    method, sampler = make()
    start = {name: value.clone() for name, value in method.state_dict().items()}
    pretrain(method, sampler, TrainConfig(epochs=3), seed=0)
    assert method.begun == [(0, False, False), (1, False, False), (2, False, False)]
    per_epoch = sampler.batches_per_epoch
    sums = [method.epochs_of_losses[epoch * per_epoch : (epoch + 1) * per_epoch] for epoch in range(3)]
    assert all(len(set(values)) == 1 for values in sums)  # not renewed within an epoch
    assert len({values[0] for values in sums}) == 3
    first = Renewing()
    first.register_buffer("kept", torch.zeros_like(start["kept"]))
    first.load_state_dict(start)
    assert sums[0][0] == pytest.approx(float(_all_rows(first.eval(), sampler).sum()), rel=1e-5)


@torch.no_grad()
def _all_rows(method: Method, sampler: Sampler) -> Tensor:
    return method.embed(sampler.graph.full_batch())


@pytest.mark.parametrize("stop", [0, 2, 3, 5, 8])
def test_an_epoch_that_was_interrupted_is_not_begun_again(stop: int, tmp_path: Path) -> None:
    """What it made is in the checkpoint, and the random streams go on behind it."""
    config = TrainConfig(epochs=3, lr=0.05)
    whole, sampler = of_graphs()
    pretrain(whole, sampler, config, seed=1, checkpoint=tmp_path / "whole.pt")
    stopped, sampler = of_graphs()
    loss = stopped.loss

    def stopping(batch: MiniBatch) -> Tensor:
        if len(stopped.epochs_of_losses) == stop:
            os.kill(os.getpid(), signal.SIGINT)
        return loss(batch)

    stopped.loss = stopping  # type: ignore[method-assign]
    with suppress(KeyboardInterrupt):
        pretrain(stopped, sampler, config, seed=1, checkpoint=tmp_path / "parts.pt")
    again, sampler = of_graphs()
    pretrain(again, sampler, config, seed=1, checkpoint=tmp_path / "parts.pt")
    assert [epoch for epoch, *_ in stopped.begun + again.begun] == [0, 1, 2]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


class Weigh(LearnedAugmenter):
    """Weighs every edge alike, by a learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        def weigh(block: Block) -> Block:
            return Block(block.pattern, torch.sigmoid(self.strength).expand(block.num_edges), block.edge_attr)

        return batch.map_blocks(weigh)


class TwoViews(ContrastiveMethod):
    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        first, second = projections
        return (first - second).square().mean()


@pytest.mark.parametrize("nested", [False, True])
def test_learned_views_are_trained_and_stored(nested: bool, tmp_path: Path) -> None:
    """On its own, or one of the steps of a composition."""
    graph = toy_graph(num_nodes=30, in_dim=8)

    def make() -> tuple[TwoViews, Weigh]:
        torch.manual_seed(0)
        learned = Weigh()
        view = Compose(DropEdge(p=0.1), Compose(learned)) if nested else learned
        return TwoViews(GCN(8, hidden_dim=4), [Identity(), view]), learned

    method, learned = make()
    assert any(parameter is learned.strength for parameter in method.players()[MAIN].parameters)
    pretrain(method, FullBatch(graph), TrainConfig(epochs=3, lr=0.1), seed=0, checkpoint=tmp_path / "c.pt")
    assert learned.strength.item() > 0.05  # whole edges are more like the graph itself
    weights = load_weights(tmp_path / "c.pt", config_key="")
    assert weights is not None
    other, stored = make()
    other.load_state_dict(weights)
    assert torch.equal(stored.strength, learned.strength)


def test_a_learned_view_that_is_there_twice_is_registered_once() -> None:
    learned = Weigh()
    method = TwoViews(GCN(8, hidden_dim=4), [learned, Compose(Identity(), learned)])
    assert [name for name, _ in method.named_parameters() if "strength" in name] == ["learned_views.0.strength"]
    assert sum("strength" in name for name in method.state_dict()) == 1


def test_views_without_parameters_leave_the_names_of_weights_alone() -> None:
    method = TwoViews(GCN(8, hidden_dim=4), [Identity(), Compose(DropEdge(p=0.1))])
    assert all(name.startswith("encoder.") for name in method.state_dict())


class Adversarial(TwoViews):
    """The view plays against the encoder."""

    def players(self) -> Mapping[str, Player]:
        return {
            "view": Player(tuple(self.learned_views.parameters()), lr=0.2, loss=lambda batch: -self.loss(batch)),
            MAIN: Player(tuple(self.encoder.parameters())),
        }


def test_a_learned_view_can_be_a_player_of_its_own() -> None:
    method = Adversarial(GCN(8, hidden_dim=4), [Identity(), Weigh()])
    pretrain(method, FullBatch(toy_graph(num_nodes=30, in_dim=8)), TrainConfig(epochs=3, lr=1e-3), seed=0)
    assert method.get_parameter("learned_views.0.strength").item() < -0.1  # it makes views less alike


LIFE = '''
import json
from pathlib import Path

import torch

from gssl.method import Method

class Logged(Method):
    """Says in a file what happens to it, and in which order."""

    levels = ("node", "graph")
    number = 0

    def __init__(self, encoder):
        super().__init__(encoder)
        Logged.number += 1
        self.number = Logged.number

    def say(self, what, *more):
        with Path("life.jsonl").open("a") as file:
            file.write(json.dumps([self.number, what, *more]) + "\\n")

    def prepare(self, graph, seed):
        self.say("prepare", graph.num_nodes, seed)
        self.register_buffer("degree", graph.block.degree.float())

    def begin_epoch(self, epoch, over_items):
        self.say("begin", epoch)

    def load_state_dict(self, *args, **kwargs):
        self.say("load")
        return super().load_state_dict(*args, **kwargs)

    def embed(self, batch):
        return super().embed(batch) * self.degree[batch.node_ids[: batch.num_targets], None]

    def loss(self, batch):
        self.say("loss")
        return (self.embed(batch) - 1).square().mean()
'''


@pytest.fixture
def logged(lab: Lab) -> Iterator[Lab]:
    (lab.folder / "life.py").write_text(LIFE)
    yield lab
    sys.modules.pop("life", None)


def lives(lab: Lab) -> list[list[str]]:
    """What happened to each method, in order; the file is emptied."""
    file = lab.folder / "life.jsonl"
    found: dict[int, list[str]] = {}
    for number, what, *_ in map(json.loads, file.read_text().splitlines()):
        found.setdefault(number, []).append(what)
    file.unlink()
    return list(found.values())


def test_a_run_prepares_each_method_once_before_anything_else(logged: Lab, embeddings: Any) -> None:
    run = Path(logged.run("--seeds", "2", "--epochs", "2", method="life:Logged")["run_dir"])
    rehearsed, *trained = lives(logged)
    assert rehearsed == ["prepare"]  # built to see whether the parts fit
    assert trained == [["prepare", "begin", "loss", "begin", "loss"]] * 2
    before = embeddings(run, 1)
    logged.gssl("embed", str(run))
    assert lives(logged) == [["prepare", "load"]] * 2
    np.testing.assert_array_equal(embeddings(run, 1), before)


def test_seeds_of_the_preparation_are_those_of_the_run(logged: Lab) -> None:
    logged.run("--seeds", "2", "--epochs", "1", method="life:Logged")
    log = [json.loads(line) for line in (logged.folder / "life.jsonl").read_text().splitlines()]
    seeds = [seed for _, what, *more in log if what == "prepare" for seed in more[1:]]
    assert seeds[0] == seeds[1] != seeds[2]  # rehearsal, seed 0, seed 1


def test_a_method_is_prepared_for_the_graph_without_held_out_edges(logged: Lab, embeddings: Any) -> None:
    run = Path(logged.run("--task", "link", "--epochs", "1", method="life:Logged")["run_dir"])
    weights = load_weights(run / "seed-0" / "checkpoint.pt", config_key=None)
    assert weights is not None
    with np.load(logged.folder / "graph.npz") as archive:
        whole = len(np.unique(archive["edge_index"], axis=1).T)
    assert 0.7 * whole < float(weights["degree"].sum()) < 0.9 * whole
    before = embeddings(run)
    logged.gssl("embed", str(run))
    np.testing.assert_array_equal(embeddings(run), before)


@pytest.mark.parametrize("setting", ["finetune", "auxiliary"])
def test_settings_prepare_what_they_train(setting: str, logged: Lab) -> None:
    extra = ("--set", "finetune.epochs=1") if setting == "finetune" else ()
    logged.run("--setting", setting, "--epochs", "2", *extra, method="life:Logged")
    found = lives(logged)
    assert all(life[0] == "prepare" and life.count("prepare") == 1 for life in found)
    told = [what for life in found for what in life if what in ("begin", "loss")]
    assert told == ["begin", "loss"] * 2
