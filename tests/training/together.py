"""What each process of ``test_parallel.py`` does: trainings alone or together, and what came of them, as JSON.

Started as ``python together.py exact|methods OUT`` with the variables of a launcher, or without them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gssl.common.errors import InputError
from gssl.method import Method, Player
from gssl.methods.labelled import Labelled
from gssl.methods.supervised import Supervised
from gssl.models.gcn import GCN
from gssl.registry import ENCODERS, METHODS, SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import GraphBatches
from gssl.testing.toy import toy_dataset
from gssl.training.config import TrainConfig
from gssl.training.group import Group, opened
from gssl.training.loop import pretrain

NODES, GRAPHS = toy_dataset("node"), toy_dataset("graph")
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
        config = TrainConfig(**{"epochs": 3, "lr": 0.1, "optimizer": "sgd", **options})
        result = pretrain(method, sampler, config, seed=0, group=group)
        weights = torch.cat([value.double().flatten() for value in method.state_dict().values()])
        found[name] = {"losses": [record.loss for record in result.curve], "weights": weights.tolist()}
    return found


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


JOBS: dict[str, Callable[[Group], dict[str, Any]]] = {
    "exact": exact,
    "first": lambda group: exact(group, EXACT[:1]),
    "methods": methods,
    "buffers": buffers,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    with opened() as mine:
        answer = {job: JOBS[job](mine) for job in sys.argv[2:]}
        Path(sys.argv[1], f"{mine.world}-{mine.rank}.json").write_text(json.dumps(answer))
