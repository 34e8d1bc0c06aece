"""Diffusion matrices against their closed forms, the formula of MVGRL and PyG's transform."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.sparse import csr_array, diags_array, eye_array
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import GDC

from gssl.common.errors import InputError
from gssl.datasets.load import load_dataset
from gssl.graph.block import Block
from gssl.graph.diffusion import exact_heat, exact_ppr, heat, ppr
from gssl.graph.sparse import Pattern, SparseMatrix
from gssl.graph.storage import Graph
from gssl.testing.toy import toy_graph, toy_graphs

Normalization = Literal["sym", "row", "col"]
Diffusion = Callable[..., tuple[Pattern, Tensor]]
NORMALIZATIONS: list[Normalization] = ["sym", "row", "col"]
SEEDS = st.integers(0, 2**16)
SPARSE: dict[str, Diffusion] = {"ppr": ppr, "heat": heat}
EXACT: dict[str, Diffusion] = {"ppr": exact_ppr, "heat": exact_heat}


def dense(found: tuple[Pattern, Tensor]) -> np.ndarray:
    pattern, value = found
    assert value.dtype == torch.get_default_dtype()
    assert pattern.row.long().mul(pattern.num_cols).add(pattern.col).diff().gt(0).all()  # sorted, each entry once
    return SparseMatrix(pattern, value.double()).to_dense().numpy()


def random_block(seed: int, *, directed: bool = False, weighted: bool = False) -> Block:
    """Up to 24 nodes, some of them isolated, some components small."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 25))
    there = rng.random((n, n)) < rng.choice([0.05, 0.15, 0.4])
    weight = rng.random((n, n)) + 0.1
    if not directed:
        there, weight = np.triu(there) | np.triu(there).T, np.triu(weight) + np.triu(weight, 1).T
    row, col = there.nonzero()
    pattern, order = Pattern.from_coo(torch.from_numpy(row), torch.from_numpy(col), n, n)
    return Block(pattern, torch.from_numpy(weight[there])[order] if weighted else None)


def transition(block: Block, normalization: Normalization) -> tuple[np.ndarray, np.ndarray]:
    """T and the degrees, written as in the module's docstring."""
    row, col = block.pattern.row.numpy(), block.pattern.col.numpy()
    adjacency = np.eye(block.num_dst)
    np.add.at(adjacency, (row, col), 1.0 if block.weight is None else block.weight.numpy())
    degree = adjacency.sum(1)
    left, right = {"sym": (0.5, 0.5), "row": (1.0, 0.0), "col": (0.0, 1.0)}[normalization]
    return np.diag(degree**-left) @ adjacency @ np.diag(degree**-right), degree


def closed_form(block: Block, method: str, normalization: Normalization = "sym") -> np.ndarray:
    """Dense, with alpha 0.2 or t 5."""
    matrix, _ = transition(block, normalization)
    identity = np.eye(len(matrix))
    exact: np.ndarray = (
        0.2 * np.linalg.inv(identity - 0.8 * matrix) if method == "ppr" else expm(5 * (matrix - identity))
    )
    return exact


@settings(max_examples=80, deadline=None)
@given(SEEDS, st.sampled_from(NORMALIZATIONS), st.sampled_from([1e-1, 1e-2, 1e-4]), st.booleans())
def test_pushes_are_as_good_as_they_say(seed: int, normalization: Normalization, eps: float, weighted: bool) -> None:
    block = random_block(seed, weighted=weighted)
    _, degree = transition(block, normalization)
    exact = closed_form(block, "ppr", normalization)
    pushed = dense(ppr(block, eps=eps, normalization=normalization))
    power = {"sym": 0.5, "row": 0.0, "col": 1.0}[normalization]
    bound = eps * degree[None, :] * (degree[:, None] / degree[None, :]) ** power
    missing = exact - pushed
    assert (missing >= -1e-6).all()
    assert (missing <= bound + 1e-6).all()


@settings(max_examples=80, deadline=None)
@given(SEEDS, st.sampled_from(NORMALIZATIONS), st.sampled_from([1e-2, 1e-4]), st.sampled_from([0.5, 5.0]))
def test_the_series_is_as_good_as_it_says(seed: int, normalization: Normalization, eps: float, t: float) -> None:
    block = random_block(seed)
    matrix, degree = transition(block, normalization)
    power = {"sym": 0.5, "row": 0.0, "col": 1.0}[normalization]
    bound = 3 * eps * degree[None, :] * (degree[:, None] / degree[None, :]) ** power
    missing = expm(t * (matrix - np.eye(len(matrix)))) - dense(heat(block, t=t, eps=eps, normalization=normalization))
    assert (missing >= -1e-6).all()
    assert (missing <= bound + 1e-6).all()


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_directed_graphs_converge_too(normalization: Normalization, weighted: bool) -> None:
    block = random_block(7, directed=True, weighted=weighted)
    assert block.num_edges > 20
    for method, diffuse in SPARSE.items():
        found = dense(diffuse(block, eps=1e-9, normalization=normalization))
        np.testing.assert_allclose(found, closed_form(block, method, normalization), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from(NORMALIZATIONS), st.booleans(), st.booleans())
def test_exact_matrices_are_the_closed_forms(
    seed: int, normalization: Normalization, weighted: bool, directed: bool
) -> None:
    block = random_block(seed, weighted=weighted, directed=directed)
    for method, exactly in EXACT.items():
        found = dense(exactly(block, normalization=normalization))
        np.testing.assert_allclose(found, closed_form(block, method, normalization), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(NORMALIZATIONS), st.booleans())
def test_pushes_come_to_the_exact_matrices(seed: int, normalization: Normalization, weighted: bool) -> None:
    block = random_block(seed, weighted=weighted)
    for method, exactly in EXACT.items():
        pushed = dense(SPARSE[method](block, eps=1e-9, normalization=normalization))
        np.testing.assert_allclose(pushed, dense(exactly(block, normalization=normalization)), atol=1e-6)


@pytest.mark.parametrize("method", ["ppr", "heat"])
def test_exact_matrices_keep_the_greatest_entries(method: str) -> None:
    block = toy_graph(num_nodes=40, isolated=2).block
    whole, kept = dense(EXACT[method](block)), dense(EXACT[method](block, top_k=7))
    assert ((kept > 0).sum(1) == np.minimum((whole > 0).sum(1), 7)).all()
    np.testing.assert_array_equal(kept[kept > 0], whole[kept > 0])
    np.testing.assert_allclose(np.sort(kept)[:, -7:], np.sort(whole)[:, -7:])
    np.testing.assert_array_equal(dense(EXACT[method](block, top_k=99)), whole)


def islands() -> Block:
    """A triangle, a path of two nodes, and two nodes alone; all of it undirected."""
    edges = torch.tensor([[0, 1, 2, 3], [1, 2, 0, 4]])
    return Graph.from_edge_index(torch.cat([edges, edges.flip(0)], dim=1), torch.ones(7, 1)).block


@pytest.mark.parametrize("diffuse", [ppr, heat, exact_ppr, exact_heat])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_nothing_passes_between_components_and_lone_nodes_keep_all(
    diffuse: Diffusion, normalization: Normalization
) -> None:
    found = diffuse(islands(), normalization=normalization)
    matrix = dense(found)
    part = np.array([0, 0, 0, 1, 1, 2, 3])
    assert (matrix[part[:, None] != part] == 0).all()
    assert found[0].nnz == 9 + 4 + 1 + 1, "entries that are exactly zero are not stored"
    np.testing.assert_allclose(matrix[[5, 6], [5, 6]], 1.0, atol=1e-3)
    np.testing.assert_allclose(matrix.sum(1), 1.0, atol=5e-3)  # every component is regular, so all rows sum to 1


@pytest.mark.parametrize("method", ["ppr", "heat"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_node_that_hears_from_nobody_is_not_dangling(method: str, normalization: Normalization) -> None:
    """0 -> 1 -> 2 and 0 -> 3: nothing points to node 0, and nodes 2 and 3 point nowhere."""
    block = Graph.from_edge_index(torch.tensor([[0, 1, 0], [1, 2, 3]]), torch.ones(4, 1)).block
    expected = closed_form(block, method, normalization)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(dense(EXACT[method](block, normalization=normalization)), expected, atol=1e-6)
    pushed = dense(SPARSE[method](block, eps=1e-9, normalization=normalization))
    np.testing.assert_allclose(pushed, expected, atol=1e-6)
    if normalization == "row":
        np.testing.assert_allclose(pushed.sum(1), 1.0, atol=1e-6)
        assert pushed[0].tolist() == pytest.approx([1.0, 0, 0, 0], abs=1e-6)


def test_exact_matrices_are_for_small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gssl.graph.diffusion._DENSE", 40)
    for exactly in EXACT.values():
        with pytest.raises(InputError, match=r"48 nodes are too many for an exact diffusion.*by pushes"):
            exactly(toy_graph().block)


def karate() -> tuple[Block, Tensor]:
    graph = nx.karate_club_graph()
    edges = torch.tensor(list(graph.edges)).T
    index = torch.cat([edges, edges.flip(0)], dim=1)
    return Graph.from_edge_index(index, torch.ones(34, 1)).block, index


def test_ppr_is_that_of_mvgrl() -> None:
    """alpha (I - (1 - alpha) D^-1/2 (A + I) D^-1/2)^-1, written out from the paper's eq. 4."""
    block, _ = karate()
    looped = nx.to_numpy_array(nx.karate_club_graph(), weight=None) + np.eye(34)
    root = np.diag(looped.sum(1) ** -0.5)
    expected = 0.2 * np.linalg.inv(np.eye(34) - 0.8 * root @ looped @ root)
    np.testing.assert_allclose(dense(ppr(block, alpha=0.2, eps=1e-9)), expected, atol=1e-6)


@pytest.mark.parametrize("method", ["ppr", "heat"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_pyg_computes_the_same(method: str, normalization: Normalization) -> None:
    block, index = karate()
    transform = GDC(
        normalization_in=normalization,
        normalization_out=None,
        diffusion_kwargs={"method": "ppr", "alpha": 0.2} if method == "ppr" else {"method": "heat", "t": 5.0},
        sparsification_kwargs={"method": "threshold", "eps": -1.0},
    )
    data = transform(Data(edge_index=index, num_nodes=34))
    # PyG's rows are ours: both list for a start what it leaves where.
    expected = torch.zeros(34, 34).index_put(tuple(data.edge_index), data.edge_attr).numpy()
    found = dense(SPARSE[method](block, eps=1e-8, normalization=normalization))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("diffuse", [ppr, heat])
def test_top_k_keeps_the_greatest_entries_of_each_row(diffuse: Diffusion) -> None:
    block = toy_graph(num_nodes=80, isolated=2).block
    whole, kept = dense(diffuse(block)), dense(diffuse(block, top_k=7))
    assert ((kept > 0).sum(1) == np.minimum((whole > 0).sum(1), 7)).all()
    np.testing.assert_array_equal(kept[kept > 0], whole[kept > 0])
    for row, full in zip(kept, whole, strict=True):
        np.testing.assert_allclose(np.sort(row[row > 0]), np.sort(full)[-(row > 0).sum() :])


@pytest.mark.parametrize("top_k", [None, 3])
@pytest.mark.parametrize("method", ["ppr", "heat"])
def test_a_collection_is_one_matrix(method: str, top_k: int | None) -> None:
    """Graphs of many sizes, one of them without edges, each as if it were alone."""
    graphs = toy_graphs(num_graphs=20, attributes=True)
    assert graphs.ptr is not None
    diffuse = SPARSE[method]
    whole = dense(diffuse(graphs.block, eps=1e-8, top_k=top_k))
    apart = np.zeros_like(whole)
    for number in range(graphs.num_graphs):
        (single,) = graphs.graph_batch(torch.tensor([number])).blocks
        span = slice(int(graphs.ptr[number]), int(graphs.ptr[number + 1]))
        apart[span, span] = closed_form(single, method)
    if top_k is None:
        np.testing.assert_allclose(whole, apart, atol=1e-6)
    else:  # equal entries may be chosen otherwise
        greatest = np.sort(apart)
        greatest[:, :-top_k] = 0
        np.testing.assert_allclose(np.sort(whole), greatest, atol=1e-6)


def test_a_graph_without_nodes() -> None:
    none = Pattern(torch.zeros(1, dtype=torch.int32), torch.zeros(0, dtype=torch.int32), 0)
    assert ppr(Block(none))[0].num_rows == 0
    assert exact_ppr(Block(none))[0].num_rows == exact_heat(Block(none))[0].num_rows == 0


def walked(block: Block, starts: Tensor) -> np.ndarray:
    """Rows of personalised PageRank (alpha 0.2) as a sum over the length of walks, shape (len(starts), num_nodes)."""
    scale = (block.degree.double().numpy() + 1) ** -0.5
    shape = (block.num_dst, block.num_src)
    entries = (np.ones(block.num_edges), (block.pattern.row.numpy(), block.pattern.col.numpy()))
    matrix = diags_array(scale) @ (csr_array(entries, shape=shape) + eye_array(block.num_dst)) @ diags_array(scale)
    state = np.eye(block.num_dst)[:, starts.numpy()]
    total = np.zeros_like(state)
    for length in range(150):
        total += 0.2 * 0.8**length * state
        state = matrix @ state
    return total.T


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    """More rows than a thread takes at a time, with buffers that must grow."""
    block = toy_graph(num_nodes=1300).block
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 4):
            torch.set_num_threads(threads)
            found.append(ppr(block, eps=1e-4))
    finally:
        torch.set_num_threads(before)
    (one, first), (other, second) = found
    assert one.nnz > 16 * 1300
    assert torch.equal(one.rowptr, other.rowptr)
    assert torch.equal(one.col, other.col)
    assert torch.equal(first, second)
    starts = torch.tensor([0, 1, 1023, 1024, 1299])
    bound = 1e-4 * float(block.degree.max() + 1)
    np.testing.assert_allclose(dense(found[0])[starts.numpy()], walked(block, starts), atol=bound)


def test_bad_input() -> None:
    block = toy_graph().block
    for rank, kernel in ((ppr, heat), (exact_ppr, exact_heat)):
        with pytest.raises(InputError, match="alpha must be in"):
            rank(block, alpha=0.0)
        with pytest.raises(InputError, match="t must be positive"):
            kernel(block, t=-1.0)
        with pytest.raises(InputError, match="top_k must be"):
            rank(block, top_k=0)
        with pytest.raises(InputError, match="not negative"):
            rank(Block(block.pattern, -torch.ones(block.num_edges)))
        with pytest.raises(InputError, match="all edges of a graph"):
            rank(block.head(3))
    with pytest.raises(InputError, match="eps must be"):
        ppr(block, eps=0.0)
    with pytest.raises(InputError, match="top_k must be"):
        ppr(block, top_k=0)
    with pytest.raises(InputError, match="all edges of a graph"):
        ppr(block.head(3))
    with pytest.raises(InputError, match="not negative"):
        ppr(Block(block.pattern, -torch.ones(block.num_edges)))


def test_cora(mirror: Path, processed: Path) -> None:
    block = load_dataset("Cora", root=processed).graph.block
    pattern, value = ppr(block, top_k=64)
    starts = torch.arange(0, block.num_dst, 90)
    rows, position = pattern.select_rows(starts)
    exact, columns, found = walked(block, starts), rows.col.numpy(), value[position].numpy()
    degree = block.degree.double().numpy() + 1
    bound = 1e-4 * np.sqrt(degree[starts[rows.row.long()].numpy()] * degree[columns])
    missing = exact[rows.row.numpy(), columns] - found
    assert ((missing > -1e-6) & (missing < bound + 1e-6)).all()
    # The greatest entries, but for what the tolerance hides.
    assert np.sort(exact, axis=1)[:, -64:].sum() == pytest.approx(found.sum(), rel=0.02)
