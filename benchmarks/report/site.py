"""Writes the site: everything into a folder beside the wanted one, which then takes its place."""

from __future__ import annotations

import gc
import glob
import json
import os
import re
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import psutil
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from gssl import __version__
from gssl.benchmarks.publications import published
from gssl.benchmarks.report.cells import Cell
from gssl.benchmarks.report.downloads import downloads
from gssl.benchmarks.report.extras import read_extras
from gssl.benchmarks.report.gather import Contents, gather
from gssl.benchmarks.report.pages import Page, Pages
from gssl.common.errors import InputError
from gssl.common.files import cannot_write, inside
from gssl.results.cells import UNFINISHED, CellRow, Cells
from gssl.results.store import RunRow, Store, shown

_MARKER = "report.json"  # what tells a folder of ours from one that must not be replaced
_HOW_TO_FILL = "store results with `gssl run METHOD DATASET` first, or name another store with --db or GSSL_DB"


def write_report(url: str, out: Path, *, extras: Iterable[Path] = (), projections: int = 200) -> dict[str, object]:
    """Make the page of all results of a store.

    Args:
        url: of the store.
        out: folder of the site; a report that is there is replaced, anything else is left alone.
        extras: files of ``gssl variance``, ``gssl converge`` and ``gssl tune``.
        projections: runs whose embeddings are drawn at most.

    Returns:
        What was written: ``out, index, pages, rows, cells, methods, datasets, boards, unfinished, without_result,
        off_published, warned``.

    Raises:
        InputError: there is nothing to show, a file cannot be read, or the folder is in the way or cannot be written.
    """
    _refuse_foreign(out)
    found = read_extras(list(extras))
    rows, suite_cells = _stored(url)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    contents = gather(
        rows, published(), found, suite_cells=suite_cells, projections=projections, source=shown(url), date=date
    )
    summary = _summary(contents, out)
    with _replacing(out) as folder:
        _write(folder, downloads(contents))
        pages = _write(folder, Pages(contents).all())
        _copy_assets(folder)
        summary = {**summary, "pages": pages}
        (folder / _MARKER).write_text(json.dumps({**summary, "gssl": __version__, "date": date}, indent=2) + "\n")
    return summary


def _stored(url: str) -> tuple[list[RunRow], list[CellRow]]:
    """Rows of runs, and the cells of suites."""
    if _names_no_file(url):  # opening it would make an empty one
        raise InputError(f"there is no results store {shown(url)}; {_HOW_TO_FILL}")
    with Store(url, read_only=True) as store:
        rows = store.rows()
        suite_cells = list(Cells(store).rows().values())
    if not rows:
        unfinished = sum(cell.status in UNFINISHED for cell in suite_cells)
        what = f"has only {unfinished} cells without a result" if unfinished else "is empty"
        raise InputError(f"the results store {shown(url)} {what}; {_HOW_TO_FILL}")
    return rows, suite_cells


def _names_no_file(url: str) -> bool:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return False  # the store says what is wrong with it
    file = parsed.database
    return parsed.get_backend_name() == "sqlite" and file not in (None, "", ":memory:") and not Path(str(file)).exists()


def _summary(contents: Contents, out: Path) -> dict[str, object]:
    entries = [entry for _, entry in contents.entries()]
    cells: list[Cell] = [entry.cell for entry in entries]
    return {
        "out": str(out.resolve()),
        "index": str(out.resolve() / "index.html"),
        "rows": contents.rows,
        "cells": len(cells),
        "methods": len({cell.first.method for cell in cells}),
        "datasets": len({cell.first.dataset for cell in cells}),
        "boards": len(contents.boards),
        "unfinished": sum(cell.status != "done" for cell in cells),
        "without_result": len(contents.unfinished),
        "off_published": sum(entry.mark in ("above", "below") for entry in entries),
        "warned": len(contents.cautions),
    }


def _refuse_foreign(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()) and not (out / _MARKER).is_file():
        raise InputError(f"{out} holds something else than a report and is left as it is; choose another --out")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is in the way: a report needs a folder; choose another --out")


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that takes its place at the end, or vanishes if something fails."""
    target = out.resolve()
    new, old = (target.with_name(f".{target.name}.{_process()}.{end}") for end in ("tmp", "old"))
    try:
        _sweep(target)
        new.mkdir(parents=True)
        yield new
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    except OSError as error:
        raise cannot_write(out, error) from error
    finally:
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _process() -> str:
    """This process, as the names of temporary folders have it."""
    return f"{re.sub(r'[^A-Za-z0-9-]', '-', socket.gethostname())}-{os.getpid()}"


def _sweep(target: Path) -> None:
    """Remove temporary folders beside ``target`` that reports of this machine left when they were killed."""
    machine = re.escape(_process().rpartition("-")[0])
    ours = re.compile(rf"\.{re.escape(target.name)}\.(?:{machine}-)?([0-9]{{1,9}})\.(?:tmp|old)")
    for path in target.parent.glob(f".{glob.escape(target.name)}.*"):
        match = ours.fullmatch(path.name)
        if match and path.is_dir() and not psutil.pid_exists(int(match[1])):
            shutil.rmtree(path, ignore_errors=True)


def _write(folder: Path, pages: Iterable[Page]) -> int:
    count = 0
    made: set[Path] = set()
    gc.freeze()  # what the pages show stays to the end; looking through it for garbage again and again takes longest
    for name, content in pages:
        path = inside(folder, name, "the report")
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        # A text of the store may hold what UTF-8 has no code for.
        path.write_bytes(content.encode("utf-8", "replace"))
        count += 1
    gc.unfreeze()
    return count


def _copy_assets(folder: Path) -> None:
    source = files("gssl.benchmarks.report") / "assets"
    (folder / "assets").mkdir()
    for item in source.iterdir():
        if item.name.endswith((".css", ".js")):
            (folder / "assets" / item.name).write_bytes(item.read_bytes())
