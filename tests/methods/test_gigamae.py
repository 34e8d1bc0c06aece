"""GiGaMAE: what was made of structure and features of the whole graph is told from what is left of both."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.storage import Graph
from gssl.methods.gigamae import GiGaMAE, components
from gssl.models.gcn import GCN
from gssl.models.node2vec import Node2Vec, random_walks
from gssl.objectives.info_nce import info_nce
from gssl.registry import SAMPLERS
from gssl.samplers.full import FullBatch
from gssl.samplers.propagation.exact import Exact
from gssl.testing.methods import train
from gssl.testing.propagations import draw
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")
WALKS = Node2Vec(dim=8, walk_length=5, context_size=5, walks_per_node=5, negatives=2, epochs=20, batch_size=16, lr=0.05)


def method_of(graph: Graph | None = None, **options: Any) -> GiGaMAE:
    torch.manual_seed(0)
    graph = toy_graph() if graph is None else graph
    small = {"structure_dim": 5, "feature_dim": 4, "walk_epochs": 1, **options}
    method = GiGaMAE(GCN(graph.in_dim, hidden_dim=8), **validate(GiGaMAE, small, what="GiGaMAE"))
    method.prepare(graph, 0)
    return method


def told(goal: Tensor, guess: Tensor, temperature: float, weight: Tensor) -> Tensor:
    """InfoNCE of the rows of ``goal``, pair by pair: others are the other goals and all guesses."""

    def alike(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(a @ b / (a.norm() * b.norm()) / temperature)

    terms = []
    for i in range(len(goal)):
        others = sum(w * alike(goal[i], guess[j]) for j, w in enumerate(weight.tolist()))
        others = others + sum((w - (i == j)) * alike(goal[i], goal[j]) for j, w in enumerate(weight.tolist()))
        terms.append(-torch.log(alike(goal[i], guess[i]) / others))
    return (weight * torch.stack(terms)).sum() / weight.sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_the_papers(weighted: bool) -> None:
    """Three groups of nodes, three targets, a weight for each of the nine."""
    weights: dict[str, Any] = {"edge_weights": [4, 1, 0.5], "feature_weights": [1, 3, 2], "both_weights": [2, 1.5, -1]}
    method = method_of(mask_feature=0.5, mask_edge=0.2, temperature=0.4, **weights).double()
    batch = toy_graph().full_batch()
    rng = torch.Generator().manual_seed(0)
    weight = torch.randint(1, 4, (48,), generator=rng).double() if weighted else torch.ones(48, dtype=torch.float64)
    batch = replace(batch.with_x(dense_features(batch.x).double()), weight=weight if weighted else None)
    method.reseed(1, CPU)
    view, target = method.pretext(batch)
    method.reseed(1, CPU)
    loss = method.loss(batch)
    nodes = method.encoder(view)
    goals = (method.structure, method.feature, torch.cat([method.structure, method.feature], dim=1))
    expected = torch.zeros((), dtype=torch.float64)
    for rows, three in zip((target.edges, target.features, target.both), weights.values(), strict=True):
        assert len(rows) > 2
        for goal, head, factor in zip(goals, method.heads, three, strict=True):
            expected = expected + factor * told(goal[rows], head(nodes)[rows], 0.4, weight[rows])
    torch.testing.assert_close(loss, expected)


def test_info_nce_of_one_side_and_of_the_other_make_both() -> None:
    first, second = (torch.randn(6, 3, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (0, 1))
    one, other = (info_nce(*pair, symmetric=False) for pair in ((first, second), (second, first)))
    assert not torch.isclose(one, other)
    torch.testing.assert_close((one + other) / 2, info_nce(first, second))
    torch.testing.assert_close(one, told(first, second, 0.5, torch.ones(6)))


def test_groups_are_apart_and_know_what_was_hidden() -> None:
    graph = toy_graph()
    method, batch = method_of(graph, mask_feature=0.4, mask_edge=0.1), graph.full_batch()
    for seed in range(5):
        method.reseed(seed, CPU)
        view, target = method.pretext(batch)
        left = set(map(tuple, view.blocks[0].edge_index.T.tolist()))
        sources = {u for u, v in graph.block.edge_index.T.tolist() if (u, v) not in left}
        blank = {i for i, row in enumerate(dense_features(view.x)) if not row.any()}
        assert len(blank) == 19
        assert set(target.edges.tolist()) == sources - blank
        assert set(target.features.tolist()) == blank - sources
        assert set(target.both.tolist()) == blank & sources


def test_without_hidden_edges_no_node_counts_as_one_that_has_lost_some() -> None:
    """The authors' first node does."""
    method = method_of(mask_edge=0.0)
    method.reseed(0, CPU)
    _, target = method.pretext(toy_graph().full_batch())
    assert not len(target.edges)
    assert not len(target.both)
    assert len(target.features) == 34
    assert bool(method.loss(toy_graph().full_batch()).isfinite())


def test_sampled_targets_have_the_latent_rows_of_their_own_nodes() -> None:
    graph = toy_graph(num_nodes=60)
    method = method_of(graph)
    batch = Exact(graph, num_layers=2).batch(draw(*range(40, 20, -1)))
    method.reseed(0, CPU)
    _, target = method.pretext(batch)
    assert torch.equal(target.latent[0], method.structure[batch.node_ids[:20]])
    assert torch.equal(target.latent[1], method.feature[batch.node_ids[:20]])
    assert target.latent[2].shape == (20, 9)
    assert max(int(rows.max()) for rows in (target.edges, target.features, target.both) if len(rows)) < 20


def test_ten_steps_bring_reconstructions_nearer_to_their_targets() -> None:
    method, batch = method_of(mask_feature=0.5, mask_edge=0.2), toy_graph().full_batch()

    def agreement() -> float:
        method.reseed(9, CPU)
        view, target = method.pretext(batch)
        with torch.no_grad():
            nodes = method.encoder(view)
            pairs = zip(method.heads, target.latent, strict=True)
            return sum(float(torch.cosine_similarity(head(nodes), goal).mean()) for head, goal in pairs)

    before = agreement()
    train(method, batch, steps=10, lr=0.01)
    assert agreement() > before


def test_targets_follow_from_the_seed_and_are_kept_with_the_graph() -> None:
    graph = toy_graph()
    first, again, other = method_of(graph), method_of(toy_graph()), method_of(graph)
    other.prepare(graph, 1)
    assert torch.equal(first.structure, again.structure)
    assert not torch.equal(first.structure, other.structure)
    assert torch.equal(first.feature, other.feature)
    assert {"structure", "feature"} <= first.state_dict().keys()
    first.structure.zero_()
    assert bool(method_of(graph).structure.any()), "what the graph keeps is not what a method trains with"


def test_components_are_uncorrelated_and_of_variance_one() -> None:
    x = toy_graph().x
    assert isinstance(x, Tensor)
    found = components(x, 6)
    centred = (x - x.mean(0)).double()
    left, values, _ = torch.linalg.svd(centred, full_matrices=False)
    expected = left[:, :6] * (len(x) - 1) ** 0.5
    signs = (found.double() * expected).sum(0).sign()
    torch.testing.assert_close(found.double() * signs, expected, rtol=1e-4, atol=1e-4)
    assert bool((values[:6].diff() < 0).all())
    torch.testing.assert_close(components(SparseMatrix.from_dense(x), 6), found)
    assert components(x, None) is not None
    assert torch.equal(components(x, None), x)


def test_components_that_there_are_not_are_zero() -> None:
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    x[:, 2] = x[:, 0] + x[:, 1]
    found = components(x, 5)
    assert found.shape == (7, 5)
    assert bool(found[:, :2].any(0).all())
    assert not found[:, 2:].any()
    assert not components(torch.ones(4, 3), 2).any()


def test_walks_follow_edges_and_stay_at_nodes_without_any() -> None:
    graph = toy_graph(isolated=2)
    known = set(map(tuple, graph.block.edge_index.T.tolist()))
    walks = random_walks(graph.block.pattern.pairs, torch.arange(48), 6, torch.Generator().manual_seed(0))
    assert walks.shape == (48, 7)
    for walk in walks.tolist():
        steps = list(itertools.pairwise(walk))
        assert all(step in known for step in steps) or set(walk) in ({46}, {47})
    many = random_walks(graph.block.pattern.pairs, torch.zeros(4000, dtype=torch.int64), 1, torch.Generator())
    counts = torch.bincount(many[:, 1], minlength=48)[[v for u, v in sorted(known) if u == 0]]
    assert float(counts.min()) > 0.7 * 4000 / len(counts), "neighbors are equally likely"


def test_node2vec_has_the_objective_of_its_windows() -> None:
    """One step of one node by hand: near nodes and far ones, each a mean of log-sigmoids of inner products."""
    graph = toy_graph()
    walks = replace(WALKS, walk_length=4, context_size=3, walks_per_node=1, negatives=1)
    table = torch.nn.Embedding(48, 8)
    loss = walks._loss(table, graph.block.pattern.pairs, torch.tensor([3]), torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(0)
    near = random_walks(graph.block.pattern.pairs, torch.tensor([3]), 3, rng)[0].tolist()
    far = [3, *torch.randint(48, (1, 3), generator=rng)[0].tolist()]
    z, expected = table.weight, torch.zeros(())
    for walk, sign in ((near, 1), (far, -1)):
        pairs = [(walk[0], walk[1]), (walk[0], walk[2]), (walk[1], walk[2]), (walk[1], walk[3])]
        expected = expected - torch.stack([torch.sigmoid(sign * z[a] @ z[b]).log() for a, b in pairs]).mean()
    torch.testing.assert_close(loss, expected)


def test_node2vec_puts_communities_apart() -> None:
    graph = toy_graph(num_nodes=60)
    z = torch.nn.functional.normalize(WALKS.fit(graph.block.pattern.pairs, 0))
    community = torch.arange(60) % 2
    same = (community[:, None] == community).fill_diagonal_(False)
    cosines = z @ z.T
    assert float(cosines[same].mean()) > float(cosines[community[:, None] != community].mean()) + 0.1


def test_training_leaves_the_targets_alone() -> None:
    graph = toy_graph()
    method = method_of(graph)
    before = method.structure.clone(), method.feature.clone()
    pretrain(method, FullBatch(graph), TrainConfig(epochs=2, lr=0.01), seed=0)
    assert torch.equal(before[0], method.structure)
    assert torch.equal(before[1], method.feature)


def test_graphs_without_edges_and_batches_of_one_node_are_refused() -> None:
    bare = Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), torch.eye(6))
    method = method_of(bare)
    assert bool(method.embed(bare.full_batch()).isfinite().all()), "what is trained embeds it all the same"
    with pytest.raises(InputError, match="no edges"):
        pretrain(method, FullBatch(bare), TrainConfig(epochs=1), seed=0)
    graph = toy_graph()
    with pytest.raises(InputError, match="--batch-size 2"):
        pretrain(
            method_of(graph),
            SAMPLERS.get("graphsage")(graph, num_layers=2, batch_size=1),
            TrainConfig(epochs=1),
            seed=0,
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context_size": 6}, "context_size"),
        ({"context_size": 1}, "context_size"),
        ({"temperature": 0}, "temperature"),
        ({"mask_edge": 1.0}, "mask_edge"),
        ({"both_weights": [1, 2]}, "both_weights"),
        ({"edge_weights": [1, 2, float("nan")]}, "edge_weights"),
        ({"feature_dim": 0}, "feature_dim"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        method_of(**options)


def test_a_weight_of_two_is_there_twice() -> None:
    """In a batch of which one node stands for two."""
    method = method_of(mask_edge=0.0, mask_feature=1.0).double().eval()
    batch = toy_graph().full_batch()
    batch = batch.with_x(dense_features(batch.x).double())
    view, target = method.pretext(batch)
    nodes = method.encoder(view)
    weight = torch.ones(48, dtype=torch.float64)
    weight[5] = 2
    twice = torch.cat([torch.arange(48), torch.tensor([5])])
    structure, feature, both = (rows[twice] for rows in target.latent)
    copied = replace(target, features=torch.arange(49), latent=(structure, feature, both))
    two = MiniBatch(view.x, view.blocks, view.node_ids, 48, weight)
    torch.testing.assert_close(method.error(nodes, two, target), method.error(nodes[twice], view, copied))
