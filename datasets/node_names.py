"""Names of nodes in tables: the texts that stand there, and not the numbers that they may look like."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.0*)?")  # 1.0 as tables are written in which a cell is empty
_SHOWN = 3


def names_of(texts: pd.Series) -> pd.Series:
    """The names in a column, without blanks around them.

    A column of whole numbers has each in one spelling: 1 for 1.0. In any other, what differs in spelling is another
    name (01 and 1, 1.1 and 1.10).

    Args:
        texts: as they stand in the file, nothing where a cell is empty.

    Returns:
        Texts, nothing where there is no name.

    Example:
        >>> names_of(pd.Series(["1.0", " 2"])).tolist(), names_of(pd.Series(["01", "1.0"])).tolist()
        (['1', '2'], ['01', '1.0'])
    """
    names = texts.str.strip()
    names = names.mask(names == "")
    named = names.dropna()
    if len(named) and bool(named.str.fullmatch(_WHOLE).all()):
        names = names.str.partition(".")[0]
    return names


def numbered(columns: Sequence[pd.Series]) -> tuple[np.ndarray, pd.Index]:
    """The number of each name of several columns, shape (columns, rows), int64, and the names in this order.

    Whole numbers are in the order of numbers, all else in that of texts.
    """
    codes, found = pd.factorize(pd.concat(columns, ignore_index=True))
    names = pd.Index(found)
    whole = bool(names.str.fullmatch(_WHOLE).all())
    key = [int(name) for name in names] if whole else names.tolist()
    order = np.array(sorted(range(len(names)), key=key.__getitem__), dtype=np.int64)
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    return place[codes].reshape(len(columns), -1), names[order]


def told_apart(names: pd.Index) -> tuple[str, ...]:
    """A note on names that are the same number in different spellings."""
    odd = ~names.str.fullmatch(_WHOLE).astype(bool)
    if not odd.any():
        return ()
    numbers = pd.Series(pd.to_numeric(pd.Series(names), errors="coerce").to_numpy(dtype=np.float64))
    same = numbers.groupby(numbers).transform("size").gt(1) & np.isfinite(numbers)
    groups = [names[numbers == number].tolist() for number in numbers[same & odd].unique()]
    if not groups:
        return ()
    shown = ", ".join(" and ".join(group[:_SHOWN]) for group in groups[:_SHOWN])
    more = " and others" if len(groups) > _SHOWN else ""
    return (f"names that differ in spelling are different nodes, also where they are the same number: {shown}{more}",)


def same_number(name: str, names: pd.Index) -> str | None:
    """One of the names that is the same number in another spelling, if there is one."""
    number = pd.to_numeric(name, errors="coerce") if name else np.nan
    if not np.isfinite(number):
        return None
    numbers = pd.to_numeric(pd.Series(names), errors="coerce").to_numpy(dtype=np.float64)
    places = np.flatnonzero(numbers == number)
    return None if not len(places) else str(names[places[0]])
