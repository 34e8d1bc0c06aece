"""Tables of molecules: ``.csv`` and ``.smi`` files, compressed or not."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gssl.common.errors import InputError
from gssl.common.files import require_regular
from gssl.datasets.molecule_codes import is_molecule
from gssl.datasets.unzip import check_gzip_fits_memory

SUFFIXES = (".csv", ".csv.gz", ".smi", ".smi.gz")
_NO_SEPARATOR = "\x1f"  # a character that no text file holds, so that a line is a cell


@dataclass(frozen=True, eq=False)
class MoleculeTable:
    """What a file says of molecules.

    Attributes:
        smiles: one of each row; empty where there is none.
        columns: name to numbers of each row, shape (num_rows,), float64; NaN where there is none.
        notes: what was done to the file and should be said.
    """

    smiles: list[str]
    columns: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = ()


def suffix_of(name: str) -> str | None:
    """The end of the name of a table of molecules; None for other files.

    Example:
        >>> suffix_of("Molecules.CSV.gz"), suffix_of("graph.npz")
        ('.csv.gz', None)
    """
    return next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), None)


def read_table(path: Path) -> MoleculeTable:
    """The SMILES of a file and its columns of numbers.

    The SMILES stand in the column that is called so, in any case, or in the only one. A ``.smi`` needs no header: the
    first word of a line is a SMILES, the rest its name. Columns that are empty, hold text or number the rows are left
    out, and the notes say so.

    Raises:
        InputError: damaged, empty, or without SMILES; the message does not name the file.
    """
    frame = _read(path)
    name = _smiles_column(frame)
    smiles = frame[name].astype("string").fillna("").str.strip().tolist()
    numbers: dict[str, np.ndarray] = {}
    counters, others = [], []
    for column in frame.columns.drop(name):
        if not pd.api.types.is_numeric_dtype(frame[column]) or frame[column].isna().all():
            others.append(str(column))
            continue
        values = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
        if _numbers_the_rows(values):
            counters.append(str(column))
        else:
            numbers[str(column)] = values
    if frame.shape[1] == 1 and name.lower() != "smiles" and is_molecule(name):  # a list without a header
        smiles = [name, *smiles]
    if not smiles:
        raise InputError("it holds no molecules")
    said = {
        "labels are the columns": numbers,
        "columns without numbers left out:": others,
        "columns that number the rows left out:": counters,
    }
    return MoleculeTable(smiles, numbers, tuple(f"{text} {', '.join(names)}" for text, names in said.items() if names))


def _read(path: Path) -> pd.DataFrame:
    require_regular(path)
    if path.suffix == ".gz":
        check_gzip_fits_memory(path)
    try:
        if str(suffix_of(path.name)).startswith(".smi"):
            return _lines(path)
        frame: pd.DataFrame = pd.read_csv(path, encoding="utf-8-sig", low_memory=False)
    except PermissionError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"it is no table of molecules ({type(error).__name__}: {reason}): save it again") from None
    frame.columns = frame.columns.astype(str).str.strip()
    header = str(frame.columns[0])
    for name, separator in (("semicolons", ";"), ("tabs", "\t")):
        if frame.shape[1] == 1 and separator in header:
            raise InputError(f"its columns seem to be separated by {name} ({header!r}): save it with commas")
    return frame


def _lines(path: Path) -> pd.DataFrame:
    """The table of a ``.smi``: the first word of each line, and all columns where a header names them."""
    frame = pd.read_csv(path, sep=_NO_SEPARATOR, header=None, quoting=csv.QUOTE_NONE, encoding="utf-8-sig", dtype=str)
    lines = frame[0].str.strip()
    header = str(lines.iloc[0]).split()
    if "smiles" not in [name.lower() for name in header]:
        return lines.str.split(n=1).str[0].to_frame("smiles")
    table: pd.DataFrame = lines.iloc[1:].str.split(n=len(header) - 1, expand=True).reindex(columns=range(len(header)))
    table.columns = pd.Index(header)
    return table.apply(_as_numbers)


def _as_numbers(column: pd.Series) -> pd.Series:
    """The column as numbers where all that is there are numbers."""
    values = pd.to_numeric(column, errors="coerce")
    return values if bool((values.notna() | column.isna()).all()) else column


def _smiles_column(frame: pd.DataFrame) -> str:
    named = [str(name) for name in frame.columns if str(name).lower() == "smiles"]
    if len(named) == 1 or frame.shape[1] == 1:
        return (named or [str(frame.columns[0])])[0]
    found = ", ".join(map(str, frame.columns)) or "none"
    if named:
        raise InputError(f"several of its columns are called smiles ({found}): keep one of them")
    raise InputError(f"it has no column called smiles; its columns are {found}: rename the one that holds the SMILES")


def _numbers_the_rows(values: np.ndarray) -> bool:
    """Whether these are whole numbers that rise from 0 or 1 in every row, with some missing as in BBBP's file."""
    if len(values) < 3 or values[0] not in (0, 1) or values[-1] > 2 * len(values):
        return False
    return bool((np.diff(values) >= 1).all() and (values == np.round(values)).all())
