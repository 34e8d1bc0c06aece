"""Labels of any origin as one of the three tasks."""

from __future__ import annotations

from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.types import LabelKind, Labels


def make_labels(y: Tensor | None, num_items: int, *, kind: LabelKind | None = None, what: str = "y") -> Labels | None:
    """Labels in the shape and dtype of their task.

    Args:
        y: shape (num_items,) or (num_items, columns); None gives None.
        num_items: nodes or graphs.
        kind: None to infer it: whole numbers in one column are classes, zeros and ones (and NaN) in several
            columns are tasks, everything else is regression.
        what: how messages name ``y``.

    Raises:
        InputError: wrong length or shape, a negative class, an infinite value, values that do not fit the task.
    """
    if y is None:
        return None
    if y.dim() not in (1, 2) or y.shape[0] != num_items:
        raise InputError(f"{what} has shape {tuple(y.shape)}, but there are {num_items} items: give one row for each")
    if y.is_complex():
        raise InputError(f"{what} is complex: labels are class numbers, 0/1 columns or real targets")
    if y.is_floating_point() and y.isinf().any():
        raise InputError(f"{what} has an infinite value at item {_first(y.isinf())}: replace it, or NaN for missing")
    if y.dim() == 2 and y.shape[1] == 1 and kind != "regression":
        y = y[:, 0]
    if kind is None:
        kind = _infer(y)
    if kind == "multiclass":
        return _multiclass(y, what)
    y = y.float() if y.dim() == 2 else y.float().unsqueeze(1)
    if kind == "multilabel" and not _is_binary(y):
        raise InputError(f"{what} has several columns with values other than 0, 1 and NaN: these are no labels")
    return Labels(y, kind, y.shape[1])


def compact(labels: Labels | None) -> tuple[Labels | None, tuple[str, ...]]:
    """Number the classes that occur from 0 without gaps, and say so where that changed anything."""
    if labels is None or labels.kind != "multiclass":
        return labels, ()
    classes, y = labels.y.unique(return_inverse=True)
    if classes.numel() == labels.num_classes:
        return labels, ()
    note = f"{classes.numel()} classes renumbered from 0 (they were {int(classes[0])} to {int(classes[-1])})"
    return Labels(y, "multiclass", classes.numel()), (note,)


def _infer(y: Tensor) -> LabelKind:
    if not y.is_floating_point():
        return "multiclass" if y.dim() == 1 else "multilabel"
    if y.dim() == 2:
        return "multilabel" if _is_binary(y) else "regression"
    whole = bool((y == y.round()).all())  # false where a label is missing
    return "multiclass" if whole else "regression"


def _is_binary(y: Tensor) -> bool:
    y = y.float()
    return bool(((y == 0) | (y == 1) | y.isnan()).all())


def _multiclass(y: Tensor, what: str) -> Labels:
    if y.dim() != 1:
        raise InputError(f"{what} has {y.shape[1]} columns, but classes need one number for each item")
    if y.is_floating_point() and (y.isnan() | (y != y.round())).any():
        if _is_binary(y):
            return Labels(y.float().unsqueeze(1), "multilabel", 1)
        raise InputError(f"{what} has no class number at item {_first(y.isnan() | (y != y.round()))}")
    y = y.long()
    if y.numel() and int(y.min()) < 0:
        raise InputError(
            f"{what} has the negative class {int(y.min())} at item {_first(y < 0)}: number classes from 0, and leave "
            "unlabelled items out of the masks"
        )
    return Labels(y, "multiclass", int(y.max()) + 1 if y.numel() else 0)


def _first(wrong: Tensor) -> int:
    return int(wrong.nonzero()[0, 0])
