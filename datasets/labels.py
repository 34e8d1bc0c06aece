"""Labels of any origin as one of the three kinds, and which items have one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.clean import as_numbers
from gssl.datasets.missing import is_nothing
from gssl.datasets.types import LabelKind, Labels, Split

# Whole numbers with more different values than this, of which each stands for fewer than five items, are targets to
# regress rather than classes, unless the user says otherwise.
_MANY = 20
_ITEMS_PER_CLASS = 5
_NUMERIC = (bool, int, float, np.number, np.bool_, np.ndarray, Tensor, list, tuple)
_SAY = "--data task={} says otherwise"
_FEW_NAMES = 10  # as many names of classes a note shows


@dataclass(frozen=True, eq=False)
class OwnLabels:
    """Labels of the user's own data.

    Attributes:
        labels: None if no item has one.
        notes: how they were read, and how many items have none.
        by_minus_one: whether -1 was taken for "no label".
    """

    labels: Labels | None
    notes: tuple[str, ...] = ()
    by_minus_one: bool = False


def make_labels(y: Tensor | None, num_items: int, *, kind: LabelKind | None = None, what: str = "y") -> Labels | None:
    """Labels in the shape and dtype of their kind.

    Args:
        y: shape (num_items,) or (num_items, columns); None gives None. NaN means that an item has no label, and so
            does -1 among class numbers.
        num_items: nodes or graphs.
        kind: None to infer it, as :func:`own_labels` does.
        what: how messages name ``y``.

    Raises:
        InputError: wrong length or shape, a class below -1, an infinite value, values that do not fit the kind.
    """
    if y is None:
        return None
    y = _checked(y, num_items, what)
    if kind is None:
        y, kind, _ = _inferred(y, what)
    elif kind == "multiclass":
        y = _from_rows(y) if y.dim() == 2 else y
    return _of_kind(y, kind, what)


def own_labels(values: Any, num_items: int, *, kind: LabelKind | None = None, what: str = "y") -> OwnLabels:
    """Labels of the user's own data, with a note on whatever had to be guessed.

    Args:
        values: an array or a list with one entry, or a row of them, for each item; None, NaN and -1 among class
            numbers mean that an item has no label. Texts are names of classes, but for those that say that there is
            none, such as ``"nan"`` and ``"None"`` (:mod:`gssl.datasets.missing`).
        num_items: nodes or graphs.
        kind: what the user declared; None to infer it. One column of whole numbers is classes if there are few of
            them, rows of zeros and a single 1 are one-hot classes, other columns of zeros and ones are one task each,
            and anything else is regression.
        what: how messages name the values.

    Raises:
        InputError: as :func:`make_labels`, or names of classes were declared to be something else.
    """
    y, names, said = _numbers(values, what)
    y = given = _checked(y, num_items, what)
    notes = list(said)
    if y.is_floating_point() and bool(y.isnan().all()):
        return OwnLabels(None, (*notes, f"{what} holds no value, so there are no labels"))
    if y.dim() == 1 and kind in (None, "multiclass") and bool((y == -1).all()):
        why = "holds no name" if names is not None else "is -1 everywhere"
        return OwnLabels(None, (*notes, f"{what} {why}, so no item has a label"))
    if names is not None:
        if kind not in (None, "multiclass"):
            raise InputError(f"{what} holds names such as {names[0]!r}, which are classes: declare task=multiclass")
        kind = "multiclass"
        notes.append(f"classes are the {len(names)} sorted values of {what}{_shown(names)}")
    elif kind is None:
        y, kind, note = _inferred(y, what)
        notes.append(note)
    elif kind == "multiclass":
        y = _two_signs(_from_rows(y)) if y.dim() == 2 else _two_signs(y)
    labels, renumbered = compact(_of_kind(y, kind, what))
    assert labels is not None
    minus = names is None and kind == "multiclass" and given.dim() == 1 and bool(((given == -1) & (y == -1)).any())
    missing = unlabelled_note(labels, what if not minus else f"-1 in {what}")
    return OwnLabels(labels, (*notes, *renumbered, *missing, *_partly_missing(labels)), minus)


def _shown(names: Sequence[str]) -> str:
    """The names of classes as the end of a note, the first ones where there are many."""
    few = ", ".join(name if len(name) <= 40 else f"{name[:40]}..." for name in names[:_FEW_NAMES])
    warning = "; NA is one of them: leave it empty where it means that there is no label" if "NA" in names else ""
    return f": {few}{', ...' if len(names) > _FEW_NAMES else ''}{warning}"


def _partly_missing(labels: Labels) -> tuple[str, ...]:
    """What should be said of items that have labels in some columns only."""
    if labels.kind == "multiclass":
        return ()
    empty = labels.y[labels.labelled].isnan()
    if not bool(empty.any()):
        return ()
    items, columns = int(empty.any(dim=1).sum()), int(empty.any(dim=0).sum())
    return (f"{items} items have no value in some of the columns ({int(empty.sum())} values in {columns} columns)",)


def compact(labels: Labels | None) -> tuple[Labels | None, tuple[str, ...]]:
    """Number the classes that occur from 0 without gaps, and say so where that changed anything."""
    if labels is None or labels.kind != "multiclass":
        return labels, ()
    known = labels.labelled
    classes, y = labels.y[known].unique(return_inverse=True)
    if classes.numel() == labels.num_classes:
        return labels, ()
    note = f"{classes.numel()} classes renumbered from 0 (they were {int(classes[0])} to {int(classes[-1])})"
    return Labels(labels.y.clone().masked_scatter_(known, y), "multiclass", classes.numel()), (note,)


def unlabelled_note(labels: Labels, why: str = "") -> tuple[str, ...]:
    """What should be said of items without a label; nothing where all have one."""
    count = int((~labels.labelled).sum())
    if count == 0:
        return ()
    reason = f" ({why})" if why.startswith("-1") else ""
    return (f"{count} of {len(labels.y)} items have no label{reason}; splits and scores are of the others",)


def labelled_only(
    splits: Sequence[Split], labels: Labels | None, *, refuse: bool = False
) -> tuple[tuple[Split, ...], tuple[str, ...]]:
    """Preset splits without the items that have no label, and what should be said of it.

    Args:
        splits: preset splits.
        labels: None leaves the splits as they are.
        refuse: whether an item without a label has no place in a split.

    Raises:
        InputError: ``refuse``, and a split holds one.
    """
    if labels is None or bool(labels.labelled.all()):
        return tuple(splits), ()
    known = labels.labelled
    kept, left = [], 0
    for split in splits:
        parts = {name: getattr(split, name) for name in ("train", "val", "test")}
        wrong = {name: ids[~known[ids]] for name, ids in parts.items()}
        for name, ids in wrong.items():
            if refuse and ids.numel():
                raise InputError(
                    f"y is -1 at item {int(ids[0])}, which the split {split.name!r} has in {name}: -1 means no label, "
                    "so take it out of the split, or number classes from 0"
                )
        left += sum(ids.numel() for ids in wrong.values())
        kept.append(replace(split, **{name: ids[known[ids]] for name, ids in parts.items()}))
    return tuple(kept), ((f"{left} items of the preset splits have no label and are left out of them",) if left else ())


def _numbers(values: Any, what: str) -> tuple[Tensor, list[str] | None, tuple[str, ...]]:
    """The values as numbers with NaN (or, of class names, -1) where there is none; names of classes; a note on texts.

    The names are None where the values are numbers.
    """
    if isinstance(values, Tensor):
        return as_numbers(values, what), None, ()
    array = np.asarray(values) if not isinstance(values, list | tuple) else _from_list(values, what)
    if array.dtype.kind not in "USO":
        return as_numbers(array, what), None, ()
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1:
        raise InputError(f"{what} holds texts in shape {array.shape}, but a class needs one name for each item")
    given = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in flat.tolist()]
    found = [None if is_nothing(value) else value for value in given]
    other = next((value for value in found if not isinstance(value, Hashable)), None)
    if other is not None:
        raise InputError(f"{what} holds a {type(other).__name__}, but a label is a number or the name of a class")
    names = sorted({value for value in found if value is not None}, key=str)
    number = {name: i for i, name in enumerate(names)}
    codes = torch.tensor([-1 if value is None else number[value] for value in found])
    texts = sorted({value for value in given if isinstance(value, str) and value and is_nothing(value)})
    note = (f"{', '.join(texts)} in {what} is no class but means that an item has no label",) if texts else ()
    return codes, [str(name) for name in names], note


def _from_list(values: Sequence[Any], what: str) -> np.ndarray:
    """One row for each value: numbers with NaN for None where all are numbers, else objects."""
    present = [value for value in values if value is not None]
    if not all(isinstance(value, _NUMERIC) for value in present):
        array = np.empty(len(values), dtype=object)
        array[:] = list(values)
        return array
    rows = [np.asarray(value).reshape(-1) for value in present]
    widths = {row.size for row in rows}
    if len(widths) > 1:
        other = next(i for i, row in enumerate(rows) if row.size != rows[0].size)
        raise InputError(
            f"{what} has different widths: {rows[0].size} at the first item with a label, "
            f"{rows[other].size} at item {[i for i, value in enumerate(values) if value is not None][other]}"
        )
    if len(present) == len(values):
        return np.stack(rows) if rows else np.zeros((0, 1))
    full = np.full((len(values), widths.pop() if widths else 1), np.nan)
    full[[i for i, value in enumerate(values) if value is not None]] = rows
    return full


def _checked(y: Tensor, num_items: int, what: str) -> Tensor:
    """The values in one dimension if they are one column."""
    if y.dim() not in (1, 2) or y.shape[0] != num_items:
        raise InputError(f"{what} has shape {tuple(y.shape)}, but there are {num_items} items: give one row for each")
    if y.is_complex():
        raise InputError(f"{what} is complex: labels are class numbers, 0/1 columns or real targets")
    if y.is_floating_point() and y.isinf().any():
        raise InputError(f"{what} has an infinite value at item {_first(y.isinf())}: replace it, or NaN for missing")
    if y.dtype == torch.uint8:  # in which -1 is 255
        y = y.long()
    return y[:, 0] if y.dim() == 2 and y.shape[1] == 1 else y


def _inferred(y: Tensor, what: str) -> tuple[Tensor, LabelKind, str]:
    """The values as they are read, of which kind, and how that should be said."""
    if y.dim() == 2:
        return _inferred_columns(y, what)
    known = y[~y.isnan()] if y.is_floating_point() else y
    if y.is_floating_point() and not bool((known == known.round()).all()):
        return y, "regression", f"{what} holds real numbers: read as regression"
    values = known.unique()
    if values.tolist() == [-1, 1]:
        return _two_signs(y), "multiclass", f"{what} holds -1 and 1: read as two classes"
    count = int((values != -1).sum())
    if count > _MANY and count * _ITEMS_PER_CLASS > known.numel():
        note = f"{what} holds whole numbers, {count} values: read as regression; {_SAY.format('multiclass')}"
        return y, "regression", note
    return y, "multiclass", f"{what} holds whole numbers, {count} values: read as classes; {_SAY.format('regression')}"


def _inferred_columns(y: Tensor, what: str) -> tuple[Tensor, LabelKind, str]:
    if not _is_binary(y):
        known = y[~y.isnan()] if y.is_floating_point() else y
        if bool((known == known.round()).all()) if known.is_floating_point() else True:
            signs = bool(((known == -1) | (known == 0) | (known == 1)).all())
            how = ", or NaN in place of -1 if that means no label of a task" if signs else ""
            raise InputError(
                f"{what} has {y.shape[1]} columns of whole numbers other than 0 and 1: keep one column of "
                f"classes{how}, or declare them targets (--data task=regression)"
            )
        return y, "regression", f"{what} has {y.shape[1]} columns of real numbers: read as regression"
    if _is_one_hot(y):
        note = f"rows of {what} sum to 1: read as one-hot, {y.shape[1]} classes; {_SAY.format('multilabel')}"
        return _from_one_hot(y), "multiclass", note
    note = f"{what} has {y.shape[1]} columns of 0 and 1: read as one task each"
    if _is_one_hot(_empty_as_missing(y)):
        empty = int((y.double().sum(dim=1) == 0).sum())
        note += f"; no row has more than one 1, and {empty} have none: --data task=multiclass takes these as unlabelled"
    return y, "multilabel", note


def _empty_as_missing(y: Tensor) -> Tensor:
    """Rows of zeros alone as rows without values."""
    return y.double().masked_fill((y == 0).all(dim=1, keepdim=True), float("nan"))


def _from_rows(y: Tensor) -> Tensor:
    """Class numbers of one-hot rows that were declared to be classes, where a row of zeros has none."""
    return _from_one_hot(_empty_as_missing(y)) if _is_one_hot(_empty_as_missing(y)) else y


def _is_binary(y: Tensor) -> bool:
    y = y.float()
    return bool(((y == 0) | (y == 1) | y.isnan()).all())


def _is_one_hot(y: Tensor) -> bool:
    """Whether every row is one 1 among zeros, or has no value at all."""
    y = y.double()
    empty = y.isnan().all(dim=1)
    return _is_binary(y) and not bool(empty.all()) and bool(((y.sum(dim=1) == 1) | empty).all())


def _from_one_hot(y: Tensor) -> Tensor:
    """Class numbers of one-hot rows, -1 for a row without values; anything else comes back as it is."""
    if not _is_one_hot(y):
        return y
    return y.double().argmax(dim=1).masked_fill(y.double().isnan().any(dim=1), -1)


def _two_signs(y: Tensor) -> Tensor:
    """Classes that are called -1 and 1 as 0 and 1; anything else comes back as it is."""
    if y.dim() != 1:
        return y
    known = y[~y.isnan()] if y.is_floating_point() else y
    return torch.where(y == -1, torch.zeros_like(y), y) if known.unique().tolist() == [-1, 1] else y


def _of_kind(y: Tensor, kind: LabelKind, what: str) -> Labels:
    if kind == "multiclass":
        return _multiclass(y, what)
    y = y.float() if y.dim() == 2 else y.float().unsqueeze(1)
    if kind == "multilabel" and not _is_binary(y):
        raise InputError(f"{what} has values other than 0, 1 and NaN: these are no labels of several tasks")
    return Labels(y, kind, y.shape[1])


def _multiclass(y: Tensor, what: str) -> Labels:
    if y.dim() != 1:
        raise InputError(f"{what} has {y.shape[1]} columns, but classes need one number for each item")
    if y.is_floating_point():
        missing = y.isnan()
        if (~missing & (y != y.round())).any():
            raise InputError(f"{what} has no class number at item {_first(~missing & (y != y.round()))}")
        y = y.masked_fill(missing, -1)
    y = y.long()
    if y.numel() and int(y.min()) < -1:
        raise InputError(
            f"{what} has the negative class {int(y.min())} at item {_first(y < -1)}: number classes from 0 (-1 means "
            "no label), or declare task=regression"
        )
    return Labels(y, "multiclass", int(y.max()) + 1 if y.numel() else 0)


def _first(wrong: Tensor) -> int:
    return int(wrong.nonzero()[0, 0])
