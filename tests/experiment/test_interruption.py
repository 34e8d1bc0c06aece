"""A run that is killed, interrupted or crowded ends with the same bits as one that is left alone."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gssl.results.folder import RunFolder

if TYPE_CHECKING:
    from conftest import Lab


EPOCHS = 12
ARGUMENTS = ("--epochs", str(EPOCHS), "--seeds", "2", "--set", "train.checkpoint_seconds=0.001")


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 400
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def contents(run: str) -> list[tuple[list[float], bytes]]:
    """Losses and embeddings of both seeds."""
    found = []
    for seed in (0, 1):
        folder = Path(run) / f"seed-{seed}"
        losses = [json.loads(line)["loss"] for line in (folder / "curve.jsonl").read_text().splitlines()]
        found.append((losses, np.load(folder / "embeddings.npz")["embeddings"].tobytes()))
    return found


@pytest.mark.parametrize(
    ("number", "code", "seed"),
    [(signal.SIGKILL, -9, 0), (signal.SIGINT, 130, 1)],
)
def test_same_command_resumes_to_the_same_bits(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, number: int, code: int, seed: int
) -> None:
    whole = lab.run(*ARGUMENTS, "--out", "whole")
    monkeypatch.setenv("TINY_LOG", str(lab.folder / "log"))
    process = lab.start(*ARGUMENTS, "--out", "broken", "--json", pause=0.1)
    wait_for((lab.folder / "broken" / f"seed-{seed}" / "checkpoint.pt").exists, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=400)
    assert process.returncode == code, err
    assert out == ""
    assert "Traceback" not in err
    assert number == signal.SIGKILL or "same command" in err
    assert not (lab.folder / "broken" / "result.json").exists()
    resumed = lab.run(*ARGUMENTS, "--out", "broken")
    assert contents("broken") == contents("whole")
    assert resumed["per_seed"] == whole["per_seed"]
    steps = len((lab.folder / "log").read_text().splitlines())
    repeated = steps - 2 * EPOCHS
    # A kill may lose the step under way and the one whose checkpoint was being written.
    assert 0 <= repeated <= (2 if number == signal.SIGKILL else 0)
    assert not list((lab.folder / "broken").rglob("*.tmp"))


def test_identical_commands_at_the_same_time_train_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_LOG", str(lab.folder / "log"))
    pair = [lab.start(*ARGUMENTS, "--json", pause=0.5) for _ in range(2)]
    ends = [process.communicate(timeout=400) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], ends
    assert ends[0][0] == ends[1][0]
    assert sorted("this very run" in err for _, err in ends) == [False, True]
    (taken,) = lab.folder.glob("runs/Denoise-*")
    assert len((lab.folder / "log").read_text().splitlines()) == 2 * EPOCHS
    again = lab.run(*ARGUMENTS)  # later, it is a repetition
    assert again["run_dir"] == f"{taken}-2"
    assert contents(again["run_dir"]) == contents(str(taken))


def test_a_folder_that_another_process_works_in_is_left_alone(lab: Lab) -> None:
    lab.run("--out", "mine")
    with RunFolder(lab.folder / "mine"):
        assert "another process works in mine" in lab.refused("--out", "mine")
        assert "another process" in lab.gssl("embed", "mine", code=2)[1]


def test_a_folder_of_dot_files_is_no_empty_folder(lab: Lab) -> None:
    theirs = [lab.folder / "mine" / name for name in (".notes.tmp", ".git/HEAD", ".config.yaml.tmp")]
    for file in theirs:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("precious")
    assert "mine is not empty and holds no run" in lab.refused("--out", "mine")
    assert [file.read_text() for file in theirs] == ["precious"] * 3


def test_only_what_gssl_left_half_written_goes(lab: Lab) -> None:
    mine = lab.folder / "mine"
    lab.run("--out", "mine")
    (mine / "result.json").unlink()
    gone = [mine / ".result.json.12345.tmp", mine / "seed-0" / ".checkpoint.pt.12345.tmp"]
    kept = [mine / ".draft.tmp", mine / "seed-0" / ".12345.tmp", mine / "paper" / ".result.json.12345.tmp"]
    for file in gone + kept:
        file.parent.mkdir(exist_ok=True)
        file.write_text("x")
    lab.run("--out", "mine")
    assert [file.exists() for file in gone + kept] == [False] * 2 + [True] * 3


def test_the_same_run_in_another_environment_is_another_measurement(lab: Lab) -> None:
    taken = Path(lab.run()["run_dir"])
    record = json.loads((taken / "environment.json").read_text())
    (taken / "environment.json").write_text(json.dumps({**record, "hash": "another"}))
    with RunFolder(taken):
        assert lab.run()["run_dir"] == f"{taken}-2"


def test_seed_whose_row_was_lost_gets_it_on_the_way(lab: Lab) -> None:
    """The process ended after a seed's file and before its row, and before the result."""
    lab.run("--seeds", "2", "--out", "mine")
    (lab.folder / "mine" / "result.json").unlink()
    (lab.folder / "runs" / "results.db").unlink()
    lab.run("--seeds", "2", "--out", "mine")
    from gssl.results.store import Store

    with Store(f"sqlite:///{lab.folder}/runs/results.db") as store:
        assert [row.seed for row in store.rows()] == [0, 1]


def test_resuming_in_another_environment_is_noted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_STOP", "3")
    lab.gssl("run", "tiny:Denoise", "graph.npz", *ARGUMENTS, "--out", "mine", code=130)
    monkeypatch.delenv("TINY_STOP")
    file = lab.folder / "mine" / "environment.json"
    former = json.loads(file.read_text())
    file.write_text(json.dumps({**former, "hash": "0" * 16}))
    out, _ = lab.gssl("run", "tiny:Denoise", "graph.npz", *ARGUMENTS, "--out", "mine", "--json")
    assert any(f"begun in environment {'0' * 16}" in note for note in json.loads(out)["notes"])


def test_damaged_checkpoint_is_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_STOP", "3")
    lab.gssl("run", "tiny:Denoise", "graph.npz", *ARGUMENTS, "--out", "mine", code=130)
    (lab.folder / "mine" / "seed-0" / "checkpoint.pt").write_bytes(b"junk")
    _, err = lab.gssl("run", "tiny:Denoise", "graph.npz", *ARGUMENTS, "--out", "mine", code=2)
    assert "checkpoint.pt" in err
    assert "delete it" in err
