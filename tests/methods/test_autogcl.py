"""AutoGCL: its loss against loops, which graphs it contrasts, and what the generators learn."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.augment.learned_nodes import Decision
from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.storage import Graph
from gssl.methods.autogcl import AutoGCL
from gssl.models.gin import GIN
from gssl.samplers.full import GraphBatches
from gssl.testing.toy import toy_graphs

CPU = torch.device("cpu")


def make(*, norm: Any = "none", **options: Any) -> AutoGCL:
    torch.manual_seed(0)
    return AutoGCL(GIN(4, hidden_dim=8, num_layers=2, norm=norm), **{"generator_dim": 6, **options})


def reference(method: AutoGCL, graph: Graph, seed: int) -> tuple[Tensor, tuple[int, int]]:
    """The loss with loops over pairs of graphs, and which of the three graphs were drawn."""
    batch = graph.full_batch()
    rng = torch.Generator().manual_seed(seed)
    (one, kept), (two, kept_too) = (generator.choose(batch, rng) for generator in method.generators)
    i, j = torch.randint(3, (2,), generator=rng).tolist()
    rows = [[z / z.norm() for z in method.head(method.embed((batch, one, two)[k]))] for k in (i, j)]
    terms = []
    for anchors, others in (rows, rows[::-1]):
        for a in range(graph.num_graphs):
            scores = [torch.exp(anchors[a] @ z / 0.5) for z in others]
            terms.append(-torch.log(scores[a] / (sum(scores) - scores[a])))
    apart = sum((kept[k] - kept_too[k]) ** 2 for k in range(batch.num_nodes)) / batch.num_nodes
    return torch.stack(terms).mean() + method.difference * (1 - apart), (i, j)


def test_loss_and_gradients_are_those_of_loops() -> None:
    graph = toy_graphs(num_graphs=4)
    for seed in range(8):
        method = make(difference=0.7)
        torch.nn.init.normal_(method.head[2].bias)  # type: ignore[index]  # graphs without nodes have a direction
        expected, _ = reference(method, graph, seed)
        method.reseed(seed, CPU)
        found = method.loss(graph.full_batch())
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        parameters = list(method.parameters())
        grads = (torch.autograd.grad(loss, parameters, allow_unused=True) for loss in (found, expected))
        for mine, theirs in zip(*grads, strict=True):
            assert mine is not None
            assert theirs is not None
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


def test_two_of_three_graphs_are_drawn_with_replacement() -> None:
    graph, method = toy_graphs(num_graphs=2), make()
    with torch.no_grad():
        found = Counter(reference(method, graph, seed)[1] for seed in range(300))
    assert len(found) == 9
    assert min(found.values()) > 12


def test_generators_have_weights_of_their_own_and_are_stored() -> None:
    method = make()
    names = {name for name, _ in method.named_parameters()}
    assert sum(name.startswith("learned_views.0.") for name in names) == sum("views.1." in name for name in names) > 0
    first, second = (list(generator.parameters()) for generator in method.generators)
    assert not {id(p) for p in first} & {id(p) for p in second}
    assert any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_second_term_drives_the_generators_apart() -> None:
    graph = toy_graphs()

    def apart(method: AutoGCL) -> float:
        rng = torch.Generator().manual_seed(5)
        with torch.no_grad():
            (_, one), (_, two) = (generator.choose(graph.full_batch(), rng) for generator in method.generators)
        return float((one - two).square().mean())

    found = []
    for weight in (0.0, 50.0):
        method = make(difference=weight, norm="batch")
        optimizer = torch.optim.Adam(method.parameters(), lr=0.02)
        for step in range(60):
            method.reseed(step, CPU)
            optimizer.zero_grad()
            method.loss(graph.full_batch()).backward()
            optimizer.step()
        found.append(apart(method))
    assert found[1] > found[0] + 0.2, found


def test_steps_raise_the_agreement_of_positives() -> None:
    graph = toy_graphs()
    method = make(norm="batch")

    def gap() -> float:
        method.reseed(77, CPU)
        gaps = []
        with torch.no_grad():
            for _ in range(10):
                views = [generator.choose(graph.full_batch(), method.rng)[0] for generator in method.generators]
                one, two = (method.project(method.embed(view)) for view in views)
                cosine = torch.nn.functional.cosine_similarity(one.unsqueeze(1), two.unsqueeze(0), dim=2)
                gaps.append(cosine.diagonal().mean() - cosine.mean())
        return float(torch.stack(gaps).mean())

    before = gap()
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    for step in range(15):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        method.loss(graph.full_batch()).backward()
        optimizer.step()
    after = gap()
    assert after > before + 0.01, (before, after)


def test_weights_stand_for_copies_of_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one generator keeps every node and the other one drops every node; without batch norm all else is equal."""
    graph, weight = toy_graphs(num_graphs=4), torch.tensor([1.0, 3.0, 1.0, 2.0])
    method = make().eval()
    for generator, sign in zip(method.generators, (1.0, -1.0), strict=True):
        norm = generator.scores.narrow[-1]
        torch.nn.init.zeros_(norm.weight)  # type: ignore[arg-type]  # of torch
        norm.bias.data = 1e3 * sign * torch.tensor([1.0, -1.0])
    monkeypatch.setattr(torch, "randint", lambda *_, **__: torch.tensor([0, 1]))
    weighted = method.loss(replace(graph.full_batch(), weight=weight))
    copies = method.loss(graph.graph_batch(torch.arange(4).repeat_interleave(weight.long())))
    torch.testing.assert_close(weighted, copies, rtol=1e-4, atol=1e-5)
    assert not torch.isclose(weighted, method.loss(graph.full_batch()))


def test_the_difference_weighs_graphs_not_nodes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both choose alike in the first graph and not in the second, which counts thrice."""
    ptr = torch.tensor([0, 2, 6])
    graph = Graph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), torch.ones(6, 4), ptr=ptr)
    method = make(difference=1.0)
    kept = [torch.ones(6), torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])]
    for generator, values in zip(method.generators, kept, strict=True):
        decided = Decision(graph.full_batch(), torch.ones(6, dtype=torch.bool), values, remove=False)
        monkeypatch.setattr(generator, "decide", lambda batch, rng, decided=decided: decided)
    batch = replace(graph.full_batch(), weight=torch.tensor([1.0, 3.0]))
    z = method.project(method.embed(batch))
    assert (method.loss(batch) - method.contrast(batch, z, z)).item() == pytest.approx(1 - 12 / 14)


def test_a_last_batch_of_one_graph_of_one_node_is_no_problem() -> None:
    alone = Graph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), torch.ones(1, 4), ptr=torch.tensor([0, 1]))
    for remove in (False, True):
        method = make(norm="batch", mask=True, remove=remove)
        for seed in range(6):
            method.reseed(seed, CPU)
            loss = method.loss(alone.full_batch())
            loss.backward()
            assert loss.isfinite()
            assert all(bool(p.grad.isfinite().all()) for p in method.parameters() if p.grad is not None)


def test_batches_of_one_graph_are_refused() -> None:
    with pytest.raises(InputError, match=r"AutoGCL.*set train\.batch_size to 2"):
        make().check_sampler(GraphBatches(toy_graphs(), batch_size=1))
    make().check_sampler(GraphBatches(toy_graphs(), batch_size=2))


@pytest.mark.parametrize(
    ("option", "value"), [("difference", -1), ("relaxation", 0), ("temperature", 0), ("generator_layers", 1)]
)
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(InputError, match=option):
        validate(AutoGCL, {option: value}, what="AutoGCL")
