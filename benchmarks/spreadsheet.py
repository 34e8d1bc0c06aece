"""Tables for spreadsheets, in which a text that begins like a formula must not become one."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what makes Excel, LibreOffice and Google Sheets compute


def harmless(value: object) -> object:
    """The value, or a text with an apostrophe in front that spreadsheets do not show, where it begins like a formula.

    Example:
        >>> harmless("=1+1"), harmless("GRACE"), harmless(-0.5)
        ("'=1+1", 'GRACE', -0.5)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def csv_text(lines: Sequence[Mapping[str, object]]) -> str:
    """CSV with a column for every key that a line has, in order of appearance; None is an empty cell."""
    columns = list(dict.fromkeys(name for line in lines for name in line))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([harmless(name) for name in columns])
    writer.writerows([harmless(line.get(name)) for name in columns] for line in lines)
    return out.getvalue()
