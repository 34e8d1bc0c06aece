import itertools
import math
import threading
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric import nn as pyg_nn

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern, dense_features
from gssl.graph.storage import Graph
from gssl.methods.dgi import DGI
from gssl.models.encoder import Encoder
from gssl.models.gcn import GCN, GCNLayer
from gssl.models.gin import GIN
from gssl.models.sage import SAGE, SAGELayer
from gssl.registry import SAMPLERS
from gssl.samplers.propagation import torch_ops
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.propagation.expansion import Engine
from gssl.samplers.propagation.neighbor import Neighbor, Weights
from gssl.samplers.rng import hash64
from gssl.testing.compare import assert_valid, in_other_process
from gssl.testing.propagations import (
    Choices,
    Kind,
    assert_same_batch,
    directed,
    draw,
    expectation,
    linear,
    numbers,
    outcomes,
)
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

BACKENDS: tuple[Backend, ...] = ("numba", "torch")
FORMS: tuple[Weights, ...] = ("sampled", "ht")


def edges_of(batch: MiniBatch, layer: int) -> list[tuple[int, int]]:
    source, target = batch.node_ids[batch.blocks[layer].edge_index]
    return list(zip(source.tolist(), target.tolist(), strict=True))


@pytest.mark.parametrize("degree", [3, 5])
@pytest.mark.parametrize("fanout", [1, 2, 3])
def test_every_subset_of_edges_is_equally_likely(degree: int, fanout: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def picks(choices: Choices) -> tuple[int, ...]:
        def any_below(_: Tensor, bound: Tensor) -> Tensor:
            count = int(bound)
            return torch.tensor([choices.choose([1 / count] * count)])

        monkeypatch.setattr(torch_ops, "below", any_below)
        drawn = torch_ops.floyd(torch.tensor([0]), torch.tensor([degree]), fanout)
        return tuple(sorted(drawn[0].tolist()))

    found = dict.fromkeys(itertools.combinations(range(degree), fanout), 0.0)
    for probability, subset in outcomes(picks):
        found[subset] += probability
    assert list(found.values()) == pytest.approx([1 / math.comb(degree, fanout)] * len(found))


def test_the_streams_of_rows_are_uniform_and_independent() -> None:
    rows = torch.arange(30_000)
    picks = torch_ops.floyd(hash64(12345, rows), torch.full_like(rows, 5), 2).sort(1).values
    code = picks[:, 0] * 5 + picks[:, 1]
    counts = torch.bincount(code, minlength=25)[[1, 2, 3, 4, 7, 8, 9, 13, 14, 19]].double()
    assert float(((counts - 3000) ** 2 / 3000).sum()) < 27.9  # 0.1 % of chi-squared with 9 degrees of freedom
    pairs = torch.bincount(code[::2] * 25 + code[1::2], minlength=625).double()
    pairs = pairs[pairs > 0]
    assert len(pairs) == 100
    assert float(((pairs - 150) ** 2 / 150).sum()) < 149


def every_subset(choices: Choices) -> Callable[[Tensor, Tensor, int], Tensor]:
    """Stands in for ``floyd``: the subset of each row is a decision."""

    def floyd(_: Tensor, degree: Tensor, fanout: int) -> Tensor:
        rows = []
        for count in degree.tolist():
            subsets = list(itertools.combinations(range(count), fanout))
            rows.append(subsets[choices.choose([1 / len(subsets)] * len(subsets))])
        return torch.tensor(rows)

    return floyd


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["gcn", "mean", "sum"])
@pytest.mark.parametrize("fanouts", [(2, 1), (6, 1)])
def test_linear_embeddings_are_unbiased(
    kind: Kind, weighted: bool, fanouts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = directed(weighted=weighted)
    sampler = Neighbor(graph, num_layers=2, fanouts=fanouts, weights="ht", backend="torch")
    targets = (1, 7, 8) if fanouts[0] == 2 else (0,)

    def embeddings(choices: Choices) -> Tensor:
        monkeypatch.setattr(torch_ops, "floyd", every_subset(choices))
        return linear(sampler.batch(draw(*targets)), kind)

    exact = linear(graph.full_batch(), kind)[list(targets)]
    torch.testing.assert_close(expectation(embeddings), exact, rtol=1e-5, atol=1e-6)  # weights are float32


@pytest.mark.parametrize(("kind", "bias"), [("mean", 0.0), ("sum", -0.5)])
def test_the_sampled_form_keeps_means_and_shrinks_sums(
    kind: Kind, bias: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without edge weights a mean of drawn neighbors is unbiased; a sum falls short by 1 - fanout / degree."""
    cycle = torch.tensor([[1, 2, 0, 2, 0, 1], [0, 0, 1, 1, 2, 2]])
    x = torch.tensor([[1.0], [2.0], [4.0]]).double()
    graph = Graph.from_edge_index(cycle, x)
    sampler = Neighbor(graph, num_layers=1, fanouts=1, backend="torch")

    def messages(choices: Choices) -> Tensor:
        monkeypatch.setattr(torch_ops, "floyd", every_subset(choices))
        return linear(sampler.batch(draw(0, 1, 2)), kind, 1) - x

    exact = linear(graph.full_batch(), kind, 1) - x
    torch.testing.assert_close(expectation(messages), (1 + bias) * exact)


def test_the_sampled_form_biases_gcn(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two neighbors is drawn: the target counts degree 1 instead of 2, and its source 0 instead of 2.

    So its own features weigh 1/2 instead of 1/3, and each neighbor's ``1/2 * 1 / sqrt(2)`` instead of 1/3.
    """
    cycle = torch.tensor([[1, 2, 0, 2, 0, 1], [0, 0, 1, 1, 2, 2]])
    graph = Graph.from_edge_index(cycle, torch.eye(3).double())
    sampler = Neighbor(graph, num_layers=1, fanouts=1, backend="torch")

    def embedding(choices: Choices) -> Tensor:
        monkeypatch.setattr(torch_ops, "floyd", every_subset(choices))
        return linear(sampler.batch(draw(0)), "gcn", 1)

    assert linear(graph.full_batch(), "gcn", 1)[0].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    side = 0.5 / math.sqrt(2)
    assert expectation(embedding)[0].tolist() == pytest.approx([1 / 2, side, side], rel=1e-6)


def copied(layer: SAGELayer | GCNLayer, theirs: pyg_nn.MessagePassing) -> pyg_nn.MessagePassing:
    """PyG's layer with the weights of ours."""
    with torch.no_grad():
        if isinstance(layer, GCNLayer):
            theirs.lin.weight.copy_(layer.weight.T)
            theirs.bias.copy_(layer.bias)
        else:
            theirs.lin_l.weight.copy_(layer.neighbor_weight.T)
            theirs.lin_l.bias.copy_(layer.bias)
            theirs.lin_r.weight.copy_(layer.self_weight.T)
    return theirs


@pytest.mark.parametrize("weighted", [False, True])
def test_the_sampled_form_is_what_pyg_computes_on_the_sampled_edges(weighted: bool) -> None:
    """GCNConv on the drawn edges of each layer, with the edges that a source received below; SAGEConv on each hop."""
    graph = toy_graph(num_nodes=60, in_dim=8, attributes=weighted, isolated=1)
    batch = Neighbor(graph, num_layers=2, fanouts=(3, 2)).batch(draw(0, 5, 17, 59))
    torch.manual_seed(0)
    features = dense_features(batch.x)
    x = features
    if not weighted:  # SAGEConv takes no edge weights
        sage = SAGE(8, hidden_dim=6, num_layers=2, activation="tanh").eval()
        for layer, block in zip(sage.layers, batch.blocks, strict=True):
            theirs = copied(layer, pyg_nn.SAGEConv(x.shape[1], 6))  # type: ignore[arg-type]  # a layer of SAGE
            x = theirs((x, x[: block.num_dst]), block.edge_index).tanh()
        torch.testing.assert_close(sage(batch), x, rtol=1e-5, atol=1e-6)
    gcn = GCN(8, hidden_dim=6, num_layers=2, activation="tanh").eval()
    x, edges, weights = features, torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0)
    for layer, block in zip(gcn.layers, batch.blocks, strict=True):
        below = edges[1] >= block.num_dst
        own = torch.ones(block.num_edges) if block.weight is None else block.weight
        edges = torch.cat([block.edge_index, edges[:, below]], dim=1)
        weights = torch.cat([own, weights[below]])
        theirs = copied(layer, pyg_nn.GCNConv(x.shape[1], 6))  # type: ignore[arg-type]  # a layer of GCN
        everything = torch.cat([x, torch.zeros(batch.num_nodes - len(x), x.shape[1])])
        x = theirs(everything, edges, weights)[: block.num_dst].tanh()
    torch.testing.assert_close(gcn(batch), x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("make", [GCN, SAGE, GIN])
def test_all_edges_give_the_full_forward(make: type[Encoder], weighted: bool, sparse: bool) -> None:
    graph = toy_graph(attributes=weighted, sparse=sparse, isolated=2)
    encoder = make(graph.in_dim, hidden_dim=8, num_layers=3).eval()  # no statistics of the batch
    ids = (47, 3, 20, 46)
    expected = encoder(graph.full_batch())[list(ids)]
    exact = Exact(graph, num_layers=3).batch(draw(*ids))
    torch.testing.assert_close(encoder(exact), expected, rtol=1e-5, atol=1e-5)
    assert exact.num_nodes <= graph.num_nodes
    for form in FORMS:
        assert_same_batch(Neighbor(graph, num_layers=3, fanouts=2, weights=form).batch(draw(*ids, exact=True)), exact)
        every = Neighbor(graph, num_layers=3, fanouts=1000, weights=form).batch(draw(*ids))
        if form == "ht" or make is not GCN:  # the sources whose own edges were not looked at have degree zero
            torch.testing.assert_close(encoder(every), expected, rtol=1e-5, atol=1e-5)
    assert_same_batch(Neighbor(graph, num_layers=3, fanouts=-1, weights="ht").batch(draw(*ids)), exact)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fanouts", [1, (2, 3, -1), (15, 10, 5), 1000])
@pytest.mark.parametrize("weighted", [False, True])
def test_both_backends_make_the_same_batch(fanouts: int | tuple[int, ...], weighted: bool, form: Weights) -> None:
    graph = toy_graph(num_nodes=300, attributes=weighted, isolated=3)
    samplers = [Neighbor(graph, num_layers=3, fanouts=fanouts, weights=form, backend=b) for b in BACKENDS]
    for step in range(5):
        batches = [sampler.batch(draw(299, 0, 41, 7 * step + 1, step=step)) for sampler in samplers]
        assert_same_batch(*batches)


def transposes_made(batch: MiniBatch) -> list[bool]:
    return ["transposed" in block.pattern.__dict__ for block in batch.blocks]


def test_transposes_are_made_ahead_for_those_layers_whose_gradients_asked_for_one() -> None:
    """SAGE sums features first, so that no gradient flows along the first and largest block."""
    graph = toy_graph(num_nodes=300)
    neighbor, sage = Neighbor(graph, num_layers=3, fanouts=4), SAGE(graph.in_dim, hidden_dim=8, num_layers=3)
    for step in range(3):
        batch = neighbor.batch(draw(*range(40), step=step))
        assert transposes_made(batch) == [False, step > 0, step > 0]
        sage(batch).sum().backward()
        assert transposes_made(batch) == [False, True, True]
        for block in batch.blocks[1:]:
            turned, order = block.pattern.transposed
            expected, places = Pattern(block.pattern.rowptr, block.pattern.col, block.num_src).transposed
            for made, sorted_out in [(turned.rowptr, expected.rowptr), (turned.col, expected.col), (order, places)]:
                assert torch.equal(made, sorted_out)
                assert made.dtype == sorted_out.dtype


def test_a_training_with_prefetch_makes_no_transpose_of_the_first_block() -> None:
    graph = toy_graph(num_nodes=300)
    sampler = SAMPLERS.get("graphsage")(graph, num_layers=2, batch_size=60, fanouts=4)
    pretrain(DGI(SAGE(graph.in_dim, hidden_dim=8)), sampler, TrainConfig(epochs=1), seed=0)
    assert [transposes_made(batch) for batch in sampler.epoch(1)] == [[False, True]] * 5


@pytest.mark.parametrize("way", ["itself", "in other memory", "a view of it"])
def test_a_layer_learns_that_its_transpose_is_needed(way: str) -> None:
    neighbor = Neighbor(toy_graph(num_nodes=300), num_layers=2, fanouts=4)
    pattern = neighbor.batch(draw(1, 2, 3)).blocks[0].pattern
    if way == "in other memory":
        pattern = pattern.map(torch.clone)
    if way == "a view of it":
        pattern = pattern.filter(torch.arange(pattern.nnz) % 3 > 0)
    assert "transposed" not in pattern.__dict__
    turned, order = pattern.transposed
    assert torch.equal(turned.row, pattern.col[order])
    assert torch.equal(turned.col, pattern.row[order])
    assert transposes_made(neighbor.batch(draw(1, 2, 3))) == [True, False]


@given(
    degrees=st.lists(st.integers(0, 200), min_size=1, max_size=12),
    fanout=st.one_of(st.just(-1), st.integers(1, 80)),
    stream=st.integers(0, 2**63 - 1),
    long=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_picks_are_distinct_edges_of_their_rows(degrees: list[int], fanout: int, stream: int, long: bool) -> None:
    dtype = torch.int64 if long else torch.int32
    rowptr = torch.tensor([0, *itertools.accumulate(degrees)], dtype=dtype)
    rng = torch.Generator().manual_seed(stream % 1000)
    col = torch.randint(len(degrees), (sum(degrees),), generator=rng).to(dtype)
    pattern = Pattern(rowptr, col, len(degrees))
    rows = torch.randperm(len(degrees), generator=rng)[: 1 + len(degrees) // 2]
    left, right = (Engine(pattern, backend).start(rows) for backend in BACKENDS)
    hop, same = left.uniform(fanout, stream), right.uniform(fanout, stream)
    assert torch.equal(left.nodes, right.nodes)
    for a, b in [(hop.pattern.rowptr, same.pattern.rowptr), (hop.pattern.col, same.pattern.col)]:
        assert torch.equal(a, b)
    assert torch.equal(hop.position, same.position)
    assert torch.equal(left.nodes[hop.pattern.col.long()], col[hop.position.long()].long())
    assert len(set(left.nodes.tolist())) == len(left.nodes) == hop.pattern.num_cols
    for number, row in enumerate(rows.tolist()):
        positions = hop.position[hop.pattern.rowptr[number] : hop.pattern.rowptr[number + 1]].tolist()
        expected = degrees[row] if fanout < 0 else min(fanout, degrees[row])
        assert len(set(positions)) == len(positions) == expected
        assert all(rowptr[row] <= p < rowptr[row + 1] for p in positions)


def test_a_draw_is_a_matter_of_its_key_alone() -> None:
    graph = toy_graph(attributes=True)
    draws = [draw(1, 2, 3, step=step) for step in range(3)]
    sampler = Neighbor(graph, num_layers=2, fanouts=2)
    expected = numbers(sampler, *draws)
    assert numbers(sampler, *reversed(draws)) == expected[::-1]
    assert in_other_process(numbers, sampler, *draws) == expected
    assert expected[0] != expected[1]
    assert numbers(sampler, draw(1, 2, 3, seed=1)) != expected[:1]


def test_layers_draw_independently() -> None:
    graph = toy_graph(num_nodes=200)
    batch = Neighbor(graph, num_layers=2, fanouts=1).batch(draw(*range(100)))
    upper = set(edges_of(batch, 1))
    lower = {edge for edge in edges_of(batch, 0) if edge[1] < 100}
    assert len(upper) == len(lower) == 100
    assert 2 < len(upper & lower) < 40  # a tenth or so agree by chance


def test_threads_do_not_disturb_each_other() -> None:
    graph = toy_graph(num_nodes=300)
    sampler = Neighbor(graph, num_layers=2, fanouts=3)
    draws = [draw(*range(step, 300, 7), step=step) for step in range(7)]
    expected = [numbers(sampler, d) for d in draws]
    found: dict[int, list[list[dict[str, list[float]]]]] = {}

    def work(thread: int) -> None:
        found[thread] = [numbers(sampler, d) for _ in range(5) for d in draws]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[number] == expected * 5 for number in range(3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_target_without_edges_and_a_hub(backend: Backend) -> None:
    graph = directed(weighted=True)
    batch = Neighbor(graph, num_layers=2, fanouts=(3, 2), weights="ht", backend=backend).batch(draw(8, 7, 0))
    assert_valid(batch)
    assert batch.blocks[1].pattern.counts.tolist() == [0, 0, 3]
    assert batch.node_ids[:3].tolist() == [8, 7, 0]
    weight = graph.block.weight
    assert weight is not None
    assert batch.blocks[1].full_degree is not None
    assert batch.blocks[1].full_degree[:3].tolist() == graph.block.degree[[8, 7, 0]].tolist()
    alone = Neighbor(graph, num_layers=2, fanouts=2, backend=backend).batch(draw(8))
    assert alone.num_nodes == 1
    assert alone.blocks[0].num_edges == 0


@pytest.mark.parametrize("form", FORMS)
def test_attributes_and_weights_are_those_of_the_edges(form: Weights) -> None:
    graph = directed(weighted=True)
    known = {
        edge: (weight, attributes)
        for edge, weight, attributes in zip(
            map(tuple, graph.block.edge_index.T.tolist()),
            graph.block.weight.tolist(),  # type: ignore[union-attr]  # the graph has weights
            graph.block.edge_attr.tolist(),  # type: ignore[union-attr]  # and attributes
            strict=True,
        )
    }
    batch = Neighbor(graph, num_layers=1, fanouts=2, weights=form).batch(draw(0, 1))
    block = batch.blocks[0]
    factor = {0: 7 / 2, 1: 3 / 2} if form == "ht" else {0: 1.0, 1: 1.0}
    assert block.weight is not None
    assert block.edge_attr is not None
    for edge, weight, attributes in zip(
        edges_of(batch, 0), block.weight.tolist(), block.edge_attr.tolist(), strict=True
    ):
        assert weight == pytest.approx(known[edge][0] * factor[edge[1]])
        assert attributes == known[edge][1]


def test_features_may_be_mapped_from_a_file(tmp_path: object) -> None:
    graph = toy_graph()
    assert isinstance(graph.x, Tensor)
    name = f"{tmp_path}/x"
    stored = torch.from_file(name, shared=True, size=graph.x.numel()).view(graph.x.shape)
    stored.copy_(graph.x)
    mapped = Graph(graph.block, torch.from_file(name, size=graph.x.numel()).view(graph.x.shape))
    assert_same_batch(*(Neighbor(g, num_layers=2, fanouts=2).batch(draw(4, 5)) for g in (graph, mapped)))


def test_more_layers_than_blocks() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match="more layers than blocks: fanouts has 2 numbers, the encoder 3 layers"):
        Neighbor(graph, num_layers=3, fanouts=(5, 5))
    with pytest.raises(InputError, match="fewer layers than blocks"):
        Neighbor(graph, num_layers=1, fanouts=(5, 5))
    with pytest.raises(InputError, match="a fan-out must be positive"):
        Neighbor(graph, num_layers=1, fanouts=0)
    batch = Neighbor(graph, num_layers=2, fanouts=2).batch(draw(0))
    with pytest.raises(InputError, match="more layers"):
        GCN(graph.in_dim, num_layers=3)(batch)


def test_horvitz_thompson_weights_of_targets() -> None:
    batch = Neighbor(toy_graph(), num_layers=1, fanouts=2).batch(draw(0, 5))
    assert batch.weight is not None
    assert batch.weight.tolist() == [2.0, 2.0]
    assert batch.weight.dtype == torch.float32
