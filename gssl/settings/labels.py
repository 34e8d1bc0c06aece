"""What trainings on labels share: which labels, a score for every epoch, and one look at the test items at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.datasets.types import Dataset, Labels, Metric, Split
from gssl.evaluate.base import ProbeScore
from gssl.evaluate.metrics import evaluate, higher_is_better
from gssl.evaluate.sets import further_metrics, paired
from gssl.methods.labelled import Labelled
from gssl.training.device import Mover
from gssl.training.result import TrainResult

CARVED = 0.1  # share of the training items that validate where a protocol has no validation items
_GRAPHS_AT_ONCE = 512


def labelled_share(split: Split, labels: Labels, amount: float | int | None, seed: int) -> Split:
    """The split with some of its training items alone.

    Args:
        split: validation and test items stay.
        labels: classes are stratified.
        amount: a share of the training items, above 0 and at most 1 (float), of which each class keeps one at least;
            a number per class (int), or None for all of them.
        seed: decides which items.

    Raises:
        InputError: more labels than there are.
    """
    if amount is None:
        return split
    if labels.kind != "multiclass":
        return _any_share(split, amount, seed)
    y = labels.y[split.train]
    classes, counts = y.unique(return_counts=True)
    if isinstance(amount, int):
        wanted = torch.full_like(counts, amount)
        short = wanted > counts
        if short.any():
            raise InputError(
                f"--labels {amount} asks for {amount} labels in each class, but class {int(classes[short][0])} has "
                f"{int(counts[short][0])} training items in split {split.name!r}; ask for fewer"
            )
    else:
        wanted = (counts * amount).round().long().clamp(min=1)
    rng = torch.Generator().manual_seed(derive_seed(seed, "labels", split.name))
    order = split.train[torch.randperm(len(y), generator=rng)]
    kept = [order[labels.y[order] == c][:n] for c, n in zip(classes.tolist(), wanted.tolist(), strict=True)]
    return replace(split, name=f"{split.name}-labels-{amount:g}", train=torch.cat(kept).sort().values)


def _any_share(split: Split, amount: float | int, seed: int) -> Split:
    """As :func:`labelled_share` where there are no classes to stratify by."""
    if isinstance(amount, int):
        raise InputError(f"--labels {amount} is a number for each class, but these labels are no classes; give a share")
    size = max(2, round(amount * len(split.train)))
    if size > len(split.train):
        raise InputError(f"split {split.name!r} has {len(split.train)} training items, too few for --labels {amount:g}")
    rng = torch.Generator().manual_seed(derive_seed(seed, "labels", split.name))
    kept = split.train[torch.randperm(len(split.train), generator=rng)[:size]]
    return replace(split, name=f"{split.name}-labels-{amount:g}", train=kept.sort().values)


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


def validation(method: Labelled, dataset: Dataset, split: Split, metric: Metric) -> Callable[[], float]:
    """What ``pretrain`` calls after each epoch: the score on the validation items, higher is better."""
    move = Mover()
    sign = 1 if higher_is_better(metric) else -1
    return lambda: sign * score_of(method, dataset, split.val, metric, move)


def judged(method: Labelled, dataset: Dataset, split: Split, metric: Metric, result: TrainResult) -> ProbeScore:
    """Scores of the trained method; the only place where test labels are read."""
    move = Mover()
    labels = dataset.labels
    assert labels is not None
    scores = {items: predictions(method, dataset, getattr(split, items), move) for items in ("val", "test")}
    val, test = (evaluate(metric, labels.y[getattr(split, k)], v, labels.kind) for k, v in scores.items())
    further = [further_metrics(metric, labels.y[getattr(split, k)], v, labels.kind) for k, v in scores.items()]
    chosen = {} if result.best_epoch is None else {"epoch": float(result.best_epoch)}
    return ProbeScore(val, test, chosen, paired(*further))


@torch.no_grad()
def predictions(method: Labelled, dataset: Dataset, items: Tensor, move: Mover) -> Tensor:
    """Logits or values for some items, shape (len(items), num_classes), on the CPU."""
    device = method.head.weight.device
    if dataset.level == "node":
        return method.predict(move(dataset.graph.full_batch(), device)).cpu()[items]
    parts = [method.predict(dataset.graph.graph_batch(ids).to(device)).cpu() for ids in items.split(_GRAPHS_AT_ONCE)]
    return torch.cat(parts)


def score_of(method: Labelled, dataset: Dataset, items: Tensor, metric: Metric, move: Mover | None = None) -> float:
    """The metric of the method's own predictions for some items, on the metric's own scale."""
    assert dataset.labels is not None
    scores = predictions(method, dataset, items, move or Mover())
    return evaluate(metric, dataset.labels.y[items], scores, dataset.labels.kind)
