"""Two processes that train together against one that trains alone."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType
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
from gssl.testing.processes import ends, start
from gssl.testing.toy import toy_dataset, toy_graphs
from gssl.training.group import ALONE, Group
from gssl.training.parallel import check_devices, depends_on_world, require_same_weights, shared_sampler

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
def together() -> ModuleType:
    """What workers do, for this process too."""
    spec = importlib.util.spec_from_file_location("together", WORKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def alone(together: ModuleType, folder: Path) -> Found:
    """What this process finds by itself."""
    return {"exact": together.exact(ALONE), "begun": together.begun(ALONE, folder)}


@pytest.fixture(scope="module")
def both(alone: Found, folder: Path) -> list[Found]:
    return carry_out(2, folder, "exact", "buffers", "methods", "begun", "resumed from 1")


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


def test_a_training_goes_on_with_more_or_fewer_processes(
    alone: Found, both: list[Found], together: ModuleType, folder: Path
) -> None:
    """From a checkpoint within an epoch, to what one process reaches without a stop."""
    assert [found["begun"] for found in (alone, *both)] == [{"stopped": True}] * 3
    three = carry_out(3, folder, "resumed from 2")
    continued = [found["resumed from 1"] for found in both] + [found["resumed from 2"] for found in three]
    for found in (*continued, together.resumed(ALONE, folder, 2)):
        assert found["batches"] > 0
        assert_equal_training(found, alone["exact"]["exact"])


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


class Told(Group):
    """The first of two processes, to whom the other one says what a test gives."""

    def __init__(self, *said: Any, local_world: int = 2) -> None:
        super().__init__(Launch(0, 2, 0, local_world))
        self.said = said

    def gathered(self, value: Any) -> list[Any]:
        return [value, *self.said]

    def most(self, *values: float) -> list[float]:
        return [max(pair) for pair in zip(values, self.said, strict=True)]


def test_hosts_with_different_numbers_of_processes() -> None:
    check_devices("cpu", Told(2))
    check_devices("cpu", Told(1, local_world=1))
    for group in (Told(1, local_world=2), Told(2, local_world=1), Told(3, local_world=3)):
        with pytest.raises(InputError, match="2 processes are spread unevenly over the hosts"):
            check_devices("cpu", group)


def test_fewer_devices_than_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gssl.training.parallel.resolve_device", lambda device: device)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    check_devices("cpu", Told(2))
    check_devices("cuda", Told(1, local_world=1))
    with pytest.raises(InputError, match=r"2 processes on this host, but only 1 CUDA devices.*--nproc-per-node 1"):
        check_devices("cuda", Told(2))


def test_weights_that_went_apart() -> None:
    method = BGRL(GCN(4))
    names, norms = zip(
        *((name, float(p.detach().double().norm())) for name, p in method.named_parameters()), strict=True
    )
    require_same_weights(method, Told(*norms, *(-norm for norm in norms)), epoch=3)
    for other in (1.01 * norms[0], 0.99 * norms[0]):
        theirs = [other, *norms[1:]]
        with pytest.raises(TrainingError, match=f"{names[0]} is no longer the same on all processes after epoch 3"):
            require_same_weights(method, Told(*theirs, *(-norm for norm in theirs)), epoch=3)


def test_errors_of_a_group_of_one_are_its_own() -> None:
    def fail() -> None:
        raise TrainingError("no")

    for work in (group_of(1).agreed, group_of(1).first):
        with pytest.raises(TrainingError, match="no"):
            work(fail)


@pytest.mark.parametrize("name", ["WORLD_SIZE", "RANK"])
def test_schedulers_that_start_independent_programs(name: str) -> None:
    assert launched({name: "4"}) == Launch()
