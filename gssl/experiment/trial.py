"""One training of a run: a whole repetition or, for a supervised row, one split of it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.files import write_text
from gssl.config.record import RunConfig
from gssl.datasets.types import Dataset, Split
from gssl.evaluate.base import Probe, ProbeScore
from gssl.evaluate.judge import judge
from gssl.experiment.build import make_method, make_sampler
from gssl.experiment.formats import write_npz
from gssl.method import Method
from gssl.methods.supervised import Supervised
from gssl.results.seed import SplitMetrics
from gssl.samplers.base import Sampler
from gssl.training.checkpoint import load_weights
from gssl.training.embed import embed_dataset
from gssl.training.result import EpochRecord, TrainResult
from gssl.training.supervised import judged, validation, with_validation


@dataclass(frozen=True)
class Outcome:
    """What one training led to: its cost, and its scores (none for data without labels)."""

    trained: TrainResult
    scores: tuple[SplitMetrics, ...]
    probe_seconds: float


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        config: the run.
        dataset: what is trained on.
        probe: what judges it; None for data without labels.
        seed: the repetition.
        folder: where checkpoint, curve and embeddings are kept.
        split: the split whose training items a supervised row learns from; None for a self-supervised method.
    """

    config: RunConfig
    dataset: Dataset
    probe: Probe | None
    seed: int
    folder: Path
    split: Split | None = None

    @property
    def title(self) -> str:
        """What a progress display calls it."""
        split = f", {self.split.name}" if self.split else ""
        return f"{self.config.method.name} on {self.dataset.name}, seed {self.seed}{split}"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def key(self) -> str:
        """What a checkpoint must have been written for."""
        parts = [self.config.hash, self.dataset.checksum, str(self.seed), self.split.hash if self.split else ""]
        return "-".join(filter(None, parts))

    def method(self) -> Method:
        """The method before training; a supervised one has its labels."""
        method = make_method(self.config, self.dataset, self.seed)
        lesson = self.lesson
        if lesson is not None and self.dataset.labels is not None:
            _supervised(method).fit_labels(self.dataset.labels, lesson)
        return method

    @property
    def lesson(self) -> Split | None:
        """The split that a supervised row is trained on: with validation items even if the protocol has none."""
        if self.split is None or self.dataset.labels is None:
            return None
        return with_validation(self.split, self.dataset.labels, self.seed)

    def sampler(self, method: Method) -> Sampler:
        """Where its batches come from; a supervised row on a set of graphs sees the training graphs alone."""
        lesson = self.lesson
        return make_sampler(self.config, self.dataset, self.seed, method, None if lesson is None else lesson.train)

    def validation(self, method: Method) -> Callable[[], float] | None:
        """Score of the method on the validation items, higher is better; None for a self-supervised method."""
        lesson = self.lesson
        if lesson is None or self.probe is None:
            return None
        metric = self.probe.metric(self.dataset)
        return validation(_supervised(method), self.dataset, lesson, metric)

    def close(self, method: Method, trained: TrainResult) -> Outcome:
        """Judge the trained method and write what belongs to the training alone."""
        embeddings = embed_dataset(method, self.dataset)
        write_text(self.folder / "curve.jsonl", _curve_text(trained.curve))
        write_npz(self.folder / "embeddings.npz", embeddings)
        started = time.perf_counter()
        scores = self._scores(method, trained, embeddings)
        return Outcome(trained, scores, time.perf_counter() - started)

    def restored(self) -> Method:
        """The method with its trained weights, in evaluation mode.

        Raises:
            InputError: it was not trained, or the checkpoint cannot be used.
        """
        weights = load_weights(self.checkpoint, config_key=self.key)
        if weights is None:
            raise InputError(f"there is no {self.checkpoint}: the run did not get that far")
        method = self.method()
        method.load_state_dict(weights)
        return method.eval()

    def _scores(self, method: Method, trained: TrainResult, embeddings: Tensor) -> tuple[SplitMetrics, ...]:
        if self.probe is None:
            return ()
        lesson = self.lesson
        if lesson is not None and self.split is not None:
            metric = self.probe.metric(self.dataset)
            score = judged(_supervised(method), self.dataset, lesson, metric, trained)
            return (_metrics(self.split, score),)
        verdict = judge(self.probe, embeddings, self.dataset, self.seed)
        return tuple(_metrics(split, score) for split, score in zip(verdict.splits, verdict.scores, strict=True))


def _metrics(split: Split, score: ProbeScore) -> SplitMetrics:
    val = None if math.isnan(score.val) else score.val
    return SplitMetrics(split.name, split.hash, val, score.test, score.chosen)


def _supervised(method: Method) -> Supervised:
    if isinstance(method, Supervised):
        return method
    raise InputError(f"{type(method).__name__} says that it needs labels, so it must be a subclass of Supervised")


def _curve_text(curve: tuple[EpochRecord, ...]) -> str:
    return "".join(json.dumps(asdict(record)) + "\n" for record in curve)
