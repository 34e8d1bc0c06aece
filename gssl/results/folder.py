"""The folder of a run: found or made, locked while it is worked on, resumed or refused.

::

    <method>-<dataset>-<hash>/
        config.yaml          the full configuration, also a valid --config
        environment.json     versions, commit, device, threads
        seed-K/              one repetition
            checkpoint.pt    resumable during training, the trained weights afterwards
            curve.jsonl      one line per epoch
            embeddings.npz   frozen embeddings of all items
            metrics.json     written last: a seed with this file is finished
        result.json          written last: a run with this file is finished
"""

from __future__ import annotations

import itertools
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from filelock import FileLock, Timeout

from gssl.common import yaml_io
from gssl.common.errors import InputError, StorageError
from gssl.common.files import cannot_write, read_json, write_json, write_text
from gssl.config.record import RunConfig
from gssl.results.former import completed
from gssl.results.places import runs_root
from gssl.results.seed import SeedMetrics

_LOCK = ".lock"
# What a killed process of gssl leaves of a file that it was writing, and nothing else.
_FILES = r"config\.yaml|environment\.json|result\.json|metrics\.json|curve\.jsonl|checkpoint\.pt|embeddings\.\w+"
_HALF = re.compile(rf"\.(?:{_FILES})\.[0-9]+\.tmp")
_PLACES = ("*", "seed-*/*", "seed-*/split-*/*")
_LONGEST_NAME = 80
_LOOK_SECONDS = 0.2  # between looks at a folder that another process works in
_NAMELESS_SECONDS = 60.0  # for it to say what it works on, which is the first thing that it writes
State = Literal["new", "unfinished", "finished", "other", "foreign"]


@dataclass(frozen=True)
class RunIdentity:
    """What makes two runs the same, apart from the environment.

    Attributes:
        config: the full configuration.
        dataset_checksum: of the data.
        plugins: digest of the source of each part that does not ship with the project, by import path.
        data: what an encoder must know of the data, and their level; kept with the run, so that its encoder can be
            loaded where the data cannot.
    """

    config: RunConfig
    dataset_checksum: str
    plugins: Mapping[str, str]
    data: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The content of ``config.yaml``."""
        return {
            **self.config.mapping(),
            "config_hash": self.config.hash,
            "dataset_checksum": self.dataset_checksum,
            "plugins": dict(self.plugins),
            "data": dict(self.data),
        }

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Whether a ``config.yaml`` is of this run; what cannot change a result may differ."""
        mine = self.record()
        return all(record.get(key) == mine[key] for key in ("config_hash", "seeds", "dataset_checksum", "plugins"))


class RunFolder:
    """A run's folder, locked from construction to :meth:`close`.

    Args:
        path: made if it does not exist.

    Raises:
        InputError: the path is a file, cannot be written, or another process works in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path / _LOCK)
            self._lock.acquire(timeout=0)
        except (FileExistsError, NotADirectoryError):
            raise InputError(f"{path} is in the way: a run needs a folder; choose another --out") from None
        except Timeout:
            raise BusyError(f"another process works in {path}; wait for it or choose another --out") from None
        except OSError as error:
            raise cannot_write(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._lock.release()

    def state(self, run: RunIdentity) -> State:
        """What is here, seen from ``run``.

        Returns:
            ``new`` for an empty folder, ``unfinished`` or ``finished`` for this very run, ``other`` for another run,
            ``foreign`` for anything else.
        """
        if not (self.path / "config.yaml").exists():
            own = (_LOCK, "environment.json")
            others = [e for e in self.path.iterdir() if e.name not in own and not _HALF.fullmatch(e.name)]
            return "foreign" if others else "new"
        if not run.matches(yaml_io.read(self.path / "config.yaml")):
            return "other"
        return "finished" if (self.path / "result.json").exists() else "unfinished"

    def begin(self, run: RunIdentity, environment: Mapping[str, object]) -> None:
        """Write what identifies the run."""
        write_json(self.path / "environment.json", environment)
        write_text(self.path / "config.yaml", yaml_io.dump(run.record()))

    def sweep(self) -> None:
        """Remove what a killed process left half written; files of any other name stay."""
        for leftover in itertools.chain.from_iterable(map(self.path.glob, _PLACES)):
            if _HALF.fullmatch(leftover.name):
                leftover.unlink(missing_ok=True)

    def environment(self) -> dict[str, Any]:
        """The environment in which the run began."""
        return read_json(self.path / "environment.json")

    def seed(self, seed: int) -> Path:
        """The folder of one seed; it is made if it does not exist."""
        return self._made(self.path / f"seed-{seed}")

    def part(self, seed: int, number: int) -> Path:
        """The folder of one of several trainings of a seed; it is made if it does not exist."""
        return self._made(self.seed(seed) / f"split-{number}")

    def finished_seed(self, seed: int) -> SeedMetrics | None:
        """What a seed measured, or None if it is not finished."""
        file = self.path / f"seed-{seed}" / "metrics.json"
        return SeedMetrics.read(read_json(file), str(file)) if file.exists() else None

    def result(self) -> dict[str, Any]:
        """The stored result of a finished run; one of a former version gets the keys that it lacks."""
        return completed(read_json(self.path / "result.json"))

    def finish(self, result: Mapping[str, object]) -> None:
        """Write the result, which makes the run a finished one."""
        write_json(self.path / "result.json", result)

    @staticmethod
    def _made(path: Path) -> Path:
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from error
        return path

    def require_space(self, needed: int) -> None:
        """Refuse early to start what the disk cannot hold.

        Args:
            needed: bytes.

        Raises:
            StorageError: the file system has less room.
        """
        free = shutil.disk_usage(self.path).free
        if free < needed:
            raise StorageError(
                f"the run needs about {needed / 2**20:.0f} MiB in {self.path}, but only {free / 2**20:.0f} MiB are "
                f"free; free some space or choose another --out"
            )


class BusyError(InputError):
    """Another process works in the folder."""


def open_run(
    run: RunIdentity, out: Path | None, *, environment: str = "", say: Callable[[str], None] = lambda message: None
) -> tuple[RunFolder, State]:
    """The folder for a run: the one that was asked for, else an unfinished one of the same run, else a new one.

    Where another process carries out the same run in the same environment at this moment, it is waited for: one of
    several identical commands trains, and the others take its result over.

    Args:
        run: which one.
        out: folder that the user named; None for one below the folder of runs.
        environment: hash of this process's environment.
        say: told of the waiting.

    Returns:
        The locked folder, and whether it is ``new``, ``unfinished`` or, only for a named one and one that was waited
        for, ``finished``.

    Raises:
        InputError: the folder cannot be used; the message says what to do.
    """
    if out is not None:
        return _named(run, out)
    stem = runs_root() / folder_name(run.config)
    for number in itertools.count(1):
        path = stem if number == 1 else stem.with_name(f"{stem.name}-{number}")
        folder, waited = _taken(path, run, environment, say)
        if folder is None:
            continue
        state = folder.state(run)
        if state in ("new", "unfinished") or (waited and state == "finished"):
            return folder, state
        folder.close()
    raise AssertionError("unreachable: the numbers do not end")


def _taken(path: Path, run: RunIdentity, environment: str, say: Callable[[str], None]) -> tuple[RunFolder | None, bool]:
    """A folder once nobody works on this very run in it, and whether that took time; None if it is of another run."""
    begin, waited, told = time.monotonic(), False, False
    while True:
        try:
            return RunFolder(path), waited
        except BusyError:
            same = _is_under_way(path, run, environment)
        if same is False or (same is None and time.monotonic() - begin > _NAMELESS_SECONDS):
            return None, False
        if same and not told:
            say(f"another process carries out this very run in {path}; waiting for its result")
            told = True
        waited = True
        time.sleep(_LOOK_SECONDS)


def _is_under_way(path: Path, run: RunIdentity, environment: str) -> bool | None:
    """Whether the process that works in a folder carries out the same run; None if it has not said so yet."""
    if not (path / "config.yaml").exists() or not (path / "environment.json").exists():
        return None
    try:
        record, there = yaml_io.read(path / "config.yaml"), read_json(path / "environment.json")
    except (InputError, OSError):
        return False
    return run.matches(record) and there.get("hash") == environment


def folder_name(config: RunConfig) -> str:
    """``<method>-<dataset>-<first 8 digits of the configuration's hash>``."""
    method = config.method.name.rpartition(":")[2]
    name = re.sub(r"[^\w.-]", "_", f"{method}-{config.dataset}")
    return f"{name[:_LONGEST_NAME]}-{config.hash[:8]}"


def _named(run: RunIdentity, out: Path) -> tuple[RunFolder, State]:
    folder = RunFolder(out)
    state = folder.state(run)
    if state in ("new", "unfinished", "finished"):
        return folder, state
    folder.close()
    if state == "other":
        raise InputError(
            f"{out} holds another run (configuration, seeds, data, your own code or the number of processes differ); "
            f"choose another --out or delete it"
        )
    raise InputError(f"{out} is not empty and holds no run; choose another --out")
