"""Masked categories: as many as the paper hides, gone from the view, and told exactly."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.augment.mask_atoms import decoded, mask_atoms
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.cut import restrict_rows
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.spec import Category, GraphSpec
from gssl.graph.storage import Graph
from gssl.models.gine import GINE
from gssl.testing.compare import assert_unchanged, assert_valid, snapshot
from gssl.testing.toy import gathered, toy_graph, toy_graphs

NODES = (Category("element", 5), Category("charge", 3))
EDGES = (Category("type", 4), Category("direction", 2))
SPEC = GraphSpec(8, 6, NODES, EDGES, "toy molecules")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def one_hot(codes: Tensor, categories: tuple[Category, ...]) -> Tensor:
    parts = [torch.nn.functional.one_hot(codes[:, i], c.size) for i, c in enumerate(categories)]
    return torch.cat(parts, dim=1)


def molecules(kind: str = "sparse", *, shape: Graph | None = None) -> tuple[MiniBatch, Tensor, Tensor]:
    """Graphs of categories, and the codes of nodes and edges; both directions of an edge have the same."""
    shape = shape or toy_graphs(num_graphs=14)
    atoms = torch.stack([torch.randint(c.size, (shape.num_nodes,), generator=generator(3)) for c in NODES], dim=1)
    ends = shape.block.edge_index
    low, high = ends.min(0).values, ends.max(0).values
    bonds = torch.stack([(3 * low + high) % 4, (low * high) % 2], dim=1)
    dense = one_hot(atoms, NODES).float()
    x: Any = {"sparse": SparseMatrix.from_dense(dense), "dense": dense, "gathered": gathered(dense)}[kind]
    block = replace(shape.block, edge_attr=one_hot(bonds, EDGES).to(torch.uint8))
    batch = Graph(block, dense, shape.ptr).full_batch()
    return batch.with_x(x), atoms, bonds


@pytest.mark.parametrize("kind", ["sparse", "dense", "gathered"])
@pytest.mark.parametrize("edges", [False, True])
def test_what_is_hidden_is_gone_and_told(kind: str, edges: bool) -> None:
    batch, atoms, bonds = molecules(kind)
    before = snapshot(batch)
    view, hidden = mask_atoms(batch, generator(1), SPEC, rate=0.3, edges=edges)
    assert_unchanged(batch, before)
    assert_valid(view)
    assert torch.equal(hidden.codes, atoms[hidden.rows])
    gone = torch.zeros(batch.num_nodes, dtype=torch.bool)
    gone[hidden.rows] = True
    seen, was = dense_features(view.x), dense_features(batch.x)
    assert not seen[gone].any()
    assert torch.equal(seen[~gone], was[~gone])
    block, old = view.blocks[0], batch.blocks[0]
    assert block.edge_attr is not None
    assert old.edge_attr is not None
    source, target = old.edge_index
    touched = (gone[source] | gone[target]) if edges else torch.zeros(old.num_edges, dtype=torch.bool)
    assert not block.edge_attr[touched].any()
    assert torch.equal(block.edge_attr[~touched], old.edge_attr[~touched])
    assert block.edge_attr.dtype == torch.uint8
    assert torch.equal(hidden.edge_codes, bonds[hidden.edges])
    wanted = {tuple(sorted(pair)) for pair in old.edge_index[:, touched].T.tolist()}
    told = [tuple(sorted(pair)) for pair in old.edge_index[:, hidden.edges].T.tolist()]
    assert (len(told), set(told)) == (len(wanted), wanted)
    assert hidden.edge_codes.shape == (len(told), 2)


@pytest.mark.parametrize("rate", [0.0, 0.15, 0.5, 0.99])
def test_every_graph_loses_the_papers_number(rate: float) -> None:
    batch, _, _ = molecules()
    assert batch.graph_ptr is not None
    _, hidden = mask_atoms(batch, generator(), SPEC, rate=rate)
    sizes = batch.graph_ptr.diff().tolist()
    counts = torch.bincount(batch.graph_index()[hidden.rows], minlength=batch.num_graphs).tolist()
    assert counts == [min(int(size * rate + 1e-9) + 1, size) for size in sizes]
    assert torch.equal(hidden.rows, hidden.rows.sort().values)


def test_every_node_is_hidden_as_often_as_others() -> None:
    batch, _, _ = molecules()
    rng, counts = generator(), torch.zeros(batch.num_nodes)
    for _ in range(600):
        counts[mask_atoms(batch, rng, SPEC, rate=0.15)[1].rows] += 1
    assert batch.graph_ptr is not None
    first = counts[int(batch.graph_ptr[1]) : int(batch.graph_ptr[2])]  # a graph of five, of which one goes
    assert first.sum() == 600
    assert float(((first - 120) ** 2 / 120).sum()) < 18.5  # chi-square with 4 degrees, p = 0.001


def test_a_single_graph_is_one_graph() -> None:
    batch, atoms, _ = molecules(shape=toy_graph())
    _, hidden = mask_atoms(batch, generator(), SPEC, rate=0.25, edges=True)
    assert len(hidden.rows) == 13  # of 48
    assert torch.equal(hidden.codes, atoms[hidden.rows])


def test_the_encoder_sees_the_mask_and_nothing_else() -> None:
    """With everything hidden, other atoms and bonds make no difference."""
    encoder = GINE.for_graph(SPEC, hidden_dim=6, num_layers=2).eval()
    batch, _, _ = molecules()
    other = batch.with_x(SparseMatrix.from_dense(dense_features(batch.x).roll(1, 0)))
    views = [mask_atoms(b, generator(), SPEC, rate=0.99, edges=True)[0] for b in (batch, other)]
    assert torch.equal(encoder(views[0]), encoder(views[1]))
    assert not torch.allclose(encoder(batch), encoder(other))


def test_what_was_hidden_before_has_no_code() -> None:
    columns = torch.tensor([[0, 0, 0, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    assert decoded(columns, (Category("a", 3), Category("b", 2))).tolist() == [[-1, 0], [1, -1], [-1, -1]]


def test_what_cannot_be_masked() -> None:
    batch, _, _ = molecules()
    with pytest.raises(InputError, match="the nodes of these data have no categories"):
        mask_atoms(batch, generator(), GraphSpec(8, 6))
    with pytest.raises(InputError, match="the edges of these data have no categories"):
        mask_atoms(batch, generator(), GraphSpec(8, 6, NODES), edges=True)
    block, sources = restrict_rows(batch.blocks[0], torch.tensor([0, 1]))
    cut = MiniBatch(dense_features(batch.x)[sources], (block,), sources, 2)
    with pytest.raises(InputError, match="sampled layer by layer"):
        mask_atoms(cut, generator(), SPEC)
