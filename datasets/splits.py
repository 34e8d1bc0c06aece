"""Splits: from masks, drawn at random, folds, or preset ids; all of them checked."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.datasets.types import Labels, Split


def checked(split: Split, num_items: int) -> Split:
    """The split itself, if its three parts are disjoint sets of existing items.

    Raises:
        InputError: an id out of range or twice in a part, overlapping parts, or no training items.
    """
    owner = torch.full((num_items,), -1, dtype=torch.int8)
    names = ("train", "val", "test")
    for number, ids in enumerate((split.train, split.val, split.test)):
        if ids.numel() == 0:
            if number == 0:
                raise InputError(f"split {split.name!r} has no training items")
            continue
        if int(ids.min()) < 0 or int(ids.max()) >= num_items:
            wrong = int(ids[(ids < 0) | (ids >= num_items)][0])
            raise InputError(f"split {split.name!r} has item {wrong} in {names[number]}, but there are {num_items}")
        taken = owner[ids]
        if (taken >= 0).any():
            where = int((taken >= 0).nonzero()[0, 0])
            other = names[int(taken[where])]
            raise InputError(f"split {split.name!r} has item {int(ids[where])} in {other} and in {names[number]}")
        if ids.unique().numel() != ids.numel():
            raise InputError(f"split {split.name!r} has an item twice in {names[number]}")
        owner[ids] = number
    return split


def preset_split(name: str, num_items: int, train: Tensor, val: Tensor, test: Tensor) -> Split:
    """A split from three id lists, each of shape (n,); sorted, so that equal sets have equal hashes."""
    return checked(Split(name, *(part.long().reshape(-1).sort().values for part in (train, val, test))), num_items)


def mask_splits(name: str, train: Tensor, val: Tensor, test: Tensor) -> tuple[Split, ...]:
    """Splits from masks.

    Args:
        name: of the split; several are numbered ``name-0``, ``name-1``, ...
        train, val, test: bool, shape (num_items,), or (num_items, num_splits) for several; a mask of one dimension
            holds for all of them.

    Raises:
        InputError: shapes that do not fit, or masks that overlap.
    """
    masks = {"train": train, "val": val, "test": test}
    for key, mask in masks.items():
        if mask.dtype != torch.bool or mask.dim() not in (1, 2) or mask.shape[0] != train.shape[0]:
            raise InputError(
                f"{key}_mask must be bool of shape ({train.shape[0]},) or ({train.shape[0]}, splits), "
                f"but is {mask.dtype} of shape {tuple(mask.shape)}"
            )
    counts = {mask.shape[1] for mask in masks.values() if mask.dim() == 2}
    if not counts:
        return (preset_split(name, train.shape[0], *(mask.nonzero() for mask in masks.values())),)
    if len(counts) > 1:
        raise InputError(f"the masks hold different numbers of splits: {sorted(counts)}")
    splits = []
    for number in range(counts.pop()):
        columns = [mask if mask.dim() == 1 else mask[:, number] for mask in masks.values()]
        splits.append(preset_split(f"{name}-{number}", train.shape[0], *(column.nonzero() for column in columns)))
    return tuple(splits)


def random_split(
    num_items: int,
    *,
    train: float,
    val: float,
    test: float | None = None,
    seed: int,
    labels: Labels | None = None,
    among: Tensor | None = None,
) -> Split:
    """A random split.

    Args:
        num_items: nodes or graphs.
        train, val, test: shares of all items that may be drawn; ``test`` None takes the rest.
        seed: the same seed gives the same split on every machine.
        labels: multiclass labels to stratify by, or None.
        among: ids of the items that may be drawn (those with a label), shape (n,), int64, ascending; None for all.

    Raises:
        InputError: shares that do not add up, or classes too small to stratify by.
    """
    rest = 1.0 - train - val if test is None else test
    if min(train, val, rest) < 0 or train == 0 or train + val + rest > 1 + 1e-9:
        raise InputError(f"shares {train}, {val}, {rest} must not be negative, nor add up to more than 1")
    count = num_items if among is None else len(among)
    sizes = [round(share * count) for share in (train, val)]
    sizes.append(count - sum(sizes) if test is None else min(round(rest * count), count - sum(sizes)))
    if not sizes[0]:
        raise InputError(
            f"a share of {train:g} to train on is none of {count} labelled items: use more of them, or bring a split"
        )
    kind = "random" if labels is None else "stratified"
    shares = "-".join(f"{share:g}" for share in (train, val, *(() if test is None else (test,))))
    entropy = derive_seed(seed, "split", count, shares) % 2**32
    if labels is None:
        order = np.random.RandomState(entropy).permutation(count)  # a stream that numpy has frozen
        parts = np.split(order, np.cumsum(sizes))[:3]
    else:
        parts = _stratified(_classes(labels, among), sizes, entropy)
    ids = [_ids(part, among) for part in parts]
    return preset_split(f"{kind}-{shares}-seed{seed}", num_items, *ids)


def k_folds(
    num_items: int, *, folds: int, seed: int, labels: Labels | None = None, among: Tensor | None = None
) -> tuple[Split, ...]:
    """Cross-validation: each fold is the test set once, the rest trains, and there are no validation items.

    Args:
        num_items: nodes or graphs.
        folds: how many.
        seed: of the shuffle, as scikit-learn takes it.
        labels: multiclass labels to stratify by, or None.
        among: as for :func:`random_split`.

    Raises:
        InputError: fewer items, or fewer items in every class, than folds.
    """
    count = num_items if among is None else len(among)
    if not 2 <= folds <= count:
        raise InputError(f"{folds} folds need at least 2 folds and as many items, but there are {count} items")
    y = np.zeros(count) if labels is None else _classes(labels, among)
    maker = (KFold if labels is None else StratifiedKFold)(folds, shuffle=True, random_state=seed)
    none = torch.empty(0, dtype=torch.int64)
    splits = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        try:
            pairs = list(maker.split(np.zeros((count, 1)), y))
        except ValueError as error:
            raise InputError(f"{folds} stratified folds cannot be made: {error}") from None
    for number, (train, test) in enumerate(pairs):
        name = f"fold-{number}-of-{folds}-seed{seed}"
        splits.append(preset_split(name, num_items, _ids(train, among), none, _ids(test, among)))
    return tuple(splits)


def _ids(drawn: np.ndarray, among: Tensor | None) -> Tensor:
    """Ids of items from places among those that may be drawn."""
    places = torch.from_numpy(np.ascontiguousarray(drawn))
    return places if among is None else among[places]


def _classes(labels: Labels, among: Tensor | None) -> np.ndarray:
    if labels.kind != "multiclass":
        raise InputError(f"a split can be stratified by classes, not by {labels.kind} labels")
    return (labels.y if among is None else labels.y[among]).numpy()


def _stratified(y: np.ndarray, sizes: list[int], seed: int) -> list[np.ndarray]:
    ids = np.arange(len(y))
    left, parts = ids, []
    try:
        for size in sizes:
            if size == len(left) or size == 0:
                part, left = (left, left[:0]) if size else (left[:0], left)
            else:
                part, left = train_test_split(left, train_size=size, random_state=seed, stratify=y[left])
            parts.append(part)
    except ValueError as error:
        raise InputError(f"a stratified split cannot be made: {error}") from None
    return parts
