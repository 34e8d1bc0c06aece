"""What is hidden from a study stays hidden."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets.types import Dataset, Labels, Split
from gssl.evaluate.base import Probe, ProbeScore
from gssl.evaluate.judge import judge
from gssl.registry import PROBES
from gssl.search.sealed import overlap, seal, validation_score
from gssl.testing.toy import toy_dataset

NODE = ("P1", "P2", "P3-BGRL", "P3-GCA", "P4", "OGB", "LBFGS")
GRAPH = ("P5-RBF", "P5-linear", "LBFGS")
CASES = [("node", name) for name in NODE] + [("graph", name) for name in GRAPH]


def case(level: str, name: str) -> tuple[Probe, Dataset, torch.Tensor]:
    names = ("public", "second") if name == "P4" else ("public",)
    dataset = toy_dataset(level, splits=names)  # type: ignore[arg-type]
    embeddings = torch.randn(dataset.num_items, 6, generator=torch.Generator().manual_seed(0))
    embeddings[:, 0] += dataset.labels.y  # type: ignore[union-attr]
    short = {"steps": 20} if name in ("P1", "P3-GCA") else {}
    return PROBES.get(name)(**short), dataset, embeddings


def with_other_test_labels(dataset: Dataset, splits: list[Split], seed: int) -> Dataset:
    """Labels of the first split's test items in another order, where no other kept split has shown them."""
    assert dataset.labels is not None
    y, test = dataset.labels.y.clone(), splits[0].test
    y[test] = y[test[torch.randperm(len(test), generator=torch.Generator().manual_seed(seed))]]
    assert not torch.equal(y, dataset.labels.y)
    return replace(dataset, labels=replace(dataset.labels, y=y))


@pytest.mark.parametrize(("level", "name"), CASES)
def test_no_test_label_is_held_and_none_moves_the_score(level: str, name: str) -> None:
    probe, dataset, embeddings = case(level, name)
    splits = list(probe.splits(dataset, 0))
    sealed = seal(dataset, splits)
    tests = torch.cat([split.test for split in splits[: len(sealed.splits)]])
    assert bool((sealed.labels.y[tests] == -1).all())
    assert sealed.dataset.splits == ()
    for split in sealed.splits:
        assert not torch.isin(torch.cat([split.train, split.val, split.test]), tests).any()
    other = seal(with_other_test_labels(dataset, splits, seed=3), splits)
    metric = probe.metric(dataset)
    scores = [validation_score(each, probe, embeddings, metric, 0) for each in (sealed, other)]
    assert scores[0] == scores[1]
    assert torch.equal(sealed.labels.y, other.labels.y)


@pytest.mark.parametrize(("level", "name"), [(level, name) for level, name in CASES if not name.startswith("P5")])
def test_score_is_the_validation_score_of_a_run(level: str, name: str) -> None:
    probe, dataset, embeddings = case(level, name)
    sealed = seal(dataset, probe.splits(dataset, 0))
    verdict = judge(probe, embeddings, dataset, 0)
    kept = [split.name for split in sealed.splits]
    expected = [score.val for split, score in zip(verdict.splits, verdict.scores, strict=True) if split.name in kept]
    found = validation_score(sealed, probe, embeddings, probe.metric(dataset), 0)
    assert found == pytest.approx(sum(expected) / len(expected), abs=1e-12)


@pytest.mark.parametrize(("name", "kept"), [("P2", 1), ("P4", 2), ("P3-BGRL", 1)])
def test_of_several_splits_those_stay_whose_test_items_stay_hidden(name: str, kept: int) -> None:
    probe, dataset, _ = case("node", name)
    assert len(seal(dataset, probe.splits(dataset, 0)).splits) == kept


def test_of_ten_folds_one_stays() -> None:
    probe, dataset, _ = case("graph", "P5-RBF")
    folds = probe.splits(dataset, 0)
    sealed = seal(dataset, folds)
    assert [split.name for split in sealed.splits] == [folds[0].name]
    assert len(sealed.items) == dataset.num_items - len(folds[0].test)
    assert overlap(sealed, folds[:1]) == 0.0
    assert overlap(sealed, folds[1:2]) == 1.0


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_labels_that_are_no_classes_are_hidden_as_missing(task: str) -> None:
    dataset = toy_dataset("node", kind=task)  # type: ignore[arg-type]
    sealed = seal(dataset, dataset.splits)
    assert bool(sealed.labels.y[dataset.splits[0].test].isnan().all())
    assert torch.equal(sealed.labels.y[sealed.items].isnan(), dataset.labels.y[sealed.items].isnan())  # type: ignore[union-attr]


def test_the_original_is_left_alone() -> None:
    dataset = toy_dataset("node")
    assert dataset.labels is not None
    before = dataset.labels.y.clone()
    seal(dataset, dataset.splits)
    assert torch.equal(dataset.labels.y, before)


def test_without_labels_there_is_nothing_to_search_by() -> None:
    dataset = toy_dataset("node")
    with pytest.raises(InputError, match="no labels"):
        seal(replace(dataset, labels=None), dataset.splits)


class Blind(Probe):
    """A protocol without validation data."""

    name = "blind"

    def splits(self, dataset: Dataset, seed: int) -> tuple[Split, ...]:
        return dataset.splits

    def score(self, embeddings: torch.Tensor, labels: Labels, split: Split, metric: str, seed: int) -> ProbeScore:
        return ProbeScore(float("nan"), 0.5, {})


def test_a_protocol_without_validation_is_refused() -> None:
    dataset = toy_dataset("node")
    with pytest.raises(InputError, match="no validation score to search by; use --probe LBFGS"):
        validation_score(seal(dataset, dataset.splits), Blind(), torch.zeros(120, 2), "accuracy", 0)
