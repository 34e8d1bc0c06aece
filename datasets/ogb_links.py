"""The splits of OGB's link sets: which pairs are predicted, and what they are ranked against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.links import checked_links, is_undirected
from gssl.datasets.pickles import load_tensors
from gssl.datasets.types import LinkSplit

_PARTS = ("train", "valid", "test")


def read_links(folder: Path, edge_index: Tensor, num_nodes: int) -> LinkSplit:
    """The official split of a link set, in its own order; its name is that of the folder.

    OGB writes pairs in two ways: as ``edge`` with ``edge_neg``, where each positive pair is ranked against all
    negatives (Hits@K), or as ``source_node`` and ``target_node`` with ``target_node_neg``, where each has its own
    (MRR). Pairs of ogbl-collab may be in several parts, as two authors can work together in several years.

    Args:
        folder: ``split/<kind>`` of the set, with ``train.pt``, ``valid.pt`` and ``test.pt``, or with a
            ``split_dict.pt`` that holds all three.
        edge_index: the edges of its graph, which are the training edges; if all of them have their reverse, pairs
            are undirected. Shape (2, num_edges), int64.
        num_nodes: nodes of its graph.

    Raises:
        InputError: a file is damaged, or does not hold pairs of existing nodes.
    """
    whole = folder / "split_dict.pt"
    files = dict.fromkeys(_PARTS, whole) if whole.is_file() else {part: folder / f"{part}.pt" for part in _PARTS}
    content = load_split(whole) if whole.is_file() else {part: load_split(path) for part, path in files.items()}
    parts = {part: _arrays(content, part, files[part]) for part in _PARTS}
    pairs = {part: _pairs(parts[part], files[part]) for part in _PARTS}
    grouped = "target_node_neg" in parts["valid"]
    val_negatives, test_negatives = (_negatives(parts[part], grouped, files[part]) for part in ("valid", "test"))
    split = LinkSplit(
        folder.name,
        pairs["train"],
        pairs["valid"],
        pairs["test"],
        val_negatives,
        test_negatives,
        directed=not is_undirected(edge_index),
        grouped=grouped,
    )
    return checked_links(split, num_nodes)


def load_split(path: Path) -> Any:
    """What a split file of OGB holds: tensors, or arrays of numpy.

    Raises:
        InputError: it is damaged, or holds anything else.
    """
    with _arrays_allowed():
        return load_tensors(path)


def _arrays(content: Any, part: str, path: Path) -> Mapping[str, Any]:
    found = content.get(part) if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no table of pairs for {part}: provide it again")
    return found


def _pairs(part: Mapping[str, Any], path: Path) -> Tensor:
    if "edge" in part:
        return _ids(part["edge"], path, columns=2).T.contiguous()
    if "source_node" in part and "target_node" in part:
        ends = [_ids(part[name], path) for name in ("source_node", "target_node")]
        if ends[0].shape != ends[1].shape:
            raise InputError(f"{path} has {ends[0].numel()} sources, but {ends[1].numel()} targets")
        return torch.stack(ends)
    raise InputError(
        f"{path} has neither 'edge' nor 'source_node' and 'target_node', but {', '.join(map(repr, part))}: relations "
        "of several kinds cannot be read"
    )


def _negatives(part: Mapping[str, Any], grouped: bool, path: Path) -> Tensor:
    name = "target_node_neg" if grouped else "edge_neg"
    if name not in part:
        raise InputError(f"{path} has no {name!r}: there is nothing to rank its pairs against")
    return _ids(part[name], path, columns=None) if grouped else _ids(part[name], path, columns=2).T.contiguous()


def _ids(values: Any, path: Path, *, columns: int | None = 1) -> Tensor:
    """Node ids, int64: shape (n,), or (n, columns) for more than one column; None takes any number of columns."""
    ids = torch.as_tensor(values)
    dim = 1 if columns == 1 else 2
    if ids.is_floating_point() or ids.dim() != dim or (columns not in (1, None) and ids.shape[1] != columns):
        raise InputError(f"{path} holds {ids.dtype} of shape {tuple(ids.shape)} where node ids should be")
    return ids.long()


@contextlib.contextmanager
def _arrays_allowed() -> Iterator[None]:
    """Let safe loading take arrays of numbers, which OGB stores its pairs in, from numpy of either generation."""
    reconstruct = multiarray._reconstruct
    wanted: list[Any] = [reconstruct, (reconstruct, "numpy.core.multiarray._reconstruct"), np.ndarray, np.dtype]
    wanted += [type(np.dtype(kind)) for kind in ("i4", "i8", "f4", "f8")]
    known = set(torch.serialization.get_safe_globals())
    with torch.serialization.safe_globals([item for item in wanted if item not in known]):
        yield
