"""From edges and features of any origin to a graph that every encoder can trust."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from gssl.common.errors import InputError
from gssl.datasets.features import compact_features, degree_features, sparse_from_torch
from gssl.datasets.mapped import check_can_be_read, mapped_tensor, stays_mapped
from gssl.graph.block import Block
from gssl.graph.sparse import Features, Pattern, SparseMatrix
from gssl.graph.storage import Graph

Array = Tensor | np.ndarray
_CHUNK = 1 << 16  # rows that are looked at together


def clean_graph(
    edge_index: Array,
    x: Array | SparseMatrix | None,
    *,
    num_nodes: int | None = None,
    edge_attr: Array | None = None,
    edge_weight: Array | None = None,
    ptr: Tensor | None = None,
    undirected: bool = False,
) -> tuple[Graph, tuple[str, ...]]:
    """A graph without self-loops and duplicate edges, with finite float32 features.

    Args:
        edge_index: row 0 sources, row 1 destinations, shape (2, num_edges), integers.
        x: node features, shape (num_nodes, dim), dense or sparse; None for degree features. Memory-mapped float32
            ones stay in their file (see :mod:`gssl.datasets.mapped`).
        num_nodes: needed where ``x`` is None.
        edge_attr: shape (num_edges,) or (num_edges, edge_dim); of duplicate edges the first one's is kept, and a note
            says how many had others.
        edge_weight: shape (num_edges,); duplicates are added up.
        ptr: offsets of the graphs of a collection, shape (num_graphs + 1,), int64.
        undirected: add the reverse of every edge.

    Returns:
        The graph, and what was done to the data that should be said.

    Raises:
        InputError: no nodes, node ids out of range, features that are not finite numbers, shapes that do not fit,
            negative weights, or an edge between two graphs of a collection.
    """
    edges = edge_ids(edge_index)
    features = None if x is None else clean_features(x, "x")
    count = _count_nodes(features, num_nodes)
    if count == 0:
        raise InputError("there are no nodes: give x one row for each node")
    check_range(edges, count)
    attributes = None if edge_attr is None else of_edges(edge_attr, edges.shape[1], "edge_attr")
    weights = None if edge_weight is None else weights_of_edges(edge_weight, edges.shape[1])
    if attributes is not None and attributes.dim() == 1:
        attributes = attributes.unsqueeze(1)
    _check_collection(edges, ptr, count)
    block, notes = _block(edges, count, attributes, weights, undirected)
    if features is None:
        features = degree_features(block.pattern)
        notes.append(f"degree features: the data have no node features, so {features.shape[1]} one-hot degrees serve")
    return Graph(block, features, ptr), tuple(notes)


def clean_edges(edge_index: Array, num_nodes: int, *, undirected: bool) -> tuple[Block, tuple[str, ...]]:
    """Edges alone, as :func:`clean_graph` takes them.

    Raises:
        InputError: no edges, or node ids out of range.
    """
    edges = edge_ids(edge_index)
    check_range(edges, num_nodes)
    block, notes = _block(edges, num_nodes, None, None, undirected)
    return block, tuple(notes)


def clean_features(x: Array | SparseMatrix, what: str) -> Features:
    """Features as float32, sparse where that is faster.

    Raises:
        InputError: not a matrix of numbers, or some are NaN or infinite (also after rounding to float32).
    """
    if isinstance(x, SparseMatrix):
        _check_finite(x.value, what)
        return x
    if stays_mapped(x):
        mapped = mapped_tensor(x)
        _check_finite(mapped, what)
        return mapped
    check_can_be_read(x, what)
    tensor = as_numbers(x, what)
    if tensor.dim() != 2:
        raise InputError(f"{what} must have shape (num_nodes, features), but has shape {tuple(tensor.shape)}")
    if tensor.shape[1] == 0:
        raise InputError(f"{what} has no columns: leave it out to get degree features")
    if tensor.layout is not torch.strided:
        sparse = sparse_from_torch(tensor)
        _check_finite(sparse.value, what)
        return sparse
    return compact_features(_single(tensor.detach(), what).contiguous())


def as_numbers(array: Array, what: str) -> Tensor:
    """A tensor on the CPU from any array of real numbers.

    Raises:
        InputError: Python objects, text or complex numbers.
    """
    if isinstance(array, np.ndarray):
        tensor = _from_numpy(array, what)
    elif isinstance(array, Tensor):
        tensor = array.as_tensor() if isinstance(array, EdgeIndex) else array
    else:
        raise InputError(f"{what} is a {type(array).__name__}: save an array of numbers")
    if tensor.is_complex():
        raise InputError(f"{what} is complex: save real numbers")
    return tensor.detach().cpu()


def _from_numpy(array: np.ndarray, what: str) -> Tensor:
    if array.dtype.kind not in "biufc":
        raise InputError(f"{what} has dtype {array.dtype}: save numbers (float32 or int64), not objects or text")
    dtype = array.dtype.newbyteorder("=")
    if dtype.kind == "u" and dtype.itemsize > 1:
        dtype = np.dtype(np.int64)
    elif dtype.kind == "f" and dtype.itemsize > 8:
        dtype = np.dtype(np.float64)
    # torch takes neither foreign byte order nor negative strides nor read-only memory
    return torch.from_numpy(np.array(array, dtype=dtype, order="C"))


def check_range(edges: Tensor, num_nodes: int) -> None:
    """Refuse node ids that do not exist.

    Raises:
        InputError: names the first of them.
    """
    if edges.numel() == 0:
        return
    wrong = (edges < 0) | (edges >= num_nodes)
    if wrong.any():
        row, column = (int(i) for i in wrong.nonzero()[0])
        raise InputError(
            f"edge_index holds node {int(edges[row, column])} at edge {int(column)}, but there are {num_nodes} nodes "
            f"(0 to {num_nodes - 1}): correct the ids, or add rows to x"
        )


def edge_ids(edge_index: Array) -> Tensor:
    """Edges as int64.

    Raises:
        InputError: another shape than (2, num_edges), or no whole numbers.
    """
    edges = as_numbers(edge_index, "edge_index")
    if edges.dim() != 2 or edges.shape[0] != 2:
        hint = ": transpose it" if edges.dim() == 2 and edges.shape[1] == 2 else ""
        raise InputError(f"edge_index must have shape (2, num_edges), but has shape {tuple(edges.shape)}{hint}")
    if edges.numel() and (edges.is_floating_point() or edges.dtype == torch.bool):
        raise InputError(f"edge_index has dtype {edges.dtype}: save node ids as int64")
    return edges.long()


def _count_nodes(features: Features | None, num_nodes: int | None) -> int:
    if features is None:
        if num_nodes is None:
            raise InputError("without x the number of nodes must be given")
        return num_nodes
    count = int(features.shape[0])
    if num_nodes is not None and num_nodes != count:
        raise InputError(f"x has {count} rows, but there are {num_nodes} nodes")
    return count


def weights_of_edges(values: Array, num_edges: int) -> Tensor:
    """Weights, shape (num_edges,), float32.

    Raises:
        InputError: another number of them, or some are negative or not finite.
    """
    weights = of_edges(values, num_edges, "edge_weight")
    if weights.dim() == 2:
        if weights.shape[1] != 1:
            raise InputError(f"edge_weight must be one number an edge, but has shape {tuple(weights.shape)}")
        weights = weights[:, 0]
    if weights.numel() and float(weights.min()) < 0:
        edge = int(weights.argmin())
        raise InputError(
            f"edge_weight is negative at edge {edge} ({float(weights[edge]):g}): degrees and their square roots are "
            "not defined for negative weights; give weights of at least 0, or name them edge_attr"
        )
    return weights


def of_edges(values: Array, num_edges: int, what: str) -> Tensor:
    """A row of numbers for each edge, shape (num_edges,) or (num_edges, dim), float32.

    Raises:
        InputError: another number of rows, or values that are not finite.
    """
    tensor = as_numbers(values, what)
    if tensor.dim() not in (1, 2) or tensor.shape[0] != num_edges:
        raise InputError(f"{what} has shape {tuple(tensor.shape)}, but there are {num_edges} edges: one row for each")
    return _single(tensor, what)


def _single(values: Tensor, what: str) -> Tensor:
    """The values in float32.

    Raises:
        InputError: some are not finite, or too large for float32.
    """
    found = values.float()
    try:
        _check_finite(found, what)
    except InputError as error:
        if values.dtype == torch.float64 and bool((values.isfinite() & ~found.isfinite()).any()):
            largest = float(values[values.isfinite()].abs().max())
            why = f"too large for float32, which ends at 3.4e38 (they are up to {largest:.3g}), or NaN or infinite"
            raise InputError(str(error).replace("NaN or infinite", why)) from None
        raise
    return found


def _check_finite(values: Tensor, what: str) -> None:
    # The extremes are NaN where any value is; isfinite() would hold several copies of large features.
    if values.numel() == 0 or all(bool(extreme.isfinite()) for extreme in values.aminmax()):
        return
    count, rows, first = 0, 0, None
    columns = torch.zeros(values.shape[1:], dtype=torch.bool)
    for number, chunk in enumerate(values.split(_CHUNK)):
        wrong = ~chunk.isfinite()
        if not wrong.any():
            continue
        first = first or (int(wrong.nonzero()[0, 0]) + number * _CHUNK, *wrong.nonzero()[0, 1:].tolist())
        count, columns = count + int(wrong.sum()), columns | wrong.any(dim=0)
        rows += int(wrong.flatten(1).any(dim=1).sum()) if wrong.dim() > 1 else int(wrong.sum())
    place = f" in {rows} rows and {int(columns.sum())} columns, first at {first}" if values.dim() == 2 else ""
    raise InputError(f"{what} has {count} values that are NaN or infinite{place}: replace them")


def _check_collection(edges: Tensor, ptr: Tensor | None, num_nodes: int) -> None:
    if ptr is None:
        return
    if int(ptr[0]) != 0 or int(ptr[-1]) != num_nodes or bool((ptr.diff() < 0).any()):
        raise InputError(f"the graphs' offsets must rise from 0 to {num_nodes}")
    graph = torch.bucketize(edges, ptr[1:], right=True)
    across = graph[0] != graph[1]
    if across.any():
        edge = int(across.nonzero()[0, 0])
        raise InputError(f"edge {edge} connects graph {int(graph[0, edge])} with graph {int(graph[1, edge])}")


def _block(
    edges: Tensor, num_nodes: int, attr: Tensor | None, weight: Tensor | None, undirected: bool
) -> tuple[Block, list[str]]:
    notes = []
    loops = edges[0] == edges[1]
    if loops.any():
        notes.append(f"{int(loops.sum())} self-loops removed")
        keep = ~loops
        edges = edges[:, keep]
        attr, weight = (None if values is None else values[keep] for values in (attr, weight))
    pattern, order = Pattern.from_coo(edges[1], edges[0], num_nodes, num_nodes)
    attr, weight = (None if values is None else values[order] for values in (attr, weight))
    first = _firsts(pattern)
    if merged := int((~first).sum()):
        group = first.cumsum(0) - 1
        notes.append(f"{merged} duplicate edges merged{'' if weight is None else ', their weights added up'}")
        if weight is not None:
            weight = weight.new_zeros(pattern.nnz - merged).index_add_(0, group, weight)
        if attr is not None:
            kept = attr[first]
            if differ := int((attr != kept[group]).any(1).sum()):
                said = "of the merged edges had other attributes than the first of them, which has its own"
                notes.append(f"{differ} {said}")
            attr = kept
        pattern = pattern.filter(first)
    if undirected:
        before = pattern.nnz
        pattern, attr, weight = _symmetric(pattern, attr, weight)
        if pattern.nnz > before:
            notes.append(f"made undirected: {pattern.nnz - before} reverse edges added")
    if pattern.nnz == 0:
        notes.append("the graph has no edges")
    return Block(pattern, weight, attr), notes


def _firsts(pattern: Pattern) -> Tensor:
    """Which non-zeros are the first of equal ones, shape (nnz,), bool."""
    first = torch.ones(pattern.nnz, dtype=torch.bool)
    first[1:] = (pattern.row[1:] != pattern.row[:-1]) | (pattern.col[1:] != pattern.col[:-1])
    return first


def _symmetric(
    pattern: Pattern, attr: Tensor | None, weight: Tensor | None
) -> tuple[Pattern, Tensor | None, Tensor | None]:
    """Add the reverse of each edge where it is missing; it takes over the attributes of its twin."""
    row, col = pattern.row.long(), pattern.col.long()
    both, order = Pattern.from_coo(torch.cat([row, col]), torch.cat([col, row]), pattern.num_rows, pattern.num_cols)
    first = _firsts(both)  # the order is stable, so edges that were there come first
    twin = order[first] % max(pattern.nnz, 1)
    return both.filter(first), None if attr is None else attr[twin], None if weight is None else weight[twin]
