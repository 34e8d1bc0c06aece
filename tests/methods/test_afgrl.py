"""AFGRL: positives that are found in the embedding, and the agreement with them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.augment.clusters import k_means
from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.afgrl import AFGRL
from gssl.models.gcn import GCN
from gssl.samplers.full import FullBatch
from gssl.samplers.named import clustergcn, graphsage
from gssl.testing.toy import toy_graph, without_edges
from gssl.training.config import TrainConfig
from gssl.training.embed import over_items
from gssl.training.loop import pretrain


def make(graph: Graph, **options: object) -> AFGRL:
    torch.manual_seed(0)
    encoder = GCN(graph.in_dim, hidden_dim=16, num_layers=1, activation="prelu", norm="batch")
    method = AFGRL(encoder, **{"clusters": 4, "predictor_dim": 8, "cluster_runs": 2, **options})  # type: ignore[arg-type]
    method.prepare(graph, 7)
    return method


def begin(method: AFGRL, graph: Graph, epoch: int = 0) -> None:
    method.eval()
    method.begin_epoch(epoch, lambda function: over_items(function, graph))
    method.train()


def moved(method: AFGRL) -> AFGRL:
    """The method with an online encoder that is not its target's."""
    for parameter in method.encoder.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
    return method


def dense_positives(method: AFGRL, graph: Graph, epoch: int) -> Tensor:
    """The paper's positives as a matrix of truth values (n, n), from all pairs at once."""
    batch, n = graph.full_batch(), graph.num_nodes
    with torch.no_grad():
        online, target = (F.normalize(net(batch), dim=1) for net in (method.encoder, method.target))
    near = torch.zeros(n, n, dtype=torch.bool)
    similarity = (online @ target.T).fill_diagonal_(9)
    near[torch.arange(n)[:, None], similarity.topk(method.neighbors).indices] = True
    allowed = torch.eye(n, dtype=torch.bool)
    allowed[graph.block.pattern.row.long(), graph.block.pattern.col.long()] = True
    for run in range(method.cluster_runs):
        seed = derive_seed(7, epoch, run)
        labels = k_means(target, method.clusters, steps=method.cluster_steps, seed=seed).labels
        allowed |= labels[:, None] == labels[None]
    return near & allowed


def as_matrix(method: AFGRL) -> Tensor:
    n = len(method.positives)
    found = torch.zeros(n, n + 1, dtype=torch.bool)
    found[torch.arange(n)[:, None], method.positives] = True  # -1 is the last column
    return found[:, :n]


def test_positives_and_loss_are_those_of_all_pairs() -> None:
    graph = toy_graph()
    method = moved(make(graph, neighbors=6))
    assert torch.equal(as_matrix(method), torch.eye(48, dtype=torch.bool))  # before the first epoch
    begin(method, graph)
    method.eval()
    positive = dense_positives(method, graph, 0)
    assert torch.equal(as_matrix(method), positive)
    assert 48 < positive.sum() < 48 * 6
    batch = graph.full_batch()
    prediction, target = method.predictor(method.encoder(batch)), method.target(batch)
    distance = 2 - 2 * F.cosine_similarity(prediction[:, None], target[None], dim=2)
    expected = distance[positive].mean() + distance.T[positive].mean()  # (i, j), and q_j against target i
    torch.testing.assert_close(method.loss(batch), expected)


def test_positives_are_renewed_when_asked_and_come_from_a_seed() -> None:
    graph = toy_graph()
    method = make(graph, renew_epochs=3)
    begin(method, graph)
    first = method.positives.clone()
    moved(method)
    begin(method, graph, 2)
    assert torch.equal(method.positives, first)
    begin(method, graph, 3)
    assert not torch.equal(method.positives, first)
    twin = moved(make(graph, renew_epochs=3))
    begin(twin, graph, 3)
    assert torch.equal(as_matrix(twin), as_matrix(method))


def test_positives_are_stored_for_an_epoch_that_was_interrupted() -> None:
    graph = toy_graph()
    method, other = make(graph), make(graph)
    begin(method, graph)
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.positives, method.positives)
    assert "keys" not in method.state_dict()


def test_the_target_follows_and_gets_no_gradient() -> None:
    graph = toy_graph()
    method = make(graph, momentum=0.5)
    begin(method, graph)
    method.loss(graph.full_batch()).backward()
    assert all(p.grad is None for p in method.target.parameters())
    assert all(p.grad is not None for p in method.encoder.parameters())
    before = [p.clone() for p in method.target.parameters()]
    moved(method).after_step(1e-9)
    for old, new, online in zip(before, method.target.parameters(), method.encoder.parameters(), strict=True):
        torch.testing.assert_close(new, (old + online) / 2)


def test_training_raises_agreement_and_positives_share_communities() -> None:
    graph = toy_graph()
    method = make(graph, neighbors=6)
    result = pretrain(method, FullBatch(graph), TrainConfig(epochs=30, lr=1e-2), seed=0)
    assert result.curve[-1].loss < 0.3 * result.curve[0].loss
    own = torch.arange(48)[:, None]
    others = (method.positives >= 0) & (method.positives != own)
    assert ((method.positives - own) % 2 == 0)[others].float().mean() > 0.8  # half by chance


def subsets(ids: Tensor, probability: Tensor) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Every draw of independent nodes that is not empty: its probability, its ids and their weights."""
    for drawn in product((False, True), repeat=len(ids)):
        mask = torch.tensor(drawn)
        if mask.any():
            yield float(torch.where(mask, probability, 1 - probability).prod()), ids[mask], 1 / probability[mask]


def test_pairs_within_draws_add_up_to_all_pairs_in_expectation() -> None:
    graph = toy_graph(num_nodes=6, in_dim=6)
    method = make(graph, neighbors=3, clusters=2)
    method.positives.copy_(torch.tensor([[0, 2, 4], [1, -1, -1], [2, 1, -1], [3, 5, 0], [4, 0, 5], [5, -1, 3]]))
    rng = torch.Generator().manual_seed(1)
    prediction, target = torch.randn(2, 6, 5, generator=rng, dtype=torch.float64)
    probability = 0.2 + 0.7 * torch.rand(6, generator=rng, dtype=torch.float64)
    full = graph.full_batch()
    expected = method.agreement(full, prediction, target) * int((method.positives >= 0).sum())
    total = torch.zeros((), dtype=torch.float64)
    for chance, ids, weight in subsets(torch.arange(6), probability):
        batch = replace(full, node_ids=ids, num_targets=len(ids), weight=weight)
        share = torch.zeros(6, dtype=torch.float64)
        share[ids] = weight
        pairs = [(i, int(j)) for i, row in enumerate(method.positives) for j in row if j >= 0]
        mass = sum(share[i] * (share[j] if i != j else 1) for i, j in pairs)
        total += chance * mass * method.agreement(batch, prediction[ids], target[ids])
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("sampler", [clustergcn, graphsage])
def test_it_trains_on_sampled_batches(sampler: Callable[..., object]) -> None:
    graph = toy_graph(num_nodes=96)
    method = make(graph)
    source = sampler(graph, batch_size=32, num_layers=1, seed=0)
    result = pretrain(method, source, TrainConfig(epochs=8, lr=1e-2), seed=0)  # type: ignore[arg-type]
    assert result.curve[-1].loss < result.curve[0].loss


def test_graphs_without_edges_have_positives_in_clusters() -> None:
    graph = toy_graph()
    bare = Graph(without_edges(graph.full_batch()).blocks[0], graph.x)
    method = make(bare)
    begin(method, bare)
    batch: MiniBatch = bare.full_batch()
    assert method.loss(batch).isfinite()
    assert as_matrix(method).diagonal().all()
    assert as_matrix(method).sum() > 48


def test_more_than_there_is_to_find_is_refused() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match=r"49 clusters among 48 nodes.*--set clusters"):
        make(graph, clusters=49).check_sampler(FullBatch(graph))
    with pytest.raises(InputError, match="99 neighbors among 48 nodes"):
        make(graph, neighbors=99).check_sampler(FullBatch(graph))
