"""The supervised rows: train on the labels of one split, choose the epoch on validation, score the test items once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.datasets.types import Dataset, Labels, Metric, Split
from gssl.evaluate.base import ProbeScore
from gssl.evaluate.metrics import evaluate, higher_is_better
from gssl.methods.supervised import Supervised
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.training.config import TrainConfig
from gssl.training.device import Mover
from gssl.training.loop import pretrain
from gssl.training.progress import Progress
from gssl.training.result import TrainResult

CARVED = 0.1  # share of the training items that validate where a protocol has no validation items
_GRAPHS_AT_ONCE = 512


def train_supervised(
    dataset: Dataset,
    split: Split,
    build_method: Callable[[], Supervised],
    config: TrainConfig,
    *,
    seed: int,
    metric: Metric | None = None,
    device: str = "cpu",
    sampler: Sampler | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    config_key: str = "",
) -> tuple[ProbeScore, TrainResult]:
    """Train on one split and judge.

    Test labels are used once, for the returned test score: the method holds those of training items alone and the
    choice of the epoch sees those of validation items alone.

    Args:
        dataset: with labels.
        split: without validation items, a tenth of the training items is set apart for them.
        build_method: makes the method on the CPU; the global generator is seeded before.
        config: as for :func:`gssl.training.loop.pretrain`; patience counts epochs without a better validation score.
        seed: of the weights and of everything random in training.
        metric: what to choose and score by; None for the dataset's own.
        device: ``auto``, ``cpu`` or ``cuda``.
        sampler: where batches come from; None for the full graph, or batches of the training graphs.
        checkpoint, progress, config_key: as for ``pretrain``.

    Raises:
        InputError: the dataset has no labels, or no training item has one.
        TrainingError: training diverged.
    """
    if dataset.labels is None:
        raise InputError(f"the supervised row learns from labels, but {dataset.name} has none")
    metric = metric or dataset.metric
    split = with_validation(split, dataset.labels, seed)
    torch.manual_seed(derive_seed(seed, "init"))
    method = build_method()
    method.fit_labels(dataset.labels, split)
    result = pretrain(
        method,
        sampler or _sampler(dataset, split, config, seed),
        config,
        seed=derive_seed(seed, "train"),
        device=device,
        checkpoint=checkpoint,
        progress=progress,
        config_key=config_key,
        validate=validation(method, dataset, split, metric),
    )
    return judged(method, dataset, split, metric, result), result


def with_validation(split: Split, labels: Labels, seed: int) -> Split:
    """The split itself or, without validation items, one that sets a tenth of the training items apart for them.

    Args:
        split: what to complete.
        labels: classes are stratified by where each is large enough.
        seed: decides which items.

    Raises:
        InputError: a single training item cannot be shared out.
    """
    if len(split.val):
        return split
    if len(split.train) < 2:
        raise InputError(f"split {split.name!r} has too few training items to set some apart for validation")
    classes = labels.y[split.train] if labels.kind == "multiclass" else None
    size = max(1, round(CARVED * len(split.train)))
    if classes is not None and (classes.unique(return_counts=True)[1].min() < 2 or size < len(classes.unique())):
        classes = None
    train, val = train_test_split(
        split.train.numpy(), test_size=size, stratify=classes, random_state=derive_seed(seed, "validation") % 2**32
    )
    train, val = (torch.from_numpy(part).sort().values for part in (train, val))
    return replace(split, name=f"{split.name}-validated", train=train, val=val)


def validation(method: Supervised, dataset: Dataset, split: Split, metric: Metric) -> Callable[[], float]:
    """What ``pretrain`` calls after each epoch: the score on the validation items, higher is better."""
    move = Mover()
    sign = 1 if higher_is_better(metric) else -1
    return lambda: sign * _score(method, dataset, split.val, metric, move)


def judged(method: Supervised, dataset: Dataset, split: Split, metric: Metric, result: TrainResult) -> ProbeScore:
    """Scores of the trained method; the only place where test labels are read."""
    move = Mover()
    return ProbeScore(
        val=_score(method, dataset, split.val, metric, move),
        test=_score(method, dataset, split.test, metric, move),
        chosen={} if result.best_epoch is None else {"epoch": float(result.best_epoch)},
    )


@torch.no_grad()
def predictions(method: Supervised, dataset: Dataset, items: Tensor, move: Mover) -> Tensor:
    """Logits or values for some items, shape (len(items), num_classes), on the CPU."""
    device = method.head.weight.device
    if dataset.level == "node":
        return method.predict(move(dataset.graph.full_batch(), device)).cpu()[items]
    parts = [method.predict(dataset.graph.graph_batch(ids).to(device)).cpu() for ids in items.split(_GRAPHS_AT_ONCE)]
    return torch.cat(parts)


def _score(method: Supervised, dataset: Dataset, items: Tensor, metric: Metric, move: Mover) -> float:
    assert dataset.labels is not None
    scores = predictions(method, dataset, items, move)
    return evaluate(metric, dataset.labels.y[items], scores, dataset.labels.kind)


def _sampler(dataset: Dataset, split: Split, config: TrainConfig, seed: int) -> Sampler:
    if dataset.level == "node":
        return FullBatch(dataset.graph)
    size = config.batch_size or 128
    return GraphBatches(dataset.graph, batch_size=size, items=split.train, seed=derive_seed(seed, "sampler"))
