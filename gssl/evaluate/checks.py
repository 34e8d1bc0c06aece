"""What a protocol needs from labels and splits, said clearly where it is missing."""

from __future__ import annotations

import torch

from gssl.common.errors import InputError
from gssl.datasets.types import Labels, Split


def require_multiclass(labels: Labels, probe: str) -> None:
    """
    Raises:
        InputError: the labels are not classes; the default probe takes any.
    """
    if labels.kind != "multiclass":
        raise InputError(f"probe {probe} judges classes, but the labels are {labels.kind}; use --probe LBFGS")


def require_items(split: Split, probe: str, *, least: int = 1, validation: bool = True) -> None:
    """
    Raises:
        InputError: fewer training items than ``least``, no test items, or no validation items where they are needed.
    """
    if split.train.numel() < least:
        raise InputError(
            f"split {split.name!r} has too few training items with a label for probe {probe} ({split.train.numel()}, "
            f"needed: {least}): add some"
        )
    if validation and split.val.numel() == 0:
        raise InputError(f"probe {probe} chooses on validation items, but split {split.name!r} has none: add some")
    if split.test.numel() == 0:
        raise InputError(f"split {split.name!r} has no test items with a label: add some")


def require_two_classes(labels: Labels, split: Split) -> None:
    """
    Raises:
        InputError: the training part holds a single class (in every task), or a task to regress has no label.
    """
    y = labels.y[split.train]
    if len(y) == 0:
        raise InputError(f"no training item of split {split.name!r} has a label: use another split or more labels")
    if labels.kind == "multiclass":
        if bool((y == y[0]).all()):
            raise InputError(
                f"the training items of split {split.name!r} all have class {int(y[0])}: probing needs two classes, "
                "so use another split or more labels"
            )
        return
    known = ~y.isnan()
    if not known.any():
        raise InputError(f"no training item of split {split.name!r} has a label: use another split or more labels")
    if labels.kind == "multilabel" and not two_valued(y).any():
        raise InputError(
            f"no task has both classes among the training items of split {split.name!r}: "
            "use another split or more labels"
        )


def two_valued(y: torch.Tensor) -> torch.Tensor:
    """Which columns of 0/1 labels (n, num_tasks), NaN if missing, hold both values; shape (num_tasks,), bool."""
    return (y == 0).any(dim=0) & (y == 1).any(dim=0)
