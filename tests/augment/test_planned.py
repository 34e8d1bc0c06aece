"""Augmenters that are planned on one batch and applied to another, and subgraphs that are cut together."""

import itertools

import pytest
import torch
from torch import Tensor

from gssl.augment.base import Augmenter, Compose, Identity, views_of
from gssl.augment.choice import RandomChoice
from gssl.augment.drop_edge import DropEdge
from gssl.augment.drop_node import DropNode
from gssl.augment.graphwise import GraphwiseAugmenter, induced, induced_beside
from gssl.augment.mask_attribute import MaskAttribute
from gssl.augment.mask_feature import MaskFeature
from gssl.augment.perturb_edge import PerturbEdge, are_new
from gssl.augment.subgraph import WalkSubgraph
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern, dense_features
from gssl.testing.toy import toy_graph, toy_graphs

OPTIONS: tuple[GraphwiseAugmenter, ...] = (
    DropNode(ratio=0.4),
    WalkSubgraph(keep=0.5),
    PerturbEdge(ratio=0.4),
    MaskAttribute(ratio=0.4),
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same(first: MiniBatch, second: MiniBatch) -> None:
    pairs = [(dense_features(first.x), dense_features(second.x)), (first.node_ids, second.node_ids)]
    one, two = first.blocks[0].pattern, second.blocks[0].pattern
    pairs += [(one.rowptr, two.rowptr), (one.col, two.col)]
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_planned_before_others_change_is_what_is_done_one_by_one(seed: int) -> None:
    batch = toy_graphs(attributes=True).full_batch()
    view = RandomChoice(*OPTIONS)(batch, rng(seed))
    generator = rng(seed)
    drawn = torch.randint(len(OPTIONS), (batch.num_graphs,), generator=generator)
    expected = batch
    for number, option in enumerate(OPTIONS):
        expected = option.transform(expected, generator, drawn == number)
    same(view, expected)


def test_an_augmenter_that_plans_nothing_is_applied_to_the_batch_as_it_is_then() -> None:
    seen: list[tuple[int, Tensor]] = []

    class Looks(GraphwiseAugmenter):
        def transform(self, batch: MiniBatch, rng: torch.Generator, chosen: Tensor) -> MiniBatch:
            seen.append((batch.num_nodes, chosen))
            return batch

    batch = toy_graphs().full_batch()
    chosen = torch.ones(batch.num_graphs, dtype=torch.bool)
    step = Looks().planned(batch, chosen)
    smaller = DropNode(ratio=0.5)(batch, rng())
    assert step(smaller, rng()) is smaller
    assert seen[0][0] == smaller.num_nodes < batch.num_nodes
    assert seen[0][1] is chosen


def test_subgraphs_that_are_cut_together_are_those_of_each() -> None:
    batch = toy_graphs(attributes=True).full_batch()
    keeps = [torch.rand(batch.num_nodes, generator=rng(seed)) < 0.6 for seed in (0, 1)]
    asked = torch.tensor([True, False, True])
    views, (places,), told = induced_beside([(batch, keep) for keep in keeps], [asked], [torch.tensor(7)])
    for view, keep in zip(views, keeps, strict=True):
        same(view, induced(batch, keep))
    assert places.tolist() == [0, 2]
    assert told == (7,)


def test_edges_are_new_that_are_neither_there_nor_drawn_before() -> None:
    pattern, _ = Pattern.from_coo(torch.tensor([0, 3]), torch.tensor([1, 2]), 4, 4)
    row, col = torch.tensor([0, 1, 1, 3, 3]), torch.tensor([1, 0, 0, 3, 2])
    assert are_new(pattern, row, col, undirected=False).tolist() == [False, True, False, True, False]
    assert are_new(pattern, row, col, undirected=True).tolist() == [False, False, False, True, False]
    empty, _ = Pattern.from_coo(row[:0], col[:0], 4, 4)
    assert are_new(empty, row, col, undirected=False).tolist() == [True, True, False, True, True]


class Doubled(MaskFeature):
    """Makes the view in another way."""

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        return batch.with_x(dense_features(super().__call__(batch, rng).x) * 2)


class Again(Doubled):
    part = "features"


class Twice(Compose):
    """Its steps, and once more."""

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        return super().__call__(super().__call__(batch, rng), rng)


EDGES, FEATURES = DropEdge(p=0.4), MaskFeature(p=0.4)
STEPS: tuple[Augmenter, ...] = (
    EDGES,
    FEATURES,
    DropNode(ratio=0.3),
    Doubled(p=0.4),
    Again(p=0.4),
    Twice(EDGES, FEATURES),
)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_views_are_those_that_are_made_one_by_one(sparse: bool) -> None:
    """Also where a step looks at what one before it changed, or a subclass makes its view otherwise."""
    batch = toy_graph(num_nodes=30, in_dim=8, sparse=sparse).full_batch()
    for first in itertools.product(STEPS, repeat=2):
        for second in (Compose(EDGES, FEATURES), Twice(FEATURES, EDGES), Identity()):
            augmenters = [Compose(*first), second, EDGES]
            one_by_one, together = rng(), rng()
            expected = [augmenter(batch, one_by_one) for augmenter in augmenters]
            for view, wanted in zip(views_of(batch, augmenters, together), expected, strict=True):
                same(view, wanted)
            assert torch.equal(one_by_one.get_state(), together.get_state())


def test_views_of_edges_and_features_are_drawn_before_the_first_is_made() -> None:
    batch, generator = toy_graph(num_nodes=30, in_dim=8).full_batch(), rng()
    views = views_of(batch, [EDGES, Compose(FEATURES, EDGES), DropNode(ratio=0.3)], generator)
    next(views)
    state = generator.get_state()
    next(views)
    assert torch.equal(state, generator.get_state())
    next(views)
    assert not torch.equal(state, generator.get_state())


def test_nothing_is_drawn_where_the_first_layer_was_computed_before() -> None:
    batch, generator = toy_graph(num_nodes=30, in_dim=8).full_batch().planned(first=torch.zeros(30, 4)), rng()
    state = generator.get_state()
    with pytest.raises(InputError, match="precompute"):
        EDGES(batch, generator)
    assert torch.equal(state, generator.get_state())
