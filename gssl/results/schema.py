"""Tables of the results store, their version, and the way from an older version to this one."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from gssl.common.errors import InputError
from gssl.results.columns import metrics_text
from gssl.results.former import task_and_setting

SCHEMA_VERSION = 5
KEY = (
    "method",
    "config_hash",
    "dataset",
    "dataset_checksum",
    "split_hash",
    "probe",
    "probe_version",
    "seed",
    "environment_hash",
)

_WIDE = ("method", "dataset", "probe", "encoder", "sampler", "preset", "metric", "git_hash", "task", "setting",
    "seed", "epochs")  # fmt: skip

metadata = sa.MetaData()
meta = sa.Table(
    "gssl_meta", metadata, sa.Column("name", sa.String(40), primary_key=True), sa.Column("value", sa.String(40))
)
# SQLite asks for no lengths, so that there are none but those of what has a fixed one: see gssl/results/limits.py.
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("config_hash", sa.String(16), nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("dataset_checksum", sa.String(16), nullable=False),
    sa.Column("split_hash", sa.String(16), nullable=False),
    sa.Column("probe", sa.Text, nullable=False),
    sa.Column("probe_version", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("environment_hash", sa.String(16), nullable=False),
    sa.Column("status", sa.String(10), nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("val", sa.Float(53)),
    sa.Column("test", sa.Float(53)),
    sa.Column("epochs", sa.BigInteger, nullable=False),
    sa.Column("pretrain_seconds", sa.Float(53), nullable=False),
    sa.Column("probe_seconds", sa.Float(53), nullable=False),
    sa.Column("peak_memory_mb", sa.Float(53), nullable=False),
    sa.Column("encoder", sa.Text, nullable=False),
    sa.Column("sampler", sa.Text, nullable=False),
    sa.Column("preset", sa.Text, nullable=False),
    sa.Column("run_dir", sa.Text, nullable=False),
    sa.Column("date", sa.String(40), nullable=False, index=True),
    sa.Column("git_hash", sa.Text, nullable=False),
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    # No database adds a column that must have a value to a table that has rows, so these may be empty.
    sa.Column("task", sa.Text),
    sa.Column("setting", sa.Text),
    sa.Column("metrics", sa.Text),
    sa.Column("pretrain_cpu_seconds", sa.Float(53)),
    sa.Column("load", sa.Float(53)),
    sa.UniqueConstraint(*KEY, name="one_row_per_measurement"),
)
# One seed of one configuration of a suite: who works on it, how it ended, and which run it led to.
cells = sa.Table(
    "cells",
    metadata,
    sa.Column("key", sa.String(16), primary_key=True),
    sa.Column("suite", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("status", sa.String(20), nullable=False, index=True),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("token", sa.String(32), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("claim", sa.String(32), nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started", sa.Float(53), nullable=False),
    sa.Column("heartbeat", sa.Float(53), nullable=False),
    sa.Column("seconds", sa.Float(53), nullable=False),
    sa.Column("time_limit", sa.Float(53)),
    sa.Column("memory_limit", sa.Float(53)),
    sa.Column("date", sa.String(40), nullable=False),
    sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id")),
)


def prepare(connection: sa.Connection, url: str, *, may_make: bool = True) -> None:
    """Make the tables of a new database, and bring one of an older version to this one.

    Args:
        connection: to the database.
        url: as messages show it.
        may_make: whether a new database gets tables.

    Raises:
        InputError: the database holds something else, or a newer gssl made it.
    """
    found = _version(connection)
    if found is None:
        if sa.inspect(connection).get_table_names():
            raise InputError(f"{url} is a database of something else; choose another with --db or GSSL_DB")
        if not may_make:
            raise InputError(f"the results store {url} is empty; choose another with --db or GSSL_DB")
        metadata.create_all(connection)
        connection.execute(sa.insert(meta).values(name="schema_version", value=str(SCHEMA_VERSION)))
        return
    while found in _MIGRATIONS:
        _MIGRATIONS[found](connection)
        found = str(int(found) + 1)
        connection.execute(sa.update(meta).where(meta.c.name == "schema_version").values(value=found))
    if found != str(SCHEMA_VERSION):
        raise InputError(
            f"the results store {url} has schema version {found}, this gssl reads version {SCHEMA_VERSION}; "
            f"choose another with --db or GSSL_DB, or use the gssl that made it"
        )


def is_older(connection: sa.Connection) -> bool:
    """Whether :func:`prepare` would change a database that an older gssl made."""
    return _version(connection) in _MIGRATIONS


def _version(connection: sa.Connection) -> str | None:
    """The version of the tables; None where there are none."""
    if not sa.inspect(connection).has_table(meta.name):
        return None
    query = sa.select(meta.c.value).where(meta.c.name == "schema_version")
    return str(connection.execute(query).scalar_one_or_none())


def _add_cells(connection: sa.Connection) -> None:
    cells.create(connection)


def _add_tasks(connection: sa.Connection) -> None:
    """Task, setting and metrics of every run; what a version without them leaves unsaid follows from the others."""
    _add_columns(connection, "task", "setting", "metrics")
    columns = (runs.c[name] for name in ("id", "method", "dataset", "sampler", "metric", "val", "test"))
    found = []
    for row in connection.execute(sa.select(*columns)):
        task, setting = task_and_setting(row.method, row.dataset, row.sampler)
        metrics = metrics_text({row.metric: (row.val, row.test)})
        found.append({"row": row.id, "task": task, "setting": setting, "metrics": metrics})
    if found:
        connection.execute(sa.update(runs).where(runs.c.id == sa.bindparam("row")), found)


def _add_cpu_time(connection: sa.Connection) -> None:
    """CPU time and load of every run; those of before stay unknown."""
    _add_columns(connection, "pretrain_cpu_seconds", "load")


def _add_columns(connection: sa.Connection, *names: str) -> None:
    for name in names:
        definition = sa.schema.CreateColumn(runs.c[name]).compile(dialect=connection.dialect)
        connection.execute(sa.text(f"ALTER TABLE {runs.name} ADD COLUMN {definition}"))


def _widen(connection: sa.Connection) -> None:
    """Names of any length and seeds of 64 bits, which SQLite has always taken."""
    if connection.dialect.name == "sqlite":
        return
    for table, names in (runs, _WIDE), (cells, ("seed",)):
        for name in names:
            kind = table.c[name].type.compile(dialect=connection.dialect)
            connection.execute(sa.text(f"ALTER TABLE {table.name} ALTER COLUMN {name} TYPE {kind}"))


# Each entry leads from its version to the next one, in the transaction that opens the store.
_MIGRATIONS: dict[str, Callable[[sa.Connection], None]] = {
    "1": _add_cells,
    "2": _add_tasks,
    "3": _widen,
    "4": _add_cpu_time,
}
