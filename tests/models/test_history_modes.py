"""Encoders on batches with history, against the full graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest
import torch
from torch import Tensor

from gssl.graph import history
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.models.gat import GAT
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.models.sage import SAGE
from gssl.models.stack import StackedEncoder
from gssl.samplers.propagation.adjoint import AdjointPropagation
from gssl.samplers.propagation.history import HistoryPropagation
from gssl.samplers.propagation.lmc import LMCPropagation
from gssl.samplers.propagation.stored import StoredPropagation
from gssl.samplers.propagation.vrgcn import VRGCNPropagation
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.testing.toy import toy_graph

LAYERS = 3
Build = Callable[[int], StackedEncoder]

ENCODERS: dict[str, Build] = {
    "GCN": lambda d: GCN(d, hidden_dim=8, num_layers=LAYERS, activation="prelu", norm="layer"),
    "GCN-cat": lambda d: GCN(d, hidden_dim=8, num_layers=LAYERS, jk="cat"),
    "SAGE": lambda d: SAGE(d, hidden_dim=8, num_layers=LAYERS),
    "GIN": lambda d: GIN(d, hidden_dim=8, num_layers=LAYERS, norm="none", jk="last", learn_eps=True, eps=-0.5),
}


def draw(ids: Iterable[int], probability: float | Sequence[float] = 1.0, step: int = 0, exact: bool = False) -> Draw:
    nodes = torch.tensor(list(ids))
    return Draw(nodes, torch.as_tensor(probability).double().expand(len(nodes)), Key(0, 0, step), exact=exact)


class Problem:
    """A weighted sum of per-node terms over one small graph; ``gradient`` is flat, over all parameters."""

    def __init__(self, build: Build, graph: Graph) -> None:
        torch.manual_seed(0)
        self.graph = graph
        self.encoder = build(graph.in_dim).double().eval()
        self.goal = torch.randn(graph.num_nodes, self.encoder.out_dim, dtype=torch.float64)
        self.embeddings, self.full = self.run(graph.full_batch())

    def run(self, batch: MiniBatch) -> tuple[Tensor, Tensor]:
        self.encoder.zero_grad()
        ids = batch.node_ids[: batch.num_targets]
        weight = torch.ones(len(ids)) if batch.weight is None else batch.weight
        embeddings = self.encoder(batch)
        loss = (weight * (embeddings - self.goal[ids]).square().sum(1)).sum() / self.graph.num_nodes
        loss.backward()
        return embeddings.detach(), torch.cat([g.flatten() for g in self.gradients()])

    def gradients(self) -> list[Tensor]:
        return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in self.encoder.parameters()]

    def fresh(self, kind: type[StoredPropagation], **options: float) -> StoredPropagation:
        """A propagation whose history is exact and stays so."""
        propagation = kind(self.graph, num_layers=LAYERS, **options)  # type: ignore[arg-type]  # of the subclass
        for _ in range(LAYERS + 1):  # adjoints become exact from the last layer down
            self.run(propagation.batch(draw(range(self.graph.num_nodes))))
        propagation.frozen = True
        return propagation


def graph(**options: object) -> Graph:
    small = toy_graph(num_nodes=12, in_dim=5, isolated=1, **options)  # type: ignore[arg-type]  # of the toy
    x = small.x if not isinstance(small.x, Tensor) else small.x.double()
    return Graph(small.block, x)


@pytest.fixture(params=ENCODERS)
def problem(request: pytest.FixtureRequest) -> Problem:
    return Problem(ENCODERS[request.param], graph())


@pytest.mark.parametrize("kind", [HistoryPropagation, AdjointPropagation, VRGCNPropagation])
def test_fresh_history_gives_the_embeddings_of_the_full_graph(problem: Problem, kind: type[StoredPropagation]) -> None:
    propagation = problem.fresh(kind)
    for ids in ([3], [0, 5, 11], [7, 2, 9, 1]):
        embeddings, _ = problem.run(propagation.batch(draw(ids)))
        torch.testing.assert_close(embeddings, problem.embeddings[ids], rtol=1e-5, atol=1e-5)


def test_compensation_without_fresh_parts_gives_the_embeddings_of_the_full_graph(problem: Problem) -> None:
    propagation = problem.fresh(LMCPropagation, beta=0.0)
    embeddings, _ = problem.run(propagation.batch(draw([0, 5, 11])))
    torch.testing.assert_close(embeddings, problem.embeddings[[0, 5, 11]], rtol=1e-5, atol=1e-5)


def test_stored_adjoints_make_every_layer_unbiased(problem: Problem) -> None:
    check_unbiased(problem, problem.fresh(AdjointPropagation))


def test_compensation_is_unbiased_for_a_linear_encoder() -> None:
    problem = Problem(lambda d: GCN(d, hidden_dim=8, num_layers=LAYERS, activation="identity"), graph())
    check_unbiased(problem, problem.fresh(LMCPropagation, beta=0.0))


def test_compensation_is_biased_by_the_derivative_at_incomplete_values() -> None:
    """Even with fresh history: the halo's activation is differentiated at what the batch knows of its input."""
    problem = Problem(ENCODERS["GCN"], graph())
    with pytest.raises(AssertionError):
        check_unbiased(problem, problem.fresh(LMCPropagation, beta=0.0))


def check_unbiased(problem: Problem, propagation: StoredPropagation) -> None:
    """The expectation over Poisson draws is linear in the nodes, so single nodes add up to it exactly."""
    total = torch.zeros_like(problem.full)
    for node in range(problem.graph.num_nodes):
        p = 0.1 + 0.07 * node
        total += p * problem.run(propagation.batch(draw([node], p)))[1]
    torch.testing.assert_close(total, problem.full, rtol=1e-5, atol=1e-6)


def test_adjoint_gradient_of_a_batch_is_the_sum_of_its_nodes() -> None:
    """What enumeration over single nodes relies on: no node's share depends on who else was drawn."""
    problem = Problem(ENCODERS["GCN"], graph())
    propagation = problem.fresh(AdjointPropagation)
    alone = sum(problem.run(propagation.batch(draw([node], 0.5)))[1] for node in (1, 4, 6))
    together = problem.run(propagation.batch(draw([1, 4, 6], 0.5)))[1]
    torch.testing.assert_close(together, alone, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["GCN", "SAGE", "GIN"])
def test_directed_weighted_graphs_have_unbiased_adjoints(name: str) -> None:
    rng = torch.Generator().manual_seed(1)
    edge_index = torch.randint(12, (2, 40), generator=rng)
    edge_index = edge_index[:, edge_index[0] != edge_index[1]].unique(dim=1)
    weight = torch.rand(edge_index.shape[1], generator=rng) + 0.5
    x = torch.randn(12, 5, generator=rng, dtype=torch.float64)
    problem = Problem(ENCODERS[name], Graph.from_edge_index(edge_index, x, edge_weight=weight))
    propagation = problem.fresh(AdjointPropagation)
    total = sum(problem.run(propagation.batch(draw([node])))[1] for node in range(12))
    assert isinstance(total, Tensor)
    torch.testing.assert_close(total, problem.full, rtol=1e-5, atol=1e-6)


def test_sparse_features_have_unbiased_adjoints() -> None:
    problem = Problem(lambda d: GCN(d, hidden_dim=8, num_layers=LAYERS).double(), _double_sparse(graph(sparse=True)))
    propagation = problem.fresh(AdjointPropagation)
    total = sum(problem.run(propagation.batch(draw([node])))[1] for node in range(12))
    assert isinstance(total, Tensor)
    torch.testing.assert_close(total, problem.full, rtol=1e-5, atol=1e-6)


def test_truncated_gradients_are_biased_below_the_last_layer_only(problem: Problem) -> None:
    """Fresh history does not help: what the halo would have sent back is missing. The last layer misses nothing."""
    propagation = problem.fresh(HistoryPropagation)
    halves = [propagation.batch(draw(part)) for part in (range(6), range(6, 12))]
    parts = []
    for half in halves:
        problem.run(half)
        parts.append(problem.gradients())
    total = [a + b for a, b in zip(*parts, strict=True)]
    problem.run(problem.graph.full_batch())
    exact = problem.gradients()
    error = {
        name: float((mine - true).norm() / true.norm().clamp(min=1e-12))
        for (name, _), mine, true in zip(problem.encoder.named_parameters(), total, exact, strict=True)
    }
    last = {name: e for name, e in error.items() if f".{LAYERS - 1}." in name}
    first = {name: e for name, e in error.items() if name.startswith("layers.0.")}
    assert max(last.values()) < 1e-5
    assert max(first.values()) > 0.05


@pytest.mark.parametrize("name", ENCODERS)
def test_compensated_gradients_are_closer_than_truncated_ones_in_every_layer(name: str) -> None:
    problem = Problem(ENCODERS[name], graph())
    problem.run(problem.graph.full_batch())
    exact = problem.gradients()
    names = [n for n, _ in problem.encoder.named_parameters()]

    def errors(kind: type[StoredPropagation]) -> list[float]:
        """Squared error of the expected gradient in each layer, for batches that are the parts of a partition."""
        propagation = problem.fresh(kind)
        total = [torch.zeros_like(g) for g in exact]
        for start in range(0, 12, 3):
            problem.run(propagation.batch(draw(range(start, start + 3))))
            total = [a + b for a, b in zip(total, problem.gradients(), strict=True)]
        squared = [0.0] * LAYERS
        for parameter, mine, true in zip(names, total, exact, strict=True):
            if parameter.startswith("layers."):
                squared[int(parameter.split(".")[1])] += float((mine - true).square().sum())
        return squared

    truncated, compensated = errors(HistoryPropagation), errors(LMCPropagation)
    assert all(c < t for c, t in zip(compensated[:-1], truncated[:-1], strict=True))
    assert truncated[-1] < 1e-8 * truncated[0]  # fresh history misses nothing in the last layer, but for rounding


def test_control_variates_are_unbiased_with_any_history() -> None:
    """Embeddings of a linear encoder, averaged over every set of drawn neighbors, with stale history."""
    small = graph()
    torch.manual_seed(0)
    encoder = GCN(5, hidden_dim=4, num_layers=2, activation="identity").double().eval()
    propagation = VRGCNPropagation(small, num_layers=2, fanout=1)
    encoder(propagation.batch(draw(range(12))))
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn(parameter.shape))
    propagation.frozen = True
    exact = encoder(small.full_batch()).detach()
    stale = encoder(propagation.batch(draw([3], step=0))).detach()
    assert (stale - exact[3]).abs().max() > 1e-3
    # Every neighbor of the target is as likely as any other, so distinct draws have equal weight.
    seen: dict[tuple[float, ...], Tensor] = {}
    for step in range(200):
        found = encoder(propagation.batch(draw([3], step=step))).detach()[0]
        seen.setdefault(tuple(found.mul(1e8).round().tolist()), found)
    degree = int(small.block.pattern.counts[3])
    assert len(seen) == degree
    torch.testing.assert_close(torch.stack(list(seen.values())).mean(0), exact[3], rtol=1e-6, atol=1e-7)


def test_exact_draws_refresh_the_history() -> None:
    problem = Problem(ENCODERS["GCN"], graph())
    propagation = HistoryPropagation(problem.graph, num_layers=LAYERS)
    embeddings, gradient = problem.run(propagation.batch(draw(range(12), exact=True)))
    torch.testing.assert_close(gradient, problem.full, rtol=1e-5, atol=1e-6)
    embeddings, _ = problem.run(propagation.batch(draw([0, 5])))
    torch.testing.assert_close(embeddings, problem.embeddings[[0, 5]], rtol=1e-5, atol=1e-5)


def test_views_have_histories_of_their_own() -> None:
    """The second encoder call of a batch must not read what the first one wrote."""
    problem = Problem(ENCODERS["GCN"], graph())
    propagation = HistoryPropagation(problem.graph, num_layers=LAYERS)
    batch = propagation.batch(draw(range(12)))
    problem.encoder(batch)
    problem.encoder(batch.with_x(torch.zeros_like(batch.x)))  # type: ignore[arg-type]  # dense here
    again = propagation.batch(draw([0, 5]))
    torch.testing.assert_close(problem.encoder(again).detach(), problem.embeddings[[0, 5]], rtol=1e-5, atol=1e-5)


def test_attention_falls_back_to_the_truncated_form_and_says_so() -> None:
    small = graph()
    encoder = GAT(5, hidden_dim=8, heads=2, num_layers=2).double()
    adjoint, truncated = AdjointPropagation(small, num_layers=2), HistoryPropagation(small, num_layers=2)
    with pytest.warns(UserWarning, match="not linear in their neighbours"):
        found = encoder(adjoint.batch(draw([0, 5])))
    torch.testing.assert_close(found, encoder(truncated.batch(draw([0, 5]))))


def _double_sparse(small: Graph) -> Graph:
    from dataclasses import replace

    from gssl.graph.sparse import SparseMatrix

    assert isinstance(small.x, SparseMatrix)
    return Graph(small.block, replace(small.x, value=small.x.value.double()))


@pytest.mark.parametrize("kind", [HistoryPropagation, AdjointPropagation])
@pytest.mark.parametrize("frozen", [False, True])
def test_stored_rows_in_half_precision_are_summed_as_copies_are(
    kind: type[StoredPropagation], frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = toy_graph(num_nodes=12, in_dim=5)

    def steps() -> list[Tensor]:
        torch.manual_seed(0)
        encoder = ENCODERS["GCN"](small.in_dim)
        propagation = kind(small, num_layers=LAYERS, history_precision="bfloat16")
        found = []
        for step, ids in enumerate([range(12), [3, 7], [0, 5, 11], [7, 2]]):
            propagation.frozen = frozen and step == 3
            encoder.zero_grad()
            out = encoder(propagation.batch(draw(ids, step=step)))
            out.square().sum().backward()
            found += [out.detach(), *(p.grad.clone() for p in encoder.parameters() if p.grad is not None)]
        return found

    summed = steps()
    monkeypatch.setattr(history, "_mixes", lambda own, table: False)
    copied = steps()
    assert len(summed) == len(copied)
    for first, second in zip(summed, copied, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)
