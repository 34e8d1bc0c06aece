"""InfoGraph and GraphCL against their formulas, on graphs of their own."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from gssl.augment.base import Identity
from gssl.augment.choice import RandomChoice
from gssl.augment.drop_node import DropNode
from gssl.augment.mask_attribute import MaskAttribute
from gssl.augment.perturb_edge import PerturbEdge
from gssl.augment.subgraph import WalkSubgraph
from gssl.common.options import options_of
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.graphcl import GraphCL, View
from gssl.methods.infograph import InfoGraph, ResidualHead
from gssl.models.gin import GIN

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def rings_and_stars(count: int = 24) -> Graph:
    """Half of the graphs are rings, half are stars, of several sizes."""
    edges, sizes = [], [5 + number % 4 for number in range(count)]
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    for number, (start, end) in enumerate(pairwise(ptr.tolist())):
        nodes = torch.arange(start, end)
        other = nodes.roll(1) if number % 2 else torch.full_like(nodes, start)
        edges += [torch.stack([nodes, other]), torch.stack([other, nodes])]
    x = nn.functional.one_hot(torch.randint(0, 3, (int(ptr[-1]),)), 3).float()
    return Graph.from_edge_index(torch.cat(edges, dim=1), x, ptr=ptr)


def final_loss(method: Method, graph: Graph, steps: int) -> tuple[float, float]:
    """Mean of the first and of the last five losses."""
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    losses = []
    for step in range(steps):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        loss = method.loss(graph.full_batch())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[:5]) / 5, sum(losses[-5:]) / 5


def masked_loss(local: Tensor, summary: Tensor, graph: Tensor) -> Tensor:
    """InfoGraph's objective with full matrices of scores and masks, as its code writes it."""
    scores = local @ summary.T
    own = nn.functional.one_hot(graph, len(summary)).double()
    log_2 = torch.log(torch.tensor(2.0, dtype=torch.float64))
    positive = ((log_2 - torch.log1p(torch.exp(-scores))) * own).sum() / len(local)
    negative = ((torch.log1p(torch.exp(-scores)) + scores - log_2) * (1 - own)).sum()
    return negative / (len(local) * (len(summary) - 1)) - positive


def test_infograph_loss_is_that_of_its_code() -> None:
    batch = rings_and_stars(6).full_batch()
    method = InfoGraph(GIN(3, hidden_dim=4)).double()
    batch = batch.with_x(batch.x.double())  # type: ignore[union-attr]  # dense here
    nodes = method.encoder(batch)
    graphs = torch.stack([part.sum(0) for part in nodes.split(batch.graph_ptr.diff().tolist())])  # type: ignore[union-attr]  # a batch of graphs
    expected = masked_loss(method.local_head(nodes), method.global_head(graphs), batch.graph_index())
    torch.testing.assert_close(method.loss(batch), expected)


def test_infograph_weights_stand_for_copies_of_graphs() -> None:
    graph = rings_and_stars(4)
    method = InfoGraph(GIN(3, hidden_dim=4, norm="none"))
    weight = torch.tensor([1.0, 3.0, 1.0, 2.0])
    copies = torch.arange(4).repeat_interleave(weight.long())
    weighted = method.loss(replace(graph.full_batch(), weight=weight))
    torch.testing.assert_close(weighted, method.loss(graph.graph_batch(copies)), rtol=1e-4, atol=1e-5)
    assert not torch.isclose(weighted, method.loss(graph.full_batch()))


def test_graphcl_weights_stand_for_copies_of_graphs() -> None:
    graph = rings_and_stars(4)
    method = GraphCL(GIN(3, hidden_dim=4, norm="none"), view1="none", view2="none")
    weight = torch.tensor([1.0, 3.0, 1.0, 2.0])
    copies = torch.arange(4).repeat_interleave(weight.long())
    weighted = method.loss(replace(graph.full_batch(), weight=weight))
    torch.testing.assert_close(weighted, method.loss(graph.graph_batch(copies)), rtol=1e-4, atol=1e-5)
    assert not torch.isclose(weighted, method.loss(graph.full_batch()))


def test_graphcl_without_augmentation_is_the_loss_of_its_code() -> None:
    batch = rings_and_stars(6).full_batch()
    method = GraphCL(GIN(3, hidden_dim=4), view1="none", view2="none", temperature=0.5)
    z = method.head(method.embed(batch))
    similarity = torch.exp(nn.functional.cosine_similarity(z.unsqueeze(1), z.unsqueeze(0), dim=2) / 0.5)
    positive = similarity.diagonal()
    expected = -torch.log(positive / (similarity.sum(1) - positive)).mean()
    torch.testing.assert_close(method.loss(batch), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("none", Identity),
        ("dropN", DropNode),
        ("permE", PerturbEdge),
        ("subgraph", WalkSubgraph),
        ("maskN", MaskAttribute),
    ],
)
def test_graphcl_views_have_the_names_of_its_code(name: View, kind: type) -> None:
    assert type(GraphCL(GIN(3), view1=name).views[0]) is kind


def test_graphcl_random_views() -> None:
    """The random choices of its code nest: 2 drop nodes or walk, 3 also perturb edges, 4 also mask attributes."""
    kinds = [DropNode, WalkSubgraph, PerturbEdge, MaskAttribute]
    names: list[View] = ["random2", "random3", "random4"]
    for count, name in enumerate(names, start=2):
        choice = GraphCL(GIN(3), view2=name, ratio=0.3, keep=0.6).views[1]
        assert isinstance(choice, RandomChoice)
        assert [type(option) for option in choice.options] == kinds[:count]
        assert choice.options[:2] == (DropNode(ratio=0.3), WalkSubgraph(keep=0.6))


def test_every_graphcl_view_trains() -> None:
    graph = rings_and_stars()
    names: list[View] = ["dropN", "permE", "subgraph", "maskN", "random4"]
    for name in names:
        before, after = final_loss(GraphCL(GIN(3, hidden_dim=8), view2=name, keep=0.6), graph, 40)
        assert after < before - 0.1, name


def test_infograph_learns_to_tell_nodes_by_their_graph() -> None:
    """Scores of zero, as of embeddings that say nothing, have loss 0."""
    assert final_loss(InfoGraph(GIN(3, hidden_dim=8)), rings_and_stars(), 40)[1] < -0.05


@pytest.mark.parametrize("method", [InfoGraph, GraphCL])
def test_a_last_batch_of_one_graph_of_one_node_is_no_problem(method: type[Method]) -> None:
    alone = Graph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), torch.ones(1, 3), ptr=torch.tensor([0, 1]))
    loss = method(GIN(3)).loss(alone.full_batch())
    loss.backward()
    assert loss.isfinite()


def test_graphcl_draws_follow_reseed() -> None:
    batch = rings_and_stars().full_batch()
    method = GraphCL(GIN(3), view1="random4")
    losses = []
    for seed in (1, 1, 2):
        method.reseed(seed, CPU)
        losses.append(method.loss(batch).item())
    assert losses[0] == losses[1] != losses[2]


def test_residual_head_is_that_of_infograph() -> None:
    head = ResidualHead(3)
    x = torch.randn(4, 3)
    h = x
    for linear in (m for m in head.block if isinstance(m, nn.Linear)):
        h = torch.relu(h @ linear.weight.T + linear.bias)
    torch.testing.assert_close(head(x), h + x @ head.shortcut.weight.T + head.shortcut.bias)
    assert sum(isinstance(m, nn.Linear) for m in head.block) == 3


def test_embeddings_are_those_of_all_layers_summed_over_nodes() -> None:
    batch = rings_and_stars(5).full_batch()
    for method in (InfoGraph(GIN(3, hidden_dim=4)), GraphCL(GIN(3, hidden_dim=4))):
        method.eval()
        embedding = method.embed(batch)
        assert embedding.shape == (5, 12)
        nodes = method.encoder(batch)
        assert batch.graph_ptr is not None
        torch.testing.assert_close(embedding[2], nodes[batch.graph_ptr[2] : batch.graph_ptr[3]].sum(0))


def test_options() -> None:
    assert list(options_of(GraphCL)) == [
        *("view1", "view2", "ratio", "keep", "temperature", "symmetric"),
        *("objective", "objective_options"),
    ]
    assert list(options_of(InfoGraph)) == []
