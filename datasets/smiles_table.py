"""Tables of molecules: ``.csv`` and ``.smi`` files, compressed or not."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from gssl.common.errors import InputError
from gssl.common.files import require_regular
from gssl.datasets.molecule_codes import is_molecule
from gssl.datasets.table_columns import (
    is_number,
    is_text,
    label_of,
    refuse_split_columns,
    refuse_twice,
    splits_of,
    with_texts,
)
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
        classes: the name of each row's class, empty where there is none; None if labels are numbers.
        label: what the labels are called.
        splits: columns that hold a split, of one entry for each row.
    """

    smiles: list[str]
    columns: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = ()
    classes: list[str] | None = None
    label: str = "the labels"
    splits: Mapping[str, np.ndarray] = field(default_factory=dict)


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
    first word of a line is a SMILES, the rest its name.

    Labels are the column that is called ``y``, ``label`` or the like, numbers or names of classes. Where no column is,
    they are all columns of numbers, or the only column of texts that repeat themselves. Columns with a split are those
    of its usual names, and any that says train, val and test. What is left out the notes say.

    Raises:
        InputError: damaged, empty, without SMILES, or with a column that looks like a split and cannot be read; the
            message does not name the file.
    """
    frame = _read(path)
    name = _smiles_column(frame)
    smiles = frame[name].astype("string").fillna("").str.strip().tolist()
    if frame.shape[1] == 1 and name.lower() != "smiles" and is_molecule(name):  # a list without a header
        smiles = [name, *smiles]
    if not smiles:
        raise InputError("it holds no molecules")
    rest = [str(column) for column in frame.columns.drop(name)]
    label, named = label_of(frame, rest, items="molecules")
    splits = splits_of(frame, (column for column in rest if column != label))
    others = [column for column in rest if column not in (label, *splits)]
    refuse_split_columns(frame, others)
    found = _labels(frame, label, others)
    split = {column: frame[column].to_numpy() for column in splits}
    return replace(found, smiles=smiles, splits=split, notes=(*named, *found.notes))


def _labels(frame: pd.DataFrame, label: str | None, others: list[str]) -> MoleculeTable:
    """The labels of a table, without the rest; and what should be said of all columns that are no split."""
    texts = [column for column in others if not is_number(frame[column]) or frame[column].isna().all()]
    numbers = {column: _numbers(frame[column]) for column in others if column not in texts}
    without = f"columns without numbers left out: {', '.join(texts)}"
    if label is not None:
        spare = f"columns of numbers that are no labels, as there is {label}: {', '.join(numbers)}"
        notes = (f"labels are the column {label}", *((spare,) if numbers else ()), *((without,) if texts else ()))
        if is_number(frame[label]):
            return MoleculeTable([], {label: _numbers(frame[label])}, notes, label=label)
        return MoleculeTable([], {}, notes, _names(frame[label]), label)
    counters = [column for column, values in numbers.items() if _numbers_the_rows(values)]
    targets = {column: values for column, values in numbers.items() if column not in counters}
    repeated = [column for column in texts if _repeats(frame[column])]
    if not targets and len(repeated) == 1:
        label = repeated[0]
        texts.remove(label)
    said = {
        "labels are the columns": targets,
        "labels are the texts of the only column that repeats them:": [] if label is None else [label],
        "columns without numbers left out:": texts,
        "columns that number the rows left out:": counters,
    }
    notes = tuple(f"{text} {', '.join(names)}" for text, names in said.items() if names)
    if label is not None:
        return MoleculeTable([], {}, notes, _names(frame[label]), label)
    return MoleculeTable([], targets, notes, label=next(iter(targets)) if len(targets) == 1 else "the labels")


def _numbers(column: pd.Series) -> np.ndarray:
    values: np.ndarray = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _names(column: pd.Series) -> list[str]:
    return ["" if missing else str(value) for value, missing in zip(column.tolist(), column.isna(), strict=True)]


def _repeats(column: pd.Series) -> bool:
    """Whether a column of texts may be one of classes: each stands for five items at least, on average."""
    return is_text(column) and 1 < column.nunique() <= len(column.dropna()) / 5


def _read(path: Path) -> pd.DataFrame:
    require_regular(path)
    if path.suffix == ".gz":
        check_gzip_fits_memory(path)
    try:
        if str(suffix_of(path.name)).startswith(".smi"):
            return _lines(path)
        frame: pd.DataFrame = pd.read_csv(path, encoding="utf-8-sig", low_memory=False)
        refuse_twice(pd.read_csv(path, encoding="utf-8-sig", header=None, nrows=1, dtype=str).iloc[0])
        if frame.isna().any(axis=None):
            plain = pd.read_csv(path, encoding="utf-8-sig", dtype=str, keep_default_na=False, na_values=[""])
            frame = with_texts(frame, plain)
    except (InputError, PermissionError):
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
