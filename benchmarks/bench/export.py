"""Cells with their results as a table in a file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from gssl.benchmarks.bench.merge import require_there
from gssl.benchmarks.spreadsheet import harmless
from gssl.common.errors import InputError, unknown
from gssl.common.files import write_whole
from gssl.results.cells import Cells
from gssl.results.columns import metrics_of
from gssl.results.store import RunRow, Store

_SUFFIXES = (".csv", ".parquet")


def export(file: Path, db: str, keys: Sequence[str] | None = None) -> int:
    """Write one line per cell, with the whole row of its run where it is done.

    Every metric has two columns, ``val_NAME`` and ``test_NAME``; ``metric`` names that of ``val`` and ``test``. In
    CSV a text that begins like a formula gets an apostrophe in front; Parquet holds every text as it is.

    Args:
        file: ``.csv`` or ``.parquet``.
        db: URL of the results store.
        keys: which cells; None for every cell and for runs that belong to none.

    Returns:
        How many lines were written.

    Raises:
        InputError: another kind of file, a store that is not there, or a file that cannot be written.
    """
    require_possible(file)
    require_there(db)
    import pandas

    with Store(db, read_only=True) as store:
        lines = _lines(store, keys)
    frame = pandas.DataFrame(lines)
    frame = frame.astype({name: "Int64" for name in frame.columns if _are_whole(lines, name)})
    content = io.BytesIO()
    if file.suffix == ".csv":  # a program may open it that would compute what begins like a formula
        numeric = pandas.api.types.is_numeric_dtype
        safe = frame.apply(lambda column: column if numeric(column) else column.map(harmless)).rename(columns=harmless)
        safe.to_csv(content, index=False, lineterminator="\n", encoding="utf-8")
    else:
        frame.to_parquet(content, index=False)

    def put(out: BinaryIO) -> None:
        out.write(content.getvalue())

    write_whole(file, put)
    return len(frame)


def require_possible(file: Path) -> None:
    """See to it that a file of this name can be made, before hours of work.

    Raises:
        InputError: another kind of file, no such folder, or a package is missing.
    """
    if file.suffix not in _SUFFIXES:
        raise unknown("kind of file", file.suffix or file.name, _SUFFIXES)
    if not file.parent.is_dir():
        raise InputError(f"{file} cannot be written: there is no folder {file.parent}")
    if file.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise InputError("Parquet needs the package pyarrow: pip install 'gssl[embed]', or write .csv")


def _lines(store: Store, keys: Sequence[str] | None) -> list[dict[str, object]]:
    table = Cells(store)
    cells = table.rows(keys)
    runs = table.runs(cells)
    lines = []
    for cell in cells.values():
        names = {f"cell_{name}": value for name, value in asdict(cell).items() if name != "run_id"}
        lines.append({**names, **(_columns(runs[cell.key]) if cell.key in runs else {})})
    if keys is None:
        known = {row.key for row in runs.values()}
        lines += [_columns(row) for row in store.rows() if row.key not in known]
    return lines


def _are_whole(lines: Sequence[Mapping[str, object]], name: str) -> bool:
    """Whether a column has whole numbers only, which pandas takes for floats where a cell has no result."""
    known = [line[name] for line in lines if line.get(name) is not None]
    return bool(known) and all(type(value) is int for value in known)


def _columns(row: RunRow) -> dict[str, object]:
    columns = asdict(row)
    for name, (val, test) in metrics_of(columns.pop("metrics")).items():
        columns |= {f"val_{name}": val, f"test_{name}": test}
    return columns
