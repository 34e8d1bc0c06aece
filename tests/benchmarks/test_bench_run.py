"""``gssl bench`` end to end, on small cells."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas
import pytest

from gssl.benchmarks.bench import engines
from gssl.benchmarks.bench.scale import finished_suite, resume_seconds
from gssl.common.errors import InputError
from gssl.results import database
from gssl.results.cells import Cells
from gssl.results.store import Store

if TYPE_CHECKING:
    from conftest import Lab

SUITE = """\
# Small cells.
seeds: 2
budget: {epochs: 2}
groups:
  - methods: [raw, {name: untrained, options: {encoder.hidden_dim: 8}}]
    datasets: [graph.npz]
"""


@pytest.fixture
def suite(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The laboratory with the suite ``mine.yaml``."""
    (lab.folder / "mine.yaml").write_text(SUITE)
    monkeypatch.setenv("GSSL_RUNS", str(lab.folder / "runs"))
    return lab


def bench(lab: Lab, *arguments: str, code: int = 0) -> dict[str, Any]:
    out, _ = lab.gssl("bench", *arguments, "--json", code=code)
    assert out.count("\n") == 1
    found: dict[str, Any] = json.loads(out)
    return found


def scores(db: Path) -> dict[str, tuple[object, ...]]:
    with Store(f"sqlite:///{db}") as store:
        cells = Cells(store)
        return {key: (run.config_hash, run.val, run.test, run.run_dir) for key, run in cells.runs(cells.rows()).items()}


def test_one_worker_and_two_give_the_same_and_a_second_call_does_nothing(suite: Lab) -> None:
    one = bench(suite, "mine.yaml", "--workers", "1")
    two = bench(suite, "mine.yaml", "--workers", "2", "--db", f"sqlite:///{suite.folder}/two.db")
    assert one["counts"] == two["counts"]
    assert one["counts"]["done"] == one["cells"] == one["worked"] == 4
    first, second = scores(suite.folder / "runs" / "results.db"), scores(suite.folder / "two.db")
    assert {key: value[:3] for key, value in first.items()} == {key: value[:3] for key, value in second.items()}
    assert len({value[3] for value in [*first.values(), *second.values()]}) == 8
    assert [row["rank"] for row in one["rows"]] == [1, 2]
    again = bench(suite, "mine.yaml", "--resume")
    assert again["worked"] == 0
    assert again["rows"] == one["rows"]
    assert scores(suite.folder / "runs" / "results.db") == first


def test_finding_nothing_to_do_loads_neither_torch_nor_data(suite: Lab) -> None:
    bench(suite, "mine.yaml")
    script = (
        "import sys\nfrom gssl.cli.main import main\ncode = main(['bench', 'mine.yaml', '--json'])\n"
        "heavy = {'torch', 'torch_geometric', 'sklearn', 'pandas', 'optuna'} & set(sys.modules)\n"
        "sys.exit(code or ' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["worked"] == 0


def test_fresh_repeats_and_keeps_former_folders(suite: Lab) -> None:
    bench(suite, "mine.yaml")
    before = scores(suite.folder / "runs" / "results.db")
    again = bench(suite, "mine.yaml", "--fresh", "--methods", "raw")
    assert again["worked"] == 2
    after = scores(suite.folder / "runs" / "results.db")
    assert {key: value[:3] for key, value in before.items()} == {key: value[:3] for key, value in after.items()}
    assert sum(before[key] != after[key] for key in before) == 2
    assert all(Path(str(value[3]), "result.json").exists() for value in [*before.values(), *after.values()])


ENDINGS = """\
seeds: 1
groups:
  - methods: ['tiny:Denoise']
    datasets: [graph.npz]
    budgets: [{epochs: 2}]
  - methods: [{name: 'tiny:Denoise', options: {explode: true}}]
    datasets: [graph.npz]
    budgets: [{epochs: 2}]
  - methods: [{name: 'tiny:Denoise', options: {noise: 0.2}}]
    datasets: [graph.npz]
    budgets: [{epochs: 1000000, seconds: 6}]
  - methods: [raw]
    datasets: [ogbn-of-nobody]
"""


def test_every_cell_ends_with_a_status_and_a_reason(suite: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (suite.folder / "mine.yaml").write_text(ENDINGS)
    monkeypatch.setenv("TINY_PAUSE", "0.01")
    found = bench(suite, "mine.yaml", "--workers", "2")
    assert {status: number for status, number in found["counts"].items() if number} == {
        "done": 1,
        "failed": 1,
        "skipped": 1,
        "timed out": 1,
    }
    messages = " ".join(message for row in found["rows"] for message in row["messages"])
    assert "nan" in messages or "inf" in messages or "finite" in messages
    assert "limit 6 s" in messages
    assert "ogbn-of-nobody" in messages
    assert bench(suite, "mine.yaml")["worked"] == 0
    assert bench(suite, "mine.yaml", "--retry", "failed")["worked"] == 1
    (suite.folder / "mine.yaml").write_text(ENDINGS.replace("seconds: 6", "seconds: 7"))
    assert bench(suite, "mine.yaml")["worked"] == 1  # it was given more


def test_configurations_of_one_method_stand_apart_and_equal_ones_are_named(suite: Lab) -> None:
    kinds = "[untrained, {name: untrained, options: {encoder.hidden_dim: 8}}, {name: untrained, encoder: GCN}]"
    text = SUITE.replace("[raw, {name: untrained, options: {encoder.hidden_dim: 8}}]", kinds)
    (suite.folder / "mine.yaml").write_text(text.replace("seeds: 2", "seeds: 1"))
    out, err = suite.gssl("bench", "mine.yaml")
    assert "encoder.hidden_dim=8" in out.partition("cells:")[0]
    assert "untrained (encoder.hidden_dim=8) on " in err
    same = "graph.npz, ranked 2 times: untrained (as it is) and untrained (as it is); keep one of them"
    assert same in out


@pytest.mark.parametrize("place", ["", "elsewhere/../"])
def test_a_damaged_file_is_named_once(suite: Lab, place: str) -> None:
    """Its path stands at the head of the line already."""
    (suite.folder / "elsewhere").mkdir()
    (suite.folder / "broken.npz").write_bytes(b"PK no zip")
    (suite.folder / "mine.yaml").write_text(f"seeds: 1\ngroups: [{{methods: [raw], datasets: [{place}broken.npz]}}]")
    out, err = suite.gssl("bench", "mine.yaml", code=1)
    for text in (out, err):
        (line,) = [line for line in text.splitlines() if "not a whole zip file" in line]
        assert line.count(str(suite.folder)) == 1
        assert ": broken.npz is damaged" in line


def test_a_suite_of_which_nothing_is_finished_fails(suite: Lab) -> None:
    (suite.folder / "mine.yaml").write_text("seeds: 2\ngroups: [{methods: [raw], datasets: [ogbn-of-nobody]}]")
    for _ in range(2):  # a second call has nothing to do, and nothing is better than before
        out, err = suite.gssl("bench", "mine.yaml", code=1)
        assert "2 skipped" in out
        assert "no cell of the suite was finished" in err
    assert bench(suite, "mine.yaml", code=1)["counts"]["skipped"] == 2


def test_a_guest_is_ranked_among_stored_results_without_repeating_them(suite: Lab) -> None:
    bench(suite, "mine.yaml")
    found = bench(suite, "mine.yaml", "--methods", "tiny:Denoise")
    assert found["worked"] == 2
    assert {(row["method"], row["stored"], row["seeds"]) for row in found["rows"]} == {
        ("tiny:Denoise", False, 2),
        ("raw", True, 2),
        ("untrained", True, 2),
    }
    assert sorted(row["rank"] for row in found["rows"]) == [1, 2, 3]
    assert found["differences"] == []


def test_an_impossible_pair_and_an_unknown_name_leave_nothing_behind(suite: Lab) -> None:
    (suite.folder / "mine.yaml").write_text("seeds: 1\ngroups: [{methods: [raw, GraphCL], datasets: [digits]}]")
    _, err = suite.gssl("bench", "mine.yaml", code=2)
    assert "mine.yaml: groups.0.methods.1 with digits: method GraphCL works on graph-level data" in err
    with Store(f"sqlite:///{suite.folder}/runs/results.db") as store:
        assert not Cells(store).rows()
    assert "did you mean 'demo'" in suite.gssl("bench", "demoo", code=2)[1]
    assert "name a suite" in suite.gssl("bench", code=2)[1]


def test_a_full_disk_ends_the_runner_and_the_same_command_goes_on(suite: Lab) -> None:
    """The store gets full after the first of the cells."""
    bench(suite, "mine.yaml", "--methods", "raw")
    before = scores(suite.folder / "runs" / "results.db")
    (suite.folder / "tight.py").write_text(
        "import sys, sqlalchemy\nfrom gssl.results import store\nmake = store.make_engine\n"
        "def tight(url):\n    engine = make(url)\n"
        "    sqlalchemy.event.listen(engine, 'connect', lambda c, _: c.execute('PRAGMA max_page_count = 1'))\n"
        "    return engine\n"
        "if __name__ == '__main__':\n    store.make_engine = tight\n    from gssl.cli.main import main\n"
        "    sys.exit(main(sys.argv[1:]))\n"
    )
    many = SUITE.replace("seeds: 2", "seeds: 200")
    (suite.folder / "many.yaml").write_text(many)
    done = subprocess.run(
        [sys.executable, "tight.py", "bench", "many.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "free some space and give the same command again" in done.stderr
    assert bench(suite, "mine.yaml")["counts"]["done"] == 4
    after = scores(suite.folder / "runs" / "results.db")
    assert {key: after[key] for key in before} == before


def test_a_locked_store_is_refused_with_advice(suite: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    bench(suite, "mine.yaml", "--methods", "raw")
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.05)
    locker = sqlite3.connect(suite.folder / "runs" / "results.db", isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    _, err = suite.gssl("bench", "mine.yaml", code=2)
    locker.close()
    assert "another process keeps it locked" in err


def test_hostile_names_reach_neither_the_terminal_nor_the_shell(suite: Lab) -> None:
    name = "a\x1b[31m'; touch pwned; --[red]☃.npz"
    (suite.folder / name).write_bytes((suite.folder / "graph.npz").read_bytes())
    text = json.dumps({"seeds": 1, "groups": [{"methods": ["raw"], "datasets": [name]}]})
    (suite.folder / "mine.yaml").write_text(text)
    out, err = suite.gssl("bench", "mine.yaml")
    assert "1 done" in out
    assert "\x1b" not in out + err
    assert "[red]☃" in out
    assert not (suite.folder / "pwned").exists()


def test_export_and_merge(suite: Lab) -> None:
    found = bench(suite, "mine.yaml", "--export", "out.csv")
    assert found["exported"] == 4
    table = pandas.read_csv(suite.folder / "out.csv")
    assert sorted(table["test"]) == sorted(
        value for row in scores(suite.folder / "runs" / "results.db").values() if isinstance(value := row[2], float)
    )
    assert set(table["cell_status"]) == {"done"}
    bench(suite, "--export", "out.parquet")
    assert len(pandas.read_parquet(suite.folder / "out.parquet")) == 4
    merged = bench(suite, "--merge", f"sqlite:///{suite.folder}/runs/results.db", "--db", "sqlite:///all.db")
    assert merged["merged"] == {"runs": 4, "cells": 4}
    assert bench(suite, "mine.yaml", "--db", "sqlite:///all.db")["worked"] == 0
    assert "there is no results store" in suite.gssl("bench", "--export", "a.csv", "--db", "sqlite:///b.db", code=2)[1]
    assert not (suite.folder / "b.db").exists()


def test_whole_numbers_are_exported_as_such_where_a_cell_has_no_result(suite: Lab) -> None:
    broken = "import tiny\n\n\nclass Broken(tiny.Denoise):\n    def loss(self, batch):\n        raise RuntimeError\n"
    (suite.folder / "broken.py").write_text(broken)
    text = json.dumps({"seeds": 1, "groups": [{"methods": ["raw", "broken:Broken"], "datasets": ["graph.npz"]}]})
    (suite.folder / "half.yaml").write_text(text)
    suite.gssl("bench", "half.yaml", "--export", "out.csv")
    table = pandas.read_csv(suite.folder / "out.csv", dtype=str)
    assert table["status"].isna().sum() == 1
    assert set(table["seed"].dropna()) == {"0"}


def test_a_file_that_cannot_be_written_is_told_before_the_work(suite: Lab) -> None:
    assert "kind of file" in suite.gssl("bench", "mine.yaml", "--export", "out.xls", code=2)[1]
    assert "there is no folder" in suite.gssl("bench", "mine.yaml", "--export", "no/out.csv", code=2)[1]
    assert not (suite.folder / "runs").exists()


def test_ray_is_asked_for_only_by_its_name(suite: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'gssl\[ray\]'"):
        engines._ray()
    _, err = suite.gssl("bench", "mine.yaml", "--engine", "ray", code=2)
    assert "pip install 'gssl[ray]'" in err


def test_ray_gives_the_same_and_asks_for_what_the_budget_says(suite: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra gssl[ray] is not installed")
    monkeypatch.setenv("PYTHONPATH", f"{suite.folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    local = bench(suite, "mine.yaml", "--db", f"sqlite:///{suite.folder}/local.db")
    import ray

    try:
        there = bench(suite, "mine.yaml", "--engine", "ray", "--workers", "2")
    finally:
        ray.shutdown()
    assert there["counts"] == local["counts"]
    one, two = scores(suite.folder / "local.db"), scores(suite.folder / "runs" / "results.db")
    assert {key: value[:3] for key, value in one.items()} == {key: value[:3] for key, value in two.items()}


def test_the_benchmark_of_many_cells_stores_what_the_runner_takes_for_done(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/results.db"
    file, count = finished_suite(tmp_path, url, 2)
    assert count == 20
    assert resume_seconds(file, url) > 0, "it asserts that nothing was worked on"
