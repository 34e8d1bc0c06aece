"""What every registered protocol must keep to: published ratios, no look at test data, the same result anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.config.components import item_probe
from gssl.datasets.types import Dataset, Labels, Level, Split
from gssl.evaluate.base import Probe, ProbeScore
from gssl.evaluate.judge import Judgement, judge
from gssl.registry import PROBES
from gssl.testing.compare import in_other_process
from gssl.testing.gaussians import gaussian_classes


@dataclass(frozen=True)
class Case:
    """A small example of one protocol.

    Attributes:
        ratios: shares of the training, validation and test items in every split.
        splits: how many splits a run is judged on.
        options: what makes it quick.
        presets: preset splits of the dataset that it needs.
    """

    ratios: tuple[float, float, float]
    splits: int
    options: Mapping[str, object]
    level: Level = "node"
    presets: tuple[str, ...] = ()

    def data(self, seed: int = 0, distance: float = 1.5) -> tuple[Dataset, Tensor]:
        return gaussian_classes(
            num_items=200, num_classes=4, distance=distance, level=self.level, splits=self.presets, seed=seed
        )


CASES = {
    "P1": Case((0.3, 0.2, 0.5), 1, {"steps": 60, "restarts": 3, "weight_decay": (0.0, 0.3)}, presets=("x", "public")),
    "P2": Case((0.1, 0.0, 0.9), 3, {}),
    "P3-BGRL": Case((0.2, 0.0, 0.8), 1, {}),
    "P3-GCA": Case((0.1, 0.1, 0.8), 1, {"steps": 300}),
    "P4": Case((0.3, 0.2, 0.5), 3, {}, presets=("preset-0", "preset-1", "preset-2")),
    "P5-RBF": Case((0.9, 0.0, 0.1), 10, {"n_jobs": 1}, level="graph"),
    "P5-linear": Case((0.9, 0.0, 0.1), 10, {"n_jobs": 1, "largest_c": 1.0}, level="graph"),
    "P7": Case((0.8, 0.1, 0.1), 10, {}, level="graph"),
    "OGB": Case((0.3, 0.2, 0.5), 1, {}, presets=("time",)),
    "HeCo": Case((0.3, 0.2, 0.5), 3, {"steps": 60, "restarts": 3}, presets=("20", "40", "60")),
    "LBFGS": Case((0.1, 0.1, 0.8), 1, {}),
}
OF_ITEMS = [name for name in PROBES.names() if issubclass(PROBES.get(name), Probe)]  # not those of links or clusters
every_probe = pytest.mark.parametrize("name", OF_ITEMS)


def build(name: str) -> Probe:
    return item_probe(name, CASES[name].options)


def labels_of(dataset: Dataset) -> Labels:
    assert dataset.labels is not None
    return dataset.labels


def scored(probe: Probe, x: Tensor, y: Tensor, dataset: Dataset, split: Split) -> ProbeScore:
    labels = replace(labels_of(dataset), y=y)
    return probe.score(x, labels, split, probe.metric(dataset), 3)


def test_every_registered_probe_has_a_case() -> None:
    assert set(CASES) == set(OF_ITEMS)


@every_probe
def test_shares_of_the_items_are_as_published(name: str) -> None:
    case = CASES[name]
    dataset, _ = case.data()
    splits = build(name).splits(dataset, 0)
    assert len(splits) == case.splits
    for split in splits:
        parts = split.train, split.val, split.test
        assert tuple(len(part) / 200 for part in parts) == case.ratios
        assert len(torch.cat(parts).unique()) == 200


@every_probe
def test_random_splits_change_with_the_seed_and_presets_do_not(name: str) -> None:
    case, probe = CASES[name], build(name)
    dataset, _ = case.data()
    runs = [[split.hash for split in probe.splits(dataset, seed)] for seed in (0, 1, 0)]
    assert runs[0] == runs[2]
    assert (runs[0] == runs[1]) == bool(case.presets)
    assert len(set(runs[0])) == case.splits


def test_folds_test_every_item_once_and_keep_the_classes_even() -> None:
    dataset, _ = CASES["P5-RBF"].data()
    splits = build("P5-RBF").splits(dataset, 0)
    assert torch.cat([split.test for split in splits]).sort().values.tolist() == list(range(200))
    for split in splits:
        assert labels_of(dataset).y[split.test].bincount().tolist() == [5, 5, 5, 5]


@every_probe
def test_permuting_test_labels_changes_nothing_but_the_test_score(name: str) -> None:
    probe = build(name)
    dataset, x = CASES[name].data()
    y = labels_of(dataset).y
    changed = False
    for split in probe.splits(dataset, 0)[:3]:
        honest = scored(probe, x, y, dataset, split)
        for seed in (0, 1):
            order = torch.randperm(len(split.test), generator=torch.Generator().manual_seed(seed))
            permuted = y.clone()
            permuted[split.test] = y[split.test][order]
            other = scored(probe, x, permuted, dataset, split)
            assert other.val == honest.val
            assert other.chosen == honest.chosen
            known = [val for val, _ in other.others.values()]
            assert known == pytest.approx([val for val, _ in honest.others.values()], abs=0, nan_ok=True)
            changed |= other.test < honest.test
    assert changed, "test labels must make the test score"


@every_probe
def test_test_embeddings_change_nothing_but_the_test_score(name: str) -> None:
    probe = build(name)
    dataset, x = CASES[name].data()
    for split in probe.splits(dataset, 0)[:2]:
        replaced = x.clone()
        replaced[split.test] = 100 * torch.randn(
            len(split.test), x.shape[1], generator=torch.Generator().manual_seed(0)
        )
        honest, other = (scored(probe, each, labels_of(dataset).y, dataset, split) for each in (x, replaced))
        assert other.val == honest.val
        assert other.chosen == honest.chosen


@every_probe
def test_training_labels_are_what_is_learnt(name: str) -> None:
    probe = build(name)
    dataset, x = CASES[name].data(distance=4.0)
    y = labels_of(dataset).y
    split = probe.splits(dataset, 0)[0]
    renamed = y.clone()
    for part in (split.train, split.val):
        renamed[part] = (y[part] + 1) % 4
    assert scored(probe, x, y, dataset, split).test > 0.8
    assert scored(probe, x, renamed, dataset, split).test < 0.2


@every_probe
def test_separable_classes_are_told_apart_and_noise_is_not(name: str) -> None:
    probe, case = build(name), CASES[name]
    tests = []
    for dataset, x in (case.data(distance=6.0), case.data(distance=0.0)):
        scores = [scored(probe, x, labels_of(dataset).y, dataset, split) for split in probe.splits(dataset, 0)[:3]]
        tests.append(sum(score.test for score in scores) / len(scores))
    assert tests[0] > 0.95
    assert tests[1] < 0.45


@every_probe
def test_the_same_run_gives_the_same_verdict_in_another_process(name: str) -> None:
    dataset, x = CASES[name].data()
    here, there = judged(name, dataset, x), in_other_process(judged, name, dataset, x)
    assert here == there


def judged(name: str, dataset: Dataset, x: Tensor) -> dict[str, Any]:
    """Every number of a verdict but the time it took."""
    verdict: Judgement = judge(build(name), x, dataset, 1)
    return {
        "scores": [(score.val, score.test, score.chosen) for score in verdict.scores],
        "hash": verdict.split_hash,
        "metric": verdict.metric,
    }
