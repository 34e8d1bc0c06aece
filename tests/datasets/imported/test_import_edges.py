"""Sorting on disk against sorting in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets.clean import clean_graph
from gssl.datasets.imported.edges import MOST_NODES, EdgeCounts, EdgePlan, sort_edges

NODES = 50


def multigraph(count: int, seed: int = 0) -> np.ndarray:
    """Edges with loops, copies, and a node that most of them lead to."""
    rng = np.random.default_rng(seed)
    edges = rng.integers(0, NODES, (2, count))
    edges[1, : count // 2] = 7
    return edges


def in_pieces(edges: np.ndarray, size: int) -> Iterator[np.ndarray]:
    yield from (edges[:, start : start + size] for start in range(0, edges.shape[1], size))


def sort(
    edges: np.ndarray, folder: Path, *, piece: int = 97, **options: object
) -> tuple[EdgeCounts, np.ndarray, np.ndarray]:
    plan = EdgePlan(num_nodes=NODES, num_edges=edges.shape[1], **options)  # type: ignore[arg-type]  # of one test each
    counts = sort_edges(in_pieces(edges, piece), plan, folder)
    return counts, np.load(folder / "rowptr.npy"), np.load(folder / "col.npy")


@pytest.mark.parametrize("budget", [1, 48 * 20, 48 * 300, 1 << 20], ids=["one-number", "few", "some", "all"])
@pytest.mark.parametrize("kind", ["directed", "inverse", "undirected"])
def test_it_is_the_graph_that_memory_would_give(tmp_path: Path, kind: str, budget: int) -> None:
    edges = multigraph(150)
    doubled = np.concatenate([edges, edges[::-1]], axis=1) if kind == "inverse" else edges
    graph, notes = clean_graph(torch.from_numpy(doubled), None, num_nodes=NODES, undirected=kind == "undirected")
    told = {} if kind == "directed" else {kind: True}
    counts, rowptr, col = sort(edges, tmp_path, budget=budget, **told)
    pattern = graph.block.pattern
    assert torch.equal(torch.from_numpy(rowptr), pattern.rowptr)
    assert torch.equal(torch.from_numpy(col), pattern.col)
    assert counts.notes() == notes[:-1]  # the last one is on degree features
    assert sorted(path.name for path in tmp_path.iterdir()) == ["col.npy", "rowptr.npy"]


def test_copies_of_one_edge_are_counted_beyond_the_budget(tmp_path: Path) -> None:
    counts, rowptr, col = sort(np.tile([[3], [5]], 1000), tmp_path, budget=48 * 10, undirected=True)
    assert (counts.merged, counts.added, counts.kept) == (999, 1, 2)
    assert (col.tolist(), rowptr[4] - rowptr[3], rowptr[6] - rowptr[5]) == ([5, 3], 1, 1)


def test_no_edges(tmp_path: Path) -> None:
    counts, rowptr, col = sort(np.array([[4, 4], [4, 4]]), tmp_path)
    assert (counts.loops, counts.kept, len(col), rowptr.tolist()) == (2, 0, 0, [0] * (NODES + 1))
    assert counts.notes() == ("2 self-loops removed", "the graph has no edges")


@pytest.mark.parametrize(("wrong", "id"), [(-1, "node -1"), (NODES, f"node {NODES}")])
def test_ids_out_of_range_are_named(tmp_path: Path, wrong: int, id: str) -> None:
    edges = multigraph(200)
    edges[0, 150] = wrong
    with pytest.raises(InputError, match=f"{id} at edge 150, but there are {NODES} nodes"):
        sort(edges, tmp_path)


def test_more_nodes_than_a_number_holds_are_refused(tmp_path: Path) -> None:
    plan = EdgePlan(num_nodes=MOST_NODES + 1, num_edges=0)
    with pytest.raises(InputError, match="more than the 2147483647 that can be imported"):
        sort_edges(iter(()), plan, tmp_path)


def test_fewer_edges_than_stated_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds 10 edges, but 11 are stated"):
        sort_edges(iter([multigraph(10)]), EdgePlan(num_nodes=NODES, num_edges=11), tmp_path)


def test_offsets_are_wide_where_edges_may_be_many() -> None:
    assert EdgePlan(num_nodes=9, num_edges=2**31 - 1).dtype == np.int32
    assert EdgePlan(num_nodes=9, num_edges=2**30, undirected=True).dtype == np.int64
