"""Sampled runs from the command line: folders of arrays, histories in files, what is reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import Lab

QUICK = ("--epochs", "2", "--batch-size", "8", "--set", "encoder.hidden_dim=4", "--json")


@pytest.fixture
def folder(lab: Lab) -> Path:
    path = lab.folder / "mine"
    path.mkdir()
    with np.load(lab.folder / "graph.npz") as arrays:
        for key, array in arrays.items():
            np.save(path / f"{key}.npy", array.astype(np.float32) if key == "x" else array)
    return path


def stored(path: Path) -> tuple[str, ...]:
    return ("--set", "sampler.history_storage=mmap", "--set", f"sampler.history_folder={path}")


def test_a_folder_of_arrays_is_trained_on(lab: Lab, folder: Path) -> None:
    out, _ = lab.gssl("run", "BGRL", f"{folder}/", "--sampler", "graphsage", *QUICK)
    result = json.loads(out)
    assert result["dataset"] == "mine"
    assert result["staleness_mean"] is None
    assert result["staleness_max"] is None
    assert result["empty_draws"] == 0


def test_staleness_and_empty_draws_are_reported(lab: Lab, folder: Path) -> None:
    poisson = ("--batch-size", "1", "--set", "sampler.norms=online")
    out, _ = lab.gssl("run", "BGRL", str(folder), "--sampler", "minvar+history", *QUICK, *poisson)
    result = json.loads(out)
    curve = [json.loads(line) for line in (Path(result["run_dir"]) / "seed-0/curve.jsonl").read_text().splitlines()]
    assert result["empty_draws"] == sum(record["empty_draws"] for record in curve) > 0
    (first,), (second,) = (record["history"] for record in curve)
    assert first.keys() == {"kind", "layer", "rows", "unwritten", "mean", "largest"}
    assert (first["kind"], first["layer"]) == ("embedding", 0)
    assert first["unwritten"] > second["unwritten"], "in the beginning nothing was written"
    assert 1 <= result["staleness_mean"] <= result["staleness_max"] == max(first["largest"], second["largest"])
    table, _ = lab.gssl("run", "BGRL", str(folder), "--sampler", "minvar+history", *QUICK[:-1], *poisson, "--seed", "1")
    assert "history rows read" in table
    assert "empty draws" in table


def test_the_history_of_another_encoder_or_graph_is_refused(lab: Lab, folder: Path) -> None:
    history = lab.folder / "history"
    command = ("run", "BGRL", str(folder), "--sampler", "gas", *QUICK, *stored(history))
    lab.gssl(*command)
    before = {path.name: path.read_bytes() for path in history.iterdir()}
    assert len(before) > 1
    _, err = lab.gssl(*command, "--set", "encoder.num_layers=3", "--out", str(lab.folder / "wide"), code=2)
    assert "another graph or another encoder" in err
    assert not (lab.folder / "wide").exists()
    np.save(folder / "x.npy", 2 * np.load(folder / "x.npy"))
    _, err = lab.gssl(*command, code=2)
    assert "another graph or another encoder" in err
    assert "sampler.history_folder" in err
    assert {path.name: path.read_bytes() for path in history.iterdir()} == before


def test_a_resumed_run_continues_its_history(lab: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(name: str, code: int = 0) -> dict[str, object]:
        fixed = ("--sampler", "gas", *stored(lab.folder / "history"), "--set", "train.checkpoint_seconds=1e-9")
        command = ("run", "tiny:Denoise", str(folder), *QUICK, *fixed, "--out", str(lab.folder / name))
        out, _ = lab.gssl(*command, code=code)
        return json.loads(out) if code == 0 else {}

    whole = run("whole")
    monkeypatch.setenv("TINY_STOP", "20")  # of 15 steps an epoch
    run("parts", code=130)
    monkeypatch.delenv("TINY_STOP")
    resumed = run("parts")
    for key in ("val_mean", "test_mean", "staleness_mean", "staleness_max"):
        assert resumed[key] == whole[key], key
