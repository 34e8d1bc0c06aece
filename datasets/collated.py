"""Graphs that PyG has put side by side in one object, one by one again."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.array_names import is_of_split

_OF_EDGES = ("edge_index", "edge_attr", "edge_weight")
_OF_THE_BATCH = ("batch", "ptr", "_num_nodes", "num_nodes")


def separated(
    values: Mapping[str, Any], slices: Mapping[str, Any], increments: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The attributes of each graph.

    Args:
        values: attribute name to what all graphs have of it, side by side.
        slices: attribute name to the offsets of the graphs in it, shape (num_graphs + 1,), integers.
        increments: attribute name to what was added to each graph's values, shape (num_graphs,) or (num_graphs, 1);
            None if nothing was.

    Raises:
        InputError: offsets that do not fit, or sparse matrices.
    """
    offsets = {key: _offsets(key, own) for key, own in slices.items() if key in values}
    count = max((len(own) - 1 for own in offsets.values()), default=0)
    if count == 0:
        raise InputError("it says nothing of where its graphs begin: save a list of Data instead")
    graphs: list[dict[str, Any]] = [{} for _ in range(count)]
    for key, own in offsets.items():
        if len(own) - 1 < count and key in _OF_EDGES:  # PyG's reader of TU files ends with the last that has an edge
            own = own + [own[-1]] * (count + 1 - len(own))
        if len(own) - 1 != count:
            raise InputError(f"there are {count} graphs, but {key} is of {len(own) - 1}: save it again")
        for graph, part in zip(graphs, _parts(key, values[key], own, (increments or {}).get(key)), strict=True):
            graph[key] = part
    sizes = values.get("_num_nodes")
    if isinstance(sizes, list) and len(sizes) == count:
        for graph, size in zip(graphs, sizes, strict=True):
            graph["num_nodes"] = size
    for key in values.keys() - offsets.keys() - set(_OF_THE_BATCH):
        _of_all(graphs, key, values[key])
    return graphs


def _offsets(key: str, given: Any) -> list[int]:
    offsets = _numbers(given, f"the offsets of {key}")
    if offsets.dim() == 2:
        raise InputError(f"{key} holds sparse matrices side by side: save list(dataset) with torch.save instead")
    if offsets.dim() != 1 or offsets.numel() == 0 or offsets.is_floating_point():
        raise InputError(f"the offsets of {key} are no list of whole numbers: save it again")
    found: list[int] = offsets.tolist()
    if found[0] != 0 or any(b < a for a, b in pairwise(found)):
        raise InputError(f"the offsets of {key} do not rise from 0: save it again")
    return found


def _numbers(given: Any, what: str) -> Tensor:
    try:
        numbers = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{what} are a {type(given).__name__}: save it again") from None
    if numbers.layout is not torch.strided:
        raise InputError(f"{what} are sparse: save it again")
    return numbers


def _parts(key: str, value: Any, offsets: list[int], increments: Any) -> list[Any]:
    """What each graph has of one attribute."""
    if isinstance(value, list | tuple):
        if len(value) != len(offsets) - 1:
            raise InputError(f"there are {len(offsets) - 1} graphs, but {len(value)} of {key}: save it again")
        return list(value)
    if not isinstance(value, Tensor) or value.dim() == 0 or value.layout is not torch.strided:
        return [value] * (len(offsets) - 1)  # not an attribute that is read; it is named as such
    dim = -1 if "index" in key or key == "face" else 0
    if offsets[-1] != value.shape[dim]:
        raise InputError(f"{key} has {value.shape[dim]} entries, but its graphs have {offsets[-1]}: save it again")
    parts = list(value.split([b - a for a, b in pairwise(offsets)], dim=dim))
    if increments is None:
        return parts
    added = torch.atleast_1d(_numbers(increments, f"the increments of {key}"))
    if added.shape[:1] != (len(parts),):
        raise InputError(f"there are {len(parts)} graphs, but {len(added)} increments of {key}: save it again")
    if not added.any():
        return parts
    return [part - own.to(part.dtype) for part, own in zip(parts, added, strict=True)]


def _of_all(graphs: list[dict[str, Any]], key: str, value: Any) -> None:
    """Give each graph its part of what was set on the whole set: of a split one entry, of all else everything."""
    if is_of_split(key) and isinstance(value, Tensor) and value.shape[:1] == (len(graphs),):
        for graph, own in zip(graphs, value, strict=True):
            graph[key] = own
    elif value is not None:
        for graph in graphs:
            graph[key] = value
