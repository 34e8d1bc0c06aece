"""``gssl run`` by several processes: one result, one voice, and errors that all of them end with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gssl.testing.processes import ends, free_port, start

EPOCHS = 12
WORDS = ("run", "tiny:Denoise", "graph.npz", "--set", "encoder.hidden_dim=8", "--json")
SHARED = (*WORDS, "--sampler", "graphsage", "--batch-size", "40", "--set", "train.checkpoint_seconds=0.001")
LONG = (*SHARED, "--epochs", str(EPOCHS), "--out", "{here}/broken")
METHOD = """
import os
import signal
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from gssl.method import Method


class Denoise(Method):
    \"\"\"Embeddings should be noise, whatever dropout leaves of them.\"\"\"

    def __init__(self, encoder, *, explode: bool = False) -> None:
        super().__init__(encoder)
        self.explode, self.steps = explode, 0

    def loss(self, batch):
        self.steps += 1
        self.watched()
        rows = self.embed(batch)
        loss = F.mse_loss(F.dropout(rows, 0.2), 0.1 * torch.randn(rows.shape, generator=self.rng))
        return loss / 0.0 if self.explode else loss

    def watched(self):
        if "TINY_PAUSE" in os.environ:
            Path(f"pid-{os.environ['RANK']}").write_text(str(os.getpid()))
            time.sleep(float(os.environ["TINY_PAUSE"]))
        if os.environ.get("TINY_STOP") == str(self.steps):
            os.kill(os.getpid(), signal.SIGTERM)
"""
FAILS_ALONE = """
import os

from tiny import Denoise


class Lonely(Denoise):
    def watched(self):
        super().watched()
        if os.environ["RANK"] == "1" and self.steps == 2:
            raise RuntimeError("no luck")
"""
STOPPED = (*LONG[:-1], "{here}/stopped")
LABELS = (
    "run",
    "supervised",
    *WORDS[2:],
    *("--sampler", "graphsage", "--set", "sampler.weights=ht", "--batch-size", "8", "--epochs", "3"),
)
MIRRORED = "IMDB-BINARY"  # its raw files are in a mirror that one of the hosts sees
LINES: dict[str, dict[str, Any]] = {
    "whole": {"words": [*SHARED, "--epochs", str(EPOCHS), "--out", "{here}/whole"]},
    "resumed": {"words": LONG},
    "finished": {"words": LONG},
    "stopped": {"words": STOPPED, "variables": {"1": {"TINY_STOP": "5"}}},
    "continued": {"words": STOPPED},
    "labels": {"words": LABELS},
    "untrained": {"words": ["run", "raw", *WORDS[2:]]},
    "options": {"words": [*SHARED, "--epochs", "2"], "more": {"1": ["--set", "train.lr=0.5"]}},
    "data": {"words": [*SHARED[:2], "other.npz", *SHARED[3:]]},
    "code": {"words": ["run", "code:Denoise", *SHARED[2:]]},
    "missing": {"words": [*SHARED[:2], "only.npz", *SHARED[3:]]},
    "mirror": {
        "words": [*SHARED[:2], MIRRORED, *SHARED[3:]],
        "variables": {
            "0": {"GSSL_MIRROR": "{here}/mirror", "GSSL_DATA": "{here}/data-0"},
            "1": {"GSSL_MIRROR": "", "GSSL_DATA": "{here}/data-1"},
        },
    },
    "no mirror": {
        "words": [*SHARED[:2], MIRRORED, *SHARED[3:]],
        "variables": {
            "0": {"GSSL_MIRROR": "{here}/mirror", "GSSL_DATA": "{here}/data-0"},
            "1": {"GSSL_MIRROR": "{here}/elsewhere", "GSSL_DATA": "{here}/data-1"},
        },
    },
    "whole graph": {"words": WORDS},
    "history": {"words": [*WORDS, "--sampler", "gas", "--batch-size", "40"]},
    "too many": {"words": [*WORDS, "--sampler", "graphsage", "--batch-size", "1"]},
    "explodes": {"words": [*SHARED, "--epochs", "2", "--set", "explode=true", "--out", "{here}/explodes"]},
    "alone": {"words": ["run", "lonely:Lonely", *SHARED[2:], "--epochs", "3"]},
}
REFUSED = {
    "options": "differs from process 0 on",
    "data": "in the data (their checksum)",
    "code": "in plugins.code:Denoise",
    "missing": "process 1 on",
    "mirror": "set GSSL_MIRROR to a mirror for all processes",
    "no mirror": "is not a folder: correct GSSL_MIRROR or unset it",
    "whole graph": "the batches of FullBatch cannot be shared by 2 processes",
    "history": "a history is kept by one process",
    "too many": "2 processes cannot share a batch of 1: --batch-size counts the targets of all processes together",
}


@dataclass(frozen=True)
class Told:
    """What both processes left of each line, and the folder of the first."""

    ends: dict[str, list[dict[str, Any]]]
    folder: Path

    def result(self, name: str) -> dict[str, Any]:
        """The JSON object that the first process printed; the second printed nothing, and both ended well."""
        first, second = self.ends[name]
        assert (first["code"], second["code"]) == (0, 0), self.ends[name]
        assert second["out"] == second["err"] == ""
        assert first["out"].count("\n") == 1
        found: dict[str, Any] = json.loads(first["out"])
        return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Two processes with a folder each, as on two hosts, carry out all lines, after each was killed in one of them."""
    here = tmp_path_factory.mktemp("hosts")
    hosts = [here / "host-0", here / "host-1"]
    for number, host in enumerate(hosts):
        prepare(host, number)
    shared = {"GSSL_RUNS": str(here / "runs"), "GSSL_DATA": str(here / "data")}
    fill_mirror(here / "mirror")
    killed_once(here, shared)
    first_killed(here, hosts, shared)
    shutil.copytree(here / "broken", here / "left")
    lines = json.loads(json.dumps(list(LINES.values())).replace("{here}", str(here)))
    for line in lines:
        line["port"] = free_port()
    (here / "lines.json").write_text(json.dumps(lines))
    script = str(Path(__file__).with_name("lines.py"))
    processes = start(
        2, lambda rank: [script, str(here / "lines.json"), str(here)], folder=lambda r: hosts[r], environment=shared
    )
    left = ends(processes, timeout=120)
    assert [end.code for end in left] == [0, 0], left
    both = [[json.loads(line) for line in (here / f"{rank}.jsonl").read_text().splitlines()] for rank in (0, 1)]
    return Told({name: [both[0][i], both[1][i]] for i, name in enumerate(LINES)}, here)


def prepare(host: Path, number: int) -> None:
    host.mkdir()
    (host / "tiny.py").write_text(METHOD)
    (host / "lonely.py").write_text(FAILS_ALONE)
    (host / "code.py").write_text(METHOD + f"# {number}\n")
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 40)
    edges = 40 * rng.integers(0, 3, 400) + rng.integers(0, 40, (2, 400))
    x = rng.normal(size=(120, 6)).astype("float32") + y[:, None]
    np.savez(host / "graph.npz", edge_index=edges, x=x, y=y)
    np.savez(host / "other.npz", edge_index=edges, x=x + number, y=y)
    if number == 0:
        shutil.copy(host / "graph.npz", host / "only.npz")


def killed_once(here: Path, shared: dict[str, str]) -> None:
    """Begin the long line by torchrun and kill the second process; the first must end by itself, and say so."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "gssl"]
    process = subprocess.Popen(
        [*launcher, *(word.format(here=here) for word in LONG)],
        cwd=here / "host-0",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **shared, "TINY_PAUSE": "0.1", "OMP_NUM_THREADS": "1"},
    )
    checkpoint, victim = here / "broken" / "seed-0" / "checkpoint.pt", here / "host-0" / "pid-1"
    deadline = time.monotonic() + 200
    while not (pid := victim.read_text() if checkpoint.exists() else ""):  # empty while a step writes it anew
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(int(pid), signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert out == ""
    assert err.count("gssl: ") == 1, err
    assert "goes on from the last checkpoint" in err or "continues from the checkpoint" in err, err


def first_killed(here: Path, hosts: list[Path], shared: dict[str, str]) -> None:
    """Go on with the long line and kill the first process, which keeps checkpoint and store; the second one ends."""
    words = ["-m", "gssl", *(word.format(here=here) for word in LONG)]
    environment = {**shared, "TINY_PAUSE": "0.1"}
    checkpoint = here / "broken" / "seed-0" / "checkpoint.pt"
    before = checkpoint.stat().st_mtime_ns
    first, second = start(2, lambda rank: words, folder=lambda rank: hosts[rank], environment=environment)
    deadline = time.monotonic() + 200
    while checkpoint.stat().st_mtime_ns == before:
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first.kill()
    out, err = second.communicate(timeout=60)
    first.communicate()
    assert second.returncode == 1, err
    assert out == ""
    assert err.count("gssl: ") == 1, err
    assert "goes on from the last checkpoint" in err


def fill_mirror(place: Path) -> None:
    raw = place / "TUDataset" / MIRRORED / "raw"
    raw.mkdir(parents=True)
    texts = {"A": "1, 2\n2, 1\n3, 4\n4, 3\n", "graph_indicator": "1\n1\n2\n2\n", "graph_labels": "1\n2\n"}
    for name, text in texts.items():
        (raw / f"{MIRRORED}_{name}.txt").write_text(text)


def contents(run: Path) -> tuple[list[float], bytes]:
    """Losses and embeddings of the seed."""
    losses = [json.loads(line)["loss"] for line in (run / "seed-0" / "curve.jsonl").read_text().splitlines()]
    return losses, np.load(run / "seed-0" / "embeddings.npz")["embeddings"].tobytes()


def test_the_first_process_alone_keeps_and_prints_one_result(told: Told) -> None:
    result = told.result("whole")
    assert result["world_size"] == 2
    assert result["epochs"] == EPOCHS
    assert result["run_dir"] == str(told.folder / "whole")
    assert "world_size: 2" in (told.folder / "whole" / "config.yaml").read_text()
    with sqlite3.connect(told.folder / "runs" / "results.db") as store:
        rows = store.execute("select count(*) from runs where method = 'tiny:Denoise' and status = 'done'").fetchone()
    assert rows == (1,), "all runs of the same thing have one row"


def test_what_a_killed_process_left_resumes_to_the_same_bits(told: Told) -> None:
    assert told.result("resumed")["per_seed"] == told.result("whole")["per_seed"]
    assert contents(told.folder / "broken") == contents(told.folder / "whole")


def test_what_two_processes_left_is_refused_to_one_where_their_number_matters(
    told: Told, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from gssl.cli.main import main

    monkeypatch.chdir(told.folder / "host-0")
    monkeypatch.syspath_prepend(str(told.folder / "host-0"))
    checkpoint = told.folder / "left" / "seed-0" / "checkpoint.pt"
    before = checkpoint.read_bytes()
    assert main([*LONG[:-1], str(told.folder / "left")]) == 2
    assert "number of processes" in capfd.readouterr().err
    assert checkpoint.read_bytes() == before
    sys.modules.pop("tiny", None)


def test_a_signal_to_one_process_stops_all_after_the_same_update(told: Told) -> None:
    first, second = told.ends["stopped"]
    assert (first["code"], second["code"]) == (128 + signal.SIGTERM,) * 2
    assert "stopped by signal 15" in first["err"]
    assert second["err"] == ""
    assert told.result("continued")["per_seed"] == told.result("whole")["per_seed"]
    assert contents(told.folder / "stopped") == contents(told.folder / "whole")


def test_a_finished_run_is_not_repeated(told: Told) -> None:
    first, second = told.ends["finished"]
    assert (first["code"], second["code"]) == (0, 0)
    assert json.loads(first["out"])["per_seed"] == told.result("resumed")["per_seed"]
    assert "nothing was done" in first["err"]
    assert second["out"] == second["err"] == ""


def test_the_number_of_processes_is_in_the_hash_where_it_matters(told: Told) -> None:
    """Labels of the targets are no negatives; the method of the laboratory is not known to be separable."""
    for name, matters in (("whole", True), ("labels", False), ("untrained", False)):
        result = told.result(name)
        config = (Path(result["run_dir"]) / "config.yaml").read_text()
        assert ("world_size: 2" in config) == matters, name


def test_a_run_of_two_processes_is_loaded_by_one(
    told: Told, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from gssl.cli.main import main

    monkeypatch.chdir(told.folder / "host-0")
    monkeypatch.syspath_prepend(str(told.folder / "host-0"))
    before = contents(told.folder / "whole")[1]
    assert main(["embed", str(told.folder / "whole")]) == 0, capfd.readouterr().err
    assert np.allclose(np.frombuffer(contents(told.folder / "whole")[1], np.float32), np.frombuffer(before, np.float32))
    assert main([*SHARED, "--epochs", str(EPOCHS), "--out", str(told.folder / "whole")]) == 2
    assert "number of processes" in capfd.readouterr().err
    sys.modules.pop("tiny", None)


@pytest.mark.parametrize("name", REFUSED)
def test_all_end_alike_with_the_words_of_one(told: Told, name: str) -> None:
    first, second = told.ends[name]
    assert (first["code"], second["code"]) == (2, 2), told.ends[name]
    assert REFUSED[name] in first["err"]
    assert first["out"] == second["out"] == second["err"] == ""
    assert not list((told.folder / "runs").glob("*Denoise*graph*")), "a folder was made before it was refused"


def test_nothing_is_read_or_downloaded_where_one_alone_sees_the_mirror(told: Told) -> None:
    for name in ("mirror", "no mirror"):
        assert "process 1 on" in told.ends[name][0]["err"]
        assert all(end["seconds"] < 30 for end in told.ends[name])
    assert not (told.folder / "data-0").exists()
    assert not (told.folder / "data-1").exists()


def test_a_difference_is_named(told: Told) -> None:
    assert "in option train.lr: 0.5 and 0.001" in told.ends["options"][0]["err"]


def test_an_error_of_training_is_that_of_all(told: Told) -> None:
    first, second = told.ends["explodes"]
    assert (first["code"], second["code"]) == (1, 1)
    assert "the loss is" in first["err"]
    assert second["err"] == ""
    with sqlite3.connect(told.folder / "runs" / "results.db") as store:
        (row,) = store.execute("select status, message from runs where run_dir like '%explodes'").fetchall()
    assert row[0] == "failed"
    assert "the loss is" in row[1]


def test_an_error_of_one_process_is_told_by_it_and_by_the_first(told: Told) -> None:
    first, second = told.ends["alone"]
    assert first["code"] == 1
    assert "process 1 on" in first["err"]
    assert "no luck" in first["err"]
    assert second["code"] == "RuntimeError: no luck"
