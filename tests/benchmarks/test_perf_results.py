"""The committed figures of speed and memory: they are there, complete, and hold what the project claims."""

import json
from pathlib import Path
from typing import Any

import pytest

from gssl.benchmarks.perf.cases import CASES
from gssl.benchmarks.perf.registry import BENCHMARKS

TOO_LARGE = {"DIG": "can't allocate memory"}  # MVGRL on the nodes of Cora wants more than 22 GB there
RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def committed(name: str) -> Any:
    return json.loads((RESULTS / f"perf-{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [name for name in BENCHMARKS.names() if name != "methods"])
def test_every_benchmark_has_a_complete_result(name: str) -> None:
    result = committed(name)
    assert result["name"] == name
    assert result["ratio"] == pytest.approx(result["peer"] / result["ours"])
    assert result["peer_name"] == result["peers"][0]["name"]
    assert result["absent"] == {}
    assert len(result["ours_times"]) == result["config"]["repeats"]
    assert {"git_hash", "processor", "threads", "libraries"} <= set(result["environment"])


def test_every_method_was_measured_against_every_peer_that_it_has() -> None:
    if not (RESULTS / "perf-methods.json").is_file():
        pytest.skip("gssl perf methods was not measured yet")
    table = committed("methods")
    assert [(r["name"], r["config"]["level"]) for r in table["results"]] == [(c.method, c.level) for c in CASES]
    for result, case in zip(table["results"], CASES, strict=True):
        absent = TOO_LARGE if (case.method, case.level) == ("MVGRL", "node") else {}
        assert result["absent"].keys() == absent.keys()
        assert all(why in result["absent"][name] for name, why in absent.items())
        assert [peer["name"] for peer in result["peers"]] == [p.name for p in case.peers if p.name not in absent]
        assert all(peer["ratio"] == pytest.approx(peer["seconds"] / result["ours"]) for peer in result["peers"])
        assert len(result["ours_times"]) == table["config"]["repeats"] > 2
    assert table["compared"] == sum(len(case.peers) for case in CASES) - len(TOO_LARGE)
    assert {"git_hash", "processor", "threads", "libraries", "peers", "sources"} <= set(table["environment"])


@pytest.mark.parametrize(
    ("name", "peer", "ratio", "memory_ratio"),
    [
        ("spmm", "PyG GCN on edge_index", 8, 4),
        ("infonce", "logsumexp of the stored matrix", 2, 5),
        ("grace-step", "PyGCL", 3, 2),
        ("grace-step", "DIG", 1.5, 2),
    ],
)
def test_the_claimed_ratios_were_measured(name: str, peer: str, ratio: float, memory_ratio: float) -> None:
    (measured,) = (p for p in committed(name)["peers"] if p["name"] == peer)
    assert measured["ratio"] >= ratio
    assert measured["memory_ratio"] >= memory_ratio


def test_speed_was_not_bought_with_accuracy() -> None:
    assert committed("spmm")["figures"]["gradient_difference"] < 1e-3
    assert committed("infonce")["figures"]["gradient_difference"] < 1e-3
    assert committed("infonce")["figures"]["loss_difference"] < 1e-3


def test_a_hundred_thousand_rows_fit_into_a_gibibyte() -> None:
    figures = committed("infonce")["figures"]
    assert figures["large_rows"] == 100_000
    assert figures["large_memory_mb"] < 1024
