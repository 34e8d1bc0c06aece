"""Where results are kept unless the user says otherwise."""

from __future__ import annotations

import os
from pathlib import Path


def runs_root() -> Path:
    """Folder of run folders: ``$GSSL_RUNS``, else ``runs``."""
    return Path(os.environ.get("GSSL_RUNS") or "runs")


def store_url(given: str | None = None) -> str:
    """The results store: the given URL, else ``$GSSL_DB``, else a file in the folder of runs."""
    return given or os.environ.get("GSSL_DB") or sqlite_url(runs_root() / "results.db")


def remedy(url: str) -> str:
    """What to change where a results store cannot be used, as the end of a message.

    Args:
        url: of the store.
    """
    if url == store_url() and not os.environ.get("GSSL_DB"):
        return "choose another folder of runs with GSSL_RUNS, or another store with --db or GSSL_DB"
    return "choose another with --db or GSSL_DB"


def sqlite_url(file: Path) -> str:
    """The URL of a file of SQLite.

    Example:
        >>> sqlite_url(Path("what?/50%/r.db"))
        'sqlite:///what%3F/50%25/r.db'
    """
    return f"sqlite:///{str(file).replace('%', '%25').replace('?', '%3F')}"
