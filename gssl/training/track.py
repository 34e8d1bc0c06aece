"""Other people's trackers: the curve of each training epoch by epoch, the configuration, the scores at the end.

Nothing of them is installed with the project, and nothing in a result depends on them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from gssl.common.errors import InputError
from gssl.training.progress import Progress
from gssl.training.result import EpochRecord

_PROJECT = "gssl"
_NAME = re.compile(r"[^\w./-]+")  # MLflow refuses other characters


class Tracker(Protocol):
    """Takes what a run measures while it goes on."""

    def log(self, training: str, epoch: int, values: Mapping[str, float]) -> None:
        """Numbers of an epoch of one of the run's trainings."""

    def finish(self, config: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        """The configuration and the scores of a run that was finished."""

    def close(self) -> None:
        """Called once, however the run ended."""


class TensorBoard:
    """Event files in a folder.

    Args:
        name: of the run.
        folder: below which the run's own is made.
    """

    def __init__(self, name: str, folder: Path) -> None:
        _require("tensorboard", "pip install 'gssl[track]'")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder / name))

    def log(self, training: str, epoch: int, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            self._writer.add_scalar(f"{key}/{training}", value, epoch)

    def finish(self, config: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        self._writer.add_text("configuration", f"```json\n{json.dumps(config, indent=1)}\n```")
        for key, value in scores.items():
            self._writer.add_scalar(f"score/{key}", value)

    def close(self) -> None:
        self._writer.close()


class MLflow:
    """A run in the experiment ``gssl`` of the server or folder that ``MLFLOW_TRACKING_URI`` names; see above."""

    def __init__(self, name: str, folder: Path) -> None:
        self._mlflow = _require("mlflow", "pip install mlflow")
        self._mlflow.set_experiment(_PROJECT)
        self._mlflow.start_run(run_name=name)

    def log(self, training: str, epoch: int, values: Mapping[str, float]) -> None:
        named = {_NAME.sub(" ", f"{training}/{key}"): value for key, value in values.items()}
        self._mlflow.log_metrics(named, step=epoch)

    def finish(self, config: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        self._mlflow.log_params(dict(_flat(config)))
        self._mlflow.log_metrics({_NAME.sub(" ", key): value for key, value in scores.items()})

    def close(self) -> None:
        self._mlflow.end_run()


class WandB:
    """A run in the project ``gssl`` of Weights & Biases, or in a folder with ``WANDB_MODE=offline``; see above."""

    def __init__(self, name: str, folder: Path) -> None:
        self._run = _require("wandb", "pip install wandb").init(project=_PROJECT, name=name)

    def log(self, training: str, epoch: int, values: Mapping[str, float]) -> None:
        # Steps of a run only grow, and each of its trainings begins at 0: the epoch is a number beside the others.
        numbers = {**values, "epoch": epoch}
        self._run.log({f"{training}/{key}": value for key, value in numbers.items()})

    def finish(self, config: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        self._run.config.update(dict(config))
        self._run.summary.update(dict(scores))

    def close(self) -> None:
        self._run.finish()


TRACKERS: dict[str, type[TensorBoard] | type[MLflow] | type[WandB]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
}


class Tracked:
    """A display of one training that tells a tracker, too.

    Args:
        display: the display itself.
        tracker: told of every epoch.
        training: title of the training.
    """

    def __init__(self, display: Progress, tracker: Tracker, training: str) -> None:
        self._display = display
        self._tracker = tracker
        self._training = training

    def start(self, epochs: int, done: int) -> None:
        self._display.start(epochs, done)

    def epoch(self, record: EpochRecord) -> None:
        self._display.epoch(record)
        values = {"loss": record.loss, "lr": record.lr, "seconds": record.seconds}
        self._tracker.log(self._training, record.epoch, values | ({} if record.val is None else {"val": record.val}))

    def stop(self) -> None:
        self._display.stop()


def scores_of(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a result that a tracker is told: scores, times and memory.

    Args:
        result: the JSON object of ``gssl run``.
    """
    named = {f"{name}/{key}": value for name, four in result["metrics"].items() for key, value in four.items()}
    costs = {key: result.get(key) for key in ("pretrain_seconds", "probe_seconds", "peak_memory_mb")}
    return {key: float(value) for key, value in (named | costs).items() if value is not None}


def _require(package: str, how: str) -> Any:
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise InputError(f"--track {package} needs the package {error.name!r}: {how}") from None


def _flat(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value if isinstance(value, str) else json.dumps(value)
