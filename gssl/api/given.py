"""What is given from Python, before it goes on: whole numbers, labels, and graphs without what is not asked for."""

from __future__ import annotations

import copy
import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from gssl.common.errors import InputError

_JUDGED = ("y", "train_mask", "val_mask", "test_mask")


def whole(name: str, value: object, least: int) -> int:
    """The value, if it is a whole number of Python, numpy or torch that is large enough.

    Raises:
        InputError: it is not.

    Example:
        >>> whole("seeds", np.int64(3), 1)
        3
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number < least:
        raise InputError(f"{name} is {value!r}: give a whole number of at least {least}")
    return number


def without_labels(data: Any) -> Any:
    """Graphs of PyG without labels and masks, which drawing and embedding do not ask for; anything else as it is.

    What is wrong with them, or means something else than labels of these items, is then in nobody's way.
    """
    if isinstance(data, list | tuple):
        return [without_labels(item) for item in data]
    if not isinstance(data, Data | HeteroData):
        return data
    bare = copy.copy(data)
    for store in bare.node_stores:
        counts = [len(values) for key in _JUDGED if np.ndim(values := store.get(key, 0)) > 0]
        if counts and "x" not in store and "num_nodes" not in store:
            store.num_nodes = counts[0]  # nothing else tells it
        for key in _JUDGED:
            store.pop(key, None)
    return bare


def label_tensor(y: Any) -> Tensor:
    """Labels as a tensor; names of classes become numbers, in the order of the alphabet.

    Raises:
        InputError: they are no numbers and no texts.

    Example:
        >>> label_tensor(["b", "a", "b"])
        tensor([1, 0, 1])
    """
    if isinstance(y, Tensor):
        return y
    try:
        values = np.asarray(y)
        if values.dtype.kind in "US":
            values = np.unique(values, return_inverse=True)[1].reshape(values.shape)
        return torch.from_numpy(np.ascontiguousarray(values))
    except (TypeError, ValueError):
        raise InputError(
            f"y is a {type(y).__name__} of no numbers: give a class, a text or a number for each item"
        ) from None
