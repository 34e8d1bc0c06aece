"""Adaptive augmentation keeps the contract of augmenters and drops what the paper says, also in sampled batches."""

from collections import Counter
from typing import ClassVar

import pytest
import torch

from gssl.augment.adaptive import AdaptiveDropEdge, AdaptiveMaskFeature
from gssl.augment.base import Augmenter
from gssl.augment.centrality import Ends, degree_centrality
from gssl.common.errors import InputError
from gssl.common.options import options_of, validate
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.storage import Graph
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.propagation.neighbor import Neighbor
from gssl.testing.augmenters import AugmenterContract
from gssl.testing.propagations import draw
from gssl.testing.toy import toy_graph

NODE = 1.5 + torch.arange(200).float()


class MadeFromAGraph(AugmenterContract):
    """The contract of augmenters that are no configuration alone."""

    made: ClassVar[Augmenter]

    def build(self) -> Augmenter:
        return self.made

    def test_options_are_a_configuration(self) -> None:
        """Those that are not tensors, or what is known of the graph."""
        configurable = {name: option for name, option in options_of(self.augmenter).items() if not option.required}
        assert {"p", "cutoff"} & set(configurable)
        for name, option in configurable.items():
            validate(self.augmenter, {name: option.default}, what=self.augmenter.__name__)
            assert f"{name}:" in (self.augmenter.__doc__ or "")
        with pytest.raises(InputError):
            validate(self.augmenter, {"p": 1.0}, what=self.augmenter.__name__)


class TestAdaptiveDropEdge(MadeFromAGraph):
    augmenter = AdaptiveDropEdge
    made = AdaptiveDropEdge(node=NODE, visible=torch.ones(200), most=float(NODE.log().max()), mean=3.0, p=0.5)


class TestAdaptiveDropEdgeOfBothEnds(MadeFromAGraph):
    augmenter = AdaptiveDropEdge
    made = AdaptiveDropEdge(node=NODE, visible=torch.ones(200), most=5.5, mean=3.0, p=0.4, ends="mean")


class TestAdaptiveMaskFeature(MadeFromAGraph):
    augmenter = AdaptiveMaskFeature
    changes_features = True
    made = AdaptiveMaskFeature(weight=NODE[:24], p=0.4)
    kinds = ("node", "node-sparse", "node-gathered")


def small() -> Graph:
    """Five nodes whose in-degrees are 1, 3, 2, 1 and 1."""
    edges = torch.tensor([[1, 0, 2, 3, 1, 4, 1, 2], [0, 1, 1, 1, 2, 2, 3, 4]])
    return Graph.from_edge_index(edges, torch.ones(5, 1))


def chances(ends: Ends) -> dict[tuple[int, int], float]:
    """Probability of dropping each edge of the small graph at p = 0.5, cut off at 0.7, from the paper's formulas."""
    degree = [1, 3, 2, 1, 1]
    edges = [tuple(edge) for edge in small().block.edge_index.T.tolist()]
    weight = {
        (u, v): torch.tensor(float(degree[v]) if ends == "target" else (degree[u] + degree[v]) / 2).log()
        for u, v in edges
    }
    values = torch.stack(list(weight.values()))
    spread = values.max() - values.mean()
    return {edge: min(0.7, float((values.max() - w) / spread * 0.5)) for edge, w in weight.items()}


@pytest.mark.parametrize("ends", ["target", "mean"])
@pytest.mark.parametrize("sampled", [False, True])
def test_edges_are_dropped_with_the_probability_of_the_paper(ends: Ends, sampled: bool) -> None:
    graph = small()
    augmenter = AdaptiveDropEdge.of(graph.block, degree_centrality(graph.block), p=0.5, ends=ends)
    # Nodes of a sampled batch have other numbers; node 4 and node 3 are not targets.
    batch = Exact(graph, num_layers=1).batch(draw(2, 1, 0)) if sampled else graph.full_batch()
    rng, count, draws = torch.Generator().manual_seed(0), Counter[tuple[int, int]](), 4000
    for _ in range(draws):
        view = augmenter(batch, rng)
        count.update(map(tuple, batch.node_ids[view.blocks[0].edge_index].T.tolist()))
    there = set(map(tuple, batch.node_ids[batch.blocks[0].edge_index].T.tolist()))
    assert len(there) == (6 if sampled else 8)
    for edge in there:
        chance = chances(ends)[edge]
        assert abs(count[edge] - (1 - chance) * draws) <= 4 * (chance * (1 - chance) * draws) ** 0.5


@pytest.mark.parametrize("ends", ["target", "mean"])
@pytest.mark.parametrize("attributes", [False, True])
def test_degrees_of_sampled_views_are_expected_ones(ends: Ends, attributes: bool) -> None:
    """On average over views of the whole graph, each node has the degree that sampled views give it."""
    graph = toy_graph(num_nodes=30, attributes=attributes)
    augmenter = AdaptiveDropEdge.of(graph.block, degree_centrality(graph.block), p=0.4, ends=ends)
    rng = torch.Generator().manual_seed(0)
    views = [augmenter(graph.full_batch(), rng).blocks[0].degree for _ in range(2000)]
    batch = Neighbor(graph, num_layers=1, fanouts=2, weights="ht").batch(draw(*range(30)))
    found = augmenter(batch, rng).blocks[0].full_degree
    assert found is not None
    torch.testing.assert_close(found, torch.stack(views).mean(0)[batch.node_ids], rtol=0, atol=0.2)


def test_every_edge_has_the_same_chance_where_all_nodes_are_alike() -> None:
    graph = toy_graph(num_nodes=400)
    augmenter = AdaptiveDropEdge.of(graph.block, torch.ones(400), p=0.3)
    view = augmenter(graph.full_batch(), torch.Generator().manual_seed(0))
    assert view.blocks[0].num_edges / graph.num_edges == pytest.approx(0.7, abs=0.05)
    none = AdaptiveDropEdge.of(graph.block, torch.ones(400), p=0.0)
    assert none(graph.full_batch(), torch.Generator()).blocks[0].num_edges == graph.num_edges


def words(sparse: bool) -> tuple[MiniBatch, torch.Tensor]:
    x = torch.tensor([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0]])
    edges = torch.tensor([[0, 1], [1, 0]])
    graph = Graph.from_edge_index(edges, SparseMatrix.from_dense(x) if sparse else x)
    return graph.full_batch(), torch.tensor([1.0, 4.0, 2.0])


@pytest.mark.parametrize("sparse", [False, True])
def test_features_are_masked_with_the_probability_of_the_paper(sparse: bool) -> None:
    batch, node = words(sparse)
    augmenter = AdaptiveMaskFeature.of(batch.x, node, p=0.2)  # type: ignore[arg-type]  # no gathered rows
    logs = torch.tensor([1.0, 7.0, 4.0]).log()
    expected = [*((logs.max() - logs) / (logs.max() - logs.mean()) * 0.2).clamp(max=0.7).tolist(), 0.7]
    rng, masked, draws = torch.Generator().manual_seed(0), torch.zeros(4), 4000
    for _ in range(draws):
        view = dense_features(augmenter(batch, rng).x)
        masked += (view == 0).all(0)
    for found, chance in zip((masked / draws).tolist()[:3], expected[:3], strict=True):
        assert abs(found - chance) <= 4 * (chance * (1 - chance) / draws) ** 0.5


def test_bad_input() -> None:
    block = small().block
    with pytest.raises(InputError, match="5 nodes"):
        AdaptiveDropEdge.of(block, torch.ones(4))
