"""Whether the owner of a claim is gone: seen at once on the same machine, concluded from its silence on another.

Heartbeats are written and judged by the clock of the database, so that machines whose clocks differ agree. No clock is
trusted alone: it may be set, and nobody can write while a server is started again. So whoever judges has seen the same
heartbeat for some time by a clock that nobody sets.
"""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from gssl.results.owner import Owner

SILENCE_SECONDS = 300.0  # after which the owner of a claim on another machine counts as gone
WATCH_SECONDS = 60.0  # for which the same heartbeat must have been seen; several are due in this time


def database_time(dialect: str) -> sa.ColumnElement[float]:
    """The clock of a database as an expression: seconds since 1970. That of SQLite is the clock of this machine.

    Args:
        dialect: name of the database, as SQLAlchemy calls it.
    """
    if dialect == "sqlite":
        return (sa.func.julianday("now", type_=sa.Float(53)) - 2440587.5) * 86400.0
    return sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Float(53))


class Watch:
    """What one process has seen of the heartbeats of others; usable from several threads."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[object, float]] = {}

    def lost(self, row: Any) -> bool:
        """Whether the owner of a running cell is gone.

        Args:
            row: of the table of cells, with the time of the database as ``now``.
        """
        alive = Owner(row.host, row.pid, row.started).alive()
        if alive is not None:
            return not alive
        mark, moment = (row.claim, row.heartbeat), time.monotonic()
        before, since = self._seen.get(row.key, (None, moment))
        if before != mark:
            self._seen[row.key] = (mark, moment)
            return False
        return row.now - row.heartbeat > SILENCE_SECONDS and moment - since >= WATCH_SECONDS
