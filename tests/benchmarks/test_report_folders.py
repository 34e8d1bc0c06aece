"""Run folders that hold anything: what is damaged, hostile or endless is left out of the page and named."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from gssl.benchmarks.report import site
from gssl.benchmarks.report.folders import projection, run_files
from gssl.benchmarks.report.sample import row, run_folder
from gssl.benchmarks.report.site import write_report
from gssl.common.errors import InputError
from gssl.results.store import Store


def _metrics(**changes: Any) -> Callable[[Path], None]:
    """Change the scores of the first split, or whole values of ``metrics.json``."""

    def change(seed: Path) -> None:
        content = json.loads((seed / "metrics.json").read_text())
        for key, value in changes.items():
            (content["splits"][0] if key in content["splits"][0] else content)[key] = value
        (seed / "metrics.json").write_text(json.dumps(content))

    return change


def _instead(name: str, content: bytes | None) -> Callable[[Path], None]:
    """Other bytes in place of a file; None for a pipe that nobody writes to."""

    def change(seed: Path) -> None:
        (seed / name).unlink()
        if content is None:
            os.mkfifo(seed / name)
        else:
            (seed / name).write_bytes(content)

    return change


def _endless(name: str) -> Callable[[Path], None]:
    def change(seed: Path) -> None:
        (seed / name).unlink()
        (seed / name).symlink_to("/dev/zero")

    return change


HARM = {
    "test is a text": _metrics(test="high"),
    "test is a list": _metrics(test=[0.5]),
    "test is huge": _metrics(test=10**400),
    "val is not finite": _metrics(val=float("inf")),
    "chosen is a list": _metrics(chosen=[1]),
    "chosen holds a text": _metrics(chosen={"C": "much"}),
    "name is a number": _metrics(name=3),
    "notes are lists": _metrics(notes=[["a"]]),
    "splits are none": _metrics(splits=None),
    "metrics nest deeply": _instead("metrics.json", b"[" * 100_000),
    "metrics are a pipe": _instead("metrics.json", None),
    "metrics never end": _endless("metrics.json"),
    "curve is a pipe": _instead("curve.jsonl", None),
    "curve never ends": _endless("curve.jsonl"),
    "curve is huge": _instead("curve.jsonl", b'{"epoch": 1, "loss": 1' + b"0" * 400 + b"}"),
    "curve holds lists": _instead("curve.jsonl", b'[1]\n"a"\n'),
    "epochs are texts": _instead("curve.jsonl", b'{"epoch": "a", "loss": 1}'),
}


@pytest.mark.parametrize("harm", HARM)
def test_what_is_damaged_is_named(tmp_path: Path, harm: str) -> None:
    run_folder(tmp_path / "run", 0, 0.8, splits=2)
    HARM[harm](tmp_path / "run" / "seed-0")
    found = run_files([row(run_dir=str(tmp_path / "run"))])
    assert len(found.faults) == 1
    assert "seed 0" in found.faults[0]


def _bomb(path: Path) -> None:
    """A terabyte of zeros, as its header says."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("embeddings.npy", "w") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 256)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(1 << 20))


@pytest.mark.parametrize("kind", ["bomb", "pipe", "device", "text", "junk", "objects", "large"])
def test_embeddings_that_cannot_be_drawn_are_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_folder(tmp_path, 0, 0.8)
    path = tmp_path / "seed-0" / "embeddings.npz"
    path.unlink()
    monkeypatch.setattr("gssl.benchmarks.report.folders._MOST_BYTES", 1 << 16)
    made: dict[str, Callable[[], object]] = {
        "bomb": lambda: _bomb(path),
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "text": lambda: np.savez(path, embeddings=np.array([["a", "b"]] * 2)),
        "junk": lambda: path.write_bytes(b"PK\x03\x04junk"),
        "objects": lambda: np.savez(path, embeddings=np.array([[{}, {}]] * 2)),
        "large": lambda: np.savez(path, embeddings=np.zeros((1 << 10, 1 << 5))),
    }
    made[kind]()
    with pytest.raises(InputError, match=r"embeddings"):
        projection(row(run_dir=str(tmp_path)))


def test_a_page_is_made_beside_a_bad_folder(tmp_path: Path) -> None:
    """And what killed reports left beside it goes."""
    run_folder(tmp_path / "good", 0, 0.8)
    run_folder(tmp_path / "bad", 1, 0.8)
    _bomb(tmp_path / "bad" / "seed-1" / "embeddings.npz")
    url = f"sqlite:///{tmp_path / 'results.db'}"
    with Store(url) as store:
        store.record(row(run_dir=str(tmp_path / "good")))
        store.record(row("BGRL", seed=1, run_dir=str(tmp_path / "bad")))
    dead = max(psutil.pids()) + 100_000
    machine = site._process().rpartition("-")[0]
    gone = [tmp_path / f".page.{dead}.tmp", tmp_path / f".page.{machine}-{dead}.old"]
    kept = [
        tmp_path / f".page.{os.getppid()}.tmp", tmp_path / f".page.elsewhere-{dead}.tmp", tmp_path / ".page.draft.tmp",
        tmp_path / f".pages.{dead}.tmp",
    ]  # fmt: skip
    for folder in gone + kept:
        folder.mkdir()
    write_report(url, tmp_path / "page")
    assert [folder.exists() for folder in gone + kept] == [False] * 2 + [True] * 4
    [bgrl] = [path for path in (tmp_path / "page" / "runs").iterdir() if "embeddings are left out" in path.read_text()]
    assert "BGRL on digits" in bgrl.read_text()
