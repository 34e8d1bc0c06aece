"""What every node of a cluster must see as the command does: the store, the runs, data and plug-ins.

The command writes a token into the store and beside the runs, and a task on every node reads both back. A node with
a store or a runs folder of its own would otherwise take every cell for somebody else's, or keep results that nobody
finds.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gssl.benchmarks.bench.cell import Cell
from gssl.common.errors import InputError
from gssl.common.files import cannot_write
from gssl.datasets.catalog import is_path
from gssl.results.database import PATIENCE_SECONDS
from gssl.results.places import runs_root
from gssl.results.read_only import sqlite_file
from gssl.results.schema import meta
from gssl.results.store import Store, shown

_LARGE = 2**28  # bytes; of larger files the size alone is compared
_ANSWER_SECONDS = 300.0  # for a node to import gssl and to look


@dataclass(frozen=True)
class Sight:
    """What the command sees.

    Attributes:
        token: in the store and beside the runs.
        db: URL of the store.
        runs: folder of run folders.
        things: what it is to a digest of its content.
    """

    token: str
    db: str
    runs: str
    things: tuple[tuple[str, str], ...]


@contextmanager
def shown_to_nodes(db: str, cells: Iterable[Cell]) -> Iterator[Sight]:
    """What the command sees, for as long as nodes may look.

    Args:
        db: URL of the store, which holds the cells.
        cells: to be worked on.

    Raises:
        StorageError: a token cannot be written.
    """
    token = f"token {uuid.uuid4().hex[:16]}"
    file, runs = _token_file(runs_root(), token), runs_root()
    try:
        runs.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError as error:
        raise cannot_write(file, error) from error
    try:
        with Store(db) as store:
            store.write(lambda connection: connection.execute(sa.insert(meta).values(name=token, value="shown")))
        try:
            yield Sight(token, db, str(runs.absolute()), tuple(_things(_subjects(cells))))
        finally:
            with Store(db) as store:
                store.write(lambda connection: connection.execute(sa.delete(meta).where(meta.c.name == token)))
    finally:
        with suppress(OSError):
            file.unlink()


def require_seen(sight: Sight) -> None:
    """See to it that this node sees what the command sees.

    Raises:
        InputError: it does not; the message says what.
    """
    faults = []
    if not _holds_token(sight):
        faults.append(f"the results store {shown(sight.db)}")
    if not _token_file(Path(sight.runs), sight.token).is_file():
        faults.append(f"the folder of runs {sight.runs}")
    here = dict(_things([name for name, _ in sight.things]))
    faults += [name for name, digest in sight.things if here[name] != digest]
    if faults:
        raise InputError(
            f"node {platform.node()} of the Ray cluster does not see the same as this command: {', '.join(faults)}; "
            "every node needs the same store (PostgreSQL, or a file in a shared folder), the same folder of runs "
            "(GSSL_RUNS in a shared folder), the same data and plug-ins, and the same gssl"
        )


def require_all_see(ray: Any, sight: Sight) -> None:
    """See to it that every node that is there now sees what the command sees; later ones are asked with each cell.

    Raises:
        InputError: one does not, or does not answer.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(require_seen)
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    asked = [
        look.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        ).remote(sight)
        for node in nodes
    ]
    try:
        ray.get(asked, timeout=_ANSWER_SECONDS)
    except ray.exceptions.RayTaskError as error:
        raise said(error) from error
    except (ray.exceptions.RayError, TimeoutError) as error:
        raise InputError(
            f"a node of the Ray cluster does not answer, or gssl cannot be imported there: {error}"
        ) from error


def said(error: Any) -> Exception:
    """What a task raised, without Ray's frame around it, where the command can tell it as it is."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, InputError) else InputError(f"a task failed on the Ray cluster: {error}")


def _token_file(runs: Path, token: str) -> Path:
    return runs / f".{token.replace(' ', '-')}"


def _holds_token(sight: Sight) -> bool:
    file = sqlite_file(sight.db)
    if file is not None and not file.is_file():
        return False
    try:
        with Store(sight.db, read_only=True, patience=PATIENCE_SECONDS) as store:
            query = sa.select(meta.c.name).where(meta.c.name == sight.token)
            return store.read(lambda connection: connection.execute(query).one_or_none()) is not None
    except InputError:
        return False


def _subjects(cells: Iterable[Cell]) -> list[str]:
    names = dict.fromkeys(["version of gssl", "version of torch"])
    if os.environ.get("GSSL_MIRROR"):
        names["data in GSSL_MIRROR"] = None
    for cell in cells:
        parts = (cell.method, cell.encoder, cell.sampler, cell.probe)
        names |= dict.fromkeys(f"plug-in {part.partition(':')[0]}" for part in parts if part and ":" in part)
        names |= dict.fromkeys(f"data {name}" for name in (cell.dataset, cell.pretrain_on) if name and is_path(name))
    return list(names)


def _things(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        kind, _, rest = name.partition(" ")
        if kind == "version":
            yield name, _version(rest.removeprefix("of "))
        elif kind == "plug-in":
            yield name, _source(rest)
        elif rest == "in GSSL_MIRROR":
            yield name, _listing(Path(os.environ.get("GSSL_MIRROR") or "."))
        else:
            yield name, _content(Path(rest))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return getattr(sys.modules.get(package), "__version__", "")


def _source(module: str) -> str:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return ""
    return _content(Path(spec.origin)) if spec is not None and spec.origin else ""


def _listing(folder: Path) -> str:
    try:
        return _digest(" ".join(sorted(entry.name for entry in folder.iterdir())).encode())
    except OSError:
        return ""


def _content(path: Path) -> str:
    try:
        if path.is_dir():
            sizes = sorted((str(f.relative_to(path)), f.stat().st_size) for f in path.rglob("*") if f.is_file())
            return _digest(repr(sizes).encode())
        return str(path.stat().st_size) if path.stat().st_size > _LARGE else _digest(path.read_bytes())
    except OSError:
        return ""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
