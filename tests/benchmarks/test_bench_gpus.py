"""GPUs of cells: one for each, on this machine and in a cluster."""

import os
import threading
from pathlib import Path

import pytest
import torch

from gssl.benchmarks.bench.cell import Cell
from gssl.benchmarks.bench.engines import Ray
from gssl.benchmarks.bench.gpus import VISIBLE, Pool, gpus_here, gpus_of
from gssl.benchmarks.bench.process import Processes
from gssl.benchmarks.bench.suite import Budget
from gssl.common.errors import InputError


def cell(gpus: float = 0.0) -> Cell:
    made: Cell = object.__new__(Cell)
    made.__dict__["budget"] = Budget(gpus=gpus)
    return made


def test_each_cell_has_a_gpu_of_its_own() -> None:
    pool = Pool(["0", "GPU-ab"])
    with pool.one() as first, pool.one() as second:
        assert {first[VISIBLE], second[VISIBLE]} == {"0", "GPU-ab"}
        late: list[str] = []

        def third() -> None:
            with pool.one() as found:
                late.append(found[VISIBLE])

        thread = threading.Thread(target=third)
        thread.start()
        thread.join(0.1)
        assert not late, "a third cell waits"
    thread.join(10)
    assert late


def test_cells_share_a_gpu_where_their_budget_says_so() -> None:
    pool = Pool(["0"], [cell(gpus=0.5)])
    with pool.one() as first, pool.one() as second:
        assert first == second == {VISIBLE: "0"}


def test_on_the_cpu_there_is_nothing_to_wait_for() -> None:
    pool = Pool()
    with pool.one() as first, pool.one() as second:
        assert first == second == {}


def test_gpus_are_those_that_cuda_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpus_here("auto") == gpus_here("cpu") == ()
    with pytest.raises(InputError, match="finds no CUDA device"):
        gpus_here("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv(VISIBLE, raising=False)
    assert gpus_here("auto") == ("0", "1")
    assert gpus_here("cpu") == ()
    monkeypatch.setenv(VISIBLE, "3, MIG-7,")
    assert gpus_here("cuda") == ("3", "MIG-7")


def test_cells_of_a_cluster_ask_for_gpus() -> None:
    wanted = [gpus_of(cell(), device, there) for device in ("cpu", "auto", "cuda") for there in (0.0, 4.0)]
    assert wanted == [0, 0, 0, 1, 1, 1]
    assert gpus_of(cell(gpus=0.25), "auto", 1.0) == 0.25
    assert gpus_of(cell(gpus=0.25), "cpu", 1.0) == 0


class Cluster:
    """What the engine asks Ray."""

    def __init__(self, **resources: float) -> None:
        self.resources = resources

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return self.resources


def test_a_cluster_without_gpus_is_said_before_the_first_cell() -> None:
    engine: Ray = object.__new__(Ray)
    engine._begin(Cluster(CPU=4), [cell()], "auto")
    engine._begin(Cluster(CPU=4, GPU=1), [cell()], "cuda")
    with pytest.raises(InputError, match="a cell asks for 1 GPU, but the Ray cluster has 0"):
        engine._begin(Cluster(CPU=4), [cell()], "cuda")


def test_the_process_of_a_cell_sees_its_gpu_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "0,1")
    end = Processes().call(os.getenv, VISIBLE, log=tmp_path / "log", environment={VISIBLE: "1"})
    assert end.answer == "1"
