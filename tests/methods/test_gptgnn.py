"""GPT-GNN: attributes from what is left of a node's edges, hidden edges from attributes, and what neither may see."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.augment.shadows import with_shadows
from gssl.common.errors import InputError
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.methods.gptgnn import GPTGNN, joined
from gssl.models.gcn import GCN
from gssl.models.queue import NegativesQueue
from gssl.objectives.queue_info_nce import candidate_info_nce
from gssl.registry import ENCODERS, SAMPLERS
from gssl.samplers.full import FullBatch
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.propagation.induced import Induced
from gssl.testing.propagations import directed, draw
from gssl.testing.toy import toy_batch, toy_graph, without_edges

CPU = torch.device("cpu")


def method_of(in_dim: int = 24, **options: Any) -> GPTGNN:
    torch.manual_seed(0)
    return GPTGNN(GCN(in_dim, hidden_dim=8, num_layers=2), **{"queue": 0, **options})


@pytest.mark.parametrize("name", ["GCN", "SAGE", "GIN", "GAT"])
@pytest.mark.parametrize("kind", ["node", "node-sparse", "node-gathered"])
def test_shadows_leave_the_others_as_they_are(name: str, kind: Any) -> None:
    torch.manual_seed(0)
    encoder = ENCODERS.get(name)(24, hidden_dim=8, num_layers=2).eval()
    batch, token = toy_batch(kind), torch.randn(24)
    count = batch.num_targets
    view = with_shadows(batch, token)
    assert (view.num_targets, view.num_nodes) == (2 * count, batch.num_nodes + count)
    rows = encoder(view)
    torch.testing.assert_close(rows[:count], encoder(batch)[:count])
    # A shadow is the node that the target would be with other features, as no neighbor sees it: one layer tells all.
    first = ENCODERS.get(name)(24, hidden_dim=8, num_layers=1).eval()
    shadows = first(view)[count:]
    x = dense_features(batch.x)
    for target in range(0, count, 7):
        changed = x.clone()
        changed[target] = token
        torch.testing.assert_close(shadows[target], first(replace(batch, x=changed))[target])


@pytest.mark.parametrize("propagation", [Exact, Induced])
def test_shadows_in_sampled_batches(propagation: Any) -> None:
    """Rows of a batch that was made for some targets, layer by layer or not: the same as in the whole graph."""
    torch.manual_seed(0)
    graph = toy_graph()
    encoder, token = GCN(24, hidden_dim=8, num_layers=2).eval(), torch.randn(24)
    targets = torch.tensor([3, 40, 11, 7])
    batch = propagation(graph, num_layers=2).batch(draw(*targets.tolist()))
    view = with_shadows(batch, token)
    assert view.node_ids[:8].tolist() == [3, 40, 11, 7] * 2
    if propagation is Exact:
        expected = encoder(with_shadows(graph.full_batch(), token))
        torch.testing.assert_close(encoder(view), expected[torch.cat([targets, targets + graph.num_nodes])])
    else:
        torch.testing.assert_close(encoder(view)[:4], encoder(batch)[:4])


def test_weights_attributes_and_gradients_of_shadows() -> None:
    batch = toy_batch("node", attributes=True)
    batch = replace(batch, weight=torch.arange(1.0, batch.num_targets + 1))
    token = torch.zeros(24, requires_grad=True)
    view, block = with_shadows(batch, token), batch.blocks[0]
    found, count = view.blocks[0], batch.num_targets
    assert view.weight is not None
    assert batch.weight is not None
    assert torch.equal(view.weight, batch.weight.repeat(2))
    for row in (0, 5, count - 1):
        here, shadow = (p.rowptr[i : i + 2].tolist() for p, i in ((block.pattern, row), (found.pattern, row + count)))
        assert torch.equal(block.pattern.col[slice(*here)], found.pattern.col[slice(*shadow)])
        for own, theirs in ((block.weight, found.weight), (block.edge_attr, found.edge_attr)):
            assert own is not None
            assert theirs is not None
            assert torch.equal(own[slice(*here)], theirs[slice(*shadow)])
    assert int(found.pattern.col.max()) < count  # nobody sees a shadow
    GCN(24, hidden_dim=8)(view)[count:].sum().backward()
    assert token.grad is not None
    assert bool(token.grad.abs().sum() > 0)


def test_loss_is_that_of_loops() -> None:
    """In float64, over hidden edges and candidates that the same random stream gives; with a queue and weights."""
    graph = toy_graph()
    method = method_of(p=0.4, negatives=9, queue=6, attribute_weight=0.3, temperature=0.5, dropout=0.0).double()
    method.prepare(graph, 0)
    batch = graph.full_batch()
    x = dense_features(batch.x).double()
    batch = replace(batch, x=x, weight=1.0 + torch.arange(48) % 3)
    weight = batch.weight.double()  # type: ignore[union-attr]
    batch = replace(batch, weight=weight)
    assert method.queue is not None
    former, counts = torch.randn(4, 8, dtype=torch.float64), torch.tensor([1.0, 2.0, 1.0, 3.0]).double()
    method.queue.push(former, counts)
    method.used.fill_(3)

    method.reseed(2, CPU)
    visible, hidden = method.corruption(batch, method.rng)
    order = torch.randperm(48, generator=method.rng).tolist()
    chosen = torch.randperm(48, generator=method.rng)[:9].tolist()
    rows = method.encoder(with_shadows(visible, method.token))
    neighbors: dict[int, set[int]] = {i: {i} for i in range(48)}
    for u, v in batch.blocks[0].edge_index.T.tolist():
        neighbors[u].add(v)

    def score(one: Tensor, other: Tensor) -> float:
        return math.exp(F.cosine_similarity(one, other, dim=0).item() / 0.5)

    edges, attributes, total = 0.0, 0.0, 0.0
    assert hidden.num_edges > 20
    for pair in hidden.edges.T.tolist():
        here, there = sorted(pair, key=lambda node: -order[node])
        made = method.edge_decoder(rows[here])
        positive = score(made, rows[there])
        negative = sum(weight[c].item() * score(made, rows[c]) for c in chosen if c not in neighbors[here])
        negative += sum(counts[j].item() * score(made, former[j]) for j in (1, 2, 3))
        share = (weight[here] * weight[there]).item()
        edges -= share * math.log(positive / (positive + negative))
        total += share
    for node in range(48):
        made = method.attribute_decoder(rows[48 + node])
        attributes += weight[node].item() * (1 - F.cosine_similarity(made, x[node], dim=0).item()) / 0.5
    expected = 0.7 * edges / total + 0.3 * attributes / weight.sum().item()
    method.reseed(2, CPU)
    assert method.loss(batch).item() == pytest.approx(expected, rel=1e-9)


def test_a_hidden_edge_carries_no_message_and_a_node_not_its_own_attributes() -> None:
    """Over one layer nothing else reaches a shadow, nor an end of a hidden edge, than what is visible."""
    torch.manual_seed(0)
    method = GPTGNN(GCN(24, hidden_dim=8, num_layers=1), queue=0)
    batch = toy_batch("node")
    method.reseed(0, CPU)
    visible, hidden = method.corruption(batch, method.rng)
    x = dense_features(batch.x).clone().requires_grad_()
    rows = method.encoder(with_shadows(visible.with_x(x), method.token))
    node, other = hidden.edges[:, 0].tolist()
    (seen,) = torch.autograd.grad(rows[48 + node].sum(), x, retain_graph=True)
    assert not seen[node].any()
    assert not seen[other].any()
    assert seen.any()
    (seen,) = torch.autograd.grad(rows[node].sum(), x)
    assert seen[node].any()
    assert not seen[other].any()


def test_joined_nodes_are_neighbors_in_any_direction_and_the_node_itself() -> None:
    graph = directed()
    pattern, chosen = graph.block.pattern, torch.tensor([5, 0, 8])
    found = joined(pattern, chosen)
    edges = set(map(tuple, graph.block.edge_index.T.tolist()))
    for node in range(9):
        for place, other in enumerate(chosen.tolist()):
            assert bool(found[node, place]) == (node == other or (node, other) in edges or (other, node) in edges)


def test_candidates_that_are_known_do_not_count() -> None:
    rng = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 3, 4, generator=rng)
    candidates = torch.randn(5, 4, generator=rng)
    known = torch.tensor([[1, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    terms = [
        candidate_info_nce(query[i : i + 1], key[i : i + 1], candidates[~known[i]], temperature=0.3) for i in range(3)
    ]
    found = candidate_info_nce(query, key, candidates, known=known, temperature=0.3)
    torch.testing.assert_close(found, torch.stack(terms).mean())
    assert terms[2].item() == 0
    query.requires_grad_()
    candidate_info_nce(query, key, candidates, known=known).backward()
    assert query.grad is not None
    assert bool(query.grad.isfinite().all())
    assert not query.grad[2].any()
    with pytest.raises(InputError, match=r"the candidates must have 4 columns"):
        candidate_info_nce(query, key, torch.randn(5, 3))


def test_the_newest_keys_come_first() -> None:
    queue = NegativesQueue(5, 1)
    queue.push(torch.arange(7.0).unsqueeze(1), torch.arange(10.0, 17.0))
    rows, weight = queue.newest(3)
    assert rows.squeeze(1).tolist() == [6.0, 5.0, 4.0]
    assert weight.tolist() == [16.0, 15.0, 14.0]
    assert len(queue.newest(99)[0]) == 5
    assert len(queue.newest(0)[0]) == 0


def test_the_queue_grows_with_training_and_holds_no_more_than_was_pushed() -> None:
    method, batch = method_of(negatives=4, queue=10), toy_batch("node")
    assert method.queue is not None
    before = method.queue.rows.clone()
    seen = []
    for progress in (0.2, 0.4, 0.8, 1.0):
        method.reseed(0, CPU)
        method.loss(batch)
        assert torch.equal(method.queue.rows, before)  # a loss changes nothing that the next one sees
        method.after_step(progress)
        seen.append(int(method.used))
        before = method.queue.rows.clone()
    assert seen == [2, 4, 8, 10]
    method = method_of(negatives=4, queue=10)
    method.reseed(0, CPU)
    method.loss(batch)
    method.after_step(1.0)
    assert int(method.used) == 4  # the others are the random rows that it began with
    method.after_step(1.0)
    assert int(method.used) == 4  # no step, nothing new


def test_training_makes_hidden_edges_and_attributes_likely() -> None:
    """Some steps raise the cosine of both with what was hidden."""
    method, batch = method_of(dropout=0.0, attribute_weight=0.5), toy_batch("node")
    method.prepare(toy_graph(), 0)

    def cosines() -> tuple[float, float]:
        method.reseed(5, CPU)
        visible, hidden = method.corruption(batch, method.rng)
        with torch.no_grad():
            rows = method.encoder(with_shadows(visible, method.token))
            attributes = F.cosine_similarity(method.attribute_decoder(rows[48:]), dense_features(batch.x)).mean()
            made = F.normalize(method.edge_decoder(rows[hidden.edges[0]]))
            near = (made * F.normalize(rows[hidden.edges[1]])).sum(1).mean()
            return attributes.item(), near.item() - (made @ F.normalize(rows[:48]).T).mean().item()

    before = cosines()
    optimizer = torch.optim.Adam(method.parameters(), lr=0.03)
    for step in range(40):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        method.loss(batch).backward()
        optimizer.step()
    after = cosines()
    assert after[0] > before[0] + 0.05
    assert after[1] > before[1] + 0.05


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_one_task_alone(share: float) -> None:
    method, batch = method_of(attribute_weight=share), toy_batch("node")
    method.reseed(0, CPU)
    method.loss(batch).backward()
    decoders = (method.edge_decoder, method.attribute_decoder)
    touched = [bool(decoder.weight.grad.abs().sum() > 0) for decoder in decoders]  # type: ignore[union-attr]
    assert touched == [share == 0.0, share == 1.0]


def test_features_without_a_number_begin_at_their_mean() -> None:
    for sparse in (False, True):
        graph, method = toy_graph(sparse=sparse), method_of()
        method.prepare(graph, 0)
        torch.testing.assert_close(method.token.detach(), dense_features(graph.full_batch().x).mean(0))


def test_what_it_cannot_train_on_is_refused() -> None:
    graph = toy_graph()
    bare = Graph(without_edges(graph.full_batch()).blocks[0], graph.x)
    with pytest.raises(InputError, match="GPT-GNN generates edges, but there are none"):
        method_of().check_sampler(FullBatch(bare))
    with pytest.raises(InputError, match=r"a queue of 49 nodes is longer than the data, which have 48; .*--set queue"):
        method_of(queue=49).check_sampler(FullBatch(graph))
    method_of(queue=48).check_sampler(FullBatch(graph))
    make = SAMPLERS.get("graphsage")
    with pytest.raises(InputError, match=r"tells edges from non-edges .* for example --sampler clustergcn"):
        method_of().check_sampler(make(graph, num_layers=2, batch_size=16))
    make = SAMPLERS.get("gas")
    with pytest.raises(InputError, match=r"a second time, which a history does not have: .*--sampler clustergcn"):
        method_of().check_sampler(make(graph, num_layers=2, batch_size=16))
    make = SAMPLERS.get("uniform+exact")
    with pytest.raises(InputError, match="use --batch-size 2 at least"):
        method_of().check_sampler(make(graph, num_layers=2, batch_size=1))


def test_a_pair_of_joined_nodes_has_nothing_to_be_told_from() -> None:
    graph = Graph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), torch.eye(2))
    method = method_of(2, attribute_weight=0.0, p=0.99, dropout=0.0)
    method.reseed(0, CPU)
    loss = method.loss(graph.full_batch())
    loss.backward()
    assert loss.item() == 0.0


def test_edges_to_other_nodes_than_targets_are_hidden_and_not_told() -> None:
    """Of a batch that was sampled layer by layer, whose other nodes have no embedding of the last layer."""
    graph, method = toy_graph(), method_of(p=0.6)
    batch = Exact(graph, num_layers=2).batch(draw(*range(10)))
    method.reseed(0, CPU)
    _, hidden = method.corruption(batch, method.rng)
    assert hidden.num_edges > hidden.among(10).num_edges > 0
    method.reseed(0, CPU)
    loss = method.loss(batch)
    loss.backward()
    assert math.isfinite(loss.item())
