"""Stores where nothing can be written are read by the page, the table and a merge."""

import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gssl.benchmarks.bench.merge import merge
from gssl.benchmarks.report.sample import row
from gssl.common.errors import InputError, StorageError
from gssl.results import read_only
from gssl.results.store import Store

ROW = row("GRACE", "Cora", probe="P1", val=None, test=0.1, metrics='{"accuracy": [null, 0.1]}')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store in it."""
    place = tmp_path / "a place#1"
    place.mkdir()
    with Store(f"sqlite:///{place}/results.db") as store:
        store.record(ROW)
    return place


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a folder where nothing can be written: opening a store that needs a file beside it fails."""
    opened = read_only._opened

    def refuse(file: Path, options: str) -> sqlite3.Connection:
        if "immutable" not in options:
            raise sqlite3.OperationalError("unable to open database file")
        return opened(file, options)

    monkeypatch.setattr(read_only, "_opened", refuse)
    monkeypatch.setattr(read_only, "_is_writable", lambda folder: False)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_reader_changes_nothing(folder: Path) -> None:
    before = content(folder)
    with Store(f"sqlite:///{folder}/results.db", read_only=True) as store:
        assert store.rows() == [ROW]
        with pytest.raises(StorageError, match="you may not write to it"):
            store.record(replace(ROW, seed=1))
    assert content(folder)["results.db"] == before["results.db"]


def test_a_reader_sees_what_a_writer_adds(folder: Path) -> None:
    url = f"sqlite:///{folder}/results.db"
    with Store(url) as writer, Store(url, read_only=True) as reader:
        writer.record(replace(ROW, seed=1))
        assert [row.seed for row in reader.rows()] == [0, 1]


@pytest.mark.usefixtures("sealed")
def test_a_store_in_a_sealed_folder(folder: Path, tmp_path: Path) -> None:
    before = content(folder)
    assert merge([f"sqlite:///{folder}/results.db"], f"sqlite:///{tmp_path}/all.db") == {"runs": 1, "cells": 0}
    assert content(folder) == before


@pytest.mark.usefixtures("sealed")
def test_changes_beside_a_sealed_store_are_never_left_out(folder: Path) -> None:
    (folder / "results.db-wal").write_bytes(b"x")
    with pytest.raises(StorageError, match="copy both files to another place"):
        Store(f"sqlite:///{folder}/results.db", read_only=True)


@pytest.mark.usefixtures("sealed")
def test_a_former_version_is_read_through_a_copy(folder: Path) -> None:
    with sqlite3.connect(folder / "results.db") as connection:
        connection.execute("ALTER TABLE runs DROP COLUMN metrics")
        connection.execute("ALTER TABLE runs DROP COLUMN task")
        connection.execute("ALTER TABLE runs DROP COLUMN setting")
        connection.execute("ALTER TABLE runs DROP COLUMN pretrain_cpu_seconds")
        connection.execute("ALTER TABLE runs DROP COLUMN load")
        connection.execute("UPDATE gssl_meta SET value = '2'")
    connection.close()
    before = content(folder)
    with Store(f"sqlite:///{folder}/results.db", read_only=True) as store:
        assert store.rows() == [ROW]
    assert content(folder) == before


def test_an_empty_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "results.db").touch()
    with pytest.raises(InputError, match="is empty"):
        Store(f"sqlite:///{tmp_path}/results.db", read_only=True)
    assert (tmp_path / "results.db").stat().st_size == 0


def test_a_file_system_that_is_really_read_only(folder: Path, tmp_path: Path) -> None:
    """In a mount namespace of its own."""
    if os.geteuid() or not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    place = folder.rename(tmp_path / "place")
    url = f"sqlite:///{place}/results.db"
    script = f'mount --bind -o ro "{place}" "{place}" && ! touch "{place}/x" 2>/dev/null && exec "$@"'
    sealed = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-m", "gssl"]
    for words in (["report", "--db", url, "--out", "page"], ["bench", "--merge", url, "--db", "sqlite:///a.db"]):
        done = subprocess.run([*sealed, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    with Store(f"sqlite:///{tmp_path}/a.db") as store:
        assert store.rows() == [ROW]
    assert (tmp_path / "page" / "index.html").is_file()
