"""What each process of ``test_parallel.py`` does: trainings alone or together, and what came of them, as JSON.

Started as ``python together.py OUT JOB...`` with the variables of a launcher.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch

from gssl.common.errors import InputError, Interrupted
from gssl.method import Method, Player
from gssl.methods.labelled import Labelled
from gssl.methods.supervised import Supervised
from gssl.models.gcn import GCN
from gssl.registry import ENCODERS, METHODS, SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import GraphBatches
from gssl.testing.toy import toy_dataset
from gssl.training import pulse
from gssl.training.config import TrainConfig
from gssl.training.group import Group, opened
from gssl.training.loop import pretrain
from gssl.training.result import TrainResult

NODES, GRAPHS = toy_dataset("node"), toy_dataset("graph")
PLAIN = TrainConfig(epochs=3, lr=0.1, optimizer="sgd")
Case = tuple[str, Callable[[], tuple[Method, Sampler]], dict[str, Any]]


class Opponents(Supervised):
    """Head and encoder are two players, each with a loss of its own; the parameters of neither are all of them."""

    def players(self) -> dict[str, Player]:
        head = tuple(self.head.parameters())
        own = {id(parameter) for parameter in head}
        return {
            "head": Player(head, lr=0.05, loss=lambda batch: 0.5 * self.label_loss(batch)),
            "method": Player(tuple(p for p in self.parameters() if id(p) not in own)),
        }


class Counting(Supervised):
    """Keeps in a buffer a number that each process would count differently, and the loss depends on it."""

    counted: torch.Tensor

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register_buffer("counted", torch.zeros((), dtype=torch.int64))

    def loss(self, batch: Any) -> torch.Tensor:
        loss = super().loss(batch) * (1 + self.counted % 3)
        self.counted += int(batch.node_ids[0])
        return loss


def on_nodes(sampler: str, kind: type[Supervised] = Supervised, **options: Any) -> tuple[Method, Sampler]:
    torch.manual_seed(0)
    method = kind(GCN(NODES.graph.in_dim, hidden_dim=8), dropout=0.0)
    assert NODES.labels is not None
    method.fit_labels(NODES.labels, NODES.splits[0])
    return method, SAMPLERS.get(sampler)(NODES.graph, num_layers=2, items=NODES.splits[0].train, **options)


def on_graphs(batch_size: int, **options: Any) -> tuple[Method, Sampler]:
    torch.manual_seed(0)
    method = Supervised(ENCODERS.get("GIN")(GRAPHS.graph.in_dim, hidden_dim=8, **options), dropout=0.0)
    assert GRAPHS.labels is not None
    method.fit_labels(GRAPHS.labels, GRAPHS.splits[0])
    return method, GraphBatches(GRAPHS.graph, batch_size=batch_size, items=GRAPHS.splits[0].train, seed=3)


# Losses are sums over targets, and nothing is drawn at random but the batches.
EXACT: tuple[Case, ...] = (
    ("exact", lambda: on_nodes("uniform+exact", batch_size=7), {}),
    ("labor", lambda: on_nodes("uniform+labor", batch_size=6, fanouts=[3, 2]), {"clip_norm": 0.5}),
    ("neighbor", lambda: on_nodes("uniform+neighbor", batch_size=6, fanouts=[3, 2], weights="ht"), {}),
    ("norms", lambda: on_nodes("minvar+exact", batch_size=5, norms="online", renew_every=2, mix=0.3), {}),
    (
        "pieces",
        lambda: on_nodes(
            "minvar+neighbor", batch_size=5, gamma=0.6, checkpoint_every=2, checkpoint_batch=4, fanouts=4, weights="ht"
        ),
        {},
    ),
    ("players", lambda: on_nodes("uniform+exact", Opponents, batch_size=7), {}),
    ("patience", lambda: on_nodes("uniform+exact", batch_size=20), {"lr": 30.0, "epochs": 9, "patience": 1}),
    ("graphs", lambda: on_graphs(4, norm="layer"), {"lr": 1e-2}),
    ("graphs, one in the last batch", lambda: on_graphs(5, norm="none"), {}),
)


def exact(group: Group, cases: tuple[Case, ...] = EXACT) -> dict[str, Any]:
    """Losses and final weights of each case."""
    found = {}
    for name, make, options in cases:
        method, sampler = make()
        result = pretrain(method, sampler, replace(PLAIN, **options), seed=0, group=group)
        found[name] = outcome(method, result)
    return found


def outcome(method: Method, result: TrainResult) -> dict[str, Any]:
    weights = torch.cat([value.double().flatten() for value in method.state_dict().values()])
    return {"losses": [record.loss for record in result.curve], "weights": weights.tolist()}


def every() -> Iterator[tuple[str, Callable[[], tuple[Method, Sampler]]]]:
    """Every method that trains, on the first kind of data that it is for."""
    for name in METHODS.names():
        kind = METHODS.get(name)
        for level in kind.levels[:1] if kind.trains and not kind.needs_types else ():
            yield f"{name} on {level}s", partial(one_method, name, level)


def one_method(name: str, level: str) -> tuple[Method, Sampler]:
    data = NODES if level == "node" else GRAPHS
    kind = METHODS.get(name)
    torch.manual_seed(0)
    encoder = "MLP" if kind.default_encoder == "MLP" else "GCN" if level == "node" else kind.default_encoder
    small = {"Partitioning": {"parts": 10}, "Completion": {"dim": 8}}.get(name, {})
    method: Method = kind(ENCODERS.get(encoder).for_graph(data.spec, hidden_dim=8, num_layers=2), **small)
    method.prepare(data.graph, 0)
    if isinstance(method, Labelled):
        assert data.labels is not None
        method.fit_labels(data.labels, data.splits[0])
    if level == "graph":
        return method, GraphBatches(data.graph, batch_size=8)
    return method, SAMPLERS.get("uniform+induced")(data.graph, num_layers=method.num_layers, batch_size=40)


def methods(group: Group) -> dict[str, Any]:
    """For each method the loss of an epoch, or why it was refused."""
    found: dict[str, Any] = {}
    for name, make in every():
        try:
            method, sampler = make()
            result = pretrain(method, sampler, TrainConfig(epochs=1, lr=0.01), seed=0, group=group)
        except InputError as error:
            found[name] = str(error)
            continue
        found[name] = [record.loss for record in result.curve]
    return found


def buffers(group: Group) -> dict[str, Any]:
    method, sampler = on_nodes("uniform+exact", Counting, batch_size=7)
    pretrain(method, sampler, TrainConfig(epochs=2), seed=0, group=group)
    return {"counted": int(method.get_buffer("counted"))}


def begun(group: Group, folder: Path) -> dict[str, Any]:
    """The first exact case, up to a signal within its second epoch that one process gets."""
    method, sampler = on_nodes("uniform+exact", batch_size=7)
    updates = count()

    def stop(progress: float) -> None:
        if next(updates) == sampler.batches_per_epoch and group.rank == group.world - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    method.after_step = stop  # type: ignore[method-assign]
    file = folder / f"{group.world}.pt"
    try:
        pretrain(method, sampler, PLAIN, seed=0, group=group, checkpoint=None if group.rank else file)
    except Interrupted:
        return {"stopped": True}
    return {"stopped": False}


def resumed(group: Group, folder: Path, former: int) -> dict[str, Any]:
    """The same case, continued from what so many processes left."""
    file = folder / f"{former}.pt"
    batches = torch.load(file, weights_only=True)["state"]["position"][1]
    # A copy, for others continue from it too.
    own = folder / f"{former}-{group.world}.pt"
    if not group.rank:
        own.write_bytes(file.read_bytes())
    method, sampler = on_nodes("uniform+exact", batch_size=7)
    result = pretrain(method, sampler, PLAIN, seed=0, group=group, checkpoint=None if group.rank else own)
    return {**outcome(method, result), "batches": batches}


def endless(group: Group, folder: Path) -> dict[str, Any]:
    """Train until something happens; a file says that this began."""
    method, sampler = on_nodes("uniform+exact", batch_size=7)

    def began(progress: float) -> None:
        (folder / f"began-{group.rank}").touch()

    method.after_step = began  # type: ignore[method-assign]
    pretrain(method, sampler, TrainConfig(epochs=10**6), seed=0, group=group)
    return {}


JOBS: dict[str, Callable[[Group, Path], dict[str, Any]]] = {
    "exact": lambda group, folder: exact(group),
    "first": lambda group, folder: exact(group, EXACT[:1]),
    "methods": lambda group, folder: methods(group),
    "buffers": lambda group, folder: buffers(group),
    "begun": begun,
    "resumed from 1": lambda group, folder: resumed(group, folder, 1),
    "resumed from 2": lambda group, folder: resumed(group, folder, 2),
    "endless": endless,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    if "endless" in sys.argv:  # or the test would take a minute
        pulse.BEAT_SECONDS, pulse.SILENT_SECONDS = 0.2, 5.0
    out = Path(sys.argv[1])
    with opened() as mine:
        answer = {job: JOBS[job](mine, out) for job in sys.argv[2:]}
        (out / f"{mine.world}-{mine.rank}.json").write_text(json.dumps(answer))
