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


def test_two_processes_do_not_share_a_folder_and_agree_to_the_bit(lab: Lab) -> None:
    first = lab.start(*ARGUMENTS, "--json", pause=0.1)
    wait_for(lambda: any(lab.folder.glob("runs/*/seed-0/checkpoint.pt")), first)
    (taken,) = lab.folder.glob("runs/Denoise-*")
    second = lab.run(*ARGUMENTS)
    assert second["run_dir"] == f"{taken}-2"
    assert f"another process works in {taken}" in lab.refused(*ARGUMENTS, "--out", str(taken))
    _, err = lab.gssl("embed", str(taken), code=2)
    assert "another process" in err
    assert first.poll() is None
    out, err = first.communicate(timeout=400)
    assert first.returncode == 0, err
    result = json.loads(out)
    assert result["run_dir"] == str(taken)
    for key in ("config_hash", "split_hash", "per_seed", "val_mean", "test_mean"):
        assert result[key] == second[key]
    assert contents(result["run_dir"]) == contents(second["run_dir"])
    assert lab.run(*ARGUMENTS, "--out", str(taken)) == result


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
