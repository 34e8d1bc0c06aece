"""Attribute masking against a loop over atoms, and what it must not see."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.augment.mask_atoms import HiddenAtoms
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.spec import Category, GraphSpec
from gssl.graph.storage import Graph
from gssl.methods.attrmask import AttrMask, code_error
from gssl.models.gcn import GCN
from gssl.models.gine import GINE
from gssl.testing.toy import toy_graphs

NODES = (Category("element", 4), Category("charge", 3))
EDGES = (Category("type", 3), Category("stereo", 2))
SPEC = GraphSpec(7, 5, NODES, EDGES, "toy molecules")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def molecules(count: int = 12) -> tuple[Graph, Tensor, Tensor]:
    """Rings of element 0 and stars of element 1 with an odd one here and there, and the codes of nodes and edges."""
    shape = toy_graphs(num_graphs=count)
    assert shape.ptr is not None
    graph = torch.arange(count).repeat_interleave(shape.ptr.diff())
    atoms = torch.stack([graph % 2, torch.arange(shape.num_nodes) % 3], dim=1)
    atoms[::7, 0] = 3
    ends = shape.block.edge_index
    bonds = torch.stack([ends.sum(0) % 3, ends.prod(0) % 2], dim=1)
    x = torch.cat([F.one_hot(atoms[:, 0], 4), F.one_hot(atoms[:, 1], 3)], dim=1).float()
    attr = torch.cat([F.one_hot(bonds[:, 0], 3), F.one_hot(bonds[:, 1], 2)], dim=1).to(torch.uint8)
    block = replace(shape.block, edge_attr=attr)
    return Graph(block, SparseMatrix.from_dense(x), shape.ptr), atoms, bonds


def method_of(**options: object) -> AttrMask:
    encoder = GINE.for_graph(SPEC, hidden_dim=8, num_layers=2, norm="none")
    return AttrMask(encoder, **options)  # type: ignore[arg-type]  # options of each test


def looped(
    method: AttrMask, batch: MiniBatch, atoms: Tensor, bonds: Tensor, weights: list[float]
) -> tuple[float, MiniBatch, HiddenAtoms]:
    """The loss by a loop over what is hidden, with its own lookup of codes; also the view and what it hides."""
    method.reseed(3, CPU)
    view, hidden = method.pretext(batch)
    rows = method.encoder(view)
    graph = batch.graph_index()

    def mean(terms: list[tuple[float, float]]) -> float:
        return sum(w * value for w, value in terms) / sum(w for w, _ in terms)

    total = 0.0
    for head, category in zip(method.heads, method.predicted, strict=True):
        terms = []
        for row in hidden.rows.tolist():
            logits = head(rows[row])
            loss = torch.logsumexp(logits, 0) - logits[atoms[row, category]]
            terms.append((weights[graph[row]], loss.item()))
        total += mean(terms)
    if method.bond_head is not None:
        terms = []
        source, target = batch.blocks[0].edge_index.tolist()
        gone = set(hidden.rows.tolist())
        for edge, (u, v) in enumerate(zip(source, target, strict=True)):
            if u < v and (u in gone or v in gone):
                logits = method.bond_head(rows[u] + rows[v])
                loss = torch.logsumexp(logits, 0) - logits[bonds[edge, 0]]
                terms.append((weights[graph[u]], loss.item()))
        total += mean(terms)
    return total, view, hidden


@pytest.mark.parametrize(
    "options",
    [{}, {"mask_rate": 0.4, "predict": ("charge", "element")}, {"bonds": True, "mask_rate": 0.3}],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_the_cross_entropy_of_what_is_hidden(options: dict[str, object], weighted: bool) -> None:
    graph, atoms, bonds = molecules()
    batch = graph.full_batch()
    weights = [1.0 + number % 3 for number in range(batch.num_graphs)] if weighted else [1.0] * batch.num_graphs
    if weighted:
        batch = replace(batch, weight=torch.tensor(weights))
    method = method_of(**options)
    expected, _, _ = looped(method, batch, atoms, bonds, weights)
    method.reseed(3, CPU)
    assert method.loss(batch).item() == pytest.approx(expected, rel=1e-5)


def test_the_first_category_is_predicted_unless_others_are_named() -> None:
    assert [head.out_features for head in method_of().heads] == [4]
    assert [head.out_features for head in method_of(predict=("charge", "element")).heads] == [3, 4]
    bond_head = method_of(bonds=True).bond_head
    assert bond_head is not None
    assert bond_head.out_features == 3
    assert method_of().bond_head is None


def test_a_hidden_atom_does_not_tell_itself() -> None:
    """Other codes of the hidden atoms, and of their bonds, change the targets but no embedding."""
    graph, _, _ = molecules()
    method, batch = method_of(bonds=True), graph.full_batch()
    method.reseed(1, CPU)
    view, hidden = method.pretext(batch)
    x = dense_features(batch.x).clone()
    x[hidden.rows] = x[hidden.rows].roll(1, 1)
    attr = batch.blocks[0].edge_attr
    assert attr is not None
    gone = torch.zeros(batch.num_nodes, dtype=torch.bool)
    gone[hidden.rows] = True
    touched = gone[batch.blocks[0].edge_index].any(0)
    other = batch.with_x(SparseMatrix.from_dense(x)).map_blocks(
        lambda block: replace(block, edge_attr=torch.where(touched[:, None], attr.roll(1, 1), attr))
    )
    method.reseed(1, CPU)
    second, changed = method.pretext(other)
    assert torch.equal(hidden.rows, changed.rows)
    assert not torch.equal(hidden.codes, changed.codes)
    assert not torch.equal(hidden.edge_codes, changed.edge_codes)
    assert torch.equal(method.encoder(view), method.encoder(second))


def test_every_epoch_hides_other_atoms() -> None:
    method, batch = method_of(), molecules()[0].full_batch()
    seen = []
    for seed in (0, 1, 0):
        method.reseed(seed, CPU)
        seen.append(method.pretext(batch)[1].rows)
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[1])


def test_it_learns_what_the_shape_tells() -> None:
    """Rings are of one element and stars of another, so the loss falls far below that of guessing."""
    graph, _, _ = molecules(40)
    method = AttrMask(GINE.for_graph(SPEC, hidden_dim=16, num_layers=2))
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    losses = []
    for step in range(60):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        loss = method.loss(graph.full_batch())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) / 5 < 0.75 * math.log(3)  # three elements occur
    assert losses[9] < losses[0]


def test_the_embedding_is_that_of_whole_molecules() -> None:
    batch = molecules()[0].full_batch()
    method = method_of().eval()
    assert torch.equal(method.embed(batch), method.encoder.pool(method.encoder(batch), batch))


def test_codes_that_are_not_known_do_not_count() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    codes = torch.tensor([2, -1, 0, -1])
    expected = F.cross_entropy(logits[[0, 2]], codes[[0, 2]])
    torch.testing.assert_close(code_error(logits, codes), expected)
    weight = torch.tensor([3.0, 9.0, 1.0, 9.0])
    terms = F.cross_entropy(logits[[0, 2]], codes[[0, 2]], reduction="none")
    torch.testing.assert_close(code_error(logits, codes, weight), (3 * terms[0] + terms[1]) / 4)
    none = code_error(logits, torch.full((4,), -1))
    none.backward()
    assert none.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_an_encoder_without_a_row_for_hidden_atoms_sees_zeros() -> None:
    method = AttrMask(GCN.for_graph(SPEC, hidden_dim=8))
    loss = method.loss(molecules()[0].full_batch())
    assert math.isfinite(loss.item())


def test_what_cannot_be_masked_is_refused() -> None:
    with pytest.raises(InputError, match=r"AttrMask needs nodes .* but the 7 features .* use molecules: a MoleculeNet"):
        AttrMask(GINE.for_graph(GraphSpec(7, 5)))
    with pytest.raises(InputError, match=r"made without them; make it with GINE.for_graph"):
        AttrMask(GINE(7))
    with pytest.raises(InputError, match="AttrMask needs edges that are described by categories"):
        AttrMask(GINE.for_graph(GraphSpec(7, 0, NODES)), bonds=True)
    with pytest.raises(InputError, match="no category 'mass'; those of these data are element, charge"):
        method_of(predict=("mass",))
