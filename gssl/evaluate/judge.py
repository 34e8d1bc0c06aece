"""Judging one set of frozen embeddings by one probe."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gssl.common.errors import InputError, TrainingError
from gssl.datasets.labels import labelled_only
from gssl.datasets.types import Dataset, LinkSplit, Metric, Split
from gssl.evaluate.base import Probe, ProbeScore
from gssl.graph.precision import single_precision

_ROWS = 1 << 18  # that are looked at together


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a probe says of one run.

    Attributes:
        val, test: means over the splits, as fractions (errors for regression metrics).
        splits: what was judged on, in order.
        scores: one per split, with what was chosen.
        metric: what the scores are.
        probe, version: who judged.
        split_hash: hash of all splits together.
        seconds: time that judging took.
    """

    val: float
    test: float
    splits: tuple[Split, ...]
    scores: tuple[ProbeScore, ...]
    metric: Metric
    probe: str
    version: int
    split_hash: str
    seconds: float

    @property
    def chosen(self) -> tuple[dict[str, float], ...]:
        """What was chosen on each split."""
        return tuple(score.chosen for score in self.scores)

    @property
    def metrics(self) -> dict[Metric, tuple[float, float]]:
        """Validation and test value of every metric, the first one first, as means over the splits.

        NaN where a split does not have the value.
        """
        found = [{self.metric: (score.val, score.test), **score.others} for score in self.scores]
        missing = (math.nan, math.nan)
        columns = {name: [each.get(name, missing) for each in found] for each in found for name in each}
        return {
            name: (sum(val for val, _ in values) / len(values), sum(test for _, test in values) / len(values))
            for name, values in columns.items()
        }


@single_precision()
def judge(probe: Probe, embeddings: Tensor, dataset: Dataset, seed: int) -> Judgement:
    """Score embeddings on every split that the probe asks for.

    Args:
        probe: the protocol.
        embeddings: shape (num_items, dim), float; detached and moved to the CPU here.
        dataset: brings the labels and the preset splits.
        seed: number of the run.

    Raises:
        InputError: the data have no labels, the protocol does not fit them, or a split cannot be learnt from.
        TrainingError: an embedding is not finite.
    """
    labels = dataset.labels
    if labels is None:
        raise InputError(
            f"{dataset.name} has no labels, so there is nothing to probe for; pretraining and 'gssl embed' work without"
        )
    if dataset.level not in probe.levels:
        raise InputError(
            f"probe {probe.name} judges {' and '.join(probe.levels)}s, not {dataset.level}s; use --probe LBFGS"
        )
    embeddings = judgeable(embeddings, dataset)
    started = time.perf_counter()
    splits, _ = labelled_only(tuple(probe.splits(dataset, seed)), labels)
    metric = probe.metric(dataset)
    for split in splits:
        probe.check(labels, split, metric)
    scores = tuple(probe.score(embeddings, labels, split, metric, seed) for split in splits)
    return Judgement(
        val=sum(score.val for score in scores) / len(scores),
        test=sum(score.test for score in scores) / len(scores),
        splits=splits,
        scores=scores,
        metric=metric,
        probe=probe.name,
        version=probe.version,
        split_hash=combined_hash(splits),
        seconds=time.perf_counter() - started,
    )


def combined_hash(splits: Sequence[Split | LinkSplit]) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the hashes of all splits."""
    return hashlib.sha256(" ".join(split.hash for split in splits).encode()).hexdigest()[:16]


def judgeable(embeddings: Tensor, dataset: Dataset) -> Tensor:
    """Embeddings as judges take them: detached, float32, on the CPU.

    Raises:
        InputError: not one row for each item.
        TrainingError: a number is not finite.
    """
    if embeddings.dim() != 2 or embeddings.shape[0] != dataset.num_items or embeddings.shape[1] == 0:
        raise InputError(
            f"embeddings of {dataset.name} must have one row for each of its {dataset.num_items} {dataset.level}s, "
            f"but have shape {tuple(embeddings.shape)}: the method's embed() is wrong"
        )
    embeddings = embeddings.detach().float().cpu()
    if not all(bool(rows.isfinite().all()) for rows in embeddings.split(_ROWS)):
        raise TrainingError(
            "the embeddings are not finite: the encoder diverged; lower train.lr or set train.clip_norm"
        )
    return embeddings
