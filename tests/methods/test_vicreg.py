"""VICReg on nodes: its three terms behind an expander, and what each of them is for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.storage import Graph
from gssl.methods.vicreg import VICReg
from gssl.models.gcn import GCN
from gssl.samplers.named import graphsage
from gssl.testing.methods import seeded_loss, train
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def made(graph: Graph, **options: Any) -> VICReg:
    torch.manual_seed(0)
    encoder = GCN(graph.in_dim, hidden_dim=16, out_dim=8, final_activation=False)
    return VICReg(encoder, **validate(VICReg, {"expander_dim": 16, **options}, what="VICReg"))


def projections(method: VICReg, graph: Graph, drop_edge: list[float], mask_feature: list[float]) -> list[Tensor]:
    """Of both views, with edges and words dropped by hand."""
    found = []
    for drop, mask in zip(drop_edge, mask_feature, strict=True):
        edges = torch.rand(graph.num_edges, generator=method.rng) >= drop
        words = torch.rand(graph.in_dim, generator=method.rng) >= mask
        assert isinstance(graph.x, Tensor)
        view = Graph.from_edge_index(graph.block.edge_index[:, edges], graph.x * words)
        found.append(method.head(method.encoder(view.full_batch())))
    return found


def terms(views: list[Tensor], weight: list[int]) -> tuple[float, float, float]:
    """Invariance, variance and covariance as in the authors' code, of items that are there as often as they weigh."""
    columns = [
        [
            [v for v, times in zip(column, weight, strict=True) for _ in range(times)]
            for column in view.double().T.tolist()
        ]
        for view in (z.detach() for z in views)
    ]
    count, dim = len(columns[0][0]), len(columns[0])
    pairs = zip(columns[0], columns[-1], strict=True)
    near = sum((a - b) ** 2 for one, two in pairs for a, b in zip(one, two, strict=True)) / (count * dim)
    hinge = shared = 0.0
    for view in columns:
        centred = [[v - sum(column) / count for v in column] for column in view]
        for j, one in enumerate(centred):
            for k, two in enumerate(centred):
                covariance = sum(a * b for a, b in zip(one, two, strict=True)) / (count - 1)
                if j == k:
                    hinge += max(0.0, 1 - (covariance + 1e-4) ** 0.5) / dim / 2
                else:
                    shared += covariance**2 / dim
    return near, hinge, shared


def test_loss_is_the_sum_of_the_papers_terms_behind_the_expander() -> None:
    graph = toy_graph()
    method = made(graph, drop_edge=[0.2, 0.5], mask_feature=[0.1, 0.4], invariance=7, variance=5, covariance=3)
    weight = [1 + i % 3 for i in range(48)]
    loss = seeded_loss(method, replace(graph.full_batch(), weight=torch.tensor(weight).float()), 3)
    method.reseed(3, CPU)
    near, hinge, shared = terms(projections(method, graph, [0.2, 0.5], [0.1, 0.4]), weight)
    assert min(near, hinge, shared) > 0
    torch.testing.assert_close(loss.item(), 7 * near + 5 * hinge + 3 * shared, rtol=1e-4, atol=1e-5)


def test_the_expander_has_three_maps_and_no_norm_behind_the_last() -> None:
    kinds = [type(part).__name__ for part in made(toy_graph()).head.children()]
    assert kinds == ["Linear", "BatchNorm", "ReLU", "Linear", "BatchNorm", "ReLU", "Linear"]
    assert isinstance(made(toy_graph(), expander_dim=0).head, nn.Identity)


def test_ten_steps_bring_the_views_together_and_columns_apart() -> None:
    graph = toy_graph()

    def told(method: VICReg) -> tuple[float, float, float]:
        method.reseed(9, CPU)
        return terms(projections(method, graph, [0.3, 0.4], [0.3, 0.4]), [1] * 48)

    method = made(graph)
    before = told(method)
    train(method, graph.full_batch(), steps=10, lr=0.003)
    after = told(method)
    assert after[1] < before[1]
    assert sum(w * t for w, t in zip((25, 25, 1), after, strict=True)) < sum(
        w * t for w, t in zip((25, 25, 1), before, strict=True)
    )


def test_without_variance_everything_becomes_the_same_and_without_covariance_columns_vary_together() -> None:
    graph = toy_graph()
    spread, shared = {}, {}
    for name, options in {"all": {}, "no variance": {"variance": 0}, "no covariance": {"covariance": 0}}.items():
        method = made(graph, **{"expander_dim": 0, "covariance": 25, **options})
        train(method, graph.full_batch(), steps=60, lr=0.02)
        with torch.no_grad():
            rows = method.embed(graph.full_batch())
        spread[name] = rows.std(0).mean().item()
        shared[name] = terms([rows], [1] * 48)[2]
    assert spread["no variance"] < 0.1 * spread["all"], spread
    assert shared["no covariance"] > 2 * shared["all"], shared


def test_it_trains_on_sampled_batches() -> None:
    graph = toy_graph(num_nodes=96)
    method = made(graph)
    sampler = graphsage(graph, batch_size=32, num_layers=2, seed=0)
    result = pretrain(method, sampler, TrainConfig(epochs=8, lr=1e-2), seed=0)
    assert result.curve[-1].loss < result.curve[0].loss


@pytest.mark.parametrize(
    "options", [{"variance": -1}, {"expander_dim": -1}, {"drop_edge": [0.2]}, {"drop_edge": [1, 0]}]
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        made(toy_graph(), **options)
