"""GINE against PyG and plain embeddings, and its fused messages against every other way to sum them."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import GINConv, GINEConv

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern, SparseMatrix
from gssl.graph.spec import Category, GraphSpec, Vocabulary
from gssl.graph.storage import Graph
from gssl.models.encoder import edge_attr_note, encoder_for
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.models.gine import GINE, GINELayer
from gssl.models.messages import chunked_messages, distinct_rows, edge_attributes, relu_messages
from gssl.testing.encoders import EncoderContract
from gssl.testing.toy import toy_graph, toy_graphs

ATOMS, BONDS = (5, 3), (4, 2)
MOLECULES = Vocabulary(
    "toy molecules",
    nodes=(Category("element", 5), Category("charge", 3)),
    edges=(Category("type", 4), Category("direction", 2)),
)


class TestGINE(EncoderContract):
    encoder = GINE
    options = {"hidden_dim": 8, "num_layers": 2}


class TestGINEPlain(EncoderContract):
    encoder = GINE
    options = {"hidden_dim": 8, "num_layers": 3, "message": "plain", "learn_eps": True, "jk": "cat", "norm": "none"}


def one_hot(codes: Tensor, sizes: tuple[int, ...]) -> Tensor:
    parts = [nn.functional.one_hot(codes[:, i], size) for i, size in enumerate(sizes)]
    return torch.cat(parts, dim=1).float()


def molecules(*, seed: int = 0, sparse: bool = True) -> tuple[Graph, Tensor, Tensor]:
    """Twelve graphs with categories of nodes and edges, and the codes of both."""
    rng = torch.Generator().manual_seed(seed)
    shape = toy_graphs(num_graphs=12)
    atoms = torch.stack([torch.randint(size, (shape.num_nodes,), generator=rng) for size in ATOMS], dim=1)
    edges = shape.block.edge_index
    low, high = edges.min(0).values, edges.max(0).values  # both directions of a bond are the same bond
    bonds = torch.stack([(3 * low + high) % 4, (low + 2 * high) % 2], dim=1)
    x = one_hot(atoms, ATOMS)
    block = replace(shape.block, edge_attr=one_hot(bonds, BONDS))
    return Graph(block, SparseMatrix.from_dense(x) if sparse else x, shape.ptr), atoms, bonds


@pytest.mark.parametrize(("message", "peer"), [("relu", GINEConv), ("plain", GINConv)])
def test_a_layer_is_pygs(message: str, peer: type[nn.Module]) -> None:
    graph = toy_graph(attributes=True)
    block = replace(graph.block, weight=None)
    layer = GINELayer(24, 6, eps=0.3, edge_dim=2, message=message)  # type: ignore[arg-type]
    assert layer.edge_table is not None
    x = graph.x
    assert isinstance(x, Tensor)
    assert block.edge_attr is not None
    if message == "relu":
        other = peer(layer.mlp, eps=0.3, edge_dim=2)
        other.lin.weight.data, other.lin.bias.data = layer.edge_table.data[:2].T, torch.zeros(24)  # type: ignore[union-attr]
        wanted = other(x, block.edge_index, block.edge_attr)
    else:
        bias = torch.zeros_like(x).index_add(0, block.pattern.row, block.edge_attr @ layer.edge_table[:2])
        other = peer(nn.Identity(), eps=0.3)
        wanted = layer.mlp(other(x, block.edge_index) + bias)
    torch.testing.assert_close(layer(block, x), wanted)


@pytest.mark.parametrize("sparse", [True, False])
def test_categories_are_embedded_as_by_tables(sparse: bool) -> None:
    """The sum of embeddings of Hu et al.'s ``x_embedding1(x[:, 0]) + x_embedding2(x[:, 1])``, of bonds likewise."""
    graph, atoms, bonds = molecules(sparse=sparse)
    encoder = GINE.for_graph(GraphSpec.of(graph, MOLECULES), hidden_dim=7, num_layers=1, norm="none")
    (layer,) = encoder.layers
    assert isinstance(layer, GINELayer)
    assert layer.embedding is not None
    assert layer.edge_table is not None

    def looked_up(table: Tensor, codes: Tensor, sizes: tuple[int, ...]) -> Tensor:
        parts = table.split(sizes)
        return torch.stack([part[codes[:, i]] for i, part in enumerate(parts)]).sum(0)

    h = looked_up(layer.embedding.table, atoms, ATOMS)
    e = looked_up(layer.edge_table[:-1], bonds, BONDS)
    source, target = graph.block.edge_index
    total = h.index_add(0, target, (h[source] + e).relu())
    torch.testing.assert_close(encoder(graph.full_batch()), layer.mlp(total))


def test_hidden_atoms_and_bonds_get_the_learned_rows() -> None:
    graph, _, _ = molecules()
    assert isinstance(graph.x, SparseMatrix)
    assert graph.block.edge_attr is not None
    hidden = torch.zeros(graph.num_nodes, dtype=torch.bool)
    hidden[[0, 9]] = True
    attr = graph.block.edge_attr.clone()
    attr[5] = 0
    x = graph.x.filter(~hidden[graph.x.pattern.row.long()])
    encoder = GINE.for_graph(GraphSpec.of(graph, MOLECULES), hidden_dim=7, num_layers=1)
    (layer,) = encoder.layers
    assert isinstance(layer, GINELayer)
    assert layer.embedding is not None
    assert layer.edge_table is not None
    h = layer.embedding(x)
    plain = graph.x.to_dense() @ layer.embedding.table
    torch.testing.assert_close(h[hidden], layer.embedding.hidden.expand(2, -1))
    torch.testing.assert_close(h[~hidden], plain[~hidden])
    block = replace(graph.block, edge_attr=attr)
    rows = edge_attributes(block, 6, h) @ layer.edge_table
    torch.testing.assert_close(rows[5], layer.edge_table[-1])
    view = replace(graph.full_batch(), x=x, blocks=(block,))
    encoder(view).square().sum().backward()
    assert layer.embedding.hidden.grad is not None
    assert layer.embedding.hidden.grad.abs().sum() > 0
    assert layer.edge_table.grad is not None
    assert layer.edge_table.grad[-1].abs().sum() > 0


def test_a_token_of_a_masked_autoencoder_is_no_hidden_row() -> None:
    graph, _, _ = molecules()
    assert isinstance(graph.x, SparseMatrix)
    rows = torch.arange(graph.num_nodes) < 3
    kept = graph.x.filter(~rows[graph.x.pattern.row.long()])
    token = torch.rand(graph.in_dim)
    encoder = GINE.for_graph(GraphSpec.of(graph), hidden_dim=7, num_layers=1)
    (layer,) = encoder.layers
    assert isinstance(layer, GINELayer)
    assert layer.embedding is not None
    h = layer.embedding(SparseMatrix(kept.pattern, kept.value, token, rows))
    torch.testing.assert_close(h[rows], (token @ layer.embedding.table).expand(3, -1))


def _problem(seed: int, *, weighted: bool) -> tuple[Pattern, Tensor | None, Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    row = torch.randint(5, (40,), generator=rng)
    col = torch.randint(8, (40,), generator=rng)
    pattern, _ = Pattern.from_coo(row, col, 6, 8)  # row 5 hears from nobody, and edges repeat
    weight = torch.rand(40, generator=rng).double().requires_grad_() if weighted else None
    x = torch.randn(8, 3, generator=rng).double().requires_grad_()
    attr = one_hot(torch.randint(2, (40, 2), generator=rng), (3, 2)).double()
    return pattern, weight, x, attr, torch.randn(5, 3, generator=rng).double().requires_grad_()


@pytest.mark.parametrize("weighted", [False, True])
def test_fused_messages_are_messages(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gssl.models.messages._CHUNK", 7)
    results = []
    for how in ("plain", "chunked", "fused"):
        pattern, weight, x, attr, table = _problem(3, weighted=weighted)
        if how == "plain":
            message = (x[pattern.col.long()] + attr @ table).relu()
            message = message if weight is None else message * weight.unsqueeze(1)
            out = torch.zeros(6, 3).double().index_add(0, pattern.row.long(), message)
        elif how == "chunked":
            out = chunked_messages(pattern, weight, x, attr, table)
        else:
            out = relu_messages(pattern, weight, x, attr, table)
            assert "_Fused" in type(out.grad_fn).__name__
        (out * torch.linspace(-1, 1, 18).view(6, 3)).sum().backward()
        results.append([out.detach(), x.grad, table.grad, *([] if weight is None else [weight.grad])])
    for other in results[1:]:
        for value, wanted in zip(other, results[0], strict=True):
            torch.testing.assert_close(value, wanted, rtol=1e-10, atol=1e-10)


def test_numbers_as_attributes_take_the_other_path() -> None:
    pattern, _, x, _, _ = _problem(0, weighted=False)
    many = torch.arange(40 * 50).view(-1, 1).float()
    assert distinct_rows(many) is None
    attr, table = torch.rand(40, 2).double(), torch.randn(2, 3).double()
    out = relu_messages(pattern, None, x, attr, table)
    wanted = torch.zeros(6, 3).double().index_add(0, pattern.row.long(), (x[pattern.col.long()] + attr @ table).relu())
    torch.testing.assert_close(out, wanted)


def test_rows_that_one_number_cannot_tell_apart_are_noticed() -> None:
    rows = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.5]]).double()  # 1 and sqrt(4) / 2
    assert distinct_rows(rows) is None
    first, code = distinct_rows(torch.eye(3).repeat(2, 1).double()) or (None, None)
    assert first is not None
    assert code is not None
    assert sorted(first.tolist()) == [0, 1, 2]
    assert code[:3].tolist() == code[3:].tolist()


def test_both_paths_agree_in_single_precision_and_small_integers() -> None:
    graph, _, _ = molecules()
    block = graph.block
    assert block.edge_attr is not None
    small = replace(block, edge_attr=block.edge_attr.to(torch.uint8))
    encoder = GINE.for_graph(GraphSpec.of(graph), hidden_dim=7, num_layers=2).eval()
    batch = graph.full_batch()
    assert torch.equal(encoder(replace(batch, blocks=(small,))), encoder(batch))
    h = torch.randn(graph.num_nodes, 7)
    attr, table = edge_attributes(block, 6, h), torch.randn(7, 7)
    torch.testing.assert_close(
        relu_messages(block.pattern, None, h, attr, table), chunked_messages(block.pattern, None, h, attr, table)
    )


def test_bonds_matter_and_can_be_left_out() -> None:
    graph, _, _ = molecules()
    spec = GraphSpec.of(graph, MOLECULES)
    batch = graph.full_batch()
    assert graph.block.edge_attr is not None
    other = replace(batch, blocks=(replace(graph.block, edge_attr=graph.block.edge_attr.flip(1)),))
    encoder = GINE.for_graph(spec, hidden_dim=7).eval()
    assert (encoder.spec, encoder.uses_edge_attr, edge_attr_note(encoder, graph)) == (spec, True, None)
    assert not torch.allclose(encoder(batch), encoder(other))
    without = GINE.for_graph(spec, hidden_dim=7, edge_attr=False).eval()
    assert torch.equal(without(batch), without(other))
    assert not without.uses_edge_attr
    assert edge_attr_note(without, graph) is None


def test_an_encoder_made_for_other_bonds_says_so() -> None:
    graph, _, _ = molecules()
    encoder = GINE(graph.in_dim, hidden_dim=7, edge_dim=3)
    with pytest.raises(InputError, match="made for 3 edge attributes, the graph has 6"):
        encoder(graph.full_batch())
    with pytest.raises(InputError, match="made for 3 edge attributes, the graph has 0"):
        encoder(MiniBatch(graph.x, (Block(graph.block.pattern),), torch.arange(graph.num_nodes), graph.num_nodes))


def test_what_is_said_about_edge_attributes() -> None:
    graph, _, _ = molecules()
    spec = GraphSpec.of(graph, MOLECULES)
    note = edge_attr_note(encoder_for(GCN, spec), graph)
    assert note is not None
    assert "GCN leaves out the 6 edge attributes" in note
    assert "--encoder GINE" in note
    assert edge_attr_note(encoder_for(GCN, spec, edge_attr=False), graph) is None
    with pytest.raises(InputError, match="GCN has no use for edge attributes"):
        encoder_for(GCN, spec, edge_attr=True)
    gin = encoder_for(GIN, spec)
    assert "encoder.edge_attr=true uses them" in (edge_attr_note(gin, graph) or "")
    used = encoder_for(GIN, spec, edge_attr=True)
    assert isinstance(used, GIN)
    assert (used.edge_dim, edge_attr_note(used, graph)) == (6, None)
    plain = toy_graph()
    assert edge_attr_note(encoder_for(GIN, GraphSpec.of(plain)), plain) is None
    with pytest.raises(InputError, match="the data have no edge attributes"):
        encoder_for(GIN, GraphSpec.of(plain), edge_attr=True)


def test_the_last_layer_has_a_norm_and_no_activation() -> None:
    graph, _, _ = molecules()
    encoder = GINE.for_graph(GraphSpec.of(graph), hidden_dim=7, num_layers=2)
    out = encoder(graph.full_batch())
    assert (out < 0).any()
    torch.testing.assert_close(out.mean(0), torch.zeros(7), atol=1e-5, rtol=0)  # batch norm in training mode
    assert (GINE.for_graph(GraphSpec.of(graph), hidden_dim=7, final_activation=True)(graph.full_batch()) >= 0).all()
