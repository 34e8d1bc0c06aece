"""E2Neg: a few centers instead of all nodes, on stars that do not touch."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from gssl.common.errors import InputError
from gssl.graph.storage import Graph
from gssl.methods.e2neg import E2Neg
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.samplers.full import FullBatch
from gssl.testing.toy import toy_graph, without_edges
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def make(graph: Graph, **options: object) -> E2Neg:
    torch.manual_seed(0)
    encoder = GCN(graph.in_dim, hidden_dim=16, num_layers=1, activation="prelu")
    small = {"clusters": 6, "neighbors": 5, "least_neighbors": 3, "spectrum": "low", **options}
    method = E2Neg(encoder, **small)  # type: ignore[arg-type]  # mixed values
    method.prepare(graph, 3)
    return method


def star_embeddings(method: E2Neg, graph: Graph, order: Tensor) -> Tensor:
    """Projections of the centers, star by star: mean of the leaves and the center itself, as GCN weighs them."""
    assert isinstance(graph.x, Tensor)
    assert isinstance(method.encoder, GCN)
    update, activation = method.encoder.layer(0).update, method.encoder.activations[0]
    rows = []
    for number, star in enumerate(method.leaves):
        leaves = graph.x[star[star >= 0]]
        size = len(leaves) + 1
        own = graph.x[method.centers[order[number]]]
        rows.append(own / size + leaves.sum(0) / size**0.5)
    aggregated = torch.stack(rows)
    projected: Tensor = method.head(activation(update(aggregated, aggregated)))
    return projected


@pytest.mark.parametrize("shuffled", ["both", "second"])
def test_loss_is_info_nce_of_the_centers_of_stars(shuffled: str) -> None:
    graph = toy_graph()
    method = make(graph, shuffled=shuffled, temperature=0.6)
    method.reseed(4, CPU)
    loss = method.loss(graph.full_batch())
    count = len(method.centers)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(4))
    assert not torch.equal(order, torch.arange(count))
    second = star_embeddings(method, graph, order)
    first = second if shuffled == "both" else star_embeddings(method, graph, torch.arange(count))
    u, v = normalize(first, dim=1), normalize(second, dim=1)
    terms = []
    for own, other in ((u, v), (v, u)):
        for i in range(count):
            met = [own[i] @ other[j] for j in range(count)] + [own[i] @ own[j] for j in range(count) if j != i]
            terms.append((torch.stack(met) / 0.6).logsumexp(0) - own[i] @ other[i] / 0.6)
    torch.testing.assert_close(loss, torch.stack(terms).mean(), rtol=1e-4, atol=1e-5)


def test_embeddings_are_of_the_whole_graph_and_training_tells_centers_apart() -> None:
    graph = toy_graph()
    method = make(graph)

    @torch.no_grad()
    def similar() -> float:
        z = method.project(method.embed(graph.full_batch())[method.centers])
        return float(cosine_similarity(z[:, None], z[None], dim=2).mean())

    before = similar()
    pretrain(method, FullBatch(graph), TrainConfig(epochs=10, lr=1e-2), seed=0)
    assert similar() < before - 0.05
    torch.testing.assert_close(method.embed(graph.full_batch()), method.encoder(graph.full_batch()))


def test_ten_steps_raise_the_agreement_of_a_center_with_itself() -> None:
    """Where views differ: the neighborhood tells which center it is, whatever its own features."""
    graph = toy_graph()
    method = make(graph, shuffled="second")

    @torch.no_grad()
    def margin() -> float:
        order = torch.arange(len(method.centers)).roll(1)
        u = normalize(star_embeddings(method, graph, torch.arange(len(order))), dim=1)
        v = normalize(star_embeddings(method, graph, order), dim=1)
        return float((u * v).sum(1).mean() - (u @ v.T).mean())

    before = margin()
    pretrain(method, FullBatch(graph), TrainConfig(epochs=10, lr=1e-2), seed=0)
    assert margin() > before + 0.05


def test_nothing_but_the_stars_enters_the_loss() -> None:
    graph = toy_graph()
    method = make(graph)
    assert isinstance(graph.x, Tensor)
    nodes = torch.cat([method.centers, method.leaves.flatten()])
    elsewhere = ~torch.isin(torch.arange(48), nodes)
    assert elsewhere.any()
    x = graph.x.clone()
    x[elsewhere] = 99.0
    batch = graph.full_batch()

    def loss(batch: object) -> float:
        method.reseed(0, CPU)
        return method.loss(batch).item()  # type: ignore[arg-type]  # a batch

    expected = loss(batch)
    assert loss(without_edges(batch).with_x(x)) == expected
    weight = torch.ones(48)
    weight[elsewhere] = 7.0
    assert loss(replace(batch, weight=weight)) == pytest.approx(expected)
    weight[method.centers[0]] = 3.0
    assert loss(replace(batch, weight=weight)) != pytest.approx(expected, rel=1e-4)


def test_an_interrupted_training_knows_its_stars() -> None:
    graph = toy_graph()
    method, other = make(graph), make(graph)
    other.prepare(graph, 11)
    assert not torch.equal(other.leaves, method.leaves)
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.leaves, method.leaves)


@pytest.mark.parametrize("name", ["graphsage", "clustergcn", "uniform+induced"])
def test_sampled_batches_are_refused(name: str) -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match=r"whole graphs only.*to which a sampled batch would add nothing"):
        pretrain(make(graph), SAMPLERS.get(name)(graph, num_layers=1, batch_size=8), TrainConfig(epochs=1), seed=0)


def test_bad_input_says_what_to_change() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match="prepare"):
        E2Neg(GCN(24, hidden_dim=8)).loss(graph.full_batch())
    many = make(graph, clusters=48)
    assert many.embed(graph.full_batch()).shape == (48, 16)  # embedding needs no centers
    with pytest.raises(InputError, match="48 clusters of 48 nodes; choose a lower --set clusters"):
        many.check_sampler(FullBatch(graph))
    bare = Graph(without_edges(graph.full_batch()).blocks[0], graph.x)
    with pytest.raises(InputError, match=r"found 0 of them; the graph needs edges"):
        make(bare).loss(bare.full_batch())
