"""Trackers hear of every epoch, of the configuration and of the scores, whatever package is behind them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gssl.cli import run as command
from gssl.common.errors import InputError
from gssl.training.progress import Quiet
from gssl.training.result import EpochRecord
from gssl.training.track import TRACKERS, MLflow, Tracked, WandB, scores_of

CONFIG = {"dataset": "Cora", "method": {"name": "GRACE", "drop_edge": [0.1, 0.2]}, "seeds": [0]}


class Heard:
    """Takes the place of a package: a list of what was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.calls.append((name, args[0] if args else kwargs))


def test_the_command_offers_those_that_there_are() -> None:
    assert tuple(TRACKERS) == command._TRACKERS


def test_every_epoch_reaches_the_tracker_and_the_display(tmp_path: Path) -> None:
    told: list[tuple[str, int, Mapping[str, float]]] = []
    tracker: Any = SimpleNamespace(log=lambda *call: told.append(call))
    display = Tracked(Quiet(), tracker, "GRACE, seed 1")
    display.start(2, 0)
    display.epoch(EpochRecord(0, 0.5, 0.01, 1.0))
    display.epoch(EpochRecord(1, 0.4, 0.01, 1.0, val=0.7))
    display.stop()
    assert told == [
        ("GRACE, seed 1", 0, {"loss": 0.5, "lr": 0.01, "seconds": 1.0}),
        ("GRACE, seed 1", 1, {"loss": 0.4, "lr": 0.01, "seconds": 1.0, "val": 0.7}),
    ]


def test_mlflow_gets_names_that_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    monkeypatch.setitem(sys.modules, "mlflow", heard)
    tracker = MLflow("run", tmp_path)
    tracker.log("GRACE (a), seed 1", 3, {"loss": 0.5})
    tracker.finish(CONFIG, {"accuracy/test_mean": 0.8})
    tracker.close()
    assert heard.calls == [
        ("set_experiment", "gssl"),
        ("start_run", {"run_name": "run"}),
        ("log_metrics", {"GRACE a seed 1/loss": 0.5}),
        ("log_params", {"dataset": "Cora", "method.name": "GRACE", "method.drop_edge": "[0.1, 0.2]", "seeds": "[0]"}),
        ("log_metrics", {"accuracy/test_mean": 0.8}),
        ("end_run", {}),
    ]


def test_wandb_gets_epochs_beside_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Heard()
    run.config, run.summary = Heard(), Heard()  # type: ignore[attr-defined]
    package = ModuleType("wandb")
    package.init = lambda project, name: run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", package)
    tracker = WandB("run", tmp_path)
    tracker.log("seed 1", 3, {"loss": 0.5})
    tracker.finish(CONFIG, {"accuracy/test_mean": 0.8})
    tracker.close()
    assert run.calls == [("log", {"seed 1/loss": 0.5, "seed 1/epoch": 3}), ("finish", {})]
    assert run.config.calls == [("update", CONFIG)]
    assert run.summary.calls == [("update", {"accuracy/test_mean": 0.8})]


@pytest.mark.parametrize("name", TRACKERS)
def test_what_is_missing_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"--track {name} needs the package '{name}': pip install"):
        TRACKERS[name]("run", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_reads_what_a_run_wrote(lab: Any, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    small = ("--set", "encoder.hidden_dim=8", "--set", "encoder.out_dim=8")
    words = ("run", "DGI", "graph.npz", "--epochs", "3", "--seeds", "2", *small, "--track", "tensorboard", "--json")
    result = json.loads(lab.gssl(*words)[0])
    events = EventAccumulator(str(tmp_path / "runs" / "tracked" / Path(result["run_dir"]).name))
    events.Reload()
    tags = events.Tags()["scalars"]
    curves = [tag for tag in tags if tag.startswith("loss/")]
    assert len(curves) == 2
    curve = (Path(result["run_dir"]) / "seed-0" / "curve.jsonl").read_text().splitlines()
    losses = [event.value for event in events.Scalars(curves[0])]
    assert losses == pytest.approx([json.loads(line)["loss"] for line in curve])
    [score] = events.Scalars(f"score/{result['metric']}/test_mean")
    assert score.value == pytest.approx(result["test_mean"])
    assert events.Tags()["tensors"] == ["configuration/text_summary"]


def test_scores_are_numbers() -> None:
    result = {"metrics": {"accuracy": {"val_mean": None, "test_mean": 0.8}}, "pretrain_seconds": 2}
    assert scores_of(result) == {"accuracy/test_mean": 0.8, "pretrain_seconds": 2.0}
