"""The recipes of docs/clusters.md, as a scheduler would start them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gssl.results.cells import Cells
from gssl.results.owner import Owner
from gssl.results.store import Store

if TYPE_CHECKING:
    from conftest import Lab, PostgreSQL

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clusters.md"
SUITE = """\
seeds: 6
budget: {epochs: 10}
groups:
  - methods: ['tiny:Denoise']
    datasets: [graph.npz]
"""


def recipe(name: str, folder: Path) -> Path:
    """A script of the page, written to a folder."""
    found = re.search(rf'```bash title="{name}"\n(.*?)```', PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert found, f"{PAGE.name} has no {name}"
    file = folder / name
    file.write_text(found[1])
    file.chmod(0o755)
    return file


@pytest.fixture
def database(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a server that the recipe keeps."""
    home = tmp_path_factory.mktemp("database")
    script = recipe("database.sbatch", home)
    if postgresql.user:  # the server refuses to run as root
        shutil.chown(home, postgresql.user)
        for parent in list(home.parents)[:3]:
            parent.chmod(0o755)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "PATH": f"{postgresql.programs}:{os.environ['PATH']}", "GSSL_DATABASE_PORT": str(port)}
    process = subprocess.Popen(
        [script, home], user=postgresql.user, env=env, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        ready, deadline = (
            [str(postgresql.programs / "pg_isready"), "-h", "localhost", "-p", str(port)],
            time.time() + 60,
        )
        while subprocess.run(ready, capture_output=True, check=False).returncode:
            assert process.poll() is None, "the database did not start"
            assert time.time() < deadline, "the database answers nobody"
            time.sleep(0.1)
        url = (home / "url").read_text()
        (home / "url").write_text(url.replace(socket.gethostname(), "localhost"))  # names need not resolve here
        yield home
    finally:
        process.send_signal(signal.SIGINT)  # what the recipe asks the scheduler for
        process.wait(60)


def test_an_array_shares_a_suite_and_its_tasks_end_by_themselves(
    lab: Lab, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (database / "pgpass").stat().st_mode & 0o077 == 0, "others could read the password"
    (lab.folder / "mine.yaml").write_text(SUITE)
    bin_folder = lab.folder / "bin"
    bin_folder.mkdir()
    (bin_folder / "gssl").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gssl "$@"\n')
    (bin_folder / "gssl").chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "GSSL_DATABASE": str(database),
        "GSSL_RUNS": str(lab.folder / "runs"),
        "SLURM_CPUS_PER_TASK": "1",
        "TINY_LOG": str(lab.folder / "log"),
        "PYTHONPATH": os.pathsep.join([str(lab.folder), *sys.path]),
    }
    script = recipe("suite.sbatch", lab.folder)
    tasks = [
        subprocess.Popen(
            [script, "mine.yaml"], cwd=lab.folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for task in tasks:
        _, err = task.communicate(timeout=300)
        assert task.returncode == 0, err
    monkeypatch.setenv("PGPASSFILE", str(database / "pgpass"))
    with Store((database / "url").read_text().strip()) as store:
        assert [row.attempts for row in Cells(store).rows().values()] == [1] * 6
        assert sorted(row.seed for row in store.rows()) == list(range(6))
    assert len((lab.folder / "log").read_text().splitlines()) == 6 * 10, "no cell was begun twice"


def test_a_runner_without_a_cell_to_take_ends(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.folder / "mine.yaml").write_text(SUITE)
    monkeypatch.setenv("GSSL_RUNS", str(lab.folder / "runs"))
    lab.gssl("bench", "mine.yaml", "--seeds", "1", "--epochs", "1", "--workers", "1")
    with Store(f"sqlite:///{lab.folder / 'runs' / 'results.db'}") as store:
        cells = Cells(store)
        (key,) = cells.rows()
        cells.reset([key])
        assert cells.claim(key, Owner.this())
        out, _ = lab.gssl("bench", "mine.yaml", "--seeds", "1", "--epochs", "1", "--no-wait", "--json")
    counts = json.loads(out)["counts"]
    assert (counts["running"], counts["done"]) == (1, 0)
