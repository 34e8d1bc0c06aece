"""A dataset as the tuner gets it: the labels of test items are gone, and so are the lists of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.types import Dataset, Labels, Metric, Split
from gssl.evaluate.base import Probe
from gssl.evaluate.checks import require_two_classes


@dataclass(frozen=True, eq=False)
class Sealed:
    """What a study may look at.

    Attributes:
        dataset: its labels are -1 (classes) or NaN but for the items below; it has no preset splits.
        splits: where probes fit and choose. Their test part repeats the items that were fitted or chosen on, so that
            any protocol runs and its test score says nothing new.
        items: every labelled item, shape (n,), int64.
    """

    dataset: Dataset
    splits: tuple[Split, ...]
    items: Tensor

    @property
    def labels(self) -> Labels:
        assert self.dataset.labels is not None
        return self.dataset.labels


def seal(dataset: Dataset, splits: Sequence[Split]) -> Sealed:
    """Hide the test items of a protocol.

    Of several splits those are kept whose test items stay hidden: of twenty splits with the same test items all, of
    ten folds or of random splits the first.

    Args:
        dataset: with labels.
        splits: of the protocol, at least one.

    Raises:
        InputError: no labels, or a split that nothing can be learnt from.
    """
    labels = dataset.labels
    if labels is None:
        raise InputError(f"{dataset.name} has no labels, so there is no validation score to search by")
    seen, hidden = torch.zeros(dataset.num_items, dtype=torch.bool), torch.zeros(dataset.num_items, dtype=torch.bool)
    kept = []
    for split in splits:
        shown = torch.cat([split.train, split.val])
        if hidden[shown].any() or seen[split.test].any():
            continue
        require_two_classes(labels, split)
        seen[shown], hidden[split.test] = True, True
        kept.append(replace(split, test=split.val if len(split.val) else split.train))
    y = torch.full_like(labels.y, -1 if labels.kind == "multiclass" else math.nan)
    y[seen] = labels.y[seen]
    return Sealed(replace(dataset, labels=replace(labels, y=y), splits=()), tuple(kept), seen.nonzero().squeeze(1))


def validation_score(sealed: Sealed, probe: Probe, embeddings: Tensor, metric: Metric, seed: int) -> float:
    """Mean validation score over the splits.

    Args:
        sealed: labels and splits.
        probe: the protocol.
        embeddings: of every item, shape (num_items, dim), float32.
        metric: what to compute.
        seed: of the probe.

    Raises:
        InputError: the protocol has no validation score.
    """
    scores = [probe.score(embeddings, sealed.labels, split, metric, seed).val for split in sealed.splits]
    if any(math.isnan(score) for score in scores):
        raise InputError(f"probe {probe.name} gives no validation score to search by; use --probe LBFGS")
    return sum(scores) / len(scores)


def overlap(sealed: Sealed, splits: Sequence[Split]) -> float:
    """Share of the test items of other splits whose labels the search has used; 0 for none."""
    seen = torch.zeros(sealed.dataset.num_items, dtype=torch.bool)
    seen[sealed.items] = True
    tests = torch.cat([split.test for split in splits])
    return float(seen[tests].double().mean()) if len(tests) else 0.0
