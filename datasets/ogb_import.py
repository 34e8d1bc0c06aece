"""Importing ogb without a look at the network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_update_check() -> Iterator[None]:
    """Within, ogb is imported without asking the package index for a newer version.

    It asks in a thread that keeps the process alive, and does without where the package ``outdated`` cannot be
    imported.
    """
    before = sys.modules.get("outdated")
    sys.modules["outdated"] = None  # type: ignore[assignment]  # the import system's mark for "not there"
    try:
        yield
    finally:
        if before is None:
            del sys.modules["outdated"]
        else:
            sys.modules["outdated"] = before
