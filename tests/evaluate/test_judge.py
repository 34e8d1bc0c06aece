"""Judging: what a verdict holds, and what is said where there can be none."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError, TrainingError
from gssl.common.options import PositiveInt
from gssl.config.components import item_probe
from gssl.datasets.types import Dataset, Labels, Metric, Split
from gssl.evaluate.base import Probe, ProbeScore
from gssl.evaluate.judge import combined_hash, judge
from gssl.evaluate.lbfgs import LbfgsProbe
from gssl.evaluate.linear import PublicLinear
from gssl.registry import PROBES
from gssl.testing.gaussians import gaussian_classes

OF_ITEMS = [name for name in PROBES.names() if issubclass(PROBES.get(name), Probe)]


class Counting(Probe):
    """Scores the number of a split."""

    name = "counting"
    version = 3

    def __init__(self, *, factor: PositiveInt) -> None:
        self.factor = factor
        self.seen: list[tuple[str, int, torch.dtype, bool]] = []

    def splits(self, dataset: Dataset, seed: int) -> Sequence[Split]:
        return dataset.splits

    def metric(self, dataset: Dataset) -> Metric:
        return "macro_f1"

    def score(self, embeddings: Tensor, labels: Labels, split: Split, metric: Metric, seed: int) -> ProbeScore:
        self.seen.append((metric, seed, embeddings.dtype, embeddings.requires_grad))
        number = int(split.name) * self.factor
        others = {"accuracy": (math.nan, 2.0 * number)} | ({"roc_auc": (0.5, 0.5)} if split.name == "1" else {})
        return ProbeScore(number, 10 * number, {"C": number}, others)


def test_a_verdict_holds_means_and_everything_they_come_from() -> None:
    dataset, x = gaussian_classes(splits=["1", "2", "6"])
    probe = Counting(factor=1)
    verdict = judge(probe, x.double().requires_grad_(), dataset, 7)
    assert (verdict.val, verdict.test) == (3.0, 30.0)
    assert [score.test for score in verdict.scores] == [10, 20, 60]
    nan = pytest.approx(math.nan, nan_ok=True)
    assert verdict.metrics == {"macro_f1": (3.0, 30.0), "accuracy": (nan, 6.0), "roc_auc": (nan, nan)}
    assert list(verdict.metrics) == ["macro_f1", "accuracy", "roc_auc"]  # what choices are made on comes first
    assert verdict.chosen == ({"C": 1}, {"C": 2}, {"C": 6})
    assert (verdict.metric, verdict.probe, verdict.version) == ("macro_f1", "counting", 3)
    assert verdict.splits == dataset.splits
    assert verdict.split_hash == combined_hash(dataset.splits)
    assert verdict.seconds >= 0
    assert probe.seen == [("macro_f1", 7, torch.float32, False)] * 3


def test_the_hash_depends_on_every_split_and_their_order() -> None:
    (a, b, c) = gaussian_classes(splits=["a", "b", "c"])[0].splits
    hashes = [combined_hash(each) for each in ((a,), (a, b), (b, a), (a, b, c))]
    assert len(set(hashes)) == 4
    assert combined_hash((a, b)) == combined_hash((replace(a, name="other"), b))
    assert all(len(each) == 16 for each in hashes)


def test_no_labels() -> None:
    dataset, x = gaussian_classes(splits=["public"])
    with pytest.raises(InputError, match=r"has no labels.*pretraining and 'gssl embed' work without"):
        judge(LbfgsProbe(), x, replace(dataset, labels=None), 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_embeddings_that_are_not_finite(value: float) -> None:
    dataset, x = gaussian_classes(splits=["public"])
    x[3, 1] = value
    with pytest.raises(TrainingError, match="not finite: the encoder diverged"):
        judge(LbfgsProbe(), x, dataset, 0)


@pytest.mark.parametrize("shape", [(239, 8), (240,), (240, 0)])
def test_embeddings_of_the_wrong_shape(shape: tuple[int, ...]) -> None:
    dataset, _ = gaussian_classes(splits=["public"])
    with pytest.raises(InputError, match="one row for each of its 240 nodes"):
        judge(LbfgsProbe(), torch.zeros(shape), dataset, 0)


def test_a_probe_of_the_other_level() -> None:
    dataset, x = gaussian_classes(level="graph", splits=["public"])
    with pytest.raises(InputError, match="probe P1 judges nodes, not graphs; use --probe LBFGS"):
        judge(PublicLinear(), x, dataset, 0)


def test_one_class_in_training() -> None:
    dataset, x = gaussian_classes(splits=["public"])
    assert dataset.labels is not None
    y = dataset.labels.y.clone()
    y[dataset.splits[0].train] = 2
    with pytest.raises(InputError, match="training items of split 'public' all have class 2"):
        judge(LbfgsProbe(), x, replace(dataset, labels=Labels(y, "multiclass", 3)), 0)


@pytest.mark.parametrize(("value", "message"), [(1.0, "no task has both classes"), (float("nan"), "with a label")])
def test_tasks_that_cannot_be_learnt(value: float, message: str) -> None:
    dataset, x = gaussian_classes(splits=["public"])
    y = torch.randint(2, (240, 2), generator=torch.Generator().manual_seed(0)).float()
    y[dataset.splits[0].train] = value
    with pytest.raises(InputError, match=message):
        judge(LbfgsProbe(), x, replace(dataset, labels=Labels(y, "multilabel", 2), metric="roc_auc"), 0)


@pytest.mark.parametrize("name", [name for name in OF_ITEMS if name not in ("LBFGS", "OGB")])
def test_protocols_for_classes_refuse_other_labels(name: str) -> None:
    probe = item_probe(name, {})
    dataset, x = gaussian_classes(level=probe.levels[0], splits=["public", "preset-1"])
    y = torch.rand(240, 2, generator=torch.Generator().manual_seed(0)).round()
    with pytest.raises(InputError, match=f"probe {name} judges classes, but the labels are multilabel"):
        judge(probe, x, replace(dataset, labels=Labels(y, "multilabel", 2)), 0)


@pytest.mark.parametrize("name", OF_ITEMS)
def test_probes_are_built_by_name(name: str) -> None:
    probe = item_probe(name.lower(), {})
    assert type(probe) is PROBES.get(name)
    assert probe.name == name


def test_options_are_checked() -> None:
    built = item_probe("P1", {"steps": "20", "weight_decay": [0.0, 0.1], "select": "last"})
    assert isinstance(built, PublicLinear)
    assert built.weight_decay == (0.0, 0.1)
    assert (built.schedule.steps, built.schedule.keep) == (20, "last")
    with pytest.raises(InputError, match="unknown option of probe P1 'step'; did you mean 'steps'"):
        item_probe("P1", {"step": 3})
    with pytest.raises(InputError, match="option 'restarts' of probe P1"):
        item_probe("P1", {"restarts": 0})
    with pytest.raises(InputError, match="unknown probe 'P6'"):
        item_probe("P6", {})


def test_what_is_no_probe_is_refused() -> None:
    for path in ("gssl.evaluate.judge:judge", "gssl.evaluate.base:Probe", "gssl.evaluate.base:ProbeScore"):
        with pytest.raises(InputError, match="is no probe"):
            item_probe(path, {})


def test_a_missing_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(PROBES), "get", lambda self, name: Counting)
    with pytest.raises(InputError, match=r"needs the option 'factor': give it with --set probe\.factor=VALUE"):
        item_probe("P1", {})
