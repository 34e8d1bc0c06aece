"""Selection by random walks: hitting probabilities against the enumeration of all walks."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.storage import Graph
from gssl.samplers.selection.hitting import hitting_probability, random_walks, return_probability
from gssl.samplers.selection.walk import Walk
from gssl.testing.toy import toy_graph


def awkward() -> Graph:
    """Directed, with a loop, parallel edges, a node without neighbors and one that nothing leads to."""
    neighbors = {0: [1, 2, 2], 1: [0], 2: [2, 3, 0], 3: [], 4: [0, 3]}
    edges = [(source, target) for target, sources in neighbors.items() for source in sources]
    return Graph.from_edge_index(torch.tensor(edges).T, torch.ones(5, 1))


def all_walks(graph: Graph, root: int, length: int) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Every walk from a root with its probability."""
    if length == 0:
        yield 1.0, (root,)
        return
    begin, end = graph.block.pattern.rowptr[root : root + 2].tolist()
    choices = graph.block.pattern.col[begin:end].tolist() or [root]
    for choice in choices:
        for chance, rest in all_walks(graph, choice, length - 1):
            yield chance / len(choices), (root, *rest)


def enumerated(graph: Graph, roots: list[int], length: int, walks: int) -> Tensor:
    """Probability that some of ``walks`` walks from uniform roots visits a node."""
    single = [(chance / len(roots), path) for root in roots for chance, path in all_walks(graph, root, length)]
    found = torch.zeros(graph.num_nodes, dtype=torch.float64)
    for several in product(single, repeat=walks):
        chance = 1.0
        for share, _ in several:
            chance *= share
        found[list({node for _, path in several for node in path})] += chance
    return found


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("roots", [[0, 1, 2, 3, 4], [4, 1], [3]])
def test_hitting_probabilities_of_short_walks_are_exact(length: int, roots: list[int]) -> None:
    graph = awkward()
    got = hitting_probability(graph.block.pattern, torch.tensor(roots), length, presample=1, seed=0)
    assert torch.allclose(got, enumerated(graph, roots, length, 1), atol=1e-12)


@pytest.mark.parametrize("length", [3, 4])
def test_longer_walks_are_estimated_closely(length: int) -> None:
    """A return after 3 or 4 steps is estimated by 2000 walks; four of its standard errors are at most 0.045."""
    graph, roots = awkward(), [0, 1, 2, 3, 4]
    got = hitting_probability(graph.block.pattern, torch.tensor(roots), length, presample=2000, seed=0)
    assert torch.allclose(got, enumerated(graph, roots, length, 1), atol=0.045 / 5 * 2)


def test_return_probabilities() -> None:
    graph = awkward()
    got = return_probability(graph.block.pattern, 4, presample=1500, seed=1)
    for steps, probability in enumerate(got, 1):
        expected = [
            sum(chance for chance, path in all_walks(graph, node, steps) if path[-1] == node) for node in range(5)
        ]
        assert probability.tolist() == pytest.approx(expected, abs=1e-12 if steps <= 2 else 0.055)


def test_walks_follow_edges_and_stay_where_there_are_none() -> None:
    graph = awkward()
    roots = torch.arange(5).repeat(2000)
    walks = random_walks(graph.block.pattern, roots, 2, stream=5)
    assert torch.equal(walks[:, 0], roots)
    for root in range(5):
        paths, counts = walks[roots == root].unique(dim=0, return_counts=True)
        expected: dict[tuple[int, ...], float] = {}
        for chance, path in all_walks(graph, root, 2):
            expected[path] = expected.get(path, 0.0) + chance
        assert {tuple(path) for path in paths.tolist()} == set(expected)
        for path, count in zip(paths.tolist(), counts.tolist(), strict=True):
            assert count / 2000 == pytest.approx(expected[tuple(path)], abs=5 * 0.5 / 2000**0.5)


@pytest.mark.parametrize(("items", "batch_size"), [([0, 1, 2, 3, 4], 3), ([0, 1, 2, 3, 4], 2), ([4, 1, 2], 2)])
def test_inclusion_probabilities_of_a_batch_are_exact(items: list[int], batch_size: int) -> None:
    """The number of walks is random between two integers; nodes on the way that are no items do not count."""
    graph = awkward()
    selection = Walk(graph, items=torch.tensor(items), batch_size=batch_size, walk_length=1)
    fewer = int(selection.walks)
    more = selection.walks - fewer
    assert fewer <= 3
    none = torch.zeros(5, dtype=torch.float64)
    expected = (1 - more) * (enumerated(graph, items, 1, fewer) if fewer else none)
    expected = expected + more * enumerated(graph, items, 1, fewer + 1)
    assert torch.allclose(selection.probability, expected[torch.tensor(items)], atol=1e-12)
    assert float(selection.probability.sum()) == pytest.approx(batch_size)


def test_frequencies_are_the_probabilities() -> None:
    """Within 5 standard deviations for each item of 48."""
    selection = Walk(toy_graph(), batch_size=10, walk_length=2)
    counts, total = torch.zeros(48, dtype=torch.float64), 0
    for epoch in range(300):
        for found in selection.epoch(epoch):
            counts[found.ids] += 1
            total += 1
    p = selection.probability
    assert bool(((counts / total - p).abs() < 5 * (p * (1 - p) / total).sqrt()).all())


def test_a_graph_without_edges_gives_its_roots() -> None:
    graph = Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), torch.ones(6, 1))
    selection = Walk(graph, batch_size=2)
    assert float(selection.probability.sum()) == pytest.approx(2)
    assert all(draw.ids.numel() for draw in selection.epoch(0))


def test_a_batch_below_one_walk_may_be_empty_and_is_counted() -> None:
    selection = Walk(toy_graph(), batch_size=1)
    assert selection.walks < 1
    draws = [draw for epoch in range(3) for draw in selection.epoch(epoch)]
    assert selection.empty_draws > 0
    assert len(draws) + selection.empty_draws == 3 * 48


def test_a_batch_that_walks_hardly_fill() -> None:
    with pytest.raises(InputError, match="choose a smaller --batch-size"):
        next(Walk(toy_graph(), batch_size=48).epoch(0))


@pytest.mark.parametrize("option", [{"walk_length": 0}, {"presample": 0}, {"walk_length": 1.5}])
def test_options_out_of_range(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"option '{next(iter(option))}' of selection walk"):
        Walk(toy_graph(), batch_size=4, **option)
