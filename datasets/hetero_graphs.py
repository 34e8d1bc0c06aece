"""``HeteroData`` of the user's own: one graph of all types, or the graph of one type with the others around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from gssl.common.errors import InputError, unknown
from gssl.datasets.array_names import unread
from gssl.datasets.assemble import with_types
from gssl.datasets.clean import as_numbers, clean_features
from gssl.datasets.declared import NOTHING, Declared
from gssl.datasets.features import row_normalize, standardize
from gssl.datasets.meta_paths import Step, derived, named, shortest
from gssl.datasets.pyg_graphs import from_pyg
from gssl.datasets.types import Dataset
from gssl.graph.hetero import HeteroParts, NodeType, Relation, identity, pattern_of, union
from gssl.graph.sparse import Features, dense_features


def from_hetero(data: HeteroData, *, name: str, declared: Declared = NOTHING) -> Dataset:
    """All types of nodes and edges as one graph; the type of an edge becomes its attribute.

    With a declared target type it is the graph of that type instead, joined by meta-paths, with the other types around
    it for heterogeneous methods.

    Raises:
        InputError: node types have features of different widths, or there are no edges; there is no such type or
            meta-path, or relations do not fit the types.
    """
    if declared.target_type is not None:
        return _around(data, declared.target_type, name, declared)
    if declared.meta_paths is not None:
        raise InputError("meta_paths join the nodes of a type: declare target_type, the type that is embedded, too")
    for kind, store in data.node_items():
        if "x" in store and (not isinstance(store.x, Tensor) or store.x.dim() != 2):
            raise InputError(f"x of {kind!r} must be a tensor of shape (num_nodes, features)")
    widths = {kind: store.x.shape[1] if "x" in store else None for kind, store in data.node_items()}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{kind} {width}" for kind, width in widths.items())
        raise InputError(
            f"node types have features of different widths ({told}), so they are no one graph: give all the same "
            "width, pass one relation as a Data, or say which type is embedded, with the others around it for "
            f"heterogeneous methods such as HeCo and DMGI: --data target_type={_labelled(data)}"
        )
    if len(data.edge_types) == 0:
        raise InputError("the HeteroData has no edges: give edge_index for a relation at least")
    try:
        flat = data.to_homogeneous(add_node_type=False, add_edge_type=True)
        held = flat.edge_type
    except Exception as error:  # PyG trusts shapes and types
        raise InputError(
            f"the HeteroData cannot be made one graph ({type(error).__name__}: {error}): give data.to_homogeneous(), "
            "or one relation as a Data"
        ) from None
    kinds = torch.nn.functional.one_hot(held, len(data.edge_types)).float()
    lost = {key for store in data.stores for key in store} - set(flat.keys())
    if len(data.edge_types) > 1:
        lost |= {"edge_attr"} & set(flat.keys())
        flat.edge_attr = kinds
    del flat.edge_type
    note = (
        f"{len(data.node_types)} node types and {len(data.edge_types)} edge types as one graph; the type of an edge is "
        "its attribute"
    )
    found = from_pyg(flat, name=name, declared=declared)
    return replace(found, notes=(note, *unread(lost, (), what="attributes of single types"), *found.notes))


def _labelled(data: HeteroData) -> str:
    """The type that is most likely meant to be embedded."""
    return str(next((kind for kind, store in data.node_items() if "y" in store), data.node_types[0]))


def _around(data: HeteroData, target: str, name: str, declared: Declared) -> Dataset:
    """The graph of the target type, with everything else around it."""
    if target not in data.node_types:
        raise unknown("type of nodes", target, data.node_types)
    if declared.undirected is not None:
        raise InputError("undirected has no meaning with target_type: meta-paths go along relations in both directions")
    sizes = {kind: _count(data, kind) for kind in data.node_types}
    relations = tuple(_relation(data, edge_type, sizes) for edge_type in data.edge_types)
    if not any(target in (relation.source, relation.target) for relation in relations):
        raise InputError(f"no relation has nodes of type {target!r}: give edge_index for one, or embed another type")
    steps = _steps(relations)
    told = shortest(relations, steps, target) if declared.meta_paths is None else named(declared.meta_paths, target)
    paths = derived(told, relations, steps, sizes, target)
    others = [kind for kind in data.node_types if kind != target]
    features = {kind: _features(data, kind, sizes[kind], declared) for kind in others}
    values = {key: value for key, value in data[target].to_dict().items() if key != "num_nodes"}
    if values.get("x") is None:
        values["x"] = identity(sizes[target])
    joined = union([path.pattern for path in paths])
    edges = torch.stack([joined.col.long(), joined.row.long()])
    plain = replace(declared, target_type=None, meta_paths=None, undirected=False)
    found = from_pyg({**values, "edge_index": edges}, name=name, declared=plain)
    parts = HeteroParts(target, tuple(NodeType(kind, features[kind]) for kind in others), relations, paths)
    lost = {key for kind in others for key in data[kind] if key not in ("x", "num_nodes")}
    lost |= {key for edge_type in data.edge_types for key in data[edge_type] if key != "edge_index"}
    without = [kind for kind in (target, *others) if data[kind].get("x") is None]
    notes = (
        f"nodes are those of type {target}, joined where one of the meta-paths "
        f"{', '.join(path.name for path in paths)} does; heterogeneous methods read each of them, and the relations",
        *(() if declared.meta_paths else ("meta-paths are all that lead from the target over one relation and back",)),
        *((f"nodes of type {', '.join(without)} have no features, so their ids serve",) if without else ()),
        *unread(lost, (), what="attributes of other types and of relations"),
    )
    return replace(with_types(found, parts, notes), declared=declared.mapping())


def _count(data: HeteroData, kind: str) -> int:
    """Nodes of a type; PyG guesses the number from edges where nothing tells it, so that last ones could be lost."""
    store = data[kind]
    told = [store.get("num_nodes"), *(len(store[key]) for key in ("x", "y") if isinstance(store.get(key), Tensor))]
    known = [int(count) for count in told if count is not None]
    if not known:
        raise InputError(f"nothing tells the number of nodes of type {kind!r}: set data[{kind!r}].num_nodes, or x")
    if len(set(known)) > 1:
        raise InputError(f"x, y and num_nodes of type {kind!r} tell different numbers of nodes: {known}")
    return known[0]


def _relation(data: HeteroData, edge_type: tuple[str, str, str], sizes: dict[str, int]) -> Relation:
    source, name, target = edge_type
    given = data[edge_type].get("edge_index")
    if given is None:
        raise InputError(f"the relation {edge_type} has no edge_index")
    edges = as_numbers(given, f"edge_index of {edge_type}")
    if edges.dim() != 2 or edges.shape[0] != 2 or edges.is_floating_point() or edges.dtype == torch.bool:
        raise InputError(
            f"edge_index of {edge_type} must hold node ids, shape (2, num_edges), but is {edges.dtype} of shape "
            f"{tuple(edges.shape)}"
        )
    for ids, kind in zip(edges, (source, target), strict=True):
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < sizes[kind]:
            wrong = int(ids[(ids < 0) | (ids >= sizes[kind])][0])
            raise InputError(f"edge_index of {edge_type} holds node {wrong}, but type {kind!r} has {sizes[kind]} nodes")
    return Relation(source, name, target, pattern_of(edges[1].long(), edges[0].long(), sizes[target], sizes[source]))


def _steps(relations: Sequence[Relation]) -> dict[Step, list[Relation]]:
    """The relations by which a path may go from one type to another, in either direction."""
    found: dict[Step, list[Relation]] = {}
    for relation in relations:
        for step in dict.fromkeys([(relation.source, relation.target), (relation.target, relation.source)]):
            found.setdefault(step, []).append(relation)
    return found


def _features(data: HeteroData, kind: str, count: int, declared: Declared) -> Features:
    """Features of a type that is not the target, treated as those of the target are."""
    given: Any = data[kind].get("x")
    if given is None:
        return identity(count)
    x = clean_features(given, f"x of {kind!r}")
    if declared.normalize is None:
        return x
    return row_normalize(x) if declared.normalize == "row" else standardize(dense_features(x))
