"""Splits of the user's own data: masks or ids, of nodes or of the graphs of a list, under any of their usual names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.array_names import CONTAINERS, is_of_split, part_of, split_name
from gssl.datasets.clean import as_numbers
from gssl.datasets.missing import is_nothing
from gssl.datasets.splits import mask_splits
from gssl.datasets.types import Split

_LONGEST = 16  # characters of a word, more than "validation" has


def own_splits(values: Mapping[str, Any], num_items: int) -> tuple[tuple[Split, ...], tuple[str, ...]]:
    """The preset splits among named arrays, and the names that were read for them.

    Args:
        values: masks of shape (num_items,), (num_items, splits) or (splits, num_items), or ids of items, called for
            example ``train_mask``, ``valid_idx`` or ``idx_test``; or a mapping of them called ``split_idx``.
        num_items: nodes or graphs.

    Raises:
        InputError: a part is there twice, training or test items are missing, or something is neither mask nor ids.
    """
    masks: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    read = []
    for key, part, form, value in _given(values):
        if part in names:
            raise InputError(f"there are {names[part]} and {key}, which both hold {part} items: leave out one of them")
        masks[part], names[part] = _as_mask(value, key, form, num_items), key
        read.append(key.partition("[")[0])
    if not masks:
        return (), ()
    if "train" not in masks or "test" not in masks:
        raise InputError(
            f"there is {' and '.join(names.values())} only: give train_mask, val_mask and test_mask, or none"
        )
    nothing = torch.zeros(num_items, dtype=torch.bool)
    return mask_splits("preset", masks["train"], masks.get("val", nothing), masks["test"]), tuple(read)


def says_split(value: Any, num_items: int) -> bool:
    """Whether an array, whatever it is called, has one of the words train, val and test (or none) for each item.

    Example:
        >>> says_split(["train", "test", None], 3), says_split(["train", "bus"], 2), says_split([0, 1], 2)
        (True, False, False)
    """
    words = _words(value)
    if words is None or len(words) != num_items:
        return False
    parts = {part_of(word) for word in words if not is_nothing(word)}
    return None not in parts and len(parts) > 1


def may_say_split(dtype: np.dtype[Any], shape: Sequence[int]) -> bool:
    """Whether an array that has not been read could be one of such words: short texts, one for each item."""
    characters = dtype.itemsize // (4 if dtype.kind == "U" else 1)
    return dtype.kind in "US" and len(shape) == 1 and characters <= _LONGEST


def unusual(read: Sequence[str]) -> tuple[str, ...]:
    """A note on what was read as a split because of its words, under a name that is none of a split."""
    names = [name for name in dict.fromkeys(read) if not is_of_split(name)]
    return (f"{', '.join(names)} says train, val and test, and is read as the split",) if names else ()


def split_of_flags(items: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The parts of a split that the graphs of a list carry one by one, as arrays over the graphs; and their names.

    A graph says where it belongs by flags (``train_mask=True``) or by a word (``split="train"``, or under any other
    name that holds nothing else).

    Raises:
        InputError: some graphs say it and others don't, or a flag is one of the nodes.
    """
    keys = [
        key
        for key in dict.fromkeys(key for values in items for key in values)
        if is_of_split(key) or says_split([values.get(key) for values in items], len(items))
    ]
    found: dict[str, Any] = {}
    for key in keys:
        flags = [_flag(values, key, number) for number, values in enumerate(items)]
        if split_name(key) is not None:
            found[key] = np.array([bool(flag) for flag in flags])
            continue
        parts = [part_of(flag) for flag in flags]
        if None in parts:
            wrong = parts.index(None)
            raise InputError(f"graph {wrong}: {key} is {flags[wrong]!r}, but must be train, val or test")
        found |= {f"{part}_mask": np.array([own == part for own in parts]) for part in dict.fromkeys(parts)}
    return found, tuple(keys)


def _flag(values: Mapping[str, Any], key: str, number: int) -> object:
    value = values.get(key)
    if value is None:
        raise InputError(f"graph {number} has no {key}, but others have: give it to all graphs or none")
    if isinstance(value, Tensor | np.ndarray):
        if int(np.prod(value.shape)) != 1:
            raise InputError(
                f"graph {number}: {key} has shape {tuple(value.shape)}, but the items of a list are its graphs: give "
                "one truth value for each graph"
            )
        return value.item()
    return value


def _given(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Any]]:
    """Name, part, form and value of each part of a split."""
    for key, value in values.items():
        if value is None:
            continue
        if key.lower() in CONTAINERS and isinstance(value, Mapping):
            for word, ids in value.items():
                part = part_of(word)
                if part is None:
                    raise InputError(f"{key} has the part {word!r}, but train, valid and test are known")
                yield f"{key}[{word!r}]", part, "mask" if key.lower() == "masks" else "", ids
        elif (found := split_name(key)) is not None:
            yield key, *found, value
        else:
            yield from _of_words(key, value)


def _words(value: Any) -> list[Any] | None:
    """The texts of an array or list, with whatever stands for a missing one; None if it holds anything else."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "USO" or value.ndim == 0 or value.size != len(value):
            return None
        value = value.reshape(-1).tolist()
    if not isinstance(value, list | tuple):
        return None
    texts = [word.decode("utf-8", "replace") if isinstance(word, bytes) else word for word in value]
    return texts if all(isinstance(word, str) or is_nothing(word) for word in texts) else None


def _of_words(key: str, value: Any) -> Iterator[tuple[str, str, str, Any]]:
    """The parts in an array with one of the words train, val and test for each item; nothing in any other array."""
    words = _words(value) or []
    parts = [None if is_nothing(word) else part_of(word) for word in words]
    if not any(parts):
        return
    for number, (word, own) in enumerate(zip(words, parts, strict=True)):
        if own is None and not is_nothing(word):
            raise InputError(
                f"{key} is {word!r} at item {number}, but must be train, val or test, or empty for an item in no part"
            )
    for part in dict.fromkeys(filter(None, parts)):
        yield f"{key}[{part!r}]", part, "mask", np.array([own == part for own in parts])


def _as_mask(value: Any, key: str, form: str, num_items: int) -> Tensor:
    """A mask of shape (num_items,) or (num_items, splits), bool."""
    numbers = as_numbers(np.asarray(value) if isinstance(value, list | tuple) else value, key)
    if numbers.dim() == 2 and numbers.shape[0] != num_items and numbers.shape[1] == num_items:
        numbers = numbers.T
    zeros_and_ones = numbers.dtype == torch.bool or bool(((numbers == 0) | (numbers == 1)).all())
    fits = numbers.dim() in (1, 2) and numbers.shape[0] == num_items
    if fits and zeros_and_ones and (form != "idx" or numbers.dtype == torch.bool):
        return numbers.bool()
    if form == "mask" or numbers.dtype == torch.bool:
        if zeros_and_ones:
            raise InputError(f"{key} has shape {tuple(numbers.shape)}, but there are {num_items} items")
        raise InputError(
            f"{key} must be true or false (or 0 and 1) for each of the {num_items} items; if it holds ids of items, "
            f"call it {split_word(key)}_idx instead of a mask"
        )
    return _from_ids(numbers, key, num_items)


def split_word(key: str) -> str:
    """Which part a name stands for, as a word for messages."""
    found = split_name(key)
    return "train" if found is None else found[0]


def _from_ids(ids: Tensor, key: str, num_items: int) -> Tensor:
    if ids.dim() != 1 or (ids.is_floating_point() and bool((ids != ids.round()).any())):
        raise InputError(f"{key} has shape {tuple(ids.shape)}: give a list of ids, or a mask of {num_items} items")
    ids = ids.long()
    if ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= num_items):
        wrong = int(ids[(ids < 0) | (ids >= num_items)][0])
        raise InputError(f"{key} holds item {wrong}, but there are {num_items} (0 to {num_items - 1})")
    if ids.unique().numel() != ids.numel():
        raise InputError(f"{key} holds an id twice")
    return torch.zeros(num_items, dtype=torch.bool).index_fill_(0, ids, True)
