"""SimGRACE against its formula with dense matrices, and where its gradient flows."""

import copy
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.storage import Graph
from gssl.methods.simgrace import SimGRACE
from gssl.models.gin import GIN
from gssl.models.noise import noisy_twin
from gssl.samplers.full import GraphBatches
from gssl.testing.toy import toy_graphs

CPU = torch.device("cpu")


def make(*, norm: Any = "none", **options: Any) -> SimGRACE:
    torch.manual_seed(0)
    return SimGRACE(GIN(4, hidden_dim=8, num_layers=2, norm=norm), **options)


def dense_rows(encoder: GIN, graph: Graph) -> Tensor:
    """Graph embeddings of a GIN without norms: layer by layer with full matrices, then sums, graph by graph."""
    sources, destinations = graph.block.edge_index
    adjacency = torch.eye(graph.num_nodes).double()
    adjacency.index_put_((destinations, sources), torch.ones(len(sources)).double(), accumulate=True)
    x, outputs = graph.x.double(), []  # type: ignore[union-attr]  # dense here
    for layer in encoder.layers:
        x = torch.relu(layer.rest(adjacency @ x @ layer.weight + layer.bias))  # type: ignore[operator]  # of torch
        outputs.append(x)
    nodes = torch.cat(outputs, dim=1)
    assert graph.ptr is not None
    return torch.stack([nodes[a:b].sum(0) for a, b in pairwise(graph.ptr.tolist())])


def reference(method: SimGRACE, graph: Graph, seed: int) -> Tensor:
    """The loss, one anchor after the other; noise in the order of the parameters."""
    rng = torch.Generator().manual_seed(seed)
    twin = copy.deepcopy(method.encoder)
    for parameter in twin.parameters():
        flat = parameter.detach().flatten()
        spread = ((flat - flat.mean()) ** 2).sum().div(max(len(flat) - 1, 1)).sqrt()
        noise = torch.randn(parameter.shape, generator=rng, dtype=parameter.dtype)
        parameter.data = parameter.data + method.eta * spread * noise
    anchors = method.head(dense_rows(twin, graph)).detach()  # type: ignore[arg-type]  # a GIN here
    others = method.head(dense_rows(method.encoder, graph))  # type: ignore[arg-type]  # a GIN here
    terms = []
    for i, anchor in enumerate(anchors):
        scores = torch.stack([anchor @ z / (anchor.norm() * z.norm()) / 0.2 for z in others])
        rest = torch.cat([scores[:i], scores[i + 1 :]])
        terms.append(rest.exp().sum().log() - scores[i])
    return torch.stack(terms).mean()


def test_loss_and_gradient_are_those_of_dense_matrices() -> None:
    graph = toy_graphs(num_graphs=5)
    method = make(eta=0.7).double()
    batch = graph.full_batch().with_x(graph.x.double())  # type: ignore[union-attr]  # dense here
    method.reseed(3, CPU)
    found, expected = method.loss(batch), reference(method, graph, 3)
    torch.testing.assert_close(found, expected)
    parameters = list(method.parameters())
    for mine, theirs in zip(
        torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_without_noise_both_views_are_one() -> None:
    """Positives have cosine 1 then, so a graph among copies of itself pays the log of how many there are."""
    graph = toy_graphs(num_graphs=4)
    same = graph.graph_batch(torch.tensor([2, 2, 2, 2, 2]))
    torch.testing.assert_close(make(eta=0.0).loss(same), torch.tensor(4.0).log())


def test_noise_is_drawn_anew_and_makes_the_task_harder() -> None:
    batch = toy_graphs().full_batch()
    losses = []
    for eta in (0.0, 0.1, 10.0):
        method = make(eta=eta)
        method.reseed(0, CPU)
        losses.append([method.loss(batch).item() for _ in range(20)])
    assert len(set(losses[0])) == 1
    assert len(set(losses[1])) == 20
    means = [sum(values) / 20 for values in losses]
    assert means[0] < means[1] < means[2]


def mean_gap(method: SimGRACE, graph: Graph) -> float:
    """By how much the cosine of a graph with itself exceeds that with another, over several draws of noise."""
    gaps, batch = [], graph.full_batch()
    with torch.no_grad():
        own = method.project(method.embed(batch))
        for seed in range(20):
            twin = noisy_twin(method.encoder, method.eta, torch.Generator().manual_seed(seed))
            noisy = method.project(twin.pool(twin(batch), batch))
            cosine = torch.nn.functional.cosine_similarity(noisy.unsqueeze(1), own.unsqueeze(0), dim=2)
            size = len(cosine)
            gaps.append(cosine.diagonal().mean() - (cosine.sum() - cosine.trace()) / (size * (size - 1)))
    return float(torch.stack(gaps).mean())


def test_steps_raise_the_agreement_of_positives_over_that_of_negatives() -> None:
    graph = toy_graphs()
    method = make(eta=0.2, norm="batch")
    before = mean_gap(method, graph)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    for step in range(10):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        method.loss(graph.full_batch()).backward()
        optimizer.step()
    after = mean_gap(method, graph)
    assert after > before + 0.05, (before, after)


def test_statistics_of_batches_are_those_of_the_encoder_without_noise() -> None:
    graph, method, plain = toy_graphs(), make(norm="batch", eta=5.0), make(norm="batch", eta=5.0)
    method.loss(graph.full_batch())
    plain.embed(graph.full_batch())
    for mine, theirs in zip(method.encoder.buffers(), plain.encoder.buffers(), strict=True):
        assert torch.equal(mine, theirs)


def test_weights_stand_for_copies_of_graphs() -> None:
    graph, weight = toy_graphs(num_graphs=4), torch.tensor([1.0, 3.0, 1.0, 2.0])
    method = make()
    losses = []
    for batch in (
        replace(graph.full_batch(), weight=weight),
        graph.graph_batch(torch.arange(4).repeat_interleave(weight.long())),
        graph.full_batch(),
    ):
        method.reseed(1, CPU)
        losses.append(method.loss(batch))
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-5)
    assert not torch.isclose(losses[0], losses[2])


def test_a_last_batch_of_one_graph_of_one_node_is_no_problem() -> None:
    alone = Graph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), torch.ones(1, 4), ptr=torch.tensor([0, 1]))
    loss = make(norm="batch").loss(alone.full_batch())
    loss.backward()
    assert loss.item() == 0


def test_batches_of_one_graph_are_refused() -> None:
    with pytest.raises(InputError, match=r"SimGRACE.*set train\.batch_size to 2"):
        make().check_sampler(GraphBatches(toy_graphs(), batch_size=1))
    with pytest.raises(InputError, match="there is only 1"):
        make().check_sampler(GraphBatches(toy_graphs(num_graphs=1), batch_size=8))
    make().check_sampler(GraphBatches(toy_graphs(), batch_size=2))


@pytest.mark.parametrize(("option", "value"), [("eta", -0.1), ("eta", float("inf")), ("temperature", 0.0)])
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(InputError, match=option):
        validate(SimGRACE, {option: value}, what="SimGRACE")


def test_another_objective_of_two_views() -> None:
    method = make(objective="vicreg")
    assert method.loss(toy_graphs().full_batch()).isfinite()
    with pytest.raises(InputError, match="does not compare two views"):
        make(objective="gaussian_kl")
