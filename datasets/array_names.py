"""The names under which people save the arrays of a graph."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gssl.common.errors import InputError
from gssl.datasets.declared import FACTS

# The name that is read first, and others that are taken for the same.
NAMES: dict[str, tuple[str, ...]] = {
    "edge_index": ("edges", "edge_list"),
    "x": ("features", "feats", "feat", "node_features", "node_feat", "node_attr"),
    "y": ("labels", "label", "node_labels", "node_label", "targets", "target"),
    "edge_attr": ("edge_attrs", "edge_features", "edge_feat"),
    "edge_weight": ("edge_weights", "weight", "weights"),
    "num_nodes": ("n_nodes", "number_of_nodes"),
}
_PARTS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "tst"),
}
_LONG = {word: part for part, words in _PARTS.items() for word in words}
_SHORT = {"tr": "train", "va": "val", "te": "test"}  # too short to mean it without a form, as in tr_mask
_PART = _LONG | _SHORT
_FORM = r"(mask|masks|idx|index|indices|ids|id|nodes|split)"
_SPLIT = re.compile(rf"(?:{_FORM}_?)?({'|'.join(_LONG)})(?:_?{_FORM})?")
_SPLIT_SHORT = re.compile(rf"(?:{_FORM}_({'|'.join(_SHORT)})|({'|'.join(_SHORT)})_{_FORM})")
_SUSPICIOUS = re.compile(
    rf"(?:^|_)({'|'.join(_LONG)}|splits?|folds?|partitions?)(?:_|$|[0-9])|^({'|'.join(_SHORT)})(?:_|$|[0-9])"
    rf"|^mask$|^(is)?({'|'.join(_LONG)})(sets?|items?|rows?|data|samples?)?$"
)
CONTAINERS = ("split_idx", "splits", "split", "split_dict", "idx_split", "masks", "partition")


def canonical(values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Arrays under the names that are read, and a note on those that had others.

    Raises:
        InputError: an array is there under two of its names.

    Example:
        >>> canonical({"edge_index": [[0], [1]], "labels": [0, 1]})
        ({'edge_index': [[0], [1]], 'y': [0, 1]}, ('labels is read as y',))
    """
    found: dict[str, Any] = {}
    notes = []
    given = {key: value for key, value in values.items() if value is not None}
    for key, value in given.items():
        name = _known(key)
        if name is None or name == key:
            found[key] = value
        elif name in given:
            raise InputError(f"there are {name} and {key}, which both may be {name}: leave out one of them")
        elif name in found:
            raise InputError(f"{key} and another array may both be {name}: rename the right one to {name}")
        else:
            shape: tuple[int, ...] = tuple(getattr(value, "shape", ()))
            in_rows = name == "edge_index" and len(shape) == 2 and shape[-1] == 2  # lists of edges have one in a row
            found[name] = value.T if in_rows else value
            notes.append(f"{key} is read as {name}")
    return found, tuple(notes)


def split_name(key: str) -> tuple[str, str] | None:
    """Part and form of an array that holds a part of a split; None for any other.

    Example:
        >>> split_name("valid_idx"), split_name("trainmask"), split_name("idxTest"), split_name("x")
        (('val', 'idx'), ('train', 'mask'), ('test', 'idx'), None)
    """
    name = _snake(key)
    if (match := _SPLIT.fullmatch(name)) is not None:
        before, part, after = match.groups()
    elif (match := _SPLIT_SHORT.fullmatch(name)) is not None:
        before, last, first, after = match.groups()
        part = last or first
    else:
        return None
    form = before or after or ""
    kind = "mask" if form.startswith("mask") else "idx" if form not in ("", "split") else ""
    return _PART[part], kind


def part_of(word: object) -> str | None:
    """Which part of a split a word means: ``train``, ``val`` or ``test``; None if it means none."""
    return _PART.get(str(word).lower())


def is_read(key: str) -> bool:
    """Whether an array of this name is looked at: a part of a graph, of a split, or a fact about the data.

    Example:
        >>> is_read("labels"), is_read("valid_idx"), is_read("metric"), is_read("pos")
        (True, True, True, False)
    """
    return _known(key) is not None or is_of_split(key) or key in FACTS


def is_of_split(key: str) -> bool:
    """Whether a name is one of a split, or of a part of one."""
    return split_name(key) is not None or key.lower() in CONTAINERS


def unread(keys: Iterable[str], read: Iterable[str], *, what: str = "arrays") -> tuple[str, ...]:
    """A note that names what is not read.

    Raises:
        InputError: one of these looks like a split, which must not be replaced by a random one.
    """
    left = sorted(set(keys) - set(read))
    refuse_splits(left)
    return (f"{what} that are not read: {', '.join(left)}",) if left else ()


def refuse_splits(keys: Iterable[str]) -> None:
    """Refuse what looks like a split and is not read as one.

    Raises:
        InputError: names the first of them.
    """
    for key in keys:
        if _SUSPICIOUS.search(_snake(key)):
            raise InputError(
                f"{key} looks like a split but cannot be read: give train_mask, val_mask and test_mask, or train_idx, "
                "val_idx and test_idx, or split with one of the words train, val and test for each item, or rename it"
            )


def _snake(key: str) -> str:
    """A name in lower case, with a line between the words of trainMask."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()


def _known(key: str) -> str | None:
    if key in NAMES:
        return key
    lower = key.lower()
    return next((name for name, others in NAMES.items() if lower == name or lower in others), None)
