"""Results below the untrained rows that are stored beside them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gssl.experiment.beside import below_untrained
from gssl.results.store import RunRow, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path / 'results.db'}") as opened:
        yield opened


def row(method: str, test: float | None, seed: int = 0, **other: Any) -> RunRow:
    values: dict[str, Any] = {
        "method": method, "config_hash": method, "dataset": "Cora", "dataset_checksum": "c", "split_hash": f"s{seed}",
        "probe": "P1", "probe_version": 1, "seed": seed, "environment_hash": "e", "status": "done",
        "metric": "accuracy",
        "val": 0.5, "test": test, "epochs": 1, "pretrain_seconds": 1.0, "probe_seconds": 1.0, "peak_memory_mb": 1.0,
        "encoder": "GCN", "sampler": "full", "preset": "", "run_dir": "", "date": "2026-01-01T00:00:00", "git_hash": "",
        "config": "{}", "environment": "{}",
    }  # fmt: skip
    return RunRow(**{**values, **other})


def test_each_reference_row_that_is_better_is_named(store: Store) -> None:
    for seed in (0, 1):
        store.record(row("raw", 0.53, seed))
        store.record(row("untrained", 0.60, seed))
    (note,) = below_untrained(store, [row("GRACE", 0.55, 0), row("GRACE", 0.56, 1)])
    assert "0.555 is worse than 0.600 of the untrained encoder" in note
    assert len(below_untrained(store, [row("GRACE", 0.25, 0)])) == 2
    assert below_untrained(store, [row("GRACE", 0.7, 0)]) == ()


def test_an_error_is_worse_when_it_is_larger(store: Store) -> None:
    store.record(row("raw", 0.5, metric="rmse"))
    assert len(below_untrained(store, [row("GRACE", 0.6, metric="rmse")])) == 1
    assert below_untrained(store, [row("GRACE", 0.4, metric="rmse")]) == ()


@pytest.mark.parametrize("other", [
    {"dataset_checksum": "d"}, {"split_hash": "t"}, {"probe": "P2"}, {"probe_version": 2}, {"metric": "micro_f1"},
    {"task": "cluster"}, {"setting": "finetune"}, {"status": "failed", "test": None}, {"seed": 7},
])  # fmt: skip
def test_only_what_is_comparable_counts(store: Store, other: dict[str, Any]) -> None:
    store.record(row("raw", other.get("test", 0.9), **{key: value for key, value in other.items() if key != "test"}))
    assert below_untrained(store, [row("GRACE", 0.1)]) == ()


def test_references_with_the_same_encoder_are_preferred_and_are_not_judged_themselves(store: Store) -> None:
    store.record(row("untrained", 0.9, encoder="GAT", config_hash="a"))
    store.record(row("untrained", 0.3, encoder="GCN", config_hash="b"))
    assert below_untrained(store, [row("GRACE", 0.4)]) == ()
    assert below_untrained(store, [row("raw", 0.1)]) == ()
    assert below_untrained(store, [row("GRACE", None)]) == ()
