"""RGCL: which nodes the views keep, what the readout counts, and how the generator learns."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.methods.rgcl import RGCL
from gssl.models.gin import GIN
from gssl.samplers.full import GraphBatches
from gssl.testing.toy import toy_graphs

CPU = torch.device("cpu")


def make(*, norm: Any = "none", **options: Any) -> RGCL:
    torch.manual_seed(0)
    small = {"generator_dim": 6, "generator_layers": 2}
    return RGCL(GIN(4, hidden_dim=8, num_layers=2, norm=norm), **{**small, **options})


def stars(count: int, size: int) -> Graph:
    """Stars whose hubs come first."""
    hubs = size * torch.arange(count).repeat_interleave(size - 1)
    leaves = torch.arange(count * size).view(count, size)[:, 1:].flatten()
    edges = torch.stack([torch.cat([hubs, leaves]), torch.cat([leaves, hubs])])
    return Graph.from_edge_index(edges, torch.ones(count * size, 4), ptr=size * torch.arange(count + 1))


def reference(method: RGCL, batch: MiniBatch, views: tuple[MiniBatch, MiniBatch]) -> Tensor:
    """The loss, graph by graph, from embeddings of the nodes and probabilities."""
    projections = []
    for view in (batch, *views):
        scores, nodes = method.generator(view).squeeze(1), method.encoder(view)
        rows = []
        for a, b in pairwise(view.graph_ptr.tolist()):  # type: ignore[union-attr]  # a batch of graphs
            p = torch.softmax(scores[a:b] / 5, 0)
            rows.append(torch.stack([(0.9 + 0.1 * p[k] / p.max()) * nodes[a + k] for k in range(b - a)]).sum(0))
        projections.append([z / z.norm() for z in method.head(torch.stack(rows))])
    terms = []
    for i, anchor in enumerate(projections[0]):
        own = torch.exp(anchor @ projections[1][i] / 0.2)
        rationales = sum(torch.exp(anchor @ z / 0.2) for z in projections[1])
        complements = sum(torch.exp(anchor @ z / 0.2) for z in projections[2])
        terms.append(-torch.log(own / rationales + 0.1 * own / (own + complements)))
    return torch.stack(terms).mean()


def test_loss_and_gradients_are_those_of_loops_over_graphs() -> None:
    graph = toy_graphs(num_graphs=5)
    method = make(keep=0.7).double()
    x = dense_features(graph.x).double() + 0.1 * torch.rand(graph.x.shape)  # no two nodes are alike
    batch = graph.full_batch().with_x(x)
    method.reseed(3, CPU)
    views = method.drawn(batch, method.probability(batch).detach())
    method.reseed(3, CPU)
    found, expected = method.loss(batch), reference(method, batch, views)
    torch.testing.assert_close(found, expected)
    parameters = dict(method.named_parameters())
    for name, mine, theirs in zip(
        parameters,
        torch.autograd.grad(found, list(parameters.values())),
        torch.autograd.grad(expected, list(parameters.values())),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, msg=name)
        if name.startswith("generator.nodes"):
            assert mine.any(), f"nothing reaches {name}"


def test_rationales_keep_probable_nodes_and_complements_the_others() -> None:
    """One node of each graph is far more probable: one view nearly always has it, the other one nearly never."""
    graph = stars(300, 10)
    method = make(keep=0.5)
    batch = graph.full_batch()
    probability = torch.full((batch.num_nodes,), 1e-4)
    hubs = torch.arange(0, batch.num_nodes, 10)
    probability[hubs] = 1 - 9e-4
    rationale, complement = method.drawn(batch, probability)
    for view in (rationale, complement):
        assert view.graph_ptr is not None
        assert view.graph_ptr.diff().tolist() == [5] * 300
    assert torch.isin(hubs, rationale.node_ids).float().mean() > 0.98
    # Its weight is 0.001 beside nine of almost 1, drawn from five times.
    assert torch.isin(hubs, complement.node_ids).float().mean() < 0.02


def test_even_probabilities_make_two_views_of_uniform_nodes() -> None:
    graph = stars(2000, 5)
    batch = graph.full_batch()
    method = make(keep=0.6)
    for view in method.drawn(batch, torch.full((batch.num_nodes,), 0.2)):
        often = torch.bincount(view.node_ids % 5, minlength=5) / 2000
        torch.testing.assert_close(often, torch.full((5,), 0.6), atol=0.05, rtol=0)


@pytest.mark.parametrize(("keep", "left"), [(0.9, [1, 5, 9, 18]), (0.5, [1, 3, 5, 10]), (1e-6, [1, 1, 1, 1])])
def test_sizes_of_views(keep: float, left: list[int]) -> None:
    """``floor((1 - keep) * size)`` nodes go, and one stays at least; 0.1 of 10 is 1, whatever floats say."""
    ptr = torch.tensor([0, 1, 6, 16, 36])
    graph = Graph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), torch.ones(36, 4), ptr=ptr)
    for view in make(keep=keep).drawn(graph.full_batch(), torch.rand(36)):
        assert view.graph_ptr is not None
        assert view.graph_ptr.diff().tolist() == left


def test_probabilities_add_up_to_one_in_each_graph() -> None:
    graph = toy_graphs()
    found = make().probability(graph.full_batch())
    assert graph.ptr is not None
    for a, b in pairwise(graph.ptr.tolist()):
        assert found[a:b].sum().item() == pytest.approx(1, abs=1e-5)
        assert found[a:b].unique().numel() > 1 or b - a == 1


def test_factors_of_the_readout_lie_between_nine_tenths_and_one() -> None:
    """So that the generator cannot do the work of the encoder."""
    graph = stars(3, 4)
    method, batch = make(), graph.full_batch()
    probability = torch.tensor([0.7, 0.1, 0.1, 0.1, 0.25, 0.25, 0.25, 0.25, 1.0, 0.0, 0.0, 0.0])
    nodes = method.encoder(batch)
    factor = torch.tensor([1.0, *[0.9 + 0.1 / 7] * 3, *[1.0] * 4, 1.0, *[0.9] * 3])
    expected = (factor.unsqueeze(1) * nodes).view(3, 4, -1).sum(1)
    torch.testing.assert_close(method.weighed(batch, probability), expected)


def test_embeddings_do_not_ask_the_generator() -> None:
    graph, method = toy_graphs(), make().eval()
    before = method.embed(graph.full_batch())
    for parameter in method.generator.parameters():
        torch.nn.init.normal_(parameter)
    assert torch.equal(method.embed(graph.full_batch()), before)


def test_steps_raise_the_agreement_with_rationales() -> None:
    graph = toy_graphs()
    method = make(norm="batch", independence=1.0)
    kept: list[float] = []

    def gap(step: int) -> float:
        """Cosine with the own rationale less that with those of others."""
        method.reseed(step, CPU)
        with torch.no_grad():
            batch = graph.full_batch()
            p = method.probability(batch)
            view = method.drawn(batch, p)[0]
            one = method.project(method.weighed(batch, p))
            two = method.project(method.weighed(view, method.probability(view)))
        cosine = torch.nn.functional.cosine_similarity(one.unsqueeze(1), two.unsqueeze(0), dim=2)
        return float(cosine.diagonal().mean() - cosine.mean())

    kept.append(sum(map(gap, range(100, 110))) / 10)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    for step in range(10):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        method.loss(graph.full_batch()).backward()
        optimizer.step()
    kept.append(sum(map(gap, range(100, 110))) / 10)
    assert kept[1] > kept[0] + 0.02, kept


def test_a_last_batch_of_one_graph_of_one_node_is_no_problem() -> None:
    alone = Graph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), torch.ones(1, 4), ptr=torch.tensor([0, 1]))
    loss = make(norm="batch").loss(alone.full_batch())
    loss.backward()
    assert loss.isfinite()


def test_weights_stand_for_copies_of_graphs() -> None:
    """With all nodes kept nothing is left to chance; without batch norm copies change nothing but their number."""
    graph, weight = toy_graphs(num_graphs=4), torch.tensor([1.0, 3.0, 1.0, 2.0])
    method = make(keep=1.0).eval()
    weighted = method.loss(replace(graph.full_batch(), weight=weight))
    copies = method.loss(graph.graph_batch(torch.arange(4).repeat_interleave(weight.long())))
    torch.testing.assert_close(weighted, copies, rtol=1e-4, atol=1e-5)
    assert not torch.isclose(weighted, method.loss(graph.full_batch()))


def test_batches_of_one_graph_are_refused() -> None:
    with pytest.raises(InputError, match=r"RGCL.*set train\.batch_size to 2"):
        make().check_sampler(GraphBatches(toy_graphs(), batch_size=1))
    make().check_sampler(GraphBatches(toy_graphs(), batch_size=2))


@pytest.mark.parametrize(
    ("option", "value"),
    [("keep", 0.0), ("keep", 1.1), ("independence", -1), ("temperature", 0), ("generator_layers", 1)],
)
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(InputError, match=option):
        validate(RGCL, {option: value}, what="RGCL")
