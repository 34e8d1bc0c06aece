"""The benchmark beyond the memory: its graph, its limit, and what it says of papers100M."""

from __future__ import annotations

import multiprocessing
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gssl.benchmarks.perf import limits
from gssl.benchmarks.perf.beyond_graph import BeyondGraph, make
from gssl.benchmarks.perf.beyond_memory import papers, run
from gssl.benchmarks.perf.beyond_train import Made, Trained
from gssl.common.errors import InputError
from gssl.datasets.load import load_dataset
from gssl.datasets.mapped import mapped_tensor, open_array
from gssl.training.memory import free_memory

SMALL = Trained("labor", 1000, 9000, 4000, 10, 100, 100, 2000, 9, 99, 0, "rlimit", 5, "", (0.1,), 3.0)


def test_the_graph_is_the_same_in_any_pieces_and_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = BeyondGraph(nodes=500, pairs=3000, features=3)
    first, again = (np.concatenate(list(graph.edges()), axis=1) for _ in range(2))
    assert np.array_equal(first, again)
    assert (first.min(), first.max() < 500) == (0, True)
    monkeypatch.setenv("GSSL_DATA", str(tmp_path / "data"))
    data = load_dataset(make(graph, str(tmp_path), 8).folder)
    assert data.graph.num_nodes == 500
    assert 4000 < data.graph.num_edges <= 6000
    assert np.array_equal(data.graph.x.numpy(), np.concatenate(list(graph.rows())))  # type: ignore[union-attr]


def test_features_that_fit_the_limit_are_no_test_of_it() -> None:
    with pytest.raises(InputError, match="which the limit of 3072 MiB holds"):
        run(nodes=(1000,))


def test_papers_is_arithmetic_and_a_straight_line() -> None:
    large = replace(SMALL, nodes=2000, most=2000 + 1000 * 40)
    found = papers([Made(1.0, 2**30, 0, 0, 0)], [SMALL], [large])
    assert found["labor_bytes_per_node"] == 40
    assert found["labor_gib"] == pytest.approx((42_000 + 40 * (111_059_956 - 2000)) / 2**30)
    assert found["disk_features_gib"] == pytest.approx(111_059_956 * 512 / 2**30)
    assert found["disk_edges_gib"] == pytest.approx(2 * 1_615_685_872 * 8 / 2**30)
    assert f"{found['labor_gib']:.1f} with labor" in str(found["statement"])


def _within_a_limit(path: str, out: multiprocessing.Queue) -> None:  # type: ignore[type-arg]  # no types at run time
    free = free_memory()
    limit = limits.limited(2 << 30)
    x = mapped_tensor(open_array(Path(path)))  # type: ignore[arg-type]  # it is a mapping
    total = float(x.sum())
    before = limits.held()
    limits.give_back(x)
    after = limits.held()
    try:
        torch.ones(1 << 30)
        out.put("no limit")
    except RuntimeError:
        out.put((limit.by, total, before.files - after.files, free, free_memory()))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads what Linux says of a process")
def test_a_process_is_limited_and_gives_pages_of_files_back(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((8 << 20, 1), np.float32))
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    process = context.Process(target=_within_a_limit, args=(str(tmp_path / "x.npy"), out))
    process.start()
    by, total, given_back, before, after = out.get(timeout=300)
    process.join()
    assert by in ("rlimit", "cgroup")
    assert total == 8 << 20
    assert given_back > 16 << 20  # of 32 MiB
    assert after < min(before, 2 << 30)
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] != 2 << 30  # this process is as it was
