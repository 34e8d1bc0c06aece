"""Methods that predict properties of nodes and pairs, against loops over them."""

import builtins
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import networkx
import pytest
import torch
from torch import Tensor

from gssl.augment.node_targets import neighbor_counts, principal_scores
from gssl.common.errors import InputError
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.autossl import AutoSSL
from gssl.methods.auxiliary import Auxiliary
from gssl.methods.completion import Completion
from gssl.methods.distance2clusters import Distance2Clusters
from gssl.methods.edge_mask import EdgeMask
from gssl.methods.hop_prediction import HopPrediction
from gssl.methods.node_property import NodeProperty
from gssl.methods.pairwise_attr_sim import PairwiseAttrSim
from gssl.methods.pairwise_distance import PairwiseDistance
from gssl.methods.partitioning import Partitioning
from gssl.methods.properties import Told, head_error
from gssl.methods.s2grl import S2GRL
from gssl.models.gcn import GCN
from gssl.registry import METHODS, SAMPLERS
from gssl.samplers.full import FullBatch
from gssl.testing.toy import toy_dataset, toy_graph, without_edges

CPU = torch.device("cpu")
PROPERTIES: dict[str, dict[str, Any]] = {
    "NodeProperty": {},
    "EdgeMask": {},
    "PairwiseDistance": {"pairs": 50},
    "S2GRL": {},
    "Distance2Clusters": {"clusters": 4},
    "PairwiseAttrSim": {"pairs": 50},
    "Clustering": {"clusters": 4},
    "Partitioning": {"parts": 4},
    "Completion": {"dim": 4},
}


def make(name: str, graph: Graph, seed: int = 0, **options: Any) -> Method:
    torch.manual_seed(0)
    encoder = GCN(graph.in_dim, hidden_dim=6, activation="prelu")
    method: Method = METHODS.get(name)(encoder, **{**PROPERTIES[name], **options})
    method.prepare(graph, seed)
    method.reseed(1, CPU)
    return method


def cross_entropy(logits: Tensor, target: int) -> float:
    values = logits.tolist()
    return math.log(sum(math.exp(value) for value in values)) - float(values[target])


def scattered() -> Graph:
    """A path of nine nodes, a triangle, and two nodes by themselves."""
    edges = torch.tensor([[*range(8), 9, 10, 11], [*range(1, 9), 10, 11, 9]])
    x = torch.rand(14, 5, generator=torch.Generator().manual_seed(0))
    return Graph.from_edge_index(torch.cat([edges, edges.flip(0)], dim=1), x)


def lengths(graph: Graph) -> Mapping[int, Mapping[int, int]]:
    drawn = networkx.Graph()
    drawn.add_nodes_from(range(graph.num_nodes))
    drawn.add_edges_from(graph.block.edge_index.T.tolist())
    return dict(networkx.all_pairs_shortest_path_length(drawn))


@pytest.mark.parametrize("weighted", [False, True])
def test_each_pair_is_compared_with_its_own_target(weighted: bool) -> None:
    """The authors' code of PairwiseAttrSim compares it with those of all pairs, by broadcasting."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    pairs = torch.randint(9, (2, 12), generator=generator)
    value = torch.rand(12, generator=generator, dtype=torch.float64)
    code = torch.randint(3, (12,), generator=generator)
    weight = torch.rand(9, generator=generator, dtype=torch.float64) + 0.5 if weighted else None
    w = [1.0] * 12 if weight is None else [float(weight[i] * weight[j]) for i, j in pairs.T.tolist()]
    one, three = torch.nn.Linear(4, 1).double(), torch.nn.Linear(4, 3).double()
    squares, entropies = 0.0, 0.0
    for p, (i, j) in enumerate(pairs.T.tolist()):
        difference = torch.tensor([abs(float(z[i, c] - z[j, c])) for c in range(4)], dtype=torch.float64)
        squares += w[p] * (one(difference).item() - float(value[p])) ** 2
        entropies += w[p] * cross_entropy(three(difference), int(code[p]))
    assert head_error(one, z, Told(pairs, value), weight).item() == pytest.approx(squares / sum(w))
    assert head_error(three, z, Told(pairs, code), weight).item() == pytest.approx(entropies / sum(w))


def test_nothing_to_predict_is_no_error() -> None:
    z = torch.randn(3, 4, requires_grad=True)
    loss = head_error(torch.nn.Linear(4, 2), z, Told(torch.empty(2, 0).long(), torch.empty(0).long()), None)
    loss.backward()
    assert loss.item() == 0
    assert z.grad is not None


def test_degrees_are_told_in_classes() -> None:
    graph = toy_graph(isolated=2)
    method = make("NodeProperty", graph, bounds=(0, 4, 8))
    degree = neighbor_counts(graph.block.pattern).tolist()
    assert {0, 4, 6, 8, 9} <= set(degree), "a bound is not tried"
    classes = [0 if d == 0 else 1 if d <= 4 else 2 if d <= 8 else 3 for d in degree]
    batch = graph.full_batch()
    weight = torch.rand(48) + 0.5
    assert isinstance(method, NodeProperty)
    logits = method.head(method.embed(batch))
    terms = [cross_entropy(logits[i], c) * float(weight[i]) for i, c in enumerate(classes)]
    loss = method.loss(replace(batch, weight=weight))
    assert loss.item() == pytest.approx(sum(terms) / float(weight.sum()), rel=1e-5)


@pytest.mark.parametrize("bounds", [(7, 2), (3, 3)])
def test_degrees_must_rise(bounds: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="degrees must rise"):
        NodeProperty(GCN(3, hidden_dim=4), bounds=bounds)


@pytest.mark.parametrize("name", ["PairwiseDistance", "S2GRL"])
def test_distances_are_told_right(name: str) -> None:
    graph = scattered()
    method = make(name, graph, hops=3)
    assert isinstance(method, HopPrediction)
    _, told = method.pretext(graph.full_batch())
    far, rows = lengths(graph), told.rows
    assert rows is not None
    classes = Counter(told.target.tolist())
    for (i, j), code in zip(rows.T.tolist(), told.target.tolist(), strict=True):
        assert i != j
        if j not in far[i]:
            assert name == "PairwiseDistance", "nodes without a path are no pair"
            assert code == 2
        else:
            assert code == min(far[i][j], 3) - 1
    apart = any(j not in far[i] for i, j in rows.T.tolist())
    assert apart == (name == "PairwiseDistance")
    if name == "PairwiseDistance":
        assert classes == {0: 50, 1: 50, 2: 50}
        return
    expected = [(i, hop) for i in range(14) for hop in (1, 2, 3) if hop in {min(d, 3) for d in far[i].values()}]
    found = [(i, code + 1) for i, code in zip(rows[0].tolist(), told.target.tolist(), strict=True)]
    assert sorted(found) == sorted(expected), "every node has each of its contexts once"


def test_pairs_of_a_distance_are_drawn_alike() -> None:
    """Neighbors of a star and of a pair: one in four joins the pair, though two in five nodes are in it."""
    edges = torch.tensor([[0, 0, 0, 4], [1, 2, 3, 5]])
    graph = Graph.from_edge_index(torch.cat([edges, edges.flip(0)], dim=1), torch.rand(6, 3))
    pairs, contexts = make("PairwiseDistance", graph, hops=2, pairs=4000), make("S2GRL", graph, hops=2, contexts=400)
    shares = []
    for method in (pairs, contexts):
        assert isinstance(method, HopPrediction)
        _, told = method.pretext(graph.full_batch())
        assert told.rows is not None
        near = told.rows[:, told.target == 0]
        shares.append(float((near[0] >= 4).float().mean()))
    assert shares[0] == pytest.approx(2 / 8, abs=0.03)
    assert shares[1] == pytest.approx(2 / 6, abs=1e-6)


def test_anchors_are_drawn_anew_at_each_step() -> None:
    graph = toy_graph()
    method = make("S2GRL", graph, anchors=5)
    assert isinstance(method, S2GRL)
    seen = set()
    for _ in range(4):
        rows = method.pretext(graph.full_batch())[1].rows
        assert rows is not None
        assert len(rows[0].unique()) == 5
        seen.add(tuple(rows[0].unique().tolist()))
    assert len(seen) > 1


@pytest.mark.parametrize("sampler", ["graphsage", "clustergcn", "shadow"])
@pytest.mark.parametrize("name", ["PairwiseDistance", "S2GRL", "PairwiseAttrSim"])
def test_pairs_of_a_sampled_batch_are_those_of_the_graph(name: str, sampler: str) -> None:
    graph = toy_graph(num_nodes=96)
    method = make(name, graph)
    source = SAMPLERS.get(sampler)(graph, num_layers=2, batch_size=30)
    far = lengths(graph)
    alike = torch.nn.functional.normalize(dense_features(graph.x), dim=1)
    count = 0
    for batch in source.epoch(0):
        assert isinstance(method, HopPrediction | PairwiseAttrSim)
        _, told = method.pretext(batch)
        assert told.rows is not None
        count += told.rows.shape[1]
        assert bool((told.rows < batch.num_targets).all())
        for (i, j), target in zip(batch.node_ids[told.rows].T.tolist(), told.target.tolist(), strict=True):
            if name == "PairwiseAttrSim":
                assert target == pytest.approx(float(alike[i] @ alike[j]), abs=1e-5)
            else:
                assert target == min(far[i].get(j, 4), 4) - 1
    assert count > 50


def test_hidden_edges_are_told_from_non_edges() -> None:
    graph = toy_graph()
    method = make("EdgeMask", graph, p=0.3)
    assert isinstance(method, EdgeMask)
    view, target = method.pretext(graph.full_batch())
    edges = set(map(tuple, graph.block.edge_index.T.tolist()))
    left = set(map(tuple, view.blocks[0].edge_index.T.tolist()))
    hidden = set(map(tuple, target.positive.T.tolist()))
    assert hidden == edges - left
    assert len(hidden) == pytest.approx(0.3 * len(edges), rel=0.25)
    assert any((j, i) in left for i, j in hidden), "each direction is hidden by itself"
    assert not set(map(tuple, target.negative.T.tolist())) & edges
    z = method.encoder(view)
    pairs = [
        *(((i, j), 1) for i, j in target.positive.T.tolist()),
        *(((i, j), 0) for i, j in target.negative.T.tolist()),
    ]
    terms = [cross_entropy(method.head((z[i] - z[j]).abs()), code) for (i, j), code in pairs]
    assert method.error(z, view, target).item() == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_parts_and_their_centers_are_what_is_told() -> None:
    graph = scattered()
    near, parts = make("Distance2Clusters", graph, clusters=2), make("Partitioning", graph, parts=2)
    assert isinstance(near, Distance2Clusters)
    assert isinstance(parts, Partitioning)
    (label,), (target,), far = parts.made(CPU), near.made(CPU), lengths(graph)
    for part in (0, 1):
        centers = [i for i in range(14) if target[i, part] == 1 and label[i] == part]
        assert any(
            all(float(target[i, part]) == pytest.approx(1 / max(far[c][i], 1) if i in far[c] else 0) for i in range(14))
            for c in centers
        ), "no node of the part has these distances to all others"
    batch = graph.full_batch()
    expected = (near.head(near.embed(batch)) - target).square().mean()
    torch.testing.assert_close(near.loss(batch), expected)


@pytest.mark.parametrize("sparse", [False, True])
def test_hidden_features_cannot_be_seen(sparse: bool) -> None:
    graph = toy_graph(sparse=sparse)
    method = make("Completion", graph, mask_rate=0.5)
    assert isinstance(method, Completion)
    view, told = method.pretext(graph.full_batch())
    assert told.rows is not None
    assert len(told.rows) == 24
    seen, whole = dense_features(view.x), dense_features(graph.x)
    assert bool((seen[told.rows] == 0).all())
    others = torch.ones(48, dtype=torch.bool)
    others[told.rows] = False
    assert torch.equal(seen[others], whole[others])
    scores = principal_scores(graph.x, 4)
    weight = torch.rand(48) + 0.5
    z = method.encoder(view)
    gaps = [(weight[i] * (method.head(z[i]) - scores[i]).abs().mean()).item() for i in told.rows.tolist()]
    loss = method.error(z, replace(view, weight=weight), told)
    assert loss.item() == pytest.approx(sum(gaps) / float(weight[told.rows].sum()), rel=1e-4)


@pytest.mark.parametrize("name", [name for name in PROPERTIES if name != "EdgeMask"])
def test_targets_are_made_once_for_all_seeds_and_at_the_first_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = toy_graph()
    first, second = make(name, graph), make(name, graph, seed=5)
    first.embed(graph.full_batch())
    assert not [key for key in graph.__dict__.get("_derived", {}) if key.startswith(name)]
    first.loss(graph.full_batch())
    monkeypatch.setattr(type(first), "make", lambda *_: pytest.fail("made again"))
    second.loss(graph.full_batch())


def test_what_was_not_prepared_says_so() -> None:
    with pytest.raises(InputError, match=r"NodeProperty knows no graph yet; call prepare"):
        NodeProperty(GCN(24, hidden_dim=4)).loss(toy_graph().full_batch())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "Distance2Clusters",
            {"clusters": 49},
            "cannot make 49 parts of 48 nodes; choose --set clusters of at most 48",
        ),
        ("Partitioning", {"parts": 49}, "cannot make 49 parts of 48 nodes; choose --set parts of at most 48"),
        ("Clustering", {"clusters": 49}, "cannot make 49 parts of 48 nodes"),
        ("PairwiseAttrSim", {"neighbors": 48}, "cannot find 48 others among 48 nodes"),
        ("Completion", {"dim": 24}, "cannot find 24 principal directions in 48 rows of 24 features"),
    ],
)
def test_more_than_there_is_is_refused(name: str, options: dict[str, int], message: str) -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match=message):
        make(name, graph, **options).check_sampler(FullBatch(graph))


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_graph_that_says_nothing_is_refused(name: str) -> None:
    graph = toy_graph()
    bare = Graph(without_edges(graph.full_batch()).blocks[0], graph.x)
    alike = Graph(graph.block, torch.ones(48, 24))
    reads_edges = name not in ("PairwiseAttrSim", "Clustering")
    reads_features = name in ("PairwiseAttrSim", "Clustering", "Completion")
    for other, refused, word in ((bare, reads_edges, "edges"), (alike, reads_features, "features")):
        method = make(name, other)
        if not refused:
            method.check_sampler(FullBatch(other))
            continue
        with pytest.raises(InputError, match=rf"{name} (predicts|learns from) .*{word}"):
            method.check_sampler(FullBatch(other))


def test_without_metis_nothing_is_trained_on_random_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "pymetis":
            raise ImportError("no pymetis")
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    graph = toy_graph()
    for name in ("Partitioning", "Distance2Clusters"):
        with pytest.raises(InputError, match="the graph cannot be cut by METIS"):
            make(name, graph).loss(graph.full_batch())


@pytest.mark.parametrize("name", PROPERTIES)
def test_it_trains_beside_other_methods_and_beside_labels(name: str) -> None:
    dataset = toy_dataset("node")
    graph = dataset.graph
    torch.manual_seed(0)
    encoder = GCN(graph.in_dim, hidden_dim=6)
    both = AutoSSL(encoder, methods=("DGI", "GraphMAE", name), options={name: PROPERTIES[name]})
    both.prepare(graph, 0)
    both.check_sampler(FullBatch(graph))
    both.reseed(0, CPU)
    both.begin_epoch(0, lambda function: function(graph.full_batch()))
    both.loss(graph.full_batch()).backward()
    head = both.parts[2].head
    assert isinstance(head, torch.nn.Linear)
    assert head.weight.grad is not None
    assert float(head.weight.grad.abs().sum()) > 0
    beside = Auxiliary(make(name, graph), weight=1.0, dropout=0.0)
    assert dataset.labels is not None
    beside.prepare(graph, 0)
    beside.fit_labels(dataset.labels, dataset.splits[0])
    beside.reseed(0, CPU)
    assert math.isfinite(beside.loss(graph.full_batch()).item())


def test_sparse_and_dense_features_give_the_same_targets() -> None:
    dense = toy_graph()
    assert isinstance(dense.x, Tensor)
    sparse = Graph(dense.block, SparseMatrix.from_dense(dense.x))
    for name in ("Clustering", "Completion"):
        one, other = (make(name, graph).loss(graph.full_batch()) for graph in (dense, sparse))
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_more_pairs_of_a_distance_are_drawn_than_there_are() -> None:
    graph = Graph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), torch.rand(2, 3))
    method = make("PairwiseDistance", graph, pairs=7)
    assert isinstance(method, PairwiseDistance)
    told = method.pretext(graph.full_batch())[1]
    assert told.target.tolist() == [0] * 7
