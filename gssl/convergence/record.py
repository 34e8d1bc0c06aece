"""What was observed of one training, as one line of a file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from gssl.common.errors import InputError
from gssl.config.record import deciding

Cell = tuple[str, int, float]
"""Sampler, batch size and learning rate."""


class Key(NamedTuple):
    """What makes two trainings the same experiment; fields of :class:`Trajectory`."""

    config_hash: str
    seed: int
    clock: str
    seconds: float
    steps: int
    observations: int
    measured: bool
    probe_items: int | None
    device: str


class Point(BaseModel):
    """One moment of a training, between two updates.

    Attributes:
        step: updates so far.
        seconds: time in training so far, without observing and without the preparation of the sampler.
        loss: mean loss of the batches since the last point.
        val: score on the validation items, higher is better (errors have a minus sign).
        gradient_error: squared distance of the gradient of the batch under way to the full one at the same weights,
            relative to the squared norm of the full one; None where it was not asked for, or where the full gradient
            vanishes or is not finite.
    """

    model_config = ConfigDict(frozen=True)

    step: int
    seconds: float
    loss: float
    val: float
    gradient_error: float | None = None


class Trajectory(BaseModel):
    """One training.

    Attributes:
        method, dataset: of the training.
        task, setting: what ``val`` judges, and what labels trained; files from before there was a choice have neither.
        sampler: its name, with the options that were given.
        batch_size: expected targets in a batch.
        lr: learning rate, constant.
        seed: of weights, batches and views.
        clock: what ``seconds`` are of: ``wall``, or ``cpu`` of all threads.
        metric: what ``val`` is.
        seconds, steps: what the training was to reach, both of them.
        observations: moments that were planned in each of the two.
        measured: whether the error of the gradient was asked for.
        probe_items: most training and most validation items that a probe took; None for all.
        preparation: seconds before training that the sampler took for what belongs to the graph alone, such as a
            partition; they are not part of the others.
        points: in order.
        config_hash: of the full configuration.
        config: the full configuration.
        environment: versions, commit, device, threads.
        device: ``cpu`` or ``cuda``.
        error: why training ended early; empty if it did not.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    dataset: str
    task: str
    setting: str
    sampler: str
    batch_size: int
    lr: float
    seed: int
    clock: str
    metric: str
    seconds: float
    steps: int
    observations: int = 6
    measured: bool = False
    probe_items: int | None = None
    preparation: float = 0.0
    points: tuple[Point, ...]
    config_hash: str
    config: dict[str, object]
    environment: dict[str, object]
    device: str = "cpu"
    error: str = ""

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, data: object) -> object:
        """With the task and the setting that there was no choice of."""
        if not isinstance(data, dict):
            return data
        usual = "supervised" if data.get("method") == "supervised" else "frozen"
        return {"task": "node", "setting": usual, **data}

    @property
    def cell(self) -> Cell:
        """What was trained, whatever the seed."""
        return self.sampler, self.batch_size, self.lr

    @property
    def problem(self) -> tuple[str, ...]:
        """What was trained and judged, whatever the sampler, its batches, the rate and the seed."""
        train = self.config.get("train")
        varied = {"sampler", "seeds", "train"}
        shared: dict[str, object] = {key: value for key, value in self.config.items() if key not in varied}
        if isinstance(train, dict):
            shared["train"] = {k: value for k, value in deciding(train).items() if k not in ("lr", "batch_size")}
        config = json.dumps(shared, sort_keys=True)
        return self.method, self.dataset, self.task, self.setting, str(self.probe_items), config

    @property
    def key(self) -> Key:
        """Two trainings with the same key are the same experiment."""
        return Key(*(getattr(self, name) for name in Key._fields))

    def best(self, *, by: Literal["seconds", "steps"]) -> float | None:
        """Best validation score within the time or the steps that were planned; None without a point.

        The best rather than the last is what early stopping keeps.
        """
        if by == "steps":
            return max((p.val for p in self.points if p.step <= self.steps), default=None)
        # A point is observed after the update during which its time came.
        return max((p.val for p in self.points if p.seconds <= 1.05 * self.seconds), default=None)


def read(path: Path) -> list[Trajectory]:
    """The trainings of a file, none if there is no file. A last line that was not written to its end does not count.

    Raises:
        InputError: a line is not one of ours, or the file cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}; name another file with --out") from None
    found = []
    for number, line in enumerate(lines[:-1], 1):  # what follows the last line break is a line that was cut off
        try:
            found.append(Trajectory.model_validate_json(line))
        except ValidationError as error:
            raise InputError(
                f"{path}:{number} is not the record of a training ({error.error_count()} faults); repair the file, "
                "or name another one with --out"
            ) from None
    return found


def append(path: Path, trainings: Sequence[Trajectory]) -> None:
    """Add trainings to a file, which is made with its folder if need be. A line that was cut off is removed.

    Raises:
        InputError: the file cannot be written.
    """
    lines = "".join(json.dumps(t.model_dump(mode="json"), allow_nan=False) + "\n" for t in trainings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            _cut_off(path, file.tell())
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}; name another file with --out") from None


def _cut_off(path: Path, size: int) -> None:
    """Shorten a file of ``size`` bytes to its last line break."""
    with path.open("rb+") as file:
        if size and file.seek(size - 1) >= 0 and file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
