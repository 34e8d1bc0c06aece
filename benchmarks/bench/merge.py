"""Several results stores become one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from gssl.common.errors import InputError
from gssl.results.cells import Cells
from gssl.results.store import Store, shown


def merge(sources: Sequence[str], into: str) -> dict[str, int]:
    """Add what other stores hold; a source in SQLite is only read, so that it may be where nothing can be written.

    A run that both have is kept as it is here, unless it failed here and succeeded there. A cell that is finished
    there and not here becomes finished here. Each source is added as a whole or not at all.

    Args:
        sources: URLs of the stores to read.
        into: URL of the store to write.

    Returns:
        ``runs`` and ``cells``: how many were added or replaced.

    Raises:
        InputError: a store that is not there or cannot be used, or the target among the sources.
    """
    counts = {"runs": 0, "cells": 0}
    for url in sources:
        require_there(url)
        if sa.make_url(url) == sa.make_url(into):
            raise InputError(f"{shown(url)} cannot be merged into itself; name the target with --db")
    with Store(into) as target:
        for url in sources:
            with Store(url, read_only=True) as source:
                table = Cells(source)
                cells = table.rows()
                runs, added = Cells(target).adopt(list(cells.values()), table.runs(cells), source.rows())
            counts["runs"] += runs
            counts["cells"] += added
    return counts


def require_there(url: str) -> None:
    """Refuse a URL of SQLite without a file, which opening would make.

    Raises:
        InputError: there is none, or it is no URL.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise InputError(f"{url!r} is not a database URL such as sqlite:///other.db: {error}") from None
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise InputError(f"there is no results store at {shown(url)}")
