"""Pretrainings that several runs start from: carried out once, and taken over by the others."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gssl.common.files import cannot_write, write_json
from gssl.experiment.filed import FiledTraining
from gssl.results.environment import Environment, program_digest, program_files
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler
from gssl.training.checkpoint import load_checkpoint, save_checkpoint

_FOLDER = "shared"
_READ = time.time()  # when this process, or the one that it was forked from, had read the program


@dataclass(frozen=True)
class Place:
    """Where a training keeps its checkpoint, what that must have been written for, and what should be said of it."""

    checkpoint: Path
    key: str
    note: str = ""


@contextmanager
def place_of(
    part: FiledTraining, sampler: Sampler, environment: Environment, *, beside: Path, say: Callable[[str], None]
) -> Iterator[Place]:
    """The place of a training while it is carried out.

    Fine-tuning on several sets, or on several shares of labels, begins with the same pretraining, seed by seed. Its
    checkpoint is kept in ``shared`` beside the folders of runs, below the hash of its recipe, of the environment and of
    the program's own files, under a lock: whoever comes first trains, or goes on where another one was killed, and
    whoever comes later finds a training that is finished. The weights are those of a training of one's own, bit by bit,
    and times those that it took. At the end the run's own folder has a copy, so that it needs no other.

    A training is not shared if nobody else could use it, if its folder has begun it already, if its sampler keeps a
    history, or if a file of the program has changed since this process read it, which the hash would then belie.

    Args:
        part: the training and its folder.
        sampler: where its batches come from.
        environment: of this process.
        beside: folder of the run.
        say: told of the waiting and of what is taken over.

    Raises:
        InputError: files cannot be written, or one is damaged.
    """
    training = part.training
    recipe = training.recipe
    history = isinstance(sampler, PairSampler) and sampler.store is not None
    if recipe is None or part.checkpoint.exists() or history or _changed():
        yield Place(part.checkpoint, training.key)
        return
    # What the files are decides, not which commit they are of.
    surroundings = {**replace(environment, git_hash="", git_dirty=False).content(), "program": program_digest()}
    key = digest({"recipe": recipe, "environment": surroundings})
    folder = beside.absolute().parent / _FOLDER / key
    with _locked(folder, say):
        file = folder / "checkpoint.pt"
        note = f"{training.title}: taken over from {_FOLDER}/{key}" if (folder / "finished.json").exists() else ""
        if note:
            say(note)
        yield Place(file, key, note)
        state = load_checkpoint(file, config_key=key)
        if state is not None:
            save_checkpoint(part.checkpoint, state, config_key=training.key)
            write_json(folder / "finished.json", {"recipe": recipe, "environment": surroundings})


def digest(content: Mapping[str, Any]) -> str:
    """First 16 hexadecimal digits of the SHA-256 of plain data as canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _changed() -> bool:
    """Whether a file of the program is newer than what this process runs."""
    return any(file.stat().st_mtime > _READ for file in program_files())


@contextmanager
def _locked(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """A folder that no other process works in meanwhile; the end of a process, however it ends, frees it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"another process carries out the pretraining in {folder}; waiting for it")
            lock.acquire()
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield
    finally:
        lock.release()
