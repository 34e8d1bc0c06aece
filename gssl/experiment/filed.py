"""A training of a run: where its files are, and what it leaves behind."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.files import write_text
from gssl.evaluate.base import ProbeScore
from gssl.evaluate.collapse import signs_of_collapse
from gssl.experiment.formats import write_npz
from gssl.method import Method
from gssl.results.folder import RunFolder
from gssl.results.seed import SplitMetrics
from gssl.settings.base import Training
from gssl.settings.problem import Problem
from gssl.tasks.base import AnySplit
from gssl.training.checkpoint import load_weights
from gssl.training.embed import embed_dataset
from gssl.training.result import EpochRecord, TrainResult

_ITEMS = 100_000  # embeddings that collapse is looked for in


@dataclass(frozen=True)
class Outcome:
    """What one training led to: its cost, its scores (none for data without labels), and what is wrong with it."""

    trained: TrainResult
    scores: tuple[SplitMetrics, ...]
    probe_seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FiledTraining:
    """A training and the folder of its checkpoint, curve and embeddings."""

    training: Training
    folder: Path

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def restored(self, source: Method | None) -> Method:
        """The method with its trained weights, in evaluation mode.

        Raises:
            InputError: it was not trained, or the checkpoint cannot be used.
        """
        weights = load_weights(self.checkpoint, config_key=self.training.key)
        if weights is None:
            raise InputError(f"there is no {self.checkpoint}: the run did not get that far")
        method = self.training.method(source)
        method.load_state_dict(weights)
        return method.eval()

    @property
    def is_judged(self) -> bool:
        """Whether it is more than what another training starts from."""
        return self.training.data is None and (bool(self.training.splits) or not self.training.task.version)

    def close(self, method: Method, trained: TrainResult, *, note: str = "") -> Outcome:
        """Judge the trained method and write what belongs to the training alone.

        Args:
            method: in evaluation mode.
            trained: how that went.
            note: what else should be said of a training that others start from.
        """
        write_text(self.folder / "curve.jsonl", _curve_text(trained.curve))
        if not self.is_judged:
            return Outcome(trained, (), 0.0, (*trained.notes, note) if note else trained.notes)
        embeddings = embed_dataset(method, self.training.dataset, folder=self.folder)
        write_npz(self.folder / "embeddings.npz", embeddings)
        started = time.perf_counter()
        scores = self.training.scores(method, trained, embeddings)
        found = tuple(_metrics(split, score) for split, score in zip(self.training.splits, scores, strict=True))
        return Outcome(trained, found, time.perf_counter() - started, (*trained.notes, *self._collapse(embeddings)))

    def _collapse(self, embeddings: Tensor) -> tuple[str, ...]:
        """A warning where training left embeddings that say next to nothing; features are as they are."""
        told = "" if self.training.config.method.name == "raw" else signs_of_collapse(embeddings[:_ITEMS])
        return (f"seed {self.training.seed} collapsed: {told}",) if told else ()


def filed(problem: Problem, seed: int, folder: RunFolder) -> list[FiledTraining]:
    """The trainings of a seed with their folders: the seed's own, or one for each of several splits."""
    return [
        FiledTraining(training, folder.seed(seed) if training.number is None else folder.part(seed, training.number))
        for training in problem.trainings(seed)
    ]


def _metrics(split: AnySplit, score: ProbeScore) -> SplitMetrics:
    others = {name: (_known(val), _known(test)) for name, (val, test) in score.others.items()}
    return SplitMetrics(split.name, split.hash, _known(score.val), score.test, score.chosen, others)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _curve_text(curve: tuple[EpochRecord, ...]) -> str:
    return "".join(json.dumps(asdict(record)) + "\n" for record in curve)
