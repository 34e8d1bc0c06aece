"""Several processes that share every draw."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gssl.common.errors import InputError
from gssl.registry import SAMPLERS
from gssl.samplers.pair import PairSampler
from gssl.samplers.ranks import Ranks
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.testing.toy import toy_graph

# One process: trains nothing, but takes the gradient of every batch at the same weights and averages it over the
# processes. Draws of minvar depend on the norms that all of them observed.
PROCESS = r"""
import json, sys
import torch
import torch.distributed as dist
from gssl.methods.supervised import Supervised
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.testing.toy import toy_dataset
from gssl.training.norms import GradientNorms

torch.set_num_threads(1)
rank, world, rendezvous, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if world > 1:
    dist.init_process_group("gloo", store=dist.FileStore(rendezvous, world), rank=rank, world_size=world)
dataset = toy_dataset("node")
found = {}
for name, options in json.loads(sys.argv[5]):
    torch.manual_seed(0)
    method = Supervised(GCN(dataset.graph.in_dim, hidden_dim=8), dropout=0.0)
    method.fit_labels(dataset.labels, dataset.splits[0])
    sampler = SAMPLERS.get(name)(dataset.graph, num_layers=2, items=dataset.splits[0].train, **options)
    if world > 1:
        sampler = sampler.of_rank(rank, world)
    steps = []
    for epoch in range(2):
        for batch in sampler.epoch(epoch):
            method.zero_grad()
            with GradientNorms(method, active=batch.plan.measure) as norms:
                (method.loss(batch) * method.mass(batch) * batch.plan.scale).backward()
            if batch.plan.measure:
                sampler.observe(batch, norms.of(batch))
            gradient = torch.cat([p.grad.flatten() for p in method.parameters()])
            if world > 1:
                dist.all_reduce(gradient)
                gradient /= world
            ids = batch.node_ids[: batch.num_targets].tolist()
            steps.append({"ids": ids, "weight": batch.weight.tolist(), "gradient": gradient.tolist()})
    found[f"{name} {options}"] = steps
with open(f"{out}/{world}-{rank}.json", "w") as file:
    json.dump(found, file)
"""
CASES: list[tuple[str, dict[str, object]]] = [
    ("uniform+exact", {"batch_size": 7}),
    ("uniform+neighbor", {"batch_size": 6, "fanouts": [3, 2], "weights": "ht"}),
    ("uniform+labor", {"batch_size": 6, "fanouts": [3, 2]}),
    ("uniform+exact", {"batch_size": 7, "estimator": "hajek"}),
    ("uniform+neighbor", {"batch_size": 1, "fanouts": [3, 2], "weights": "ht"}),  # fewer targets than processes
    ("minvar+exact", {"batch_size": 5, "norms": "online", "renew_every": 2, "mix": 0.3}),
    ("minvar+neighbor", {"batch_size": 5, "gamma": 0.6, "checkpoint_every": 2, "fanouts": 4, "weights": "ht"}),
]


def launch(world: int, folder: Path) -> list[dict[str, list[dict[str, list[float]]]]]:
    arguments = [str(folder / "rendezvous"), str(folder), json.dumps(CASES)]
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), str(world), *arguments]) for rank in range(world)
    ]
    assert [process.wait(timeout=300) for process in processes] == [0] * world
    return [json.loads((folder / f"{world}-{rank}.json").read_text()) for rank in range(world)]


def test_two_processes_have_the_gradients_and_draws_of_one(tmp_path: Path) -> None:
    (alone,) = launch(1, tmp_path)
    first, second = launch(2, tmp_path)
    assert alone.keys() == first.keys() == second.keys()
    assert len(alone) == len(CASES)
    for name, steps in alone.items():
        assert len(steps) == len(first[name]) == len(second[name]) > 1
        for whole, left, right in zip(steps, first[name], second[name], strict=True):
            seen = sorted(left["ids"] + right["ids"]) if len(whole["ids"]) > 1 else sorted(left["ids"])
            assert seen == sorted(whole["ids"]), name
            assert sum(left["weight"] + right["weight"]) == pytest.approx(sum(whole["weight"]), rel=1e-6)
            for own in (left, right):
                found, wanted = torch.tensor(own["gradient"]), torch.tensor(whole["gradient"])
                assert float((found - wanted).norm() / wanted.norm().clamp(min=1e-3)) < 1e-6, name


def draw(count: int) -> Draw:
    return Draw(torch.arange(count) + 10, torch.linspace(0.1, 0.9, count).double(), Key(0, 0, 0))


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 11])
def test_the_parts_are_the_draw(world: int, count: int) -> None:
    whole = draw(count)
    parts = [Ranks(rank, world).part(whole) for rank in range(world)]
    assert all(len(part.ids) for part in parts)
    pairs = {(i, p) for part in parts for i, p in zip(part.ids.tolist(), part.probability.tolist(), strict=True)}
    assert pairs == set(zip(whole.ids.tolist(), whole.probability.tolist(), strict=True))
    if count >= world:
        assert sum(len(part.ids) for part in parts) == count


@pytest.mark.parametrize(("rank", "world"), [(-1, 2), (2, 2), (0, 0)])
def test_ranks_that_do_not_exist(rank: int, world: int) -> None:
    with pytest.raises(InputError, match=f"no rank {rank} of {world}"):
        Ranks(rank, world)


def test_a_history_is_not_shared() -> None:
    sampler = SAMPLERS.get("gas")(toy_graph(), num_layers=2, batch_size=8)
    assert isinstance(sampler, PairSampler)
    with pytest.raises(InputError, match="propagation without history"):
        sampler.of_rank(0, 2)
