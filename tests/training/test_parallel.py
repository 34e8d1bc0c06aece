"""Two processes that train together against one that trains alone."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from gssl.common.errors import InputError, TrainingError
from gssl.common.launch import Launch, launched
from gssl.config.components import sampler_factory
from gssl.methods.bgrl import BGRL
from gssl.methods.grace import GRACE
from gssl.models.gcn import GCN
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.samplers.ranks import Ranks
from gssl.testing.processes import ends, free_port, start, variables
from gssl.testing.toy import toy_dataset, toy_graphs
from gssl.training.group import ALONE, Group
from gssl.training.parallel import depends_on_world, shared_sampler

WORKER = str(Path(__file__).with_name("together.py"))
EXACT = (
    "exact",
    "labor",
    "neighbor",
    "norms",
    "pieces",
    "players",
    "patience",
    "graphs",
    "graphs, one in the last batch",
)
Found = dict[str, dict[str, Any]]


def carry_out(world: int, folder: Path, *jobs: str) -> list[Found]:
    """What each process found."""
    quiet = {"TORCH_CPP_LOG_LEVEL": "ERROR"}
    left = ends(start(world, lambda rank: [WORKER, str(folder), *jobs], folder=lambda rank: folder, environment=quiet))
    assert [end.code for end in left] == [0] * world, left
    return [json.loads((folder / f"{world}-{rank}.json").read_text()) for rank in range(world)]


@pytest.fixture(scope="module")
def alone() -> Found:
    """What this process finds by itself."""
    spec = importlib.util.spec_from_file_location("together", WORKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {"exact": module.exact(ALONE)}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    return carry_out(2, tmp_path_factory.mktemp("both"), "exact", "buffers", "methods")


def assert_equal_training(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    found, wanted = (torch.tensor(side["weights"], dtype=torch.float64) for side in (ours, theirs))
    assert float((found - wanted).norm() / wanted.norm()) < 1e-6
    assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-5)


@pytest.mark.parametrize("name", EXACT)
def test_weights_and_losses_are_those_of_one_process(alone: Found, both: list[Found], name: str) -> None:
    """After several epochs of plain gradient descent, so every gradient was that of one process."""
    assert alone["exact"].keys() == set(EXACT)
    for mine in both:
        assert_equal_training(mine["exact"][name], alone["exact"][name])
    assert both[0]["exact"][name] == both[1]["exact"][name]


def test_patience_runs_out_on_all_at_once(alone: Found) -> None:
    assert len(alone["exact"]["patience"]["losses"]) < 9


def test_buffers_are_those_of_the_first(both: list[Found]) -> None:
    assert both[0]["buffers"] == both[1]["buffers"]
    assert both[0]["buffers"]["counted"] > 0


def test_every_method_trains_in_several_processes_or_says_why_not(both: list[Found]) -> None:
    """All agree on losses (and, or the training would have ended, on weights), whatever each of them drew."""
    first, second = (mine["methods"] for mine in both)
    assert first == second
    refused = {name: found for name, found in first.items() if isinstance(found, str)}
    for name, text in refused.items():
        assert any(word in text for word in ("categories", "whole graphs", "use --sampler full")), f"{name}: {text}"
    assert len(refused) < 8 < len(first)
    assert all(math.isfinite(loss) for found in first.values() if not isinstance(found, str) for loss in found)


def group_of(world: int) -> Group:
    return Group(Launch(0, world, 0, world))


def test_more_processes_than_targets() -> None:
    graph = toy_dataset("node").graph
    sampler = sampler_factory("graphsage")(graph, num_layers=2, batch_size=6)
    assert shared_sampler(sampler, BGRL(GCN(4)), group_of(6)).targets == 6
    with pytest.raises(InputError, match="7 processes cannot share a batch of 6"):
        shared_sampler(sampler, BGRL(GCN(4)), group_of(7))
    with pytest.raises(InputError, match="each of which needs 2, cannot share a batch of 6"):
        shared_sampler(sampler, GRACE(GCN(4)), group_of(4))
    with pytest.raises(InputError, match="cannot share a batch of 16"):
        shared_sampler(GraphBatches(toy_graphs(), batch_size=128), BGRL(GCN(4)), group_of(17))
    with pytest.raises(InputError, match="FullBatch cannot be shared by 2 processes"):
        shared_sampler(FullBatch(graph), BGRL(GCN(4)), group_of(2))


def test_what_depends_on_the_number_of_processes() -> None:
    graph = toy_dataset("node").graph

    def depends(kind: Any, sampler: str, norm: Any = "none", **options: Any) -> bool:
        made = sampler_factory(sampler)(graph, num_layers=2, batch_size=6, **options)
        return depends_on_world(kind(GCN(4, norm=norm)), made)

    assert not depends(BGRL, "labor")
    assert not depends(BGRL, "graphsage", weights="ht")
    assert depends(BGRL, "graphsage"), "degrees are those of the batch"
    assert depends(BGRL, "uniform+induced")
    assert depends(BGRL, "labor", norm="batch")
    assert depends(GRACE, "labor"), "negatives"


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 4, 7, 16])
def test_graphs_are_shared_as_a_mean_is(world: int, batch_size: int) -> None:
    graph = toy_graphs()
    value = torch.rand(graph.num_graphs)
    alone = GraphBatches(graph, batch_size=batch_size, seed=3)
    ranks = [GraphBatches(graph, batch_size=batch_size, seed=3).of_rank(rank, world) for rank in range(world)]
    for whole, *parts in zip(alone.epoch(1), *(sampler.epoch(1) for sampler in ranks), strict=True):
        assert whole.graph_ids is not None
        means = [part.plan.scale * value[part.graph_ids].mean() for part in parts]
        torch.testing.assert_close(torch.stack(means).mean(), value[whole.graph_ids].mean())
        assert {i for part in parts for i in part.graph_ids.tolist()} == set(whole.graph_ids.tolist())
    assert Ranks().scale_of_mean(4) == 1


def test_errors_of_a_group_of_one_are_its_own() -> None:
    def fail() -> None:
        raise TrainingError("no")

    for work in (group_of(1).agreed, group_of(1).first):
        with pytest.raises(TrainingError, match="no"):
            work(fail)


@pytest.mark.parametrize("name", ["WORLD_SIZE", "RANK"])
def test_schedulers_that_start_independent_programs(name: str) -> None:
    assert launched({name: "4"}) == Launch()


NETWORK = "10.231.7."  # of the two hosts, which nobody else sees


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Two network namespaces that are joined by a cable; skips where none can be made."""
    names = [f"gssl{os.getpid()}{side}" for side in "ab"]
    with ExitStack() as undo:
        for name in names:
            _ip("netns", "add", name)
            undo.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
        _ip("-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        for number, name in enumerate(names, 1):
            _ip("-n", name, "addr", "add", f"{NETWORK}{number}/24", "dev", "cable")
            _ip("-n", name, "link", "set", "cable", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield names


def _ip(*words: str) -> None:
    try:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces can be made here: {getattr(error, 'stderr', '') or error}")


def test_two_hosts(alone: Found, hosts: list[str], tmp_path: Path) -> None:
    """Each process sees its own network alone, and reaches the other one through the cable."""
    port = free_port()
    processes = [
        subprocess.Popen(
            ["ip", "netns", "exec", host, sys.executable, WORKER, str(tmp_path), "first"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                **variables(rank, 2, port, f"{NETWORK}1", local_world=1),
                "GLOO_SOCKET_IFNAME": "cable",
                "OMP_NUM_THREADS": "1",
            },
        )
        for rank, host in enumerate(hosts)
    ]
    left = ends(processes)
    assert [end.code for end in left] == [0, 0], left
    for rank in (0, 1):
        found = json.loads((tmp_path / f"2-{rank}.json").read_text())
        assert_equal_training(found["first"]["exact"], alone["exact"]["exact"])
