"""A store and a run folder that the version before tasks, settings and further metrics made: ``tests/results/old``."""

import csv
import json
import shutil
import sqlite3
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gssl.benchmarks.bench.expand import SuitePart, expand
from gssl.benchmarks.bench.export import export
from gssl.benchmarks.bench.merge import merge
from gssl.benchmarks.bench.suite import load_suite
from gssl.cli.main import main
from gssl.results.cells import Cells
from gssl.results.folder import RunFolder
from gssl.results.former import completed, task_and_setting
from gssl.results.schema import KEY, SCHEMA_VERSION
from gssl.results.store import Store

OLD = Path(__file__).with_name("old")
RUN = "GRACE-digits-498cb7a9"
COMMAND = ("run", "GRACE", "digits", "--epochs", "2", "--seeds", "2", "--set", "encoder.hidden_dim=8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of runs as it was, with the store in it; checkpoints and embeddings are left out."""
    runs = tmp_path / "runs"
    shutil.copytree(OLD / RUN, runs / RUN)
    with sqlite3.connect(runs / "results.db") as connection:
        connection.executescript((OLD / "results.sql").read_text(encoding="utf-8"))
    return runs


@pytest.fixture
def url(folder: Path) -> str:
    return f"sqlite:///{folder}/results.db"


def as_it_was(folder: Path) -> list[dict[str, object]]:
    with sqlite3.connect(folder / "results.db") as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM runs ORDER BY id")]


def test_the_store_is_brought_to_this_version_and_keeps_every_value(folder: Path, url: str) -> None:
    before = as_it_was(folder)
    with sqlite3.connect(folder / "results.db") as connection:
        assert connection.execute("SELECT value FROM gssl_meta").fetchone() == ("2",)
    with Store(url) as store:
        rows = store.rows()
    assert [{name: value for name, value in asdict(row).items() if name in before[0]} for row in rows] == [
        {name: value for name, value in row.items() if name != "id"} for row in before
    ]
    assert [(row.method, row.task, row.setting) for row in rows] == [
        ("GRACE", "node", "frozen"),
        ("GRACE", "node", "frozen"),
        ("supervised", "node", "supervised"),
        ("raw", "node", "frozen"),
    ]
    assert all(json.loads(row.metrics) == {"accuracy": [row.val, row.test]} for row in rows)
    with sqlite3.connect(folder / "results.db") as connection:
        assert connection.execute("SELECT value FROM gssl_meta").fetchone() == (str(SCHEMA_VERSION),)
    with Store(url) as store:  # once is enough
        assert store.rows() == rows


def test_its_cells_are_finished_and_their_keys_those_of_today(url: str) -> None:
    selection = SuitePart(methods=("raw",), datasets=("digits",), seeds=1, epochs=2)
    [cell] = expand(load_suite("demo"), selection)
    with Store(url) as store:
        cells = Cells(store)
        assert list(cells.rows()) == [cell.key]
        assert json.loads(cells.rows()[cell.key].spec) == cell.spec
        score = cells.scores([cell.key])[cell.key]
        assert (score.test, score.task, score.setting) == (0.935, "node", "frozen")
        assert cells.runs([cell.key])[cell.key].method == "raw"


def test_the_run_is_found_finished_by_the_same_command(
    folder: Path, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMAND, "--out", str(folder / RUN), "--db", url, "--json"]) == 0
    out, err = capfd.readouterr()
    assert "holds the finished result of this run; nothing was done" in err
    old, new = json.loads((OLD / RUN / "result.json").read_text()), json.loads(out)
    assert {name: new[name] for name in old if name not in ("run_dir", "per_seed")} == {
        name: value for name, value in old.items() if name not in ("run_dir", "per_seed")
    }
    assert (new["task"], new["setting"], new["world_size"]) == ("node", "frozen", 1)
    means = {name: old[name] for name in ("val_mean", "val_std", "test_mean", "test_std")}
    assert new["metrics"] == {"accuracy": means}
    assert [seed["metrics"]["accuracy"]["test"] for seed in new["per_seed"]] == [0.913, 0.748]


def test_a_seed_that_was_finished_then_is_not_repeated(folder: Path, url: str) -> None:
    """The run was interrupted after its last seed, before its result was written."""
    (folder / RUN / "result.json").unlink()
    before = [(folder / RUN / f"seed-{seed}" / "metrics.json").read_bytes() for seed in (0, 1)]
    assert main([*COMMAND, "--out", str(folder / RUN), "--db", url]) == 0
    assert [(folder / RUN / f"seed-{seed}" / "metrics.json").read_bytes() for seed in (0, 1)] == before
    result = json.loads((folder / RUN / "result.json").read_text())
    assert result["metrics"]["accuracy"]["test_mean"] == 0.8305
    with Store(url) as store:
        assert len(store.rows(method="GRACE")) == 2  # the same measurements, not new ones


def test_what_a_seed_measured_is_read(folder: Path) -> None:
    with RunFolder(folder / RUN) as run:
        seed = run.finished_seed(0)
    assert seed is not None
    assert seed.metrics("accuracy") == {"accuracy": (0.896, 0.913)}
    assert [split.others for split in seed.splits] == [{}]


def test_its_page_is_made(folder: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the fixture has relative paths
    assert main(["report", "--db", url, "--out", str(tmp_path / "page")]) == 0
    [board] = (tmp_path / "page" / "boards").iterdir()
    text = board.read_text()
    assert {"GRACE", "supervised", "raw"} <= set(text.replace(">", "<").split("<"))  # reference rows beside methods
    assert "83.05" in text


def test_it_is_merged_and_exported(folder: Path, url: str, tmp_path: Path) -> None:
    into = f"sqlite:///{tmp_path}/all.db"
    assert merge([url], into) == {"runs": 4, "cells": 1}
    assert merge([url], into) == {"runs": 0, "cells": 0}
    with Store(url) as one, Store(into) as other:
        assert one.rows() == other.rows()
    assert export(tmp_path / "all.csv", into) == 4
    lines = (tmp_path / "all.csv").read_text().splitlines()
    assert {"task", "setting", "val_accuracy", "test_accuracy"} <= set(lines[0].split(","))


def test_formulas_are_harmless_in_an_export(folder: Path, url: str, tmp_path: Path) -> None:
    with Store(url) as store:
        store.record(replace(store.rows()[0], method="=cmd|' /C calc'!A0", seed=77))
    export(tmp_path / "all.csv", url)
    with (tmp_path / "all.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    [line] = [line for line in lines if line["seed"] in ("77", "77.0")]
    assert line["method"] == "'=cmd|' /C calc'!A0"
    assert float(line["test"]) == pytest.approx(float(line["test_accuracy"]))


@pytest.mark.parametrize(
    ("method", "dataset", "sampler", "expected"),
    [
        ("GraphCL", "MUTAG", "graphs", ("graph", "frozen")),
        ("raw", "MUTAG", "full", ("graph", "frozen")),  # all graphs at once
        ("supervised", "Cora", "labor", ("node", "supervised")),
        ("mine:M", "../my/graphs.pt", "graphs", ("graph", "frozen")),
        ("GRACE", "csbm:num_nodes=50", "full", ("node", "frozen")),
    ],
)
def test_what_was_judged_follows_from_data_and_sampler(
    method: str, dataset: str, sampler: str, expected: tuple[str, str]
) -> None:
    assert task_and_setting(method, dataset, sampler) == expected


def test_a_result_of_today_is_left_as_it_is() -> None:
    assert completed({"metrics": {}, "task": "link"}) == {"metrics": {}, "task": "link"}


def test_nothing_that_tells_measurements_apart_is_new() -> None:
    """An old row and a new one of the same measurement must take each other's place."""
    assert not {"task", "setting", "metrics"} & set(KEY)
