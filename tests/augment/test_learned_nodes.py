"""Learned choices of nodes: their probabilities, their gradients and the views that they make."""

import pytest
import torch
from torch import Tensor

from gssl.augment.learned_nodes import DROP, KEEP, MASK, LearnedNodes, gumbel_choice
from gssl.common.errors import InputError
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.models.node_scores import NodeScores
from gssl.samplers.named import graphsage
from gssl.testing.toy import toy_graph, toy_graphs


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(*, options: int = 2, remove: bool = False) -> LearnedNodes:
    torch.manual_seed(0)
    scores = NodeScores(4, hidden_dim=6, num_layers=2, out_dim=options, order="activation-norm")
    return LearnedNodes(scores, remove=remove)


def always(augmenter: LearnedNodes, chosen: Tensor, options: int) -> LearnedNodes:
    """With logits that leave nothing to chance."""
    logits = 1e4 * torch.nn.functional.one_hot(chosen, options).float()
    augmenter.scores.forward = lambda batch: logits  # type: ignore[method-assign]
    return augmenter


def test_choices_are_as_frequent_as_the_softmax_says() -> None:
    logits = torch.tensor([[0.0, 1.0, -1.0]]).repeat(20000, 1)
    for temperature in (0.1, 5.0):
        choice = gumbel_choice(logits, rng(), temperature=temperature)
        assert set(choice.unique().tolist()) <= {0.0, 1.0} or choice.sub(choice.round()).abs().max() < 1e-6
        torch.testing.assert_close(choice.mean(0), logits[0].softmax(0), atol=0.015, rtol=0)


def test_gradient_of_a_choice_is_that_of_the_soft_one() -> None:
    logits = torch.randn(5, 3, dtype=torch.float64).requires_grad_()
    weights = torch.randn(5, 3, dtype=torch.float64)
    (found,) = torch.autograd.grad((gumbel_choice(logits, rng(7), temperature=0.5) * weights).sum(), logits)
    noise = -torch.empty_like(logits).exponential_(generator=rng(7)).log()
    soft = torch.exp((logits + noise) / 0.5)
    (expected,) = torch.autograd.grad((soft / soft.sum(1, keepdim=True) * weights).sum(), logits)
    torch.testing.assert_close(found, expected)


def test_dropped_nodes_lose_features_and_edges() -> None:
    graph = toy_graphs(num_graphs=5)
    batch = graph.full_batch()
    chosen = torch.arange(batch.num_nodes) % 3 % 2  # every third node is dropped
    view, kept = always(make(), chosen, 2).choose(batch, rng())
    assert torch.equal(kept.detach().round(), (chosen == KEEP).float())
    x = dense_features(batch.x)
    torch.testing.assert_close(dense_features(view.x), x * (chosen == KEEP).unsqueeze(1))
    before, after = (set(map(tuple, b.blocks[0].edge_index.T.tolist())) for b in (batch, view))
    assert after == {(i, j) for i, j in before if chosen[i] == KEEP and chosen[j] == KEEP}
    assert view.num_nodes == batch.num_nodes


def test_removed_nodes_are_gone() -> None:
    graph = toy_graphs(num_graphs=5)
    batch = graph.full_batch()
    chosen = torch.arange(batch.num_nodes) % 3 % 2
    chosen[: int(batch.graph_ptr[1])] = DROP  # type: ignore[index]  # a batch of graphs
    view, _ = always(make(remove=True), chosen, 2).choose(batch, rng())
    assert view.node_ids.tolist() == (chosen == KEEP).nonzero().squeeze(1).tolist()
    assert view.num_graphs == 5
    assert view.graph_ptr is not None
    assert int(view.graph_ptr[1]) == 0


def test_masked_nodes_keep_their_edges_and_get_the_mean() -> None:
    graph = toy_graphs(num_graphs=5)
    batch = graph.full_batch()
    chosen = torch.arange(batch.num_nodes) % 3
    view, kept = always(make(options=3), chosen, 3).choose(batch, rng())
    x, seen = dense_features(batch.x), dense_features(view.x)
    torch.testing.assert_close(seen[chosen == MASK], x.mean().expand_as(seen[chosen == MASK]))
    torch.testing.assert_close(seen[chosen == KEEP], x[chosen == KEEP])
    assert not seen[chosen == DROP].any()
    assert torch.equal(kept.detach().round(), (chosen != DROP).float())
    edges = set(map(tuple, view.blocks[0].edge_index.T.tolist()))
    masked = (chosen == MASK).nonzero().squeeze(1).tolist()
    assert any(i in masked for i, _ in edges)


def test_a_gradient_reaches_the_logits_through_the_features() -> None:
    batch = toy_graphs(num_graphs=5).full_batch()
    for options in (2, 3):
        augmenter = make(options=options)
        view, _ = augmenter.choose(batch, rng())
        (dense_features(view.x) * torch.randn(batch.num_nodes, 4)).sum().backward()
        for name, parameter in augmenter.named_parameters():
            assert parameter.grad is not None, name
        assert augmenter.scores.narrow[1].weight.grad.abs().sum() > 0  # type: ignore[union-attr, operator]  # of torch


def test_nothing_changes_in_place_and_the_generator_decides() -> None:
    batch = toy_graphs(num_graphs=5).full_batch()
    before = dense_features(batch.x).clone()
    augmenter = make(options=3)
    views = [dense_features(augmenter(batch, rng(seed)).x) for seed in (1, 1, 2)]
    assert torch.equal(dense_features(batch.x), before)
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])


def test_sparse_features_are_taken_too() -> None:
    batch = toy_graphs(num_graphs=5).full_batch()
    sparse = batch.with_x(SparseMatrix.from_dense(dense_features(batch.x)))
    augmenter = make().eval()
    one, two = (dense_features(augmenter(each, rng()).x) for each in (batch, sparse))
    torch.testing.assert_close(one, two)


def test_sampled_batches_are_refused() -> None:
    graph = toy_graph(in_dim=4)
    batch = next(iter(graphsage(graph, num_layers=2, batch_size=8, seed=0).epoch(0)))
    with pytest.raises(InputError, match="needs whole graphs"):
        make()(batch, rng())
