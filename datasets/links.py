"""Link prediction: pairs that leave the graph, pairs that are not joined, and the graph that may be trained on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.datasets.features import degree_features
from gssl.datasets.types import Dataset, LinkSplit
from gssl.graph.sparse import Features, Pattern, SparseMatrix
from gssl.graph.storage import Graph

Int64s = NDArray[np.int64]

_DEGREES = "degree features"  # how the note begins that `clean_graph` leaves where degrees serve as features
_MIN_DRAWN = 64


def random_link_split(
    graph: Graph, *, val: float = 0.05, test: float = 0.10, seed: int, negatives_per_positive: float = 1.0
) -> LinkSplit:
    """The random 85/5/10 split of a graph's links (GAE, Kipf and Welling, 2016, arXiv:1611.07308).

    Pairs of joined nodes are dealt out as wholes: both directions of an edge go to the same part, so that no part
    gives away another one. Self-loops are no pairs, and an edge that is there twice counts once. If every edge has its
    reverse, the pairs are undirected and smaller ids stand first. Otherwise the pairs of a part are its directed
    edges, and the split's name begins with ``directed``.

    Negatives are drawn uniformly from all pairs of different nodes that no edge of the graph joins in either
    direction. They are distinct, those of validation and test have none in common, and for directed pairs the
    direction of each is drawn, too. Nothing is rejected, so dense graphs take no longer.

    Args:
        graph: one graph with all its edges.
        val, test: shares of the joined pairs, rounded down as in the published code; the others are for training.
        seed: the same seed gives the same split on every machine.
        negatives_per_positive: how many pairs that are not joined there are for each pair of validation and test.

    Raises:
        InputError: a set of graphs, shares out of range, or too few edges or non-edges for them.
    """
    if graph.ptr is not None:
        raise InputError(
            f"links are predicted within one graph, but this is a set of {graph.num_graphs} graphs: use a dataset of "
            "nodes"
        )
    _check_shares(val, test, negatives_per_positive)
    edges, directed = _edges(graph)
    pairs, pair_of_edge = np.unique(_keys(edges), return_inverse=True)
    part = _deal(len(pairs), val, test, derive_seed(seed, "links", graph.num_nodes, f"{val:g}-{test:g}"))
    joined = [
        edges[:, part[pair_of_edge] == number] if directed else _unranked(pairs[part == number]) for number in range(3)
    ]
    counts = [max(1, round(negatives_per_positive * each.shape[1])) for each in joined[1:]]
    drawn = _non_edges(pairs, graph.num_nodes, sum(counts), derive_seed(seed, "non-links", graph.num_nodes))
    if directed:
        drawn = _turned(drawn, derive_seed(seed, "directions of non-links"))
    apart = np.split(drawn, counts[:1], axis=1)
    kind = "directed-links" if directed else "links"
    more = "" if negatives_per_positive == 1 else f"-{negatives_per_positive:g}negatives"
    train, valid, tests, val_apart, test_apart = (
        _tensor(each[:, np.lexsort(each[::-1])]) for each in (*joined, *apart)
    )
    name = f"{kind}-{val:g}-{test:g}{more}-seed{seed}"
    return LinkSplit(name, train, valid, tests, val_apart, test_apart, directed)


def non_edges(pairs: Tensor, num_nodes: int, count: int, *, seed: int) -> Tensor:
    """Distinct pairs of different nodes, uniformly drawn from those that ``pairs`` does not have in either direction.

    Args:
        pairs: shape (2, n), int64; repeats and self-loops do not matter.
        num_nodes: nodes of the graph.
        count: how many are wanted.
        seed: the same seed gives the same pairs on every machine.

    Returns:
        Shape (2, count), int64, the smaller id first, in random order.

    Raises:
        InputError: there are not so many.
    """
    taken = np.unique(_keys(_without_loops(pairs.numpy())))
    return _tensor(_non_edges(taken, num_nodes, count, derive_seed(seed, "non-edges", num_nodes)))


def visible_graph(graph: Graph, split: LinkSplit, *, degrees: bool = False) -> Graph:
    """The graph that may be trained on: without validation and test pairs, in both directions.

    Edge weights and attributes of the others stay. A held-out pair that is a training pair as well stays, too: this
    happens in no random split, but OGB's ogbl-collab asks who will work together *again*. If nothing has to go, as
    in OGB's sets, whose graphs hold training edges only, the graph itself is returned.

    Args:
        graph: with all its edges.
        split: of its pairs.
        degrees: whether the features are one-hot degrees (:func:`has_degree_features`), which would tell how many
            edges of a node are held out; they are counted anew, with as many columns as before.
    """
    held_out = np.concatenate([_keys(part.numpy()) for part in (split.val, split.test)])
    hidden = np.setdiff1d(held_out, _keys(split.train.numpy()))
    edges = graph.block.edge_index.numpy()
    keep = ~np.isin(_keys(edges), hidden) | (edges[0] == edges[1])
    if keep.all():
        return graph
    block = graph.block.filter(torch.from_numpy(keep))
    return Graph(block, _degrees(block.pattern, int(graph.x.shape[1])) if degrees else graph.x, graph.ptr)


def checked_links(split: LinkSplit, num_nodes: int) -> LinkSplit:
    """The split itself, if its pairs are pairs of existing nodes and all of its parts have some.

    Raises:
        InputError: a part is empty, has another shape than it should or a node that does not exist.
    """
    for name in ("train", "val", "test", "val_negatives", "test_negatives"):
        part: Tensor = getattr(split, name)
        of_positive = split.grouped and name.endswith("negatives")
        rows = getattr(split, name.removesuffix("_negatives")).shape[1] if of_positive else 2
        if part.dim() != 2 or part.shape[0] != rows or part.dtype != torch.int64:
            raise InputError(
                f"{name} of split {split.name!r} must be int64 of shape ({rows}, ...), but is {part.dtype} of shape "
                f"{tuple(part.shape)}"
            )
        if part.numel() == 0:
            raise InputError(f"split {split.name!r} has no pairs in {name}: link prediction needs some")
        low, high = (int(extreme) for extreme in part.aminmax())
        if low < 0 or high >= num_nodes:
            wrong = low if low < 0 else high
            raise InputError(f"split {split.name!r} has node {wrong} in {name}, but there are {num_nodes}")
    return split


def is_undirected(edge_index: Tensor) -> bool:
    """Whether every edge of ``edge_index``, shape (2, num_edges), int64, has its reverse."""
    edges = edge_index.numpy()
    size = int(edges.max(initial=0)) + 1
    forward, backward = (np.unique(a * size + b) for a, b in (edges, edges[::-1]))
    return bool(np.array_equal(forward, backward))


def has_degree_features(dataset: Dataset) -> bool:
    """Whether the features of a dataset were made from the degrees of its nodes."""
    return any(note.startswith(_DEGREES) for note in dataset.notes)


def _check_shares(val: float, test: float, negatives_per_positive: float) -> None:
    if not (val > 0 and test > 0 and val + test < 1):
        raise InputError(f"shares {val:g} and {test:g} of validation and test must be above 0, and below 1 together")
    if not (negatives_per_positive > 0 and math.isfinite(negatives_per_positive)):
        raise InputError(f"negatives_per_positive must be above 0, but is {negatives_per_positive:g}")


def _deal(num_pairs: int, val: float, test: float, seed: int) -> NDArray[np.int8]:
    """Part of each pair: 0 training, 1 validation, 2 test."""
    sizes = {"validation": math.floor(val * num_pairs + 1e-9), "test": math.floor(test * num_pairs + 1e-9)}
    for name, size in sizes.items():
        if size == 0:
            raise InputError(
                f"the graph joins {num_pairs} pairs of nodes, too few for a share of "
                f"{val if name == 'validation' else test:g} for {name}: use a larger graph or a larger share"
            )
    order = np.random.RandomState(seed % 2**32).permutation(num_pairs)  # a stream that numpy has frozen
    part = np.zeros(num_pairs, dtype=np.int8)
    part[order[: sizes["test"]]] = 2
    part[order[sizes["test"] : sizes["test"] + sizes["validation"]]] = 1
    return part


def _edges(graph: Graph) -> tuple[Int64s, bool]:
    """Distinct edges without self-loops, shape (2, n), sorted; and whether one of them lacks its reverse."""
    edges = _without_loops(graph.block.edge_index.numpy())
    distinct = np.unique(edges[0] * graph.num_nodes + edges[1])
    edges = np.stack(np.divmod(distinct, max(graph.num_nodes, 1)))
    reverse = np.sort(edges[1] * graph.num_nodes + edges[0])
    return edges, not np.array_equal(distinct, reverse)


def _without_loops(edges: Int64s) -> Int64s:
    return edges[:, edges[0] != edges[1]]


def _keys(edges: Int64s) -> Int64s:
    """Number of each unordered pair {u < v} in the list (0, 1), (0, 2), (1, 2), (0, 3), ... of all pairs."""
    low, high = edges.min(axis=0), edges.max(axis=0)
    keys: Int64s = high * (high - 1) // 2 + low
    return keys


def _unranked(keys: Int64s) -> Int64s:
    """Pairs u < v by their number, shape (2, n)."""
    high = ((1 + np.sqrt(1 + 8 * keys.astype(np.float64))) / 2).astype(np.int64)
    high -= high * (high - 1) // 2 > keys  # the root is off by one where floats are too coarse
    high += high * (high + 1) // 2 <= keys
    return np.stack([keys - high * (high - 1) // 2, high])


def _non_edges(taken: Int64s, num_nodes: int, count: int, seed: int) -> Int64s:
    """Uniform pairs, shape (2, count), whose numbers are not among ``taken``, which is sorted and distinct."""
    free = num_nodes * (num_nodes - 1) // 2 - len(taken)
    if count > free:
        raise InputError(
            f"{count} pairs of nodes that are not joined are wanted, but the graph has only {free}: it is too dense; "
            "ask for fewer negatives or hold out fewer edges"
        )
    ranks = _distinct(np.random.RandomState(seed % 2**32), free, count)
    # Before the i-th taken number there are taken[i] - i free ones, so the r-th free one comes after those with <= r.
    skipped = np.searchsorted(taken - np.arange(len(taken)), ranks, side="right")
    return _unranked(ranks + skipped)


def _distinct(rng: np.random.RandomState, population: int, count: int) -> Int64s:
    """``count`` different numbers below ``population`` in random order, without a list of all of them."""
    if 2 * count > population:
        return rng.permutation(np.arange(population))[:count]
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < count:
        more = rng.randint(0, population, size=max(count - len(drawn), _MIN_DRAWN), dtype=np.int64)
        drawn = np.concatenate([drawn, more])
        drawn = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
    return drawn[:count]


def _turned(pairs: Int64s, seed: int) -> Int64s:
    """Each pair in a random direction."""
    turn = np.random.RandomState(seed % 2**32).randint(0, 2, size=(1, pairs.shape[1]))
    return np.where(turn == 1, pairs[::-1], pairs)


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))


def _degrees(pattern: Pattern, columns: int) -> Features:
    made = degree_features(pattern)
    return SparseMatrix(Pattern(made.pattern.rowptr, made.pattern.col, columns), made.value)
