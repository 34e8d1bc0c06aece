"""Fixtures for every folder of tests."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before Triton is imported: kernels then run as Python on the CPU

from gssl.cli.main import main
from gssl.convergence.record import Point, Trajectory

_BESIDE_THE_CLONE = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Ctrl-C works in the tests and their children, even where a shell started pytest in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small tensors gain nothing from more threads, which on a busy machine wait for each other for ages."""
    torch.set_num_threads(int(os.environ.setdefault("OMP_NUM_THREADS", "1")))


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The read-only copies of real raw files, which ``GSSL_MIRROR`` then names; skips where there are none."""
    path = Path(os.environ.get("GSSL_MIRROR") or _BESIDE_THE_CLONE)
    if not path.is_dir():
        pytest.skip("no real data here: set GSSL_MIRROR to a mirror of raw files")
    monkeypatch.setenv("GSSL_MIRROR", str(path))
    return path


METHOD = r'''
"""A method as a stranger would write it."""

import os
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from gssl.common.options import Positive
from gssl.method import Method


class Denoise(Method):
    """Embeddings of noisy features should be those of clean ones and keep their spread."""

    levels = ("node", "graph")

    def __init__(self, encoder, *, noise: Positive = 0.1, explode: bool = False) -> None:
        super().__init__(encoder)
        self.noise, self.explode, self.steps = noise, explode, 0

    def loss(self, batch):
        self.watched()
        clean = self.embed(batch)
        drawn = torch.randn(clean.shape, generator=self.rng)
        loss = F.mse_loss(F.dropout(clean, 0.2), self.noise * drawn) - clean.std()
        return loss / 0.0 if self.explode else loss

    def watched(self):
        """What the tests of interruptions ask for through the environment."""
        self.steps += 1
        time.sleep(float(os.environ.get("TINY_PAUSE", "0")))
        if "TINY_LOG" in os.environ:
            with Path(os.environ["TINY_LOG"]).open("a") as file:
                file.write("step\n")
        if os.environ.get("TINY_STOP") == str(self.steps):
            raise KeyboardInterrupt
'''
OPTIONS = ("--set", "encoder.hidden_dim=8", "--epochs", "5")


@dataclass(frozen=True)
class Lab:
    """A working folder with the method ``tiny:Denoise`` and the graphs ``graph.npz`` and ``unlabelled.npz``."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def gssl(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Run a command line in this process; returns what it wrote to standard output and error."""
        self.capture.readouterr()
        got = main(list(arguments))
        out, err = self.capture.readouterr()
        assert got == code, err
        return out, err

    def run(self, *arguments: str, method: str = "tiny:Denoise", data: str = "graph.npz") -> dict[str, Any]:
        """The JSON result of ``gssl run``."""
        out, _ = self.gssl("run", method, data, *OPTIONS, *arguments, "--json")
        assert out.count("\n") == 1
        result: dict[str, Any] = json.loads(out)
        return result

    def refused(self, *arguments: str) -> str:
        """What ``gssl run`` with the arguments of :meth:`run` says when it ends with code 2."""
        return self.gssl("run", "tiny:Denoise", "graph.npz", *OPTIONS, *arguments, code=2)[1]

    def start(self, *arguments: str, pause: float = 0.0) -> subprocess.Popen[str]:
        """``gssl run`` of the method in another process, with a pause in every step."""
        command = [sys.executable, "-m", "gssl", "run", "tiny:Denoise", "graph.npz", *OPTIONS, *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TINY_PAUSE": str(pause), "PYTHONHASHSEED": "77"},
        )


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Lab]:
    """A small graph, a small method of one's own, and the command line in and out of the process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("GSSL_RUNS", "GSSL_DB"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "tiny.py").write_text(METHOD)
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 40)
    edges = 40 * rng.integers(0, 3, 400) + rng.integers(0, 40, (2, 400))  # within the classes
    arrays = {"edge_index": edges, "x": rng.normal(size=(120, 6)).astype("float32") + y[:, None]}
    np.savez(tmp_path / "graph.npz", **arrays, y=y)
    np.savez(tmp_path / "unlabelled.npz", **arrays)
    yield Lab(tmp_path, capfd)
    sys.modules.pop("tiny", None)


@pytest.fixture
def embeddings() -> Callable[[str | Path], np.ndarray]:
    """Reads the embeddings of a seed of a run."""

    def read(run: str | Path, seed: int = 0) -> np.ndarray:
        stored: np.ndarray = np.load(Path(run) / f"seed-{seed}" / "embeddings.npz")["embeddings"]
        return stored

    return read


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data root; there is no mirror until the test names one."""
    path = tmp_path / "data"
    monkeypatch.setenv("GSSL_DATA", str(path))
    monkeypatch.delenv("GSSL_MIRROR", raising=False)
    return path


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs go unless they are told."""
    monkeypatch.setenv("GSSL_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("GSSL_DB", raising=False)
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root that tests of real data share, so that each set is processed once."""
    return tmp_path_factory.mktemp("processed")


@pytest.fixture
def training() -> Callable[..., Trajectory]:
    """Makes the training of a sampler; keywords replace its fields."""

    def make(**changes: Any) -> Trajectory:
        points = tuple(Point(step=10 * i, seconds=2.0 * i, loss=3.0 - i, val=0.2 * i) for i in range(4))
        values: dict[str, Any] = {
            "method": "GRACE",
            "dataset": "toy",
            "sampler": "mvs",
            "batch_size": 64,
            "lr": 0.01,
            "seed": 0,
            "clock": "wall",
            "metric": "accuracy",
            "seconds": 5.0,
            "steps": 10,
            "points": points,
            "config_hash": "abc",
            "config": {},
            "environment": {},
        }
        return Trajectory(**{**values, **changes})

    return make


SPACE = """\
noise: {type: float, low: 0.01, high: 1.0, log: true}
encoder.hidden_dim: {type: int, low: 4, high: 12}
train.lr: {type: float, low: 0.0001, high: 0.1, log: true}
train.optimizer: {type: choice, values: [adam, adamw]}
"""


@dataclass(frozen=True)
class Tuner:
    """``gssl tune`` of a small method on a small graph, in this process."""

    lab: Lab

    def tune(self, *arguments: str, trials: int = 3, data: str = "split.npz") -> dict[str, Any]:
        """Its JSON object."""
        words = ("tune", "tiny:Denoise", data, "--trials", str(trials), "--space", "space.yaml", "--epochs", "4")
        out, _ = self.lab.gssl(*words, "--seeds", "1", *arguments, "--json")
        assert out.count("\n") == 1
        result: dict[str, Any] = json.loads(out)
        return result

    def refused(self, *arguments: str, trials: int = 2, data: str = "split.npz", method: str = "tiny:Denoise") -> str:
        """What it says when it ends with code 2."""
        words = ("tune", method, data, "--trials", str(trials), "--epochs", "2", "--seeds", "1")
        return self.lab.gssl(*words, *arguments, code=2)[1]

    def trials(self, result: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Values, reports and scores of all trials that were not cut off, in order."""
        study = json.loads(Path(result["study_file"]).read_text())
        kept = [t for t in study["trials"] if t["state"] != "fail"]
        return [(t["params"], t["reports"], t["values"], t["state"]) for t in kept]

    def write(self, change: Callable[[np.ndarray, np.ndarray], None] | None = None) -> None:
        """``split.npz``, the graph with masks; ``change`` gets its labels and the ids of its test items."""
        with np.load(self.lab.folder / "graph.npz") as archive:
            arrays = dict(archive)
        order = np.random.default_rng(1).permutation(len(arrays["y"]))
        masks = {name: np.zeros(len(order), dtype=bool) for name in ("train_mask", "val_mask", "test_mask")}
        for mask, part in zip(masks.values(), np.split(order, [24, 60]), strict=True):
            mask[part] = True
        if change is not None:
            change(arrays["y"], np.flatnonzero(masks["test_mask"]))
        np.savez(self.lab.folder / "split.npz", **(arrays | masks))


@pytest.fixture
def tuner(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Tuner:
    """The laboratory with ``space.yaml`` and ``split.npz``, which has masks.

    Pictures take longer than these studies and are not drawn.
    """
    (lab.folder / "space.yaml").write_text(SPACE)
    monkeypatch.setattr("gssl.search.tuning.draw", lambda job, study, folder: [])
    tuner = Tuner(lab)
    tuner.write()
    return tuner


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a made-up store with everything that it must cope with."""
    from gssl.benchmarks.report.sample import write_sample

    return write_sample(tmp_path_factory.mktemp("report"))


@dataclass(frozen=True)
class PostgreSQL:
    """A server of PostgreSQL of its own."""

    programs: Path
    folder: Path
    user: str | None

    def call(self, program: str, *arguments: str) -> None:
        """Run a program of the server with its data."""
        command = [str(self.programs / program), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(command, user=self.user, check=True, cwd=self.folder, stdout=-3, stderr=-3, stdin=-3)

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off"
        self.call("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Connections are cut."""
        self.call("pg_ctl", "-w", "-m", "fast", "stop")

    def restart(self, ready: Callable[[], bool], seconds: float = 2.0) -> threading.Thread:
        """In a thread: wait until it is time, and be away for some seconds."""

        def work() -> None:
            deadline = time.monotonic() + 300
            while not ready() and time.monotonic() < deadline:
                time.sleep(0.05)
            self.stop()
            time.sleep(seconds)
            self.start()

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def database(self, name: str) -> str:
        """The URL of a new database."""
        command = [str(self.programs / "createdb"), "-h", str(self.folder), "-U", "tester", name]
        subprocess.run(command, check=True, capture_output=True)
        return f"postgresql+psycopg://tester@/{name}?host={self.folder}"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A running server; skips where there is none to start."""
    pytest.importorskip("psycopg", reason="the extra gssl[postgresql] is not installed")
    places = [Path(shutil.which("initdb") or "none").parent, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    programs = next((folder for folder in reversed(places) if (folder / "initdb").exists()), None)
    if programs is None:
        pytest.skip("there is no PostgreSQL server here")
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    with tempfile.TemporaryDirectory() as name:
        if user:
            shutil.chown(name, user)
        server = PostgreSQL(programs, Path(name), user)
        server.call("initdb", "-U", "tester", "-A", "trust", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.call("pg_ctl", "-m", "immediate", "stop")
