"""Results that were damaged at random: stores, run folders, and what the page is given beside them."""

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gssl
from gssl.benchmarks.bench.export import export
from gssl.benchmarks.bench.merge import merge
from gssl.benchmarks.report.folders import projection, run_files
from gssl.benchmarks.report.sample import row, run_folder, several_metrics, unfinished, write_sample
from gssl.benchmarks.report.site import write_report
from gssl.results.cells import Cells
from gssl.results.store import Store
from gssl.testing.damage import damaged, must_answer, numbers

HUGE = 2_000_000  # characters
JSON = ("config", "environment", "metrics", "spec")  # columns that hold it
VALUES: tuple[Any, ...] = (
    None, "", "x", "x" * HUGE, b"\xff\xfe", "\0", -1, 0, 2**63 - 1, -(2**63), 1e308, -1e308, 9e999, 5e-324, 0.5, "0.5",
    "nan", "null", "[]", "{}", "[" * 100_000, '{"a":' * 5000, '{"a": ' + "1" * 5000 + "}", '{"x": NaN}', "\ud83d",
    '{"method": 3, "probe": [], "encoder": {"hidden_dim": {}}, "setting": {"labels": []}, "train": 1, "seeds": "a"}',
    '{"accuracy": [1e999, "x"], "roc_auc": [1, 2, 3], "\\ud800": [0.1, 0.2]}', '{"plugins": 5, "hash": []}',
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in SQLite with runs of several kinds and cells of a suite."""
    file = tmp_path_factory.mktemp("store") / "results.db"
    with Store(f"sqlite:///{file}") as store:
        for method in ("GRACE", "raw", "BGRL"):
            for seed in range(2):
                store.record(row(method, seed=seed, test=0.8 + 0.01 * seed))
        for each in several_metrics():
            store.record(each)
        unfinished(Cells(store))
    return file


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Something to run on."""
    file = tmp_path_factory.mktemp("data") / "graph.npz"
    rng = np.random.default_rng(0)
    np.savez(file, edge_index=rng.integers(0, 40, (2, 80)), x=rng.normal(size=(40, 3)), y=np.arange(40) % 2)
    return file


def _use(store: Path, whole: Path, graph: Path, number: int) -> None:
    """One of the commands that meet a store."""
    url, other, place = f"sqlite:///{store}", store.with_name("other.db"), store.parent
    kind = number % 5
    if kind == 0:
        write_report(url, place / "page")
    elif kind == 1:
        export(place / "all.csv", url)
    elif kind == 2:
        merge([url], f"sqlite:///{other}")
    elif kind == 3:
        shutil.copy(whole, other)
        merge([f"sqlite:///{other}"], url)
    else:
        gssl.run("raw", graph, db=url, out=place / "run", probe="LBFGS")


def _damage_bytes(file: Path, rng: random.Random) -> None:
    file.write_bytes(damaged(file.read_bytes(), rng))


def _damage_values(file: Path, rng: random.Random) -> None:
    """One to three values of one table, in one row or in all."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA ignore_check_constraints = 1")
    table = rng.choice(["runs", "runs", "runs", "cells", "gssl_meta"])
    columns = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
    if rng.random() < 0.4:
        columns = [column for column in columns if column in JSON] or columns
    for column in rng.sample(columns, min(len(columns), rng.randint(1, 3))):
        where = "" if rng.random() < 0.3 else f" WHERE rowid % 3 = {rng.randrange(3)}"
        old = connection.execute(f"SELECT {column} FROM {table} LIMIT 1").fetchone()[0]
        value = rng.choice(VALUES)
        if isinstance(old, str) and rng.random() < 0.4:
            value = damaged(old.encode(), rng).decode("utf-8", "replace")
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogatepass")
            put = "CAST(? AS TEXT)"
        else:
            put = "?"
        try:
            connection.execute(f"UPDATE {table} SET {column} = {put}{where}", (value,))
        except sqlite3.IntegrityError:  # what SQLite itself refuses
            continue
    connection.commit()
    connection.close()


@pytest.mark.parametrize("damage", [_damage_bytes, _damage_values])
@pytest.mark.parametrize("part", range(3))
def test_stores(
    part: int,
    damage: Callable[[Path, random.Random], None],
    whole: Path,
    graph: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.setenv("GSSL_RUNS", str(tmp_path / "runs"))
    record_property("inputs", len(numbers(20)))
    for number in numbers(20):
        place = tmp_path / "place"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        shutil.copy(whole, place / "results.db")
        damage(place / "results.db", random.Random(f"{part} {number}"))
        must_answer(
            lambda place=place, number=number: _use(place / "results.db", whole, graph, number),  # type: ignore[misc]
            f"input {number} of part {part} of {damage.__name__}",
        )


def test_a_whole_store_is_taken(whole: Path, graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSSL_RUNS", str(tmp_path / "runs"))
    shutil.copy(whole, tmp_path / "results.db")
    for number in range(5):
        _use(tmp_path / "results.db", whole, graph, number)


def test_run_folders(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Whatever they hold, the page goes on: embeddings are drawn or refused, all else becomes a remark."""
    record_property("inputs", len(numbers(40)))
    for number in numbers(40):
        rng = random.Random(number)
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        run_folder(tmp_path / "run", 0, 0.8, splits=2, watched=True)
        path = rng.choice(sorted((tmp_path / "run" / "seed-0").iterdir()))
        path.write_bytes(damaged(path.read_bytes(), rng))
        found = row(run_dir=str(tmp_path / "run"))
        run_files([found])
        must_answer(lambda found=found: projection(found), f"input {number} of run folders")  # type: ignore[misc]


def test_resumed_runs(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """A folder that a command goes on in, or takes the result of; so do ``load`` and ``embed``."""
    monkeypatch.setenv("GSSL_RUNS", str(tmp_path / "runs"))
    record_property("inputs", len(numbers(20)))
    gssl.run("DGI", graph, epochs=2, out=tmp_path / "whole", probe="LBFGS")
    files = sorted(path for path in (tmp_path / "whole").rglob("*") if path.is_file() and path.stat().st_size)
    for number in numbers(20):
        rng = random.Random(number)
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(tmp_path / "whole", tmp_path / "run")
        path = tmp_path / "run" / rng.choice(files).relative_to(tmp_path / "whole")
        path.write_bytes(damaged(path.read_bytes(), rng))
        if number % 2 and path.name != "result.json":
            (tmp_path / "run" / "result.json").unlink()

        def work(number: int = number) -> None:
            gssl.run("DGI", graph, epochs=2, out=tmp_path / "run", probe="LBFGS")
            gssl.embed(tmp_path / "run", graph)

        must_answer(work, f"input {number} of resumed runs: {path.name}")


@pytest.fixture(scope="module")
def extras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three kinds of files that a report takes."""
    folder = tmp_path_factory.mktemp("extras")
    write_sample(folder)
    return folder


@pytest.mark.parametrize("name", ["study.json", "variance.json", "curves.jsonl"])
def test_extras(
    name: str, extras: Path, whole: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("inputs", len(numbers(16)))
    content = (extras / name).read_bytes()
    for number in numbers(16):
        rng = random.Random(number)
        (tmp_path / name).write_bytes(damaged(content, rng) if number % 2 else _other_values(content, rng))
        must_answer(
            lambda: write_report(f"sqlite:///{whole}", tmp_path / "page", extras=[tmp_path / name]),
            f"input {number} of {name}",
        )


def _other_values(content: bytes, rng: random.Random) -> bytes:
    """JSON whose structure is right, with one value of another kind or size."""
    data = json.loads(content)
    place: Any = data
    while True:
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.9:
            place = place[key]
            continue
        place[key] = rng.choice([value for value in VALUES if not isinstance(value, bytes)])
        return json.dumps(data).encode()
