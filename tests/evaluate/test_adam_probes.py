"""Classifiers trained side by side against each trained alone with torch's own layers and optimizer."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.datasets.types import Labels, Split
from gssl.evaluate.adam import AdamSchedule, initial_weights, train
from gssl.evaluate.linear import GcaProbe, PublicLinear
from gssl.testing.gaussians import gaussian_classes

SCHEDULE = AdamSchedule(steps=40, every=1, keep="last", lr=0.05, init="uniform")


def data(distance: float = 1.0) -> tuple[Tensor, Labels, Split]:
    dataset, x = gaussian_classes(distance=distance, splits=["public"])
    assert dataset.labels is not None
    return x, dataset.labels, dataset.splits[0]


def alone(
    x: Tensor, labels: Labels, split: Split, weight: Tensor, bias: Tensor, decay: float, schedule: AdamSchedule
) -> list[tuple[float, Tensor, Tensor]]:
    """Validation accuracy, weight and bias after every step of one classifier."""
    layer = nn.Linear(x.shape[1], labels.num_classes)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    optimizer = torch.optim.Adam(layer.parameters(), lr=schedule.lr, weight_decay=decay)
    steps = []
    for _ in range(schedule.steps):
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(layer(x[split.train]), labels.y[split.train]).backward()
        optimizer.step()
        with torch.no_grad():
            accuracy = (layer(x[split.val]).argmax(1) == labels.y[split.val]).double().mean().item()
        steps.append((accuracy, layer.weight.detach().clone(), layer.bias.detach().clone()))
    return steps


@pytest.mark.parametrize("keep", ["last", "last_best", "first_best"])
@pytest.mark.parametrize("every", [1, 7])
def test_side_by_side_is_the_same_as_alone(keep: Any, every: int) -> None:
    x, labels, split = data()
    schedule = replace(SCHEDULE, keep=keep, every=every)
    decays = torch.tensor([0.0, 0.0, 0.1])
    weight, bias = initial_weights(3, x.shape[1], labels.num_classes, "uniform", torch.Generator().manual_seed(3))
    parts = [(x[ids], labels.y[ids]) for ids in (split.train, split.val)]
    together = train(parts[0], parts[1], (weight, bias), decays, schedule)
    for number, decay in enumerate(decays.tolist()):
        steps = alone(x, labels, split, weight[number], bias[number], decay, schedule)
        looks = list(range(every - 1, len(steps), every)) if keep != "last" else [len(steps) - 1]
        best = max(steps[look][0] for look in looks)
        ties = [look for look in looks if steps[look][0] == best]
        step = ties[-1] if keep == "last_best" else ties[0]
        assert together.step[number] == step + 1
        assert together.val[number].item() == best
        torch.testing.assert_close(together.weight[number], steps[step][1], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.bias[number], steps[step][2], rtol=1e-4, atol=1e-5)


def test_weights_start_as_published() -> None:
    rng = torch.Generator().manual_seed(0)
    weight, bias = initial_weights(50, 400, 10, "uniform", rng)
    torch_layers = [nn.Linear(400, 10) for _ in range(50)]
    assert weight.abs().max() <= 0.05
    assert weight.std() == pytest.approx(torch.stack([layer.weight for layer in torch_layers]).std().item(), rel=0.02)
    assert bias.std() == pytest.approx(torch.stack([layer.bias for layer in torch_layers]).std().item(), rel=0.1)
    weight, bias = initial_weights(50, 400, 10, "xavier", rng)
    reference = nn.init.xavier_uniform_(torch.empty(10, 400))
    assert weight.std() == pytest.approx(reference.std().item(), rel=0.05)
    assert not bias.any()


def test_p1_averages_its_restarts() -> None:
    x, labels, split = data()
    many = PublicLinear(steps=20, restarts=4).score(x, labels, split, "accuracy", 0)
    weight, bias = initial_weights(4, x.shape[1], labels.num_classes, "uniform", torch.Generator().manual_seed(0))
    tests, vals = [], []
    for number in range(4):
        schedule = replace(SCHEDULE, steps=20, lr=0.01)
        steps = alone(x, labels, split, weight[number], bias[number], 1e-4, schedule)
        accuracy, w, b = max(reversed(steps), key=lambda step: step[0])
        tests.append(((x[split.test] @ w.T + b).argmax(1) == labels.y[split.test]).double().mean().item())
        vals.append(accuracy)
    assert many.test == pytest.approx(sum(tests) / 4)
    assert many.val == pytest.approx(sum(vals) / 4)


def test_p1_chooses_the_weight_decay_by_mean_validation_accuracy() -> None:
    x, labels, split = data()
    decays = (0.0, 1e-2, 1.0, 30.0)
    single = [PublicLinear(weight_decay=decay, restarts=3).score(x, labels, split, "accuracy", 0) for decay in decays]
    chosen = PublicLinear(weight_decay=decays, restarts=3).score(x, labels, split, "accuracy", 0)
    best = max(range(4), key=lambda number: single[number].val)
    assert chosen.val == pytest.approx(single[best].val)
    assert chosen.test == pytest.approx(single[best].test)
    assert chosen.chosen["weight_decay"] == decays[best]
    assert len({score.val for score in single}) > 1


def test_dgi_variant_does_not_look_at_validation_labels() -> None:
    x, labels, split = data()
    y = labels.y.clone()
    y[split.val] = (y[split.val] + 1) % 3
    probe = PublicLinear(steps=30, weight_decay=0.0, restarts=3, select="last", init="xavier")
    honest, turned = (probe.score(x, each, split, "accuracy", 0) for each in (labels, Labels(y, "multiclass", 3)))
    assert honest.test == turned.test
    assert honest.chosen["step"] == turned.chosen["step"] == 30
    default = PublicLinear(steps=30, restarts=3)
    assert default.score(x, labels, split, "accuracy", 0) != default.score(
        x, Labels(y, "multiclass", 3), split, "accuracy", 0
    )


def test_gca_looks_every_twenty_steps_at_most() -> None:
    x, labels, split = data()
    step = GcaProbe(steps=200).score(x, labels, split, "accuracy", 0).chosen["step"]
    assert step % 20 == 0
    assert GcaProbe(steps=7).score(x, labels, split, "accuracy", 0).chosen["step"] == 7


def test_p1_says_what_to_use_without_a_public_split() -> None:
    dataset, _ = gaussian_classes(splits=["preset-0"])
    with pytest.raises(InputError, match="public split, which gaussians does not have; use --probe LBFGS"):
        PublicLinear().splits(dataset, 0)


def test_no_weight_decay_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="at least one value"):
        PublicLinear(weight_decay=())
