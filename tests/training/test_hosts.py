"""Processes on two hosts: network namespaces that are joined by a cable, which can be cut."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gssl.cli.main import main
from gssl.testing.processes import ends, free_port, variables

WORKER = str(Path(__file__).with_name("together.py"))
NETWORK = "10.231.7."  # which nobody else sees
# The loss is a sum over targets, and nothing is drawn at random but the batches.
EXACT = (
    *("run", "supervised", "graph.npz", "--sampler", "uniform+exact", "--batch-size", "8", "--epochs", "3", "--json"),
    *("--set", "dropout=0", "--set", "encoder.dropout=0", "--set", "encoder.in_dropout=0"),
    *("--set", "encoder.hidden_dim=8", "--out", "run"),
)


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Two network namespaces that are joined by a cable; skips where none can be made."""
    names = [f"gssl{os.getpid()}{side}" for side in "ab"]
    with ExitStack() as undo:
        for name in names:
            _ip("netns", "add", name)
            undo.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
        _ip("-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        for number, name in enumerate(names, 1):
            _ip("-n", name, "addr", "add", f"{NETWORK}{number}/24", "dev", "cable")
            _ip("-n", name, "link", "set", "cable", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield names


def _ip(*words: str) -> None:
    try:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces can be made here: {getattr(error, 'stderr', '') or error}")


def start_on(host: str, words: Sequence[str], folder: Path, more: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start Python on a host."""
    return subprocess.Popen(
        ["ip", "netns", "exec", host, sys.executable, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "cable", "OMP_NUM_THREADS": "1", **more},
    )


def test_a_host_that_falls_silent_is_noticed_by_the_other(hosts: list[str], tmp_path: Path) -> None:
    """Its connections stay open, and no byte comes any more."""
    port = free_port()
    processes = [
        start_on(host, [WORKER, str(tmp_path), "endless"], tmp_path, variables(rank, 2, port, f"{NETWORK}1", 1))
        for rank, host in enumerate(hosts)
    ]
    try:
        deadline = time.monotonic() + 200
        while not all((tmp_path / f"began-{rank}").exists() for rank in (0, 1)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1)
        assert [process.poll() for process in processes] == [None, None]
        _ip("-n", hosts[1], "link", "set", "cable", "down")
        cut = time.monotonic()
        left = ends(processes, timeout=75)
        assert time.monotonic() - cut > 3, "a connection was closed"
    finally:
        for process in processes:
            process.kill()
    for rank, end in enumerate(left):
        assert end.code == 1, left
        assert f"nothing was heard of process {1 - rank} for 5 seconds" in end.err


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """The working folders of one process alone and of two hosts, with the same graph."""
    made = [tmp_path / name for name in ("alone", "first", "second")]
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 40)
    edges = 40 * rng.integers(0, 3, 400) + rng.integers(0, 40, (2, 400))
    x = rng.normal(size=(120, 6)).astype("float32") + y[:, None]
    for folder in made:
        folder.mkdir()
        np.savez(folder / "graph.npz", edge_index=edges, x=x, y=y)
    return made


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "run/seed-0/curve.jsonl").read_text().splitlines()]


def test_torchrun_on_two_hosts_finds_what_one_process_does(
    hosts: list[str], folders: list[Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The command of docs/processes.md; who keeps the rendezvous is said because both hosts have the same name here."""
    launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d"]
    meeting = ["--rdzv-endpoint", f"{NETWORK}1:{free_port()}", "--rdzv-id", "hosts"]
    processes = [
        start_on(
            host,
            [
                *(*launcher, *meeting, "--rdzv-conf", f"is_host={str(number == 1).lower()}"),
                *("--local-addr", f"{NETWORK}{number}", "-m", "gssl", *EXACT),
            ],
            folders[number],
            {"GSSL_RUNS": str(folders[number] / "runs")},
        )
        for number, host in enumerate(hosts, 1)
    ]
    monkeypatch.chdir(folders[0])
    monkeypatch.setenv("GSSL_RUNS", str(folders[0] / "runs"))
    assert main(EXACT) == 0
    wanted: dict[str, Any] = json.loads(capfd.readouterr().out)
    left = ends(processes, timeout=200)
    assert [end.code for end in left] == [0, 0], left
    first = next(number for number, end in enumerate(left) if end.out)  # the launcher numbers them
    found: dict[str, Any] = json.loads(left[first].out)
    assert left[1 - first].out == ""
    assert found["world_size"] == 2
    assert found["config_hash"] == wanted["config_hash"]
    assert losses(folders[1 + first]) == pytest.approx(losses(folders[0]), rel=1e-4)
    assert found["test_mean"] == pytest.approx(wanted["test_mean"], abs=0.05)
