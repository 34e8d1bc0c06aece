"""``gssl data``: import, list and check, and the commands that know what was imported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gssl.cli.main import main

NODES = 60


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of arrays, and places of the test's own."""
    for name in ("DATA", "RUNS"):
        monkeypatch.setenv(f"GSSL_{name}", str(tmp_path / name.lower()))
    monkeypatch.setenv("GSSL_DB", f"sqlite:///{tmp_path}/results.db")
    monkeypatch.delenv("GSSL_MIRROR", raising=False)
    monkeypatch.chdir(tmp_path)
    rng, folder = np.random.default_rng(0), tmp_path / "Mine"
    folder.mkdir()
    np.save(folder / "edge_index.npy", rng.integers(0, NODES, (2, 400)))
    np.save(folder / "x.npy", rng.normal(size=(NODES, 5)).astype(np.float32))
    np.save(folder / "y.npy", np.arange(NODES) % 3)
    return folder


def answer(capfd: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main([*words, "--json"]) == 0
    found: dict[str, object] = json.loads(capfd.readouterr().out.splitlines()[-1])
    return found


def test_what_was_imported_is_run_shown_listed_and_checked(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = answer(capfd, "data", "import", "Mine", "--data", "undirected=true,task=multiclass")
    assert (made["name"], made["nodes"], made["new"]) == ("Mine", NODES, True)
    assert made["folder"] == str(tmp_path / "data" / "imported" / "Mine")
    assert answer(capfd, "show", "mine")["checksum"] == made["checksum"]
    assert "Mine" in json.dumps(answer(capfd, "list", "datasets"))
    assert json.dumps(answer(capfd, "data", "list")).count(str(made["folder"])) == 1
    assert answer(capfd, "data", "check", "mine")["intact"] is True
    short = ("--batch-size", "20", "--epochs", "1")
    ran = answer(capfd, "run", "BGRL", "mine", "--sampler", "graphsage", *short)
    there = answer(capfd, "run", "BGRL", str(made["folder"]), "--sampler", "labor", *short)
    assert ran["dataset"] == there["dataset"] == "Mine"
    assert ran["split_hash"] == there["split_hash"]
    assert answer(capfd, "data", "import", "Mine", "--data", "undirected=true,task=multiclass")["new"] is False


def test_a_changed_file_fails_the_check_and_the_run(capfd: pytest.CaptureFixture[str]) -> None:
    folder = Path(str(answer(capfd, "data", "import", "Mine")["folder"]))
    with (folder / "x.npy").open("r+b") as file:
        file.seek(300)
        file.write(b"\1")
    for words in (["data", "check", "Mine"], ["run", "BGRL", "Mine", "--epochs", "1"]):
        assert main(words) == 2
        assert "x.npy has changed since the import" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "import"], "say what to import: gssl data import FOLDER"),
        (["data", "check", "Nine"], "unknown imported graph 'Nine'"),
        (["data", "import", "nowhere"], "there is no folder nowhere"),
        (["data", "import", "Mine", "--data", "metrik=mae"], "metric"),
        (["data", "import", "Mine", "--data", "normalize=row"], "leave out normalize"),
        (["data", "import", "Mine", "--memory", "1"], "at least 8"),
        (["data", "imprt", "Mine"], "import"),
        (["data", "import", "Mine", "--name", "a/b"], "cannot be the name of a dataset"),
        (["run", "BGRL", "ogbn-papers100M", "--sampler", "graphsage"], "gssl data import FOLDER"),
    ],
)
def test_what_is_wrong_is_said(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], message: str
) -> None:
    assert main(words) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "data" / "imported").exists() or not any((tmp_path / "data" / "imported").glob("[!.]*"))


def test_a_suite_names_what_was_imported(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer(capfd, "data", "import", "Mine")
    suite = tmp_path / "suite.yaml"
    suite.write_text("seeds: 1\nbudget: {epochs: 1}\ngroups:\n  - methods: [raw]\n    datasets: [mine]\n")
    assert main(["show", str(suite)]) == 0
    assert "Mine" in capfd.readouterr().out
