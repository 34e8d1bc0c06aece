"""Contract of probes: inherit :class:`ProbeContract`, set ``probe``, and run pytest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gssl.common.options import validate
from gssl.datasets.types import Dataset, Labels, Split
from gssl.evaluate.base import Probe, ProbeScore
from gssl.registry import PROBES
from gssl.testing.compare import in_other_process
from gssl.testing.options import check_options
from gssl.testing.toy import toy_dataset

ERRORS = ("mae", "rmse")


def numbers(score: ProbeScore) -> dict[str, float]:
    """A score as plain numbers; NaN becomes None's stand-in -1 so that equal scores compare equal."""
    flat = {"val": score.val, "test": score.test, **score.chosen}
    return {name: -1.0 if math.isnan(value) else value for name, value in flat.items()}


def run_probe(probe: Probe, dataset: Dataset, embeddings: Tensor, seed: int) -> list[dict[str, float]]:
    """Scores on every split of one run."""
    assert dataset.labels is not None
    metric = probe.metric(dataset)
    return [numbers(probe.score(embeddings, dataset.labels, s, metric, seed)) for s in probe.splits(dataset, seed)]


class ProbeContract:
    """What holds for every probe.

    Attributes:
        probe: the class under test; it must be importable by another process.
        options: its options in these tests; few repetitions keep them quick.
        above_chance: least test score on embeddings that tell the class.
    """

    probe: ClassVar[type[Probe]]
    options: ClassVar[Mapping[str, object]] = {}
    above_chance: ClassVar[float] = 0.75

    def build(self) -> Probe:
        return self.probe(**validate(self.probe, self.options, what=self.probe.__name__))

    def dataset(self) -> Dataset:
        """A dataset that the protocol fits."""
        return toy_dataset(self.probe.levels[0])

    def embeddings(self, dataset: Dataset, *, signal: float = 4.0) -> Tensor:
        """Noise (num_items, 8) plus ``signal`` times the label."""
        assert dataset.labels is not None
        y = dataset.labels.y.float().nan_to_num().view(dataset.num_items, -1)
        rng = torch.Generator().manual_seed(0)
        noise = torch.randn(dataset.num_items, 8, generator=rng)
        noise[:, : y.shape[1]] += signal * (2 * y - 1)
        return noise

    def first_split(self, dataset: Dataset, seed: int = 0) -> Split:
        return self.build().splits(dataset, seed)[0]

    def labels(self, dataset: Dataset) -> Labels:
        assert dataset.labels is not None
        return dataset.labels

    def score(self, dataset: Dataset, embeddings: Tensor, labels: Labels) -> ProbeScore:
        probe = self.build()
        return probe.score(embeddings, labels, self.first_split(dataset), probe.metric(dataset), 0)

    def test_options_are_a_configuration(self) -> None:
        check_options(self.probe, first=None)

    def test_name_version_and_levels(self) -> None:
        assert self.probe.version >= 1
        assert self.probe.levels
        assert set(self.probe.levels) <= {"node", "graph"}
        if self.probe.name in PROBES.names():
            assert PROBES.get(self.probe.name) is self.probe, "another probe is registered under this name"

    def test_splits_are_disjoint_and_in_range(self) -> None:
        dataset = self.dataset()
        splits = self.build().splits(dataset, 0)
        assert splits
        for split in splits:
            parts = torch.cat([split.train, split.val, split.test])
            assert len(parts.unique()) == len(parts), f"{split.name}: an item is in two parts"
            assert len(split.train) > 0
            assert len(split.test) > 0
            assert int(parts.min()) >= 0
            assert int(parts.max()) < dataset.num_items

    def test_splits_follow_from_the_seed(self) -> None:
        dataset = self.dataset()
        torch.manual_seed(0)
        first = [split.hash for split in self.build().splits(dataset, 3)]
        torch.manual_seed(1)
        np.random.seed(1)
        assert [split.hash for split in self.build().splits(dataset, 3)] == first

    def test_score_is_above_chance_where_embeddings_tell_the_class(self) -> None:
        dataset = self.dataset()
        score = self.score(dataset, self.embeddings(dataset), self.labels(dataset))
        if self.build().metric(dataset) in ERRORS:
            blind = self.score(dataset, self.embeddings(dataset, signal=0.0), self.labels(dataset))
            assert 0 <= score.test < blind.test
        else:
            assert self.above_chance <= score.test <= 1
            assert math.isnan(score.val) or self.above_chance <= score.val <= 1

    def test_test_labels_change_nothing_but_the_test_score(self) -> None:
        dataset = self.dataset()
        labels, embeddings = self.labels(dataset), self.embeddings(dataset)
        test = self.first_split(dataset).test
        y = labels.y.clone()
        y[test] = y[test].flip(0).roll(1, 0) if labels.kind == "regression" else 1 - y[test]
        honest = numbers(self.score(dataset, embeddings, labels))
        turned = numbers(self.score(dataset, embeddings, replace(labels, y=y)))
        assert honest.pop("test") != turned.pop("test"), "the test score does not come from the test labels"
        assert honest == turned, "a choice or the validation score looked at test labels"

    def test_same_seed_same_score(self) -> None:
        dataset = self.dataset()
        embeddings = self.embeddings(dataset, signal=0.5)
        torch.manual_seed(0)
        first = run_probe(self.build(), dataset, embeddings, 1)
        torch.manual_seed(1)
        np.random.seed(1)
        assert run_probe(self.build(), dataset, embeddings, 1) == first

    def test_same_score_in_another_process(self) -> None:
        dataset = self.dataset()
        embeddings = self.embeddings(dataset, signal=0.5)
        theirs = in_other_process(run_probe, self.build(), dataset, embeddings, 1)
        for here, there in zip(run_probe(self.build(), dataset, embeddings, 1), theirs, strict=True):
            assert here.keys() == there.keys()
            for name, value in here.items():
                assert math.isclose(value, there[name], rel_tol=1e-5, abs_tol=1e-6), name

    def test_inputs_are_left_alone(self) -> None:
        dataset = self.dataset()
        labels, embeddings = self.labels(dataset), self.embeddings(dataset)
        before = embeddings.clone(), labels.y.clone()
        self.score(dataset, embeddings, labels)
        assert torch.equal(embeddings, before[0])
        assert torch.equal(labels.y.nan_to_num(-7), before[1].nan_to_num(-7))

    def test_constant_embeddings_give_a_finite_score(self) -> None:
        dataset = self.dataset()
        score = self.score(dataset, torch.ones(dataset.num_items, 4), self.labels(dataset))
        assert math.isfinite(score.test)
