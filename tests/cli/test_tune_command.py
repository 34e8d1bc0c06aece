"""``gssl tune`` as its users call it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gssl.cli.main import main
from gssl.common import yaml_io
from gssl.results.store import Store

SMALL = ("--epochs", "4", "--seeds", "2", "--set", "encoder.hidden_dim=16", "--set", "encoder.out_dim=8")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GSSL_RUNS", raising=False)
    monkeypatch.delenv("GSSL_DB", raising=False)
    return tmp_path


def answer(capfd: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capfd.readouterr()
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capfd.readouterr().out)
    return found


def test_from_search_to_preset(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = answer(capfd, "tune", "BGRL", "digits", "--trials", "3", "--algorithm", "random", *SMALL)
    assert found["study"] == "BGRL-digits"
    assert found["fresh_seeds"] == [1, 2]
    assert found["trials"]["total"] == 3
    runs = found["runs"]
    assert found["val_mean"] == runs["tuned"]["val_mean"]
    before, after = runs["default"]["per_seed"], runs["tuned"]["per_seed"]
    assert found["val_gains"] == [b["val"] - a["val"] for a, b in zip(before, after, strict=True)]
    assert found["out"] == str(place / "runs" / "tune-BGRL-digits")
    for path in (found["study_file"], *found["plots"], *found["presets"]):
        assert Path(path).stat().st_size > 0
    names = {Path(path).name for path in found["plots"]}
    assert {"history.svg", "slice.svg", "reports.svg"} <= names
    study = json.loads(Path(str(found["study_file"])).read_text())
    assert "test" not in {key for trial in study["trials"] for key in trial}
    with Store(f"sqlite:///{place}/runs/results.db") as store:
        rows = store.rows(config_hash=runs["tuned"]["config_hash"])
    assert [row.seed for row in rows] == [1, 2]

    again = answer(capfd, "run", "BGRL", "digits", "--config", str(found["preset"]), "--seed", "1", "--seeds", "2")
    assert again["config_hash"] == runs["tuned"]["config_hash"]
    assert again["per_seed"] == after
    preset = yaml_io.read(Path(str(found["preset"])))
    assert "seeds" not in preset
    assert "validation accuracy" in preset["source"]


def test_quality_against_time(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("tune", "BGRL", "digits", "--trials", "4", "--objective", "val,seconds", "--algorithm", "nsgaii")
    found = answer(capfd, *words, *SMALL)
    front = [trial["values"] for trial in found["pareto"]]
    assert front == sorted(front, reverse=True)
    assert all(b[1] < a[1] for a, b in pairwise(front))
    assert found["best"] == found["pareto"][0]
    assert len(found["presets"]) == 1 + len(front)
    assert any(str(path).endswith("pareto.svg") for path in found["plots"])
    assert main([*words, *SMALL]) == 0
    out = capfd.readouterr().out
    assert "not beaten in both" in out
    assert "fresh seeds" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["GRACE", "digits", "--trials", "0"], "argument --trials: must be at least 1 (got 0)"),
        (["GRACE", "digits"], "the following arguments are required: --trials"),
        (["GRACE", "digits", "--trials", "2", "--workers", "0"], "must be at least 1"),
        (["GRACE", "digits", "--trials", "2", "--timeout", "-1"], "must be above zero"),
        (["GRACE", "digits", "--trials", "2", "--algorithm", "tpee"], "unknown algorithm 'tpee'; did you mean 'tpe'?"),
        (["GRACE", "digits", "--trials", "2", "--sampler-algorithm", "cmase"], "did you mean 'cmaes'"),
        (["GRACE", "digits", "--trials", "2", "--pruner", "medain"], "did you mean 'median'"),
        (["GRACE", "digits", "--trials", "2", "--objective", "value"], "unknown objective"),
        (["GRACE", "digits", "--trials", "2", "--objective", "seconds"], "--objective is val or val,seconds"),
        (
            ["GRACE", "digits", "--trials", "2", "--objective", "val,seconds", "--algorithm", "cmaes"],
            "has one objective",
        ),
        (["GRACE", "digits", "--trials", "2", "--space", "absent.yaml"], "absent.yaml"),
        (["GRACE", "MUTAG", "--trials", "2"], "methods that fit"),
        (["GRAEC", "digits", "--trials", "2"], "did you mean 'GRACE'"),
        (["raw", "digits", "--trials", "2"], "nothing to search for raw"),
        (["GRACE", "digits", "--trials", "2", "--set", "temprature=1"], "did you mean 'temperature'"),
        (["GRACE", "digits", "--trials", "2", "--storage", "here"], "is not a storage such as"),
        (["GRACE", "digits", "--trials", "2", "--out", "/proc/nowhere"], "cannot write /proc/nowhere"),
    ],
)
def test_bad_usage_is_answered_and_leaves_nothing(
    words: list[str], message: str, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", *words]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert message in err
    assert not list(place.rglob("*.db"))


def test_data_without_labels(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    np.savez("mine.npz", edge_index=np.array([[0, 1, 2], [1, 2, 0]]), x=np.eye(3, dtype="float32"))
    assert main(["tune", "GRACE", "mine.npz", "--trials", "2"]) == 2
    assert "mine has no labels, so there is no validation score to search by" in capfd.readouterr().err


def test_a_lead_that_fresh_seeds_do_not_confirm_is_called_chance(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    space = place / "space.yaml"
    space.write_text("train.lr: {type: float, low: 0.001, high: 0.1, log: true}\n", encoding="utf-8")
    words = ("tune", "BGRL", "digits", "--trials", "4", "--algorithm", "random", "--space", str(space), *SMALL)
    for differences, doubted in (([-0.1, 0.05], True), ([0.1, -0.05], False), (None, False)):
        monkeypatch.setattr("gssl.search.tuning.gains", lambda *_, found=differences: found)
        found = answer(capfd, *words)
        assert found["runs"]["tuned"]["config_hash"] != found["runs"]["default"]["config_hash"]
        assert any("no better than the defaults" in note for note in found["notes"]) == doubted


def test_threads_belong_to_a_study(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("tune", "BGRL", "digits", "--trials", "1", "--algorithm", "random", *SMALL)
    found = answer(capfd, *words, "--threads", "2")
    assert found["trials"]["complete"] == 1
    environment = json.loads(next(place.glob("runs/tune-BGRL-digits/runs/*/environment.json")).read_text())
    assert environment["threads"] == 2
    assert main([*words]) == 2
    assert "threads" in capfd.readouterr().err
