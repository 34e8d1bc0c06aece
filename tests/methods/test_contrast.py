"""Contrast and the objectives that GRACE and GraphCL take by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from gssl.common import yaml_io
from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.config.resolve import Request, Subject, resolve
from gssl.graph.batch import MiniBatch
from gssl.method import ContrastiveMethod
from gssl.methods.contrast import Contrast, named_augmenter
from gssl.methods.grace import GRACE
from gssl.methods.graphcl import GraphCL
from gssl.methods.pairwise import pair_objective
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.models.mlp import MLPEncoder
from gssl.objectives.decorrelation import vicreg
from gssl.objectives.info_nce import info_nce
from gssl.objectives.nt_xent import nt_xent
from gssl.testing.methods import seeded_loss
from gssl.testing.toy import toy_batch

if TYPE_CHECKING:
    from conftest import Lab

CPU = torch.device("cpu")


def scaled_distance(first: Tensor, second: Tensor, *, scale: float = 1.0, weight: Tensor | None = None) -> Tensor:
    """An objective of one's own."""
    return scale * (first - second).square().mean()


def same_rows(*sizes: int) -> None:
    """No objective."""


def contrast(batch: MiniBatch, seed: int = 0, **options: Any) -> Contrast:
    torch.manual_seed(seed)
    return Contrast(MLPEncoder(batch.in_dim, hidden_dim=8), **validate(Contrast, options, what="Contrast"))


def test_its_defaults_are_those_of_grace_loss_by_loss() -> None:
    batch = toy_batch("node-sparse")
    methods: list[ContrastiveMethod] = []
    for build in (GRACE, Contrast):
        torch.manual_seed(0)
        methods.append(build(GCN(batch.in_dim, hidden_dim=16, dropout=0.3)))
    losses: list[list[float]] = [[], []]
    for method, found in zip(methods, losses, strict=True):
        optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
        for step in range(4):
            optimizer.zero_grad()
            loss = seeded_loss(method, batch, step)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("vicreg", {"covariance": 3.0}, partial(vicreg, covariance=3.0)),
        ("nt_xent", {"symmetric": True}, partial(nt_xent, symmetric=True, temperature=0.7)),
        ("info_nce", None, partial(info_nce, temperature=0.7)),
        (f"{__name__}:scaled_distance", {"scale": 2}, partial(scaled_distance, scale=2.0)),
    ],
)
def test_an_objective_by_name_gets_its_options_and_the_temperature_if_it_has_one(
    name: str, options: Mapping[str, Any] | None, expected: partial[Tensor]
) -> None:
    batch = replace(toy_batch("node"), weight=torch.linspace(0.5, 2.0, 48))
    method = contrast(batch, objective=name, objective_options=options, temperature=0.7, projector_dim=4)
    loss = seeded_loss(method, batch, 3)
    torch.manual_seed(3)
    method.reseed(3, CPU)
    first, second = (method.project(method.embed(view(batch, method.rng))) for view in method.views)
    torch.testing.assert_close(loss, expected(first, second, weight=batch.weight))


@pytest.mark.parametrize("method", [GRACE, GraphCL])
def test_methods_take_another_objective_by_name(method: type[GRACE] | type[GraphCL]) -> None:
    batch = toy_batch("node" if method is GRACE else "graph")
    encoder = GCN(batch.in_dim, hidden_dim=8) if method is GRACE else GIN(batch.in_dim, hidden_dim=8)
    made = method(encoder, objective="barlow_twins", objective_options={"redundancy": 0.5})
    first, second = torch.randn(2, 30, 8)
    loss = made.contrast(batch, first, second)
    centred = [(z - z.mean(0)) / z.std(0, correction=0) for z in (first, second)]
    gap = (centred[0].T @ centred[1] / 30 - torch.eye(8)).square()
    torch.testing.assert_close(loss, 0.5 * gap.sum() + 0.5 * gap.diagonal().sum(), rtol=1e-4, atol=1e-5)


def test_of_three_views_each_pair_is_compared() -> None:
    batch = toy_batch("node")
    method = contrast(batch, views=[["drop_edge"], [{"mask_feature": {"p": 0.5}}], []], projector_dim=0)
    loss = seeded_loss(method, batch, 1)
    torch.manual_seed(1)
    method.reseed(1, CPU)
    views = [method.embed(view(batch, method.rng)) for view in method.views]
    torch.testing.assert_close(views[2], method.embed(batch))  # an empty list is the graph as it is
    pairs = [info_nce(a, b, temperature=0.4) for a, b in combinations(views, 2)]
    torch.testing.assert_close(loss, torch.stack(pairs).mean())


def test_nodes_that_a_view_drops_are_left_out_with_their_weights() -> None:
    """An encoder without neighbors gives a node the same row in every view, so rows that belong together are equal."""
    batch = replace(toy_batch("node"), weight=torch.arange(48) + 1.0)
    method = contrast(batch, views=[[{"drop_node": {"ratio": 0.5}}], [{"drop_node": {"ratio": 0.4}}]], projector_dim=3)
    seen: list[tuple[Tensor, ...]] = []

    def spy(first: Tensor, second: Tensor, *, weight: Tensor) -> Tensor:
        seen.append((first, second, weight))
        return (first * second).sum()

    method.objective = spy  # type: ignore[assignment]  # it is called like one
    seeded_loss(method.eval(), batch, 5)
    method.reseed(5, CPU)
    left = [set(view(batch, method.rng).node_ids.tolist()) for view in method.views]
    both = sorted(left[0] & left[1])
    assert 5 < len(both) < 24
    ((first, second, weight),) = seen
    torch.testing.assert_close(first, method.project(method.embed(batch))[both])
    torch.testing.assert_close(second, first)
    assert weight.tolist() == [node + 1.0 for node in both]


def test_a_step_in_which_no_node_is_left_is_no_step() -> None:
    batch = toy_batch("node")
    method = contrast(batch, views=[[{"drop_node": {"ratio": 0.9}}], [{"drop_node": {"ratio": 0.9}}]])
    losses = [seeded_loss(method, batch, seed) for seed in range(12)]
    assert all(math.isfinite(loss.item()) for loss in losses)
    empty = next(loss for loss in losses if loss.item() == 0)
    empty.backward()
    assert all(p.grad is not None and not p.grad.any() for p in method.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "vicregg"}, "did you mean 'vicreg'"),
        (
            {"objective": "gaussian_kl"},
            "does not compare two views.*fit: info_nce, .*hard_info_nce, nt_xent, barlow_twins, vicreg",
        ),
        ({"objective": "jsd"}, "does not compare two views"),
        ({"objective": f"{__name__}:same_rows"}, "does not compare two views"),
        ({"objective": f"{__name__}:CPU"}, "does not compare two views"),
        ({"objective": "vicreg", "objective_options": {"invariancy": 1}}, "did you mean 'invariance'"),
        ({"objective": "vicreg", "objective_options": {"invariance": "much"}}, "valid number"),
        ({"objective_options": {"temperature": 1}}, "--set temperature=VALUE"),
        ({"objective_options": {"weight": [1.0]}}, "come with the batch"),
        ({"views": [["drop_edge"]]}, "at least 2 items"),
        ({"views": [["dropedge"], []]}, "did you mean 'drop_edge'"),
        ({"views": [[{"drop_edge": {"p": 1.5}}], []]}, "augmenter drop_edge: input should be less than 1"),
        ({"views": [[{"drop_edge": {}, "mask_feature": {}}], []]}, "one name with its options"),
        ({"views": [["torch:Tensor"], []]}, "torch:Tensor is not an augmenter"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        contrast(toy_batch("node"), **options)


def test_an_augmenter_of_ones_own_with_a_required_option() -> None:
    with pytest.raises(InputError, match="needs a value for 'node'"):
        named_augmenter("gssl.augment.adaptive:AdaptiveDropEdge")


def test_the_objective_that_a_method_had_before_it_could_choose_keeps_the_hash() -> None:
    subject = Subject("Cora", "Cora", "node", "P1")

    def hashed(*assignments: str) -> str:
        return resolve(Request("GRACE", assignments=assignments), subject).hash

    assert hashed("objective=info_nce") == hashed() == hashed("objective_options=null")
    assert len({hashed(), hashed("objective=vicreg"), hashed("objective=nt_xent")}) == 3
    assert hashed("objective=vicreg") != hashed("objective=vicreg", "objective_options.covariance=2")


def test_the_preset_for_cora_is_that_of_grace() -> None:
    subject = Subject("Cora", "Cora", "node", "P1")
    one, two = (resolve(Request(name), subject) for name in ("Contrast", "GRACE"))
    assert (one.encoder, one.train) == (two.encoder, two.train)
    options = one.method.options
    assert [options[key] for key in ("temperature", "projector_dim")] == [
        two.method.options[key] for key in ("temperature", "projector_dim")
    ]
    rates = [[step["drop_edge"]["p"], after["mask_feature"]["p"]] for step, after in options["views"]]
    assert rates == [
        list(pair) for pair in zip(*(two.method.options[k] for k in ("drop_edge", "mask_feature")), strict=True)
    ]


def test_from_the_command_line(lab: Lab) -> None:
    views = "views=[[drop_edge, {mask_feature: {p: 0.1}}], [drop_edge, mask_feature]]"
    chosen = ["--set", views, "--set", "objective=vicreg", "--set", "objective_options.covariance=2"]
    result = lab.run(*chosen, "--epochs", "2", method="Contrast")
    options = yaml_io.read(Path(result["run_dir"]) / "config.yaml")["method"]
    assert options["views"] == [["drop_edge", {"mask_feature": {"p": 0.1}}], ["drop_edge", "mask_feature"]]
    assert (options["objective"], options["objective_options"]) == ("vicreg", {"covariance": 2})
    one = lab.run("--set", "views.0.1.mask_feature.p=0.9", "--epochs", "2", method="Contrast")
    options = yaml_io.read(Path(one["run_dir"]) / "config.yaml")["method"]
    assert options["views"][0] == [{"drop_edge": {"p": 0.2}}, {"mask_feature": {"p": 0.9}}]
    assert options["views"][1] == [{"drop_edge": {"p": 0.4}}, {"mask_feature": {"p": 0.4}}]
    assert one["config_hash"] != result["config_hash"]
    _, error = lab.gssl("run", "Contrast", "graph.npz", "--set", "views.0.7=drop_edge", code=2)
    assert "a number from 0 to 1 (got '7')" in error


def test_pair_objective_hands_on_what_an_objective_has() -> None:
    assert pair_objective("nt_xent", None, temperature=0.3, intra=False).keywords == {"temperature": 0.3}
    assert pair_objective("info_nce", {"chunk": 5}, temperature=0.3, intra=False).keywords == {
        "temperature": 0.3,
        "intra": False,
        "chunk": 5,
    }
