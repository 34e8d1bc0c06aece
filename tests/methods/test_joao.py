"""JOAO: the distribution, what it is learned from, and what is drawn from it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods import joao
from gssl.methods.joao import JOAO, KINDS, JOAOv2, Plan
from gssl.models.gin import GIN
from gssl.objectives.simplex import project_to_simplex
from gssl.samplers.full import GraphBatches
from gssl.testing.toy import toy_graphs
from gssl.training.config import TrainConfig
from gssl.training.embed import over_items
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def make(kind: type[JOAO] = JOAO, *, norm: Any = "batch", **options: Any) -> JOAO:
    torch.manual_seed(0)
    return kind(GIN(4, hidden_dim=8, num_layers=2, norm=norm), **options)


def items_of(graph: Graph) -> Callable[[Callable[[MiniBatch], Tensor]], Tensor]:
    return lambda function: over_items(function, graph)


def only(method: JOAO, pair: int) -> None:
    method.probability.zero_()[pair] = 1


def code_loss(first: Tensor, second: Tensor) -> Tensor:
    """The loss as GraphCL's and JOAO's code write it."""
    similarity = torch.exp(F.cosine_similarity(first.unsqueeze(1), second.unsqueeze(0), dim=2) / 0.2)
    positive = similarity.diagonal()
    return -torch.log(positive / (similarity.sum(1) - positive)).mean()


def test_pairs() -> None:
    assert make().pairs == ((4, 0), (4, 1), (4, 2), (4, 3), (4, 4))
    both = make(augmented="both")
    assert len(set(both.pairs)) == 25
    assert all(i == number // 5 and j == number % 5 for number, (i, j) in enumerate(both.pairs))
    for method in (make(), both):
        torch.testing.assert_close(method.probability, torch.full_like(method.probability, 1 / len(method.pairs)))


@pytest.mark.parametrize("augmented", ["second", "both"])
def test_pairs_are_drawn_from_the_distribution(augmented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method = make(augmented=augmented, norm="none")
    weights = torch.rand(len(method.pairs)).square()
    method.probability.copy_(weights / weights.sum())
    seen: list[Tensor] = []

    def view(batch: MiniBatch, kinds: Tensor, plan: Plan) -> Tensor:
        seen.append(kinds)
        return torch.eye(batch.num_graphs)

    monkeypatch.setattr(method, "view", view)
    method.reseed(0, CPU)
    batch = toy_graphs(num_graphs=200).full_batch()
    for _ in range(50):
        method.loss(batch)
    first, second = (torch.cat(kinds) for kinds in (seen[::2], seen[1::2]))
    numbers = torch.tensor([method.pairs.index(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)])
    share = torch.bincount(numbers, minlength=len(method.pairs)) / len(numbers)
    error = (method.probability / len(numbers)).sqrt()
    assert bool(((share - method.probability).abs() < 5 * error + 1e-6).all())


def test_each_graph_is_augmented_by_its_own_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    method = make(ratio=0.5, keep=0.5)
    seen: list[MiniBatch] = []

    def embed(batch: MiniBatch) -> Tensor:
        seen.append(batch)
        return torch.zeros(batch.num_graphs, method.encoder.out_dim)

    monkeypatch.setattr(method, "embed", embed)
    batch = toy_graphs(num_graphs=10).full_batch()
    kinds = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 3, 4])
    method.view(batch, kinds)
    (view,) = seen
    assert batch.graph_ptr is not None
    assert view.graph_ptr is not None
    sizes, left = batch.graph_ptr.diff(), view.graph_ptr.diff()
    smaller = (kinds == KINDS.index("dropN")) | (kinds == KINDS.index("subgraph"))
    smaller &= sizes > 1
    assert torch.equal(left < sizes, smaller)
    for graph in range(10):
        here, there = (slice(*b.graph_ptr[graph : graph + 2].tolist()) for b in (batch, view))  # type: ignore[index]
        before, after = batch.x[here], view.x[there]  # type: ignore[index]  # dense
        masked = len(before) == len(after) and not torch.equal(before, after)
        assert masked == (kinds[graph] == KINDS.index("maskN") and len(before) > 1), graph


def test_without_augmentation_the_loss_is_that_of_the_code() -> None:
    method = make()
    only(method, KINDS.index("none"))
    batch = toy_graphs().full_batch()
    z = method.head(method.embed(batch))
    torch.testing.assert_close(method.loss(batch), code_loss(z, z), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [JOAO, JOAOv2])
def test_pair_losses_are_the_losses_of_training_with_that_pair(kind: type[JOAO]) -> None:
    """On average over draws, with the statistics of batch norm of the batch and not those that were kept."""
    graph = toy_graphs(num_graphs=10)
    method = make(kind, augmented="both", ratio=0.4, keep=0.4)
    repeats, pairs = 16, [2, 8, 10, 19, 24]
    found, direct = torch.zeros(2, repeats, len(pairs), dtype=torch.float64)
    for seed in range(repeats):
        method.reseed(seed, CPU)
        found[seed] = method.eval().pair_losses(items_of(graph))[pairs]
    method.train()
    with torch.no_grad():
        for column, pair in enumerate(pairs):
            only(method, pair)
            for seed in range(repeats):
                method.reseed(1000 + seed, CPU)
                direct[seed, column] = method.loss(graph.full_batch()).double()
    error = ((found.var(0) + direct.var(0)) / repeats).sqrt()
    gap = (found.mean(0) - direct.mean(0)).abs()
    assert bool((gap < 5 * error + 1e-4).all())
    assert float(direct.mean(0).max() - direct.mean(0).min()) > 10 * float(error.max())  # the pairs do differ


def test_comparing_leaves_mode_and_statistics_alone() -> None:
    method = make().eval()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    method.pair_losses(items_of(toy_graphs()))
    assert not method.training
    assert not method.encoder.training
    for name, value in method.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_pairs_are_compared_on_batches_of_all_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten graphs, four at a time: two batches of four and one of two, weighed by their graphs."""
    monkeypatch.setattr(joao, "_GRAPHS_AT_ONCE", 4)
    graph = toy_graphs(num_graphs=10)
    method = make(norm="none", ratio=0.0, keep=1.0).eval()
    method.reseed(7, CPU)
    losses = method.pair_losses(items_of(graph))
    method.reseed(7, CPU)
    order = torch.randperm(10, generator=method.rng)
    z = method.head(method.embed(graph.full_batch())).detach()
    terms = [len(part) * code_loss(z[part], z[part]).double() for part in order.split(4)]
    expected = (torch.stack(terms).sum() / 10).expand(5)  # none of the five changes anything with these options
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-5)


def test_the_distribution_is_that_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bisection for the same mu, to a finer tolerance than the code's."""
    method = make(gamma=0.5)
    old = torch.tensor([0.5, 0.2, 0.2, 0.1, 0.0])
    losses = torch.tensor([1.2, 1.6, 1.5, 0.9, 1.55], dtype=torch.float64)
    method.probability.copy_(old)
    monkeypatch.setattr(method, "pair_losses", lambda items: losses)
    method.begin_epoch(1, items_of(toy_graphs()))
    b = old.double() + losses - 0.5 * (old.double() - 0.2)
    low, high = b.min() - 0.2, b.max() - 0.2
    for _ in range(60):
        mu = (low + high) / 2
        low, high = (mu, high) if (b - mu).clamp(min=0).sum() > 1 else (low, mu)
    torch.testing.assert_close(method.probability, (b - mu).clamp(min=0).float())


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.9])
def test_it_settles_where_the_game_has_its_best_answer(gamma: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """argmax of p . loss - gamma / 2 |p - u|^2 over distributions is the projection of u + loss / gamma."""
    method = make(gamma=gamma)
    losses = torch.tensor([1.0, 1.03, 0.99, 1.01, 0.5], dtype=torch.float64)
    monkeypatch.setattr(method, "pair_losses", lambda items: losses)
    for epoch in range(200):
        method.begin_epoch(epoch, items_of(toy_graphs()))
    torch.testing.assert_close(method.probability, project_to_simplex(0.2 + losses / gamma).float(), rtol=0, atol=1e-5)


def test_the_first_epoch_is_uniform_and_the_hardest_pairs_gain() -> None:
    graph = toy_graphs()
    method = make(gamma=1.0, keep=0.2)
    config = TrainConfig(epochs=1, lr=0.01)
    pretrain(method, GraphBatches(graph, batch_size=8, seed=0), config, seed=0)
    assert method.probability.tolist() == pytest.approx([0.2] * 5)
    pretrain(method, GraphBatches(graph, batch_size=8, seed=0), TrainConfig(epochs=12, lr=0.01), seed=0)
    assert float(method.probability.sum()) == pytest.approx(1)
    assert float(method.probability[KINDS.index("subgraph")]) > 0.3
    assert float(method.probability[KINDS.index("none")]) < 0.1


def test_an_interrupted_epoch_goes_on_with_its_distribution(tmp_path: Path) -> None:
    config = TrainConfig(epochs=4, lr=0.01, checkpoint_seconds=1e-9)
    batches = GraphBatches(toy_graphs(), batch_size=4, seed=0)
    whole = make()
    pretrain(whole, batches, config, seed=3)

    class Interrupted(JOAO):
        calls = 0

        def loss(self, batch: MiniBatch) -> Tensor:
            self.calls += 1
            if self.calls == 11:
                raise KeyboardInterrupt
            return super().loss(batch)

    with pytest.raises(KeyboardInterrupt):
        pretrain(make(Interrupted), batches, config, seed=3, checkpoint=tmp_path / "c.pt")
    resumed = make()
    pretrain(resumed, batches, config, seed=3, checkpoint=tmp_path / "c.pt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_heads_of_the_second_version_are_those_of_the_augmentations() -> None:
    method = make(JOAOv2)
    embedding = torch.randn(7, method.encoder.out_dim)
    kinds = torch.tensor([3, 0, 4, 3, 1, 0, 3])
    projected = method.project_as(embedding, kinds, [2, 1, 0, 3, 1])
    for row, kind in enumerate(kinds.tolist()):
        torch.testing.assert_close(projected[row], method.head[kind](embedding[row]))  # type: ignore[index]
    projected.square().sum().backward()
    heads = [head for head in method.head.children() if isinstance(head, nn.Sequential)]
    gained = [any(bool(p.grad.any()) for p in head.parameters() if p.grad is not None) for head in heads]
    assert gained == [True, True, False, True, True]


@pytest.mark.parametrize("kind", [JOAO, JOAOv2])
def test_weights_stand_for_copies_of_graphs(kind: type[JOAO]) -> None:
    graph = toy_graphs(num_graphs=4)
    method = make(kind, norm="none")
    only(method, KINDS.index("none"))
    weight = torch.tensor([1.0, 3.0, 1.0, 2.0])
    copies = torch.arange(4).repeat_interleave(weight.long())
    weighted = method.loss(replace(graph.full_batch(), weight=weight))
    torch.testing.assert_close(weighted, method.loss(graph.graph_batch(copies)), rtol=1e-4, atol=1e-5)
    assert not torch.isclose(weighted, method.loss(graph.full_batch()))


@pytest.mark.parametrize("kind", [JOAO, JOAOv2])
def test_a_last_batch_of_one_graph_is_no_problem_but_batches_of_one_are_refused(kind: type[JOAO]) -> None:
    method = make(kind)
    alone = Graph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), torch.ones(1, 4), ptr=torch.tensor([0, 1]))
    loss = method.loss(alone.full_batch())
    loss.backward()
    assert loss.item() == 0
    with pytest.raises(InputError, match=f"{kind.__name__} tells the graphs"):
        method.check_sampler(GraphBatches(toy_graphs(), batch_size=1))


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="gamma"):
        validate(JOAO, {"gamma": -0.1}, what="JOAO")
    with pytest.raises(InputError, match="step"):
        validate(JOAO, {"step": 0}, what="JOAO")
    with pytest.raises(InputError, match="make gamma \\* step 2 at most"):
        make(gamma=3.0)
    make(gamma=3.0, step=0.5)
