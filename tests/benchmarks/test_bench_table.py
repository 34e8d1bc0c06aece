"""The table of a suite and the comparison of a guest with stored results."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gssl.benchmarks.bench.cell import Cell
from gssl.benchmarks.bench.compare import beside
from gssl.benchmarks.bench.display import Estimate
from gssl.benchmarks.bench.table import Row, suite_rows
from gssl.results.cells import CellRow, CellScore, CellStatus
from gssl.results.store import RunRow


def score(key: str, test: float | None, *, version: int = 1, metric: str = "accuracy") -> CellScore:
    return CellScore(
        key=key,
        run_id=1,
        dataset="Cora",
        config_hash="c",
        split_hash="s",
        dataset_checksum="d",
        probe="P1",
        probe_version=version,
        environment_hash="e",
        metric=metric,
        val=test,
        test=test,
        epochs=10,
        pretrain_seconds=2.0,
        probe_seconds=1.0,
        peak_memory_mb=100.0,
        encoder="GCN",
        sampler="full",
        preset="",
    )


def state(cell: Cell, status: CellStatus = "done", message: str = "") -> CellRow:
    return CellRow(
        cell.key, "s", cell.method, cell.dataset, cell.seed, "", status, message, 1.0, 1, None, None, "", None
    )


def table(values: dict[str, list[float | None]], *, metric: str = "accuracy") -> list[Row]:
    """Rows of methods whose seeds scored these values; None is a cell that failed."""
    cells = {m: [Cell(m, "Cora", seed) for seed in range(len(tests))] for m, tests in values.items()}
    every = [cell for group in cells.values() for cell in group]
    tests = {cell.key: test for m, group in cells.items() for cell, test in zip(group, values[m], strict=True)}
    rows = {c.key: state(c, *(("failed", "boom") if tests[c.key] is None else ())) for c in every}
    scores = {key: score(key, test, metric=metric) for key, test in tests.items() if test is not None}
    return suite_rows(every, rows, scores)


def test_means_ranks_and_counts() -> None:
    rows = table({"A": [0.7, 0.8], "raw": [0.9, 0.9], "B": [0.6, None], "C": [None, None]})
    assert [(row.method, row.rank, row.seeds) for row in rows] == [
        ("raw", 1, 2),
        ("A", 2, 2),
        ("B", 3, 1),
        ("C", None, 0),
    ]
    assert rows[1].test_mean == pytest.approx(0.75)
    assert rows[1].test_std == pytest.approx(0.0707106781)
    assert [row.reference for row in rows] == [True, False, False, False]
    assert rows[2].statuses == {"done": 1, "failed": 1}
    assert rows[3].messages == ["boom"]
    json.dumps([row.mapping() for row in rows])


def test_of_errors_the_smallest_is_best_and_equal_scores_share_a_rank() -> None:
    rows = table({"A": [2.0], "B": [1.0], "C": [1.0]}, metric="rmse")
    assert [(row.method, row.rank) for row in rows] == [("B", 1), ("C", 1), ("A", 3)]


def test_versions_of_a_probe_are_not_mixed_in_one_mean() -> None:
    cells = [Cell("A", "Cora", seed) for seed in range(3)]
    scores = {cells[0].key: score(cells[0].key, 0.5), cells[1].key: score(cells[1].key, 0.9, version=2)}
    rows = suite_rows(cells, {cell.key: state(cell) for cell in cells[:2]}, scores)
    assert sorted((row.probe_version, row.test_mean) for row in rows) == [(1, 0.5), (2, 0.9)]
    assert sum(row.statuses.get("pending", 0) for row in rows) == 1


def test_every_metric_has_its_means() -> None:
    cells = [Cell("A", "Cora", seed) for seed in range(2)]
    values = [{"accuracy": (0.5, 0.25), "macro_f1": (None, 0.5)}, {"accuracy": (0.75, 0.5), "macro_f1": (None, 1.0)}]
    scores = {
        cell.key: replace(score(cell.key, own["accuracy"][1]), val=own["accuracy"][0], metrics=json.dumps(own))
        for cell, own in zip(cells, values, strict=True)
    }
    [row] = suite_rows(cells, {cell.key: state(cell) for cell in cells}, scores)
    found = row.mapping()["metrics"]
    assert isinstance(found, dict)
    assert list(found) == ["accuracy", "macro_f1"]
    assert found["accuracy"] == {key: getattr(row, key) for key in ("val_mean", "val_std", "test_mean", "test_std")}
    assert found["macro_f1"] == {"val_mean": None, "val_std": None, "test_mean": 0.75, "test_std": 0.5**0.5 / 2}


def test_tasks_settings_and_amounts_of_labels_are_ranked_apart() -> None:
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("A", {}),
        ("supervised", {"setting": "supervised"}),  # the reference of frozen embeddings
        ("B", {"setting": "finetune", "labels": 0.1}),
        ("supervised", {"setting": "supervised", "labels": 0.1}),  # and of as few labels
        ("C", {"setting": "finetune", "labels": 0.01}),
        ("D", {"setting": "auxiliary"}),
        ("E", {"task": "link"}),
    ]
    cells = [Cell(method, "Cora", 0, **own) for method, own in kinds]
    scores = {
        c.key: replace(score(c.key, 0.9 - 0.1 * n), task=c.task or "node", setting=c.setting)
        for n, c in enumerate(cells)
    }
    rows = suite_rows(cells, {cell.key: state(cell) for cell in cells}, scores)
    assert sorted((row.method, row.setting, row.labels, row.rank) for row in rows) == [
        ("A", "frozen", "", 1),
        ("B", "finetune", "10 % of the labels", 1),
        ("C", "finetune", "1 % of the labels", 1),
        ("D", "auxiliary", "", 1),
        ("E", "frozen", "", 1),
        ("supervised", "supervised", "", 2),
        ("supervised", "supervised", "10 % of the labels", 2),
    ]


def run(method: str, seed: int, **changed: object) -> RunRow:
    values = {
        "config_hash": f"hash-{method}",
        "dataset": "Cora",
        "dataset_checksum": "d",
        "split_hash": "s",
        "probe": "P1",
        "probe_version": 1,
        "environment_hash": "e",
        "status": "done",
        "metric": "accuracy",
        "val": 0.5,
        "test": 0.6,
        "epochs": 1,
        "pretrain_seconds": 1.0,
        "probe_seconds": 1.0,
        "peak_memory_mb": 1.0,
        "encoder": "GCN",
        "sampler": "full",
        "preset": "",
        "run_dir": "",
        "date": "2026-01-01",
        "git_hash": "",
        "config": "{}",
        "environment": '{"gssl": "0.1.0"}',
    }
    return RunRow(**{"method": method, "seed": seed, **values, **changed})  # type: ignore[arg-type]  # by name


GUEST = table({"my:Own": [0.7, 0.8]})[0]


def test_stored_results_of_the_same_protocol_stand_beside_a_guest() -> None:
    stored = [run("A", seed, test=0.5 + 0.1 * seed) for seed in range(3)]
    rows, differences = beside(GUEST, "d", stored, GUEST.config_hashes)
    assert not differences
    assert [(row.method, row.seeds, row.stored) for row in rows] == [("A", 2, True)]
    assert rows[0].test_mean == pytest.approx(0.55)  # the seeds that both have
    assert rows[0].messages == ["stored by gssl 0.1.0"]


def test_options_of_the_probe_must_agree() -> None:
    own = [run("my:Own", seed, config_hash=GUEST.config_hashes[0], config='{"probe": {"steps": 5}}') for seed in (0, 1)]
    other = [run("A", seed, config='{"probe": {"steps": 9}}') for seed in (0, 1)]
    same = [run("B", seed, config='{"probe": {"steps": 5}}', environment="not JSON") for seed in (0, 1)]
    rows, differences = beside(GUEST, "d", [*own, *other, *same], GUEST.config_hashes)
    assert [row.method for row in rows] == ["B"]
    assert [d.reason for d in differences] == ['the options of the probe are {"steps": 9}, here {"steps": 5}']


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"probe": "P2"}, "the probe is P2, here P1"),
        ({"probe_version": 2}, "the probe P1 has version 2, here 1"),
        ({"dataset_checksum": "x"}, "the data differ (checksum x, here d)"),
        ({"metric": "roc_auc"}, "the metric is roc_auc, here accuracy"),
        ({"split_hash": "other"}, "the split of seed 0, 1 differs"),
        ({"task": "cluster"}, "the task is cluster, here node"),
        ({"setting": "finetune"}, "the setting is finetune, here frozen"),
        ({"setting": "supervised", "config": '{"setting": {"labels": 3}}'}, "the setting is finetune, here frozen"),
    ],
)
def test_what_differs_is_said_and_not_ranked(changed: dict[str, object], reason: str) -> None:
    rows, differences = beside(GUEST, "d", [run("A", seed, **changed) for seed in range(2)], ())
    assert not rows
    assert [difference.reason for difference in differences] == [reason]


def test_the_supervised_row_stands_beside_a_guest_that_is_frozen() -> None:
    stored = [run("supervised", seed, setting="supervised", metrics='{"nmi": [null, 0.5]}') for seed in range(2)]
    [row], differences = beside(GUEST, "d", stored, ())
    assert not differences
    assert (row.setting, row.task, row.reference) == ("supervised", "node", True)
    assert row.metrics["nmi"]["test_mean"] == 0.5


def test_seeds_without_a_partner_are_left_out_and_named() -> None:
    stored = [run("A", 0), run("A", 1, split_hash="other"), run("B", 1)]
    rows, differences = beside(GUEST, "d", stored, ())
    assert not rows
    assert [d.reason for d in differences] == ["the split of seed 1 differs", "seed 0 is missing"]


def test_the_newest_row_of_a_seed_counts_and_own_rows_do_not_come_twice() -> None:
    stored = [run("A", 0, test=0.1, environment_hash="old"), run("A", 0, test=0.9), run("A", 1, test=0.9)]
    rows, _ = beside(GUEST, "d", [*stored, run("my:Own", 0, config_hash="c")], GUEST.config_hashes)
    assert [(row.method, row.test_mean) for row in rows] == [("A", 0.9)]


def test_time_left_is_that_of_like_cells() -> None:
    estimate = Estimate()
    assert estimate.left([Cell("A", "Cora", 0)], 2) is None
    estimate.add(Cell("A", "Cora", 0), 10.0)
    estimate.add(Cell("B", "Cora", 0), 20.0)
    left = [Cell("A", "Cora", 1), Cell("B", "Cora", 1), Cell("C", "Cora", 1)]
    assert estimate.left(left, 2) == pytest.approx((10 + 20 + 15) / 2)
    assert replace(left[0], seed=3).variant() == left[0].variant()
