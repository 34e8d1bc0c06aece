"""LABOR, FastGCN and LADIES: unbiased over every outcome of their designs."""

import itertools
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph
from gssl.models.encoder import Encoder
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.models.sage import SAGE
from gssl.samplers.probability import inclusion_probability
from gssl.samplers.propagation import fastgcn, labor, ladies, torch_ops
from gssl.samplers.propagation.base import Backend, Propagation
from gssl.samplers.propagation.fastgcn import FastGCN
from gssl.samplers.propagation.labor import Labor
from gssl.samplers.propagation.ladies import Ladies
from gssl.samplers.propagation.neighbor import Neighbor
from gssl.testing.compare import in_other_process
from gssl.testing.propagations import Choices, Kind, assert_same_batch, directed, draw, expectation, linear, numbers
from gssl.testing.toy import toy_graph

BIAS_OF_THREE_LAYERS = 0.107972  # of LABOR-0 with the same numbers in every layer, on a triangle
KINDS: tuple[Kind, ...] = ("gcn", "mean", "sum")


def in_interval(choices: Choices, breaks: Sequence[float]) -> float:
    """A number in one of the intervals of [0, 1) between some numbers: which one is a decision."""
    ends = sorted({0.0, 1.0, *(b for b in breaks if 0 < b < 1)})
    interval = choices.choose([high - low for low, high in itertools.pairwise(ends)])
    return (ends[interval] + ends[interval + 1]) / 2


def source_numbers(choices: Choices, ids: Tensor, breaks: Callable[[int], Sequence[float]]) -> Tensor:
    """A number for each id, the same where the id is the same."""
    number = {source: in_interval(choices, breaks(source)) for source in ids.unique().tolist()}
    return torch.tensor([number[source] for source in ids.tolist()], dtype=torch.float64)


def check(propagation: Propagation, targets: tuple[int, ...], run: Callable[[Choices], None], layers: int) -> None:
    """The mean over all outcomes of every kind of linear embedding is the exact one."""

    def embeddings(choices: Choices) -> Tensor:
        run(choices)
        batch = propagation.batch(draw(*targets))
        return torch.stack([linear(batch, kind, layers) for kind in KINDS])

    whole = propagation.graph.full_batch()
    exact = torch.stack([linear(whole, kind, layers)[list(targets)] for kind in KINDS])
    torch.testing.assert_close(expectation(embeddings), exact, rtol=1e-5, atol=1e-6)  # weights are float32


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", [2, 4])
def test_labor_0_is_unbiased(target: int, weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Labor(directed(weighted=weighted), num_layers=2, fanouts=1, backend="torch")
    rows_of: list[Pattern] = []
    original = Pattern.select_rows

    def noted(pattern: Pattern, index: Tensor, *, total: int | None = None) -> tuple[Pattern, Tensor]:
        rows_of.append(original(pattern, index, total=total)[0])
        return original(pattern, index, total=total)

    monkeypatch.setattr(Pattern, "select_rows", noted)

    def run(choices: Choices) -> None:
        def anywhere(_: int, ids: Tensor) -> Tensor:
            rows = rows_of[-1]
            share = (1 / rows.counts.double())[rows.row]
            return source_numbers(choices, ids, lambda source: share[rows.col == source].tolist())

        monkeypatch.setattr(torch_ops, "uniform", anywhere)

    check(sampler, (target,), run, 2)


@pytest.mark.parametrize("iterations", [1, "converge"])
def test_labor_with_iterations_is_unbiased(iterations: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = directed(weighted=True)
    sampler = Labor(graph, num_layers=1, fanouts=2, iterations=iterations)
    chances: dict[int, list[float]] = {}
    original = labor.inclusion

    def noted(rows: Pattern, fanout: int, rounds: int) -> Tensor:
        found = original(rows, fanout, rounds)
        for source, chance in zip(rows.col.tolist(), found.tolist(), strict=True):
            chances.setdefault(source, []).append(chance)
        return found

    monkeypatch.setattr(labor, "inclusion", noted)

    def run(choices: Choices) -> None:
        chances.clear()
        monkeypatch.setattr(labor, "uniform", lambda _, ids: source_numbers(choices, ids, chances.__getitem__))

    check(sampler, (0, 2), run, 1)


def test_labor_shares_sources_and_weighs_by_inverse_probability() -> None:
    graph = toy_graph(num_nodes=400, seed=1)
    ids = tuple(range(100))
    own = Neighbor(graph, num_layers=1, fanouts=2).batch(draw(*ids))
    shared = Labor(graph, num_layers=1, fanouts=2).batch(draw(*ids))
    star = Labor(graph, num_layers=1, fanouts=2, iterations="converge").batch(draw(*ids))
    assert shared.num_nodes < own.num_nodes
    assert star.num_nodes < shared.num_nodes
    degree = graph.block.degree[: len(ids)].clamp(min=2)
    assert shared.blocks[0].weight is not None
    torch.testing.assert_close(shared.blocks[0].weight, (degree / 2)[shared.blocks[0].pattern.row])


def test_the_fixed_point_solves_its_equation() -> None:
    graph = toy_graph(num_nodes=100, seed=3)
    rows, _ = graph.block.pattern.select_rows(torch.arange(30))
    pi = torch.rand(rows.nnz, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.01
    c = labor.solve(rows, pi, 3)
    row, degree = rows.row.long(), rows.counts
    total = torch.zeros(30, dtype=torch.float64).index_add(0, row, 1 / (c[row] * pi).clamp(max=1))
    wanted = torch.where(degree > 3, degree.double() ** 2 / 3, degree.double())
    torch.testing.assert_close(total, wanted)
    before, after = (float((1 / labor.inclusion(rows, 3, n)).sum()) for n in (0, 20))
    assert after == pytest.approx(before, rel=1e-6)  # the variance stays


def test_hajek_weights_sum_to_the_degree() -> None:
    graph = toy_graph(num_nodes=100, attributes=True)
    batch = Labor(graph, num_layers=1, fanouts=3, hajek=True).batch(draw(*range(40)))
    block = batch.blocks[0]
    some = block.pattern.counts > 0
    torch.testing.assert_close(block.degree[some], graph.block.degree[:40][some])


def test_layer_dependency_keeps_the_numbers() -> None:
    graph = toy_graph(num_nodes=400)
    ids = tuple(range(60))
    free, tied = (Labor(graph, num_layers=3, fanouts=2, layer_dependency=d).batch(draw(*ids)) for d in (False, True))
    assert tied.num_nodes < free.num_nodes
    upper, lower = ({tuple(e) for e in tied.node_ids[tied.blocks[i].edge_index].T.tolist()} for i in (2, 1))
    assert upper <= lower


def test_layer_dependency_biases_three_layers_and_not_two(monkeypatch: pytest.MonkeyPatch) -> None:
    triangle = torch.tensor([[0, 1, 0, 2, 1, 2], [1, 0, 2, 0, 2, 1]])
    graph = Graph.from_edge_index(triangle, torch.rand(3, 2, generator=torch.Generator().manual_seed(0)).double())

    def relative_bias(num_layers: int) -> float:
        sampler = Labor(graph, num_layers=num_layers, fanouts=1, layer_dependency=True, backend="torch")

        def embeddings(choices: Choices) -> Tensor:
            number = torch.tensor([in_interval(choices, [0.5]) for _ in range(3)], dtype=torch.float64)
            monkeypatch.setattr(torch_ops, "uniform", lambda _, ids: number[ids])
            return linear(sampler.batch(draw(0)), "sum", num_layers)

        exact = linear(graph.full_batch(), "sum", num_layers)[:1]
        return float((expectation(embeddings) - exact).norm() / exact.norm())

    assert relative_bias(2) < 1e-6
    assert relative_bias(3) == pytest.approx(BIAS_OF_THREE_LAYERS, rel=1e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_fastgcn_is_unbiased(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = directed(weighted=weighted)
    for layers, draws, targets in [(1, 3, (0, 1, 2)), (2, 1, (0, 4))]:
        sampler = FastGCN(graph, num_layers=layers, nodes_per_layer=draws, backend="torch")

        def run(choices: Choices, sampler: FastGCN = sampler) -> None:
            until = (sampler.chance.cumsum(0) / sampler.chance.sum()).tolist()

            def anywhere(_: int, counter: Tensor) -> Tensor:
                return torch.tensor([in_interval(choices, until) for _ in counter.tolist()], dtype=torch.float64)

            monkeypatch.setattr(fastgcn, "uniform", anywhere)

        check(sampler, targets, run, layers)


def test_fastgcn_draws_by_squared_column_norm() -> None:
    graph = directed(weighted=True)
    weight = graph.block.weight
    assert weight is not None
    dense = torch.zeros(9, 9).double()
    dense[graph.block.pattern.row.long(), graph.block.pattern.col.long()] = weight
    scale = (dense.sum(1) + 1).double().rsqrt()
    norms = (scale[:, None] * dense * scale).square().sum(0)
    sampler = FastGCN(graph, num_layers=1)
    torch.testing.assert_close(sampler.chance, norms / norms.sum(), rtol=1e-6, atol=0)
    repeats, of_each = sampler.draw(20_000, 5)
    drawn, place, counts = torch.unique(repeats, return_inverse=True, return_counts=True)
    times = torch.empty_like(drawn).scatter_(0, place, of_each)
    assert torch.equal(times, counts)
    assert torch.equal(of_each, counts[place])
    assert repeats.equal(repeats.sort().values)
    torch.testing.assert_close(times.double() / 20_000, sampler.chance[drawn], atol=0.02, rtol=0)


def every_order(choices: Choices) -> Callable[[Tensor, Tensor, int], Tensor]:
    """Stands in for ``successive``: every draw is a decision."""

    def successive(chance: Tensor, _: Tensor, count: int) -> Tensor:
        left = chance.tolist()
        drawn: list[int] = []
        while len(drawn) < count:
            total = sum(left)
            drawn.append(choices.choose([c / total for c in left]))
            left[drawn[-1]] = 0.0
        return torch.tensor(drawn)

    return successive


@pytest.mark.parametrize("calibrated", [False, True])
def test_debiased_ladies_is_unbiased(calibrated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = directed(weighted=True)
    sampler = Ladies(graph, num_layers=2, nodes_per_layer=(3, 1), calibrated=calibrated)
    check(sampler, (1, 4), lambda choices: monkeypatch.setattr(ladies, "successive", every_order(choices)), 2)
    single = Ladies(graph, num_layers=1, nodes_per_layer=3, calibrated=calibrated)
    check(single, (0, 1), lambda choices: monkeypatch.setattr(ladies, "successive", every_order(choices)), 1)


@pytest.mark.parametrize("calibrated", [False, True])
def test_poisson_ladies_is_unbiased(calibrated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[float]] = []
    original = inclusion_probability

    def run(choices: Choices) -> None:
        def noted(importance: Tensor, count: int) -> Tensor:
            chance = original(importance, count)
            found.append([in_interval(choices, [p]) for p in chance.tolist()])
            return chance

        monkeypatch.setattr(ladies, "inclusion_probability", noted)
        monkeypatch.setattr(ladies, "included", lambda _, chance: torch.tensor(found[-1]).double() < chance)

    graph = directed(weighted=True)
    for layers, targets in [(1, (0, 1)), (2, (4,))]:
        sampler = Ladies(graph, num_layers=layers, nodes_per_layer=2, design="poisson", calibrated=calibrated)
        check(sampler, targets, run, layers)


def test_exponential_clocks_draw_in_proportion() -> None:
    chance = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    uniforms = torch.rand(6_000, 4, generator=rng, dtype=torch.float64)
    drawn = torch.stack([ladies.successive(chance, row, 2) for row in uniforms])
    for first, second in itertools.permutations(range(4), 2):
        share = ((drawn[:, 0] == first) & (drawn[:, 1] == second)).double().mean()
        expected = chance[first] * chance[second] / (1 - chance[first])
        assert float(share) == pytest.approx(float(expected), abs=0.02)


def test_debiased_weights_in_closed_form_are_those_of_the_recursion() -> None:
    chance = torch.tensor([0.4, 0.1, 0.2, 0.25, 0.05], dtype=torch.float64)
    for count in range(1, 6):
        weights: list[float] = []
        for k in range(count):
            share = 5 / ((k + 1) * (5 - k))
            weights = [w * (1 - share) + share for w in weights]
            weights.append(share * (1 - float(chance[:k].sum())) / float(chance[k]))
        torch.testing.assert_close(ladies.debiased_weights(chance[:count], 5), torch.tensor(weights).double())
    torch.testing.assert_close(ladies.debiased_weights(chance, 5), torch.ones(5).double())


SAMPLERS: list[Callable[[Graph, Backend], Propagation]] = [
    lambda g, b: Labor(g, num_layers=3, fanouts=(3, 2, -1), backend=b),
    lambda g, b: Labor(g, num_layers=3, fanouts=2, layer_dependency=True, hajek=True, backend=b),
    lambda g, b: Labor(g, num_layers=3, fanouts=2, iterations="converge", backend=b),
    lambda g, b: FastGCN(g, num_layers=3, nodes_per_layer=30, backend=b),
    lambda g, b: Ladies(g, num_layers=3, nodes_per_layer=(9, 8, 7), backend=b),
    lambda g, b: Ladies(g, num_layers=3, nodes_per_layer=9, design="poisson", calibrated=True, backend=b),
]


@pytest.mark.parametrize("make", SAMPLERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_both_backends_make_the_same_batch(make: Callable[[Graph, Backend], Propagation], weighted: bool) -> None:
    graph = toy_graph(num_nodes=200, attributes=weighted, sparse=weighted, isolated=3)
    left, right = make(graph, "numba"), make(graph, "torch")
    for step in range(4):
        targets = (199, 0, 41, 7 * step + 1)
        assert_same_batch(left.batch(draw(*targets, step=step)), right.batch(draw(*targets, step=step)))
    assert_same_batch(left.batch(draw(5, exact=True)), right.batch(draw(5, exact=True)))


@pytest.mark.parametrize("number", range(len(SAMPLERS)))
def test_another_process_makes_the_same_batch(number: int) -> None:
    propagation = SAMPLERS[number](toy_graph(attributes=True), "auto")
    draws = [draw(1, 2, 3, step=step) for step in range(2)]
    expected = numbers(propagation, *draws)
    assert in_other_process(numbers, propagation, *draws) == expected
    assert expected[0] != expected[1]


@pytest.mark.parametrize("make", [GCN, SAGE, GIN])
def test_as_many_nodes_as_there_are_give_the_full_forward(make: type[Encoder]) -> None:
    graph = toy_graph(attributes=True, isolated=1)
    encoder = make(graph.in_dim, hidden_dim=8, num_layers=2).eval()
    expected = encoder(graph.full_batch())[[47, 3]]
    for propagation in (
        Labor(graph, num_layers=2, fanouts=1000),
        Labor(graph, num_layers=2, fanouts=1000, iterations=2, hajek=True),
        Ladies(graph, num_layers=2, nodes_per_layer=1000),
        Ladies(graph, num_layers=2, nodes_per_layer=1000, design="poisson"),
    ):
        torch.testing.assert_close(encoder(propagation.batch(draw(47, 3))), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", SAMPLERS)
def test_a_target_without_edges_stands_alone(make: Callable[[Graph, Backend], Propagation]) -> None:
    batch = make(directed(), "auto").batch(draw(8))
    assert batch.num_nodes == 1
    assert all(block.num_edges == 0 for block in batch.blocks)
    edgeless = Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), torch.ones(3, 2))
    assert make(edgeless, "auto").batch(draw(1)).num_nodes == 1


def test_bad_options() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match="more layers than blocks: nodes_per_layer"):
        Ladies(graph, num_layers=3, nodes_per_layer=(4, 4))
    with pytest.raises(InputError, match="nodes_per_layer must be positive"):
        FastGCN(graph, num_layers=1, nodes_per_layer=0)
    with pytest.raises(InputError, match="iterations must not be negative"):
        Labor(graph, num_layers=1, iterations=-1)
