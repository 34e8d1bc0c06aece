"""Further metrics: against scikit-learn, against enumeration, and against probes that report them first."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.svm import SVC
from torch import Tensor

from gssl.datasets.types import Dataset, LabelKind, Labels, Level
from gssl.evaluate.base import Probe, ProbeScore
from gssl.evaluate.lbfgs import LbfgsProbe
from gssl.evaluate.liblinear import BgrlProbe, GraceProbe, WikiCSProbe
from gssl.evaluate.linear import GcaProbe, PublicLinear
from gssl.evaluate.metrics import evaluate
from gssl.evaluate.ogb import OgbProbe
from gssl.evaluate.sets import further_metrics, paired
from gssl.evaluate.svm import LinearSvm, RbfSvm
from gssl.testing.gaussians import gaussian_classes


def auc_by_pairs(positive: Tensor, scores: Tensor) -> float:
    above, below = scores[positive][:, None], scores[~positive][None, :]
    return float(((above > below).double() + 0.5 * (above == below).double()).mean())


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 2**31), st.booleans())
def test_metrics_of_classes_are_those_of_scikit_learn(classes: int, items: int, seed: int, ties: bool) -> None:
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(classes, (items,), generator=rng)
    scores = torch.randn(items, classes, generator=rng, dtype=torch.float64)
    scores = scores.round() if ties else scores
    found = further_metrics("mae", y, scores, "multiclass")
    guess = scores.argmax(dim=1)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, guess))
    assert found["micro_f1"] == found["accuracy"]
    assert found["macro_f1"] == pytest.approx(sk.f1_score(y, guess, average="macro", zero_division=0))
    mixed = [k for k in range(1 if classes == 2 else 0, classes) if 0 < int((y == k).sum()) < items]
    assert ("roc_auc" in found) == bool(mixed)
    if mixed:
        ranked = (scores[:, 1] - scores[:, 0])[:, None].expand(-1, 2) if classes == 2 else scores.log_softmax(dim=1)
        assert found["roc_auc"] == pytest.approx(sum(auc_by_pairs(y == k, ranked[:, k]) for k in mixed) / len(mixed))
        assert found["roc_auc"] == pytest.approx(evaluate("roc_auc", y, scores, "multiclass"))


def test_a_class_that_training_never_saw_ranks_nothing_above_another() -> None:
    y = torch.tensor([0, 1, 2, 2])
    scores = torch.tensor([[2.0, 1.0, -torch.inf], [0.0, 1.0, -torch.inf], [0.0, 1.0, -torch.inf], [1, 0, -torch.inf]])
    found = further_metrics("accuracy", y, scores, "multiclass")
    assert found["roc_auc"] == pytest.approx(evaluate("roc_auc", y, scores, "multiclass"))
    assert list(found) == ["micro_f1", "macro_f1", "roc_auc"]


def test_classes_may_be_predicted_by_something_else_than_the_largest_score() -> None:
    y, scores = torch.tensor([0, 1, 2]), torch.eye(3)
    found = further_metrics("accuracy", y, scores, "multiclass", predicted=torch.tensor([0, 1, 1]))
    assert found["micro_f1"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert found["roc_auc"] == 1.0


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_metrics_of_columns_leave_out_what_is_not_defined(kind: LabelKind) -> None:
    rng = torch.Generator().manual_seed(0)
    scores = torch.randn(30, 3, generator=rng)
    y = torch.randint(2, (30, 3), generator=rng).float()
    y[::3, 1] = torch.nan
    names = {"multilabel": ("roc_auc", "average_precision", "micro_f1", "accuracy"), "regression": ("rmse", "mae")}
    first, *rest = names[kind]
    found = further_metrics(first, y, scores, kind)
    assert found == {name: evaluate(name, y, scores, kind) for name in rest}
    alike = torch.ones(30, 3)
    defined = {"multilabel": {"micro_f1", "accuracy"}, "regression": {"rmse", "mae"}}
    assert further_metrics("macro_f1", alike, scores, kind).keys() == defined[kind]
    assert further_metrics(first, alike[:0], scores[:0], kind) == {}
    assert further_metrics(first, alike * torch.nan, scores, kind) == {}


def test_what_one_part_lacks_is_not_a_number() -> None:
    found = paired({"roc_auc": 0.5}, {"macro_f1": 0.25})
    assert found == {
        "macro_f1": (pytest.approx(math.nan, nan_ok=True), 0.25),
        "roc_auc": (0.5, pytest.approx(math.nan, nan_ok=True)),
    }


def scored(probe: Probe, dataset: Dataset, x: Tensor, metric: str) -> ProbeScore:
    assert dataset.labels is not None
    return probe.score(x, dataset.labels, probe.splits(dataset, 0)[0], metric, 0)


@pytest.mark.parametrize(
    "probe",
    [
        LbfgsProbe(),
        OgbProbe(),
        PublicLinear(steps=30, restarts=3),
        GcaProbe(steps=40),
        WikiCSProbe(),
        GraceProbe(),
        BgrlProbe(),
        RbfSvm(largest_c=1.0),
        LinearSvm(largest_c=1.0),
        LinearSvm(largest_c=1.0, converge=False),
    ],
    ids=lambda probe: str(probe.name),
)
def test_a_further_metric_is_what_the_probe_reports_when_it_is_the_first(probe: Probe) -> None:
    names = ["public"] if probe.name == "OGB" else ["public", "preset-1"]
    level: Level = "node" if "node" in probe.levels else "graph"
    dataset, x = gaussian_classes(num_items=200, distance=1.5, level=level, splits=names)
    usual = scored(probe, dataset, x, "accuracy")
    assert list(usual.others) == ["micro_f1", "macro_f1", "roc_auc"]
    assert usual.others["micro_f1"][1] == usual.test
    has_validation = probe.name in ("LBFGS", "OGB", "P1", "P3-GCA", "P4")
    assert all(math.isnan(val) != has_validation for val, _ in usual.others.values())
    if probe.name == "P3-GCA":  # one classifier, chosen by the accuracy that is reported
        assert usual.others["micro_f1"][0] == pytest.approx(usual.val)
    for name in ("macro_f1",) if probe.name.startswith("P5") else ("macro_f1", "roc_auc"):
        if probe.name == "OGB" and name == "roc_auc":
            continue  # its evaluator ranks two classes
        first = scored(probe, dataset, x, name)
        if first.chosen != usual.chosen:  # a choice made by another metric
            continue
        assert usual.others[name][1] == pytest.approx(first.test, abs=1e-12)
        if has_validation and probe.name in ("LBFGS", "P4"):
            assert usual.others[name][0] == pytest.approx(first.val, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_support_vector_machines_rank_by_their_margins(classes: int) -> None:
    dataset, x = gaussian_classes(num_items=150, num_classes=classes, distance=1.0, level="graph")
    assert dataset.labels is not None
    ours = scored(RbfSvm(largest_c=1.0), dataset, x, "accuracy")
    split, y = RbfSvm().splits(dataset, 0)[0], dataset.labels.y
    machine = SVC(C=ours.chosen["C"]).fit(x[split.train].double().numpy(), y[split.train].numpy())
    margins = torch.from_numpy(machine.decision_function(x[split.test].double().numpy()))
    ranked = margins if classes == 2 else margins.softmax(dim=1)
    expected = sk.roc_auc_score(y[split.test], ranked, multi_class="ovr")
    assert ours.others["roc_auc"][1] == pytest.approx(expected)


def test_a_class_missing_in_training_keeps_its_column() -> None:
    """Ten folds of a class with one item: nine train on it, one only tests it."""
    dataset, x = gaussian_classes(num_items=60, num_classes=3, level="graph")
    assert dataset.labels is not None
    y = (dataset.labels.y > 0).long()
    y[7] = 2
    labels = Labels(y, "multiclass", 3)
    rare = replace(dataset, labels=labels)
    for probe in (RbfSvm(largest_c=0.1), LinearSvm(largest_c=0.1), LinearSvm(largest_c=0.1, converge=False)):
        splits = probe.splits(rare, 0)
        alone = next(split for split in splits if 7 in split.test)
        found = probe.score(x, labels, alone, "accuracy", 0)
        assert 0 < found.others["roc_auc"][1] <= 1
