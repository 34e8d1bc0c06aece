"""What the columns of a table of nodes or molecules are for: labels, splits, numbers or text."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from gssl.common.errors import InputError
from gssl.datasets.array_names import NAMES, is_of_split, refuse_splits
from gssl.datasets.own_splits import says_split

_LABELS = ("y", *NAMES["y"], "class")


def label_of(frame: pd.DataFrame, columns: Iterable[str], *, items: str) -> tuple[str | None, tuple[str, ...]]:
    """The column that holds the labels, and a note on one that is called so and holds names of the items.

    Args:
        frame: one row for each item.
        columns: those to choose from.
        items: what the rows are, as the note calls them.

    Raises:
        InputError: several may hold the labels.
    """
    found = [column for column in columns if column.lower() in _LABELS]
    names = [column for column in found if column.lower() == "label" and _names_rows(frame[column])]
    left = [column for column in found if column not in names]
    if len(left) > 1:
        raise InputError(f"{' and '.join(left)} may both be the labels: leave out or rename one of them")
    return left[0] if left else None, tuple(f"{column} names the {items}, so it is no class" for column in names)


def splits_of(frame: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """The columns that hold a split: by their name, or as they say train, val or test of each row."""
    return [
        column
        for column in columns
        if is_of_split(column) or (not is_number(frame[column]) and says_split(frame[column].tolist(), len(frame)))
    ]


def refuse_split_columns(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    """Refuse a column that is called like a split, is not read as one, and could be one: its numbers are whole.

    Raises:
        InputError: names the first of them.
    """
    refuse_splits(column for column in columns if not _is_real(frame[column]))


def refuse_twice(names: Iterable[object]) -> None:
    """Refuse a header in which a name stands twice, where pandas makes up another one, as whose column it would count.

    Raises:
        InputError: names the first of them.
    """
    held: set[str] = set()
    for name in (name.strip() for name in names if isinstance(name, str)):
        if name and name in held:
            raise InputError(f"it has the column {name!r} twice: leave out or rename one of them")
        held.add(name)


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers or truth values."""
    return bool(pd.api.types.is_numeric_dtype(column))


def is_text(column: pd.Series) -> bool:
    """Whether a column holds texts, and perhaps nothing at some rows."""
    return not is_number(column) and all(isinstance(value, str) for value in column.dropna())


def with_texts(frame: pd.DataFrame, verbatim: pd.DataFrame) -> pd.DataFrame:
    """The table with its texts as they stand in the file, where pandas takes a class that is called NA for nothing.

    Args:
        frame: as pandas reads it.
        verbatim: the same with every cell as a text, and nothing missing but empty cells.
    """
    held = {column: verbatim[column] for column in frame.columns if is_text(frame[column]) and len(frame[column])}
    held = {column: texts for column, texts in held.items() if not frame[column].isna().all()}
    return frame.assign(**held)


def _is_real(column: pd.Series) -> bool:
    if not is_number(column):
        return False
    values = column.dropna().to_numpy(dtype=np.float64)
    return bool((values != np.round(values)).any())


def _names_rows(column: pd.Series) -> bool:
    held = column.dropna()
    return is_text(column) and len(held) > 1 and bool(held.is_unique)
