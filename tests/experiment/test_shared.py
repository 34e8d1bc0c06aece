"""Pretrainings that several runs start from are carried out once, and lead to what a run of its own leads to."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from torch import Tensor

from gssl.common.errors import InputError
from gssl.config.resolve import Request
from gssl.experiment import shared
from gssl.experiment.prepare import prepare
from gssl.experiment.reload import restored_methods
from gssl.experiment.run import run_experiment
from gssl.methods.graphcl import GraphCL
from gssl.results.folder import RunFolder
from gssl.training.progress import Quiet

SOURCE = """
from dataclasses import replace
from gssl.graph.spec import Vocabulary
from gssl.testing.toy import toy_dataset

def many():
    return replace(toy_dataset("graph", name="many"), vocabulary=Vocabulary("toy"), checksum="many")

def others():
    return replace(many(), name="others", checksum="others")

def a():
    return replace(many(), name="a", checksum="a")

def b():
    return replace(many(), name="b", checksum="b")
"""
SMALL = ("encoder.hidden_dim=8", "train.epochs=3")
TUNED = ("finetune.epochs=2",)


@dataclass
class Bench:
    """Runs below a folder; ``steps`` has an entry for each loss that GraphCL computed."""

    root: Path
    steps: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def run(self, data: str, *options: str, seeds: int = 1, setting: str = "finetune", out: str = "") -> dict[str, Any]:
        tuned = TUNED if setting == "finetune" else ()
        request = Request(
            "GraphCL", setting=setting, preset="none", assignments=(*SMALL, *tuned, *options), seeds=seeds
        )
        config, dataset = prepare(request, f"toy_shared:{data}")
        db = f"sqlite:///{self.root / 'r.db'}"
        return run_experiment(
            config,
            dataset,
            device="cpu",
            display=lambda title: Quiet(),
            say=self.said.append,
            out=self.root / (out or f"run-{len(list(self.root.glob('run-*')))}"),
            db=db,
        )

    def counted(self, data: str, *options: str, **given: Any) -> tuple[int, dict[str, Any]]:
        """The losses that a run computed, and its result."""
        before = len(self.steps)
        found = self.run(data, *options, **given)
        return len(self.steps) - before, found

    def places(self) -> list[Path]:
        return sorted((self.root / "shared").glob("*"))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    (tmp_path / "toy_shared.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(shared, "_READ", time.time() + 1e6)  # whoever edits the program meanwhile
    made, loss = Bench(tmp_path), GraphCL.loss

    def counted(method: GraphCL, batch: Any) -> Tensor:
        made.steps.append(0)
        return loss(method, batch)

    monkeypatch.setattr(GraphCL, "loss", counted)
    yield made
    sys.modules.pop("toy_shared", None)


FROM_MANY = "setting.pretrain_on=toy_shared:many"


def weights(folder: str, number: int = 0) -> dict[str, Tensor]:
    file = Path(folder) / f"seed-{number}" / "checkpoint.pt"
    found: dict[str, Tensor] = torch.load(file, weights_only=True)["state"]["method"]
    return found


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(value, two[name]) for name, value in one.items())


def test_two_sets_that_are_fine_tuned_on_share_one_pretraining_for_each_seed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, first = bench.counted("a", FROM_MANY, seeds=2)
    assert steps == 6
    assert len(bench.places()) == 2
    assert not any("taken over" in note for note in first["notes"])
    steps, second = bench.counted("b", FROM_MANY, seeds=2)
    assert steps == 0
    assert len(bench.places()) == 2
    (note,) = [note for note in second["notes"] if "taken over" in note and "seed 1" in note]
    assert note == f"GraphCL on many, seed 1: taken over from shared/{note[-16:]}"
    assert note in bench.said
    # A run that shares with nobody has the same weights and scores, and times are those of the training itself.
    monkeypatch.setattr(shared, "_READ", 0.0)
    steps, alone = bench.counted("b", FROM_MANY, seeds=2)
    assert steps == 6
    assert len(bench.places()) == 2
    for seed in (0, 1):
        assert same(weights(second["run_dir"], seed), weights(alone["run_dir"], seed))
        keys = ("val", "test", "epochs", "splits")
        assert [second["per_seed"][seed].get(k) for k in keys] == [alone["per_seed"][seed].get(k) for k in keys]
    times = [json.loads((Path(f["run_dir"]) / "seed-0" / "metrics.json").read_text()) for f in (first, second)]
    assert times[1]["seconds_per_epoch"] > 0


def test_shares_of_labels_and_settings_share_it_too(bench: Bench) -> None:
    assert bench.counted("a")[0] == 3
    assert bench.counted("a", "setting.labels=0.5", "finetune.lr=0.01")[0] == 0
    assert bench.counted("a", FROM_MANY)[0] == 3
    assert bench.counted("a", FROM_MANY, setting="frozen")[0] == 0
    assert bench.counted("b", FROM_MANY, "setting.dropout=0.5")[0] == 0


@pytest.mark.parametrize(
    "options",
    [
        ("setting.pretrain_on=toy_shared:others",),
        (FROM_MANY, "train.lr=0.002"),
        (FROM_MANY, "temperature=0.9"),
        (FROM_MANY, "encoder.num_layers=2"),
        (FROM_MANY, "train.batch_size=7"),
    ],
)
def test_another_recipe_is_another_training(bench: Bench, options: tuple[str, ...]) -> None:
    bench.run("a", FROM_MANY)
    assert bench.counted("b", *options)[0] > 0
    assert len(bench.places()) == 2


def test_another_program_or_environment_is_another_training(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run("a", FROM_MANY)
    with monkeypatch.context() as patch:
        patch.setattr(shared, "program_digest", lambda: "another")
        assert bench.counted("a", FROM_MANY)[0] == 3
    monkeypatch.setattr("gssl.results.environment.git_state", lambda: ("another commit of the same files", True))
    assert bench.counted("a", FROM_MANY)[0] == 0
    monkeypatch.setattr("gssl.results.environment.processor", lambda: "another")
    assert bench.counted("a", FROM_MANY)[0] == 3


def test_a_run_that_only_judges_shares_nothing(bench: Bench) -> None:
    assert bench.counted("a", setting="frozen")[0] == 3
    assert bench.places() == []


def test_a_pretraining_that_was_interrupted_goes_on_in_another_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = GraphCL.after_step
    taken: list[float] = []

    def stops(method: GraphCL, progress: float) -> None:
        after(method, progress)
        taken.append(progress)
        if len(taken) == 2:
            raise RuntimeError("the machine went away")

    with monkeypatch.context() as patch:
        patch.setattr(GraphCL, "after_step", stops)
        with pytest.raises(RuntimeError, match="went away"):
            bench.run("a", FROM_MANY, "train.checkpoint_seconds=0.000001")
    (place,) = bench.places()
    assert {file.name for file in place.iterdir()} >= {"checkpoint.pt"}
    assert not (place / "finished.json").exists()
    steps, found = bench.counted("b", FROM_MANY)
    assert 0 < steps < 3
    assert not any("taken over" in note for note in found["notes"])
    assert (place / "finished.json").exists()
    monkeypatch.setattr(shared, "_READ", 0.0)
    assert same(weights(found["run_dir"]), weights(bench.run("b", FROM_MANY)["run_dir"]))


def test_whoever_comes_later_waits(bench: Bench) -> None:
    bench.run("a", FROM_MANY)
    (place,) = bench.places()
    lock, done = FileLock(place / ".lock"), threading.Event()
    lock.acquire()

    def later() -> None:
        bench.run("b", FROM_MANY)
        done.set()

    thread = threading.Thread(target=later)
    thread.start()
    deadline = time.monotonic() + 60
    while not any("another process carries out the pretraining" in said for said in bench.said):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not done.wait(0.2)
    lock.release()
    assert done.wait(60)
    thread.join()


def test_a_run_needs_no_other_once_it_is_finished(bench: Bench) -> None:
    found = Path(bench.run("a", FROM_MANY)["run_dir"])
    for place in bench.places():
        for file in place.iterdir():
            file.unlink()
        place.rmdir()
    with RunFolder(found) as run:
        assert [part.is_judged for part, _ in restored_methods(run)] == [False, True]


def test_a_run_that_was_begun_goes_on_with_its_own_files(bench: Bench) -> None:
    found = Path(bench.run("a", FROM_MANY, out="mine")["run_dir"])
    (found / "result.json").unlink()
    (found / "seed-0" / "metrics.json").unlink()
    for place in bench.places():
        (place / "checkpoint.pt").write_text("damaged")
    assert bench.counted("a", FROM_MANY, out="mine")[0] == 0


def test_a_damaged_one_is_named(bench: Bench) -> None:
    bench.run("a", FROM_MANY)
    (place,) = bench.places()
    (place / "checkpoint.pt").write_text("damaged")
    with pytest.raises(InputError, match=rf"{place}/checkpoint.pt is not a checkpoint .* delete it to train"):
        bench.run("b", FROM_MANY)


def test_a_file_that_changed_since_it_was_read_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "part.py"
    file.write_text("")
    changed: Callable[[], bool] = shared._changed
    monkeypatch.setattr(shared, "program_files", lambda: [file])
    monkeypatch.setattr(shared, "_READ", file.stat().st_mtime - 1)
    assert changed()
    monkeypatch.setattr(shared, "_READ", file.stat().st_mtime + 1)
    assert not changed()
