"""A folder of ``.npy`` arrays that is imported: ``edge_index``, ``x`` and, where there are any, ``y`` and a split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gssl.common.errors import InputError
from gssl.datasets.array_names import canonical, unread
from gssl.datasets.declared import Declared, beside, split_off
from gssl.datasets.formats.arrays_folder import load_arrays
from gssl.datasets.imported.raw import RawGraph
from gssl.datasets.imported.streams import ArrayStream
from gssl.datasets.labels import OwnLabels, labelled_only, own_labels
from gssl.datasets.own_splits import own_splits, unusual
from gssl.datasets.types import Labels, Split


def read_arrays(folder: Path, said: Declared, name: str | None = None) -> RawGraph:
    """The graph of a folder of arrays; edges and features are streamed, labels and splits are read as a whole.

    Args:
        folder: with the files.
        said: what is declared, stronger than scalars in the folder and the JSON beside it.
        name: of the dataset; None for that of the folder.

    Raises:
        InputError: no features, edges with weights or attributes, or arrays that do not fit.
    """
    told, notes = beside(folder)
    values, others = load_arrays(folder)
    arrays, facts = split_off(values, str(folder))
    arrays, renamed = canonical(arrays)
    facts = said.over(facts.over(told))
    _refuse(arrays, facts, folder)
    features, edges = _features(arrays["x"]), ArrayStream(Path(str(arrays["edge_index"].filename)))
    in_rows = edges.shape != arrays["edge_index"].shape  # turned by :func:`canonical`
    num_nodes = features.shape[0]
    splits, read = own_splits(arrays, num_nodes)
    left = unread([*arrays, *others], ["edge_index", "x", "y", "num_nodes", *read])
    found: list[OwnLabels] = []

    def labels() -> tuple[Labels | None, tuple[str, ...]]:
        y = arrays.get("y")
        found[:] = [OwnLabels(None) if y is None else own_labels(np.array(y), num_nodes, kind=facts.task)]
        return found[0].labels, found[0].notes

    def kept(made: Labels | None) -> tuple[tuple[Split, ...], tuple[str, ...]]:
        return labelled_only(splits, made, refuse=bool(found) and found[0].by_minus_one)

    return RawGraph(
        name=name or folder.resolve().name,
        num_nodes=num_nodes,
        num_edges=arrays["edge_index"].shape[-1] if arrays["edge_index"].ndim else 0,
        in_dim=features.shape[1],
        edges=lambda: edges.edges(in_rows=in_rows),
        features=features.rows,
        labels=labels,
        splits=kept,
        metric=facts.metric,
        undirected=bool(facts.undirected),
        notes=(*notes, *renamed, *left, *unusual(read), *_direction(facts)),
        files=tuple(sorted(folder.glob("*.npy"))),
    )


def _refuse(arrays: dict[str, Any], facts: Declared, folder: Path) -> None:
    for key in ("edge_index", "x"):
        if key not in arrays:
            raise InputError(f"the folder {folder} has no {key}.npy, which an import needs: write it with numpy.save")
    for key in ("edge_weight", "edge_attr"):
        if key in arrays:
            raise InputError(f"{folder} has {key}, which cannot be imported: leave it out, or give the folder itself")
    if facts.normalize is not None:
        raise InputError("features are imported as they are: normalise x.npy before, and leave out normalize")
    for key in ("target_type", "meta_paths"):
        if getattr(facts, key) is not None:
            raise InputError(f"{key} can be declared of a HeteroData alone, but this is one graph with one type")
    if arrays["x"].ndim != 2 or not arrays["x"].shape[1]:
        raise InputError(f"x must have shape (num_nodes, features), but has shape {arrays['x'].shape}")
    count = arrays.get("num_nodes")
    if count is not None and int(count) != len(arrays["x"]):
        raise InputError(f"x has {len(arrays['x'])} rows, but there are {int(count)} nodes")


def _features(array: np.memmap) -> ArrayStream:
    stream = ArrayStream(Path(str(array.filename)))
    if stream.header.by_columns:
        raise InputError(f"{stream.what} is stored column by column: save it in rows (numpy.ascontiguousarray)")
    return stream


def _direction(facts: Declared) -> tuple[str, ...]:
    if facts.undirected is not None:
        return ()
    return ("edges are taken in the direction that they have; --data undirected=true adds the reverses",)
