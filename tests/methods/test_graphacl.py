"""GraphACL: nodes predict their neighbors, and keep apart from everybody."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from gssl.augment.positives import closed_neighborhoods, pattern_among
from gssl.common.errors import InputError
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph
from gssl.methods.graphacl import GraphACL
from gssl.models.gcn import GCN
from gssl.models.ops import pair_products
from gssl.objectives.neighbors import neighbor_info_nce
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch
from gssl.samplers.named import clustergcn, graphsage
from gssl.testing.objectives import Inputs, ObjectiveContract
from gssl.testing.toy import toy_graph, without_edges
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain


def make(graph: Graph, **options: object) -> GraphACL:
    torch.manual_seed(0)
    encoder = GCN(graph.in_dim, hidden_dim=16, final_activation=False)
    method = GraphACL(encoder, **options)  # type: ignore[arg-type]  # mixed values
    method.prepare(graph, 0)
    return method


def dense(pattern: Pattern) -> Tensor:
    out = torch.zeros(pattern.num_rows, pattern.num_cols)
    return out.index_put((pattern.row.long(), pattern.col.long()), torch.ones(pattern.nnz), accumulate=True)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TestNeighborInfoNCE(ObjectiveContract):
    """Each item with itself as its positive, so that items can be there twice."""

    objective = neighbor_info_nce
    differentiable = (0, 2)

    def draw(self, rng: torch.Generator) -> Inputs:
        return tuple(torch.randn(6, 4, generator=rng, dtype=torch.float64) for _ in range(3))

    def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
        prediction, target, embedding = inputs
        own = torch.arange(len(prediction))
        pairs, _ = Pattern.from_coo(own, own, len(own), len(own))
        return neighbor_info_nce(prediction, target, embedding, pairs, weight=weight, pair_weight=weight, chunk=3)


def terms(prediction: Tensor, target: Tensor, embedding: Tensor, v: int, u: int, t: float) -> float:
    """What one pair costs, exponential by exponential."""

    def e(a: Tensor, b: Tensor) -> float:
        return math.exp(float(cosine_similarity(a, b, dim=0)) / t)

    positive = e(prediction[v], target[u])
    return -math.log(positive / (positive + sum(e(embedding[v], other) for other in embedding)))


def test_the_loss_is_the_mean_over_neighbors_of_the_mean_over_nodes() -> None:
    graph = toy_graph(num_nodes=20)
    method = make(graph, temperature=0.7)
    prediction, target, embedding = (drawn(20, 16, seed=s) for s in range(3))
    neighbors: dict[int, set[int]] = {v: {v} for v in range(20)}
    for u, v in graph.block.edge_index.T.tolist():
        neighbors[v].add(u)
    expected = [
        sum(terms(prediction, target, embedding, v, u, 0.7) for u in near) / len(near) for v, near in neighbors.items()
    ]
    found = method.agreement(graph.full_batch(), prediction, target, embedding)
    assert found.item() == pytest.approx(sum(expected) / 20, rel=1e-12)


def test_closed_forms() -> None:
    n, t = 5, 0.5
    own = torch.arange(n)
    pairs, _ = Pattern.from_coo(own, own.roll(1), n, n)
    same, apart = torch.ones(n, 3, dtype=torch.float64), torch.eye(n, dtype=torch.float64)
    loss = neighbor_info_nce(same, same, same, pairs, temperature=t)
    assert loss.item() == pytest.approx(math.log(1 + n))
    # Predictions that hit their neighbors, from embeddings that are orthogonal.
    loss = neighbor_info_nce(apart.roll(1, 0), apart, apart, pairs, temperature=t)
    assert loss.item() == pytest.approx(math.log(2 + (n - 1) * math.exp(-1 / t)))


def test_products_of_pairs_and_their_gradients_are_those_of_all_pairs() -> None:
    left, right = drawn(6, 3).requires_grad_(), drawn(8, 3, seed=1).requires_grad_()
    there = (torch.arange(48).view(6, 8) * 7 % 5) < 2
    row, col = there.nonzero(as_tuple=True)
    pattern, _ = Pattern.from_coo(row, col, 6, 8)
    found = pair_products(pattern, left, right)
    expected = (left @ right.T)[there]
    torch.testing.assert_close(found, expected)
    upstream = drawn(len(expected), seed=2)
    torch.testing.assert_close(
        torch.autograd.grad(found, (left, right), upstream), torch.autograd.grad(expected, (left, right), upstream)
    )


def test_neighborhoods_are_closed_once_and_can_be_cut_in_any_order() -> None:
    row, col = torch.tensor([[0, 0, 1, 2, 2, 3, 3], [0, 1, 0, 1, 2, 0, 3]])
    closed = closed_neighborhoods(Pattern.from_coo(row, col, 5, 5)[0])
    expected = torch.eye(5)
    expected[row, col] = 1
    assert torch.equal(dense(closed), expected)
    for ids in ([0, 1, 2, 3, 4], [3, 0, 2], [4], [2, 1]):
        chosen = torch.tensor(ids)
        assert torch.equal(dense(pattern_among(closed, chosen)), expected[chosen][:, chosen])


def test_the_prediction_learns_and_the_target_does_not() -> None:
    graph = toy_graph()
    method = make(graph, momentum=0.75)
    method.loss(graph.full_batch()).backward()
    assert all(p.grad is None for p in method.target.parameters())
    assert all(
        p.grad is not None and p.grad.any() for p in (*method.encoder.parameters(), *method.predictor.parameters())
    )
    before = [p.clone() for p in method.target.parameters()]
    with torch.no_grad():
        for p in method.encoder.parameters():
            p.add_(0.3)
    for progress in (0.5, 1.0):  # the momentum does not rise
        method.after_step(progress)
        for old, new, online in zip(before, method.target.parameters(), method.encoder.parameters(), strict=True):
            torch.testing.assert_close(new, 0.75 * old + 0.25 * online)
        before = [p.clone() for p in method.target.parameters()]


def test_ten_steps_raise_the_agreement_of_neighbors() -> None:
    graph = toy_graph()
    method = make(graph)
    near = dense(closed_neighborhoods(graph.block.pattern)).bool()

    @torch.no_grad()
    def margin() -> float:
        batch = graph.full_batch()
        similarity = (
            normalize(method.predictor(method.encoder(batch)), dim=1) @ normalize(method.target(batch), dim=1).T
        )
        return float(similarity[near].mean() - similarity.mean())

    before = margin()
    pretrain(method, FullBatch(graph), TrainConfig(epochs=10, lr=1e-2), seed=0)
    assert margin() > before + 0.05


def test_nodes_with_the_same_neighbors_become_alike_though_neighbors_are_not() -> None:
    """A bipartite graph of two classes, whose edges all join different ones: the predictor is what allows that."""
    side = torch.arange(40) % 2
    there = torch.rand(40, 40, generator=torch.Generator().manual_seed(0)) < 0.3
    there = (there | there.T) & (side[:, None] != side[None])
    x = torch.randn(40, 12, generator=torch.Generator().manual_seed(1))  # which say nothing of classes
    graph = Graph.from_edge_index(there.nonzero().T, x)
    method = make(graph, temperature=0.5)
    pretrain(method, FullBatch(graph), TrainConfig(epochs=40, lr=1e-2), seed=0)
    z = normalize(method.embed(graph.full_batch()).detach(), dim=1)
    similarity = z @ z.T
    same = side[:, None] == side[None]
    assert similarity[same].mean() > similarity[~same].mean() + 0.2


def test_sampled_pairs_add_up_to_all_pairs() -> None:
    """With independent draws, the weighted sums over pairs have the expectation of the sum over all; one by one."""
    graph = Graph.from_edge_index(torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]]), torch.rand(5, 3))
    method = make(graph)
    probability = torch.tensor([0.3, 0.6, 0.8, 0.5, 0.9], dtype=torch.float64)
    closed = closed_neighborhoods(graph.block.pattern)
    degree = closed.counts.double()
    expected, total = dense(closed).double() / degree[:, None], torch.zeros(5, 5, dtype=torch.float64)
    seen: list[Tensor] = []

    def recorded(*_: Tensor, pair_weight: Tensor, **__: object) -> Tensor:
        seen.append(pair_weight)
        return torch.zeros(())

    for kept in product((False, True), repeat=5):
        mask = torch.tensor(kept)
        ids = mask.nonzero().squeeze(1)
        chance = float(torch.where(mask, probability, 1 - probability).prod())
        if not len(ids):
            continue
        batch = replace(graph.full_batch(), node_ids=ids, num_targets=len(ids), weight=1 / probability[ids])
        rows = torch.ones(len(ids), 16, dtype=torch.float64)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("gssl.methods.graphacl.neighbor_info_nce", recorded)
            method.agreement(batch, rows, rows, rows)
        pairs = pattern_among(closed, ids)
        total[ids[pairs.row.long()], ids[pairs.col.long()]] += chance * seen.pop()
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("sampler", [clustergcn, graphsage])
def test_it_trains_on_sampled_batches(sampler: Callable[..., Sampler]) -> None:
    graph = toy_graph(num_nodes=96)
    batches = sampler(graph, batch_size=32, num_layers=2, seed=0)
    losses = [r.loss for r in pretrain(make(graph), batches, TrainConfig(epochs=12, lr=1e-2), seed=0).curve]
    assert sum(losses[-3:]) < sum(losses[:3])


def test_a_graph_without_edges_leaves_each_node_its_own_positive() -> None:
    graph = toy_graph()
    bare = Graph(without_edges(graph.full_batch()).blocks[0], graph.x)
    method = make(bare)
    prediction, target, embedding = (drawn(48, 16, seed=s) for s in range(3))
    found = method.agreement(bare.full_batch(), prediction, target, embedding)
    expected = sum(terms(prediction, target, embedding, v, v, 1.0) for v in range(48)) / 48
    assert found.item() == pytest.approx(expected)


def test_bad_input_says_what_to_change() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match="prepare"):
        GraphACL(GCN(graph.in_dim, hidden_dim=8)).loss(graph.full_batch())
    rows = drawn(48, 4)
    pairs = closed_neighborhoods(graph.block.pattern)
    with pytest.raises(InputError, match="temperature"):
        neighbor_info_nce(rows, rows, rows, pairs, temperature=0.001)
    with pytest.raises(InputError, match=r"48, but got 47 and 48"):
        neighbor_info_nce(rows, rows, rows[:47], pairs)
