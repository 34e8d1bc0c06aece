"""What is hidden from a study stays hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets.types import Dataset, Split
from gssl.evaluate.base import Probe
from gssl.evaluate.judge import judge
from gssl.evaluate.lbfgs import LbfgsProbe
from gssl.registry import PROBES
from gssl.tasks.items import GraphTask, ItemTask, NodeTask
from gssl.testing.toy import toy_dataset

NODE = ("P1", "P2", "P3-BGRL", "P3-GCA", "P4", "OGB", "LBFGS")
GRAPH = ("P5-RBF", "P5-linear", "LBFGS")
CASES = [("node", name) for name in NODE] + [("graph", name) for name in GRAPH]


def seal(dataset: Dataset, probe: Probe, splits: Sequence[Split]) -> ItemTask:
    kind = NodeTask if dataset.level == "node" else GraphTask
    return kind(dataset, probe, fixed=tuple(splits)).sealed(0)


def val(task: ItemTask, embeddings: torch.Tensor) -> float:
    scores = [task.score(embeddings, split, 0).val for split in task.splits(0)]
    return sum(scores) / len(scores)


def case(level: str, name: str) -> tuple[Probe, Dataset, torch.Tensor]:
    names = ("public", "second") if name == "P4" else ("public",)
    dataset = toy_dataset(level, splits=names)  # type: ignore[arg-type]
    embeddings = torch.randn(dataset.num_items, 6, generator=torch.Generator().manual_seed(0))
    embeddings[:, 0] += dataset.labels.y  # type: ignore[union-attr]
    short = {"steps": 20} if name in ("P1", "P3-GCA") else {}
    probe = PROBES.get(name)(**short)
    assert isinstance(probe, Probe)
    return probe, dataset, embeddings


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
    sealed = seal(dataset, probe, splits)
    tests = torch.cat([split.test for split in splits[: len(sealed.splits(0))]])
    assert bool((sealed.labels.y[tests] == -1).all())
    assert sealed.dataset.splits == ()
    for split in sealed.splits(0):
        assert not torch.isin(torch.cat([split.train, split.val, split.test]), tests).any()
    other = seal(with_other_test_labels(dataset, splits, seed=3), probe, splits)
    scores = [val(each, embeddings) for each in (sealed, other)]
    assert scores[0] == scores[1]
    assert torch.equal(sealed.labels.y, other.labels.y)


@pytest.mark.parametrize(("level", "name"), [(level, name) for level, name in CASES if not name.startswith("P5")])
def test_score_is_the_validation_score_of_a_run(level: str, name: str) -> None:
    probe, dataset, embeddings = case(level, name)
    sealed = seal(dataset, probe, probe.splits(dataset, 0))
    verdict = judge(probe, embeddings, dataset, 0)
    kept = [split.name for split in sealed.splits(0)]
    expected = [score.val for split, score in zip(verdict.splits, verdict.scores, strict=True) if split.name in kept]
    found = val(sealed, embeddings)
    assert found == pytest.approx(sum(expected) / len(expected), abs=1e-12)


@pytest.mark.parametrize(("name", "kept"), [("P2", 1), ("P4", 2), ("P3-BGRL", 1)])
def test_of_several_splits_those_stay_whose_test_items_stay_hidden(name: str, kept: int) -> None:
    probe, dataset, _ = case("node", name)
    assert len(seal(dataset, probe, probe.splits(dataset, 0)).splits(0)) == kept


def test_of_ten_folds_one_stays() -> None:
    probe, dataset, _ = case("graph", "P5-RBF")
    folds = probe.splits(dataset, 0)
    sealed = seal(dataset, probe, folds)
    assert [split.name for split in sealed.splits(0)] == [folds[0].name]
    assert sealed.shown() == dataset.num_items - len(folds[0].test)
    assert sealed.overlap(folds[:1]) == 0.0
    assert sealed.overlap(folds[1:2]) == 1.0


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_labels_that_are_no_classes_are_hidden_as_missing(task: str) -> None:
    dataset = toy_dataset("node", kind=task)  # type: ignore[arg-type]
    sealed = seal(dataset, LbfgsProbe(), dataset.splits)
    assert bool(sealed.labels.y[dataset.splits[0].test].isnan().all())
    shown = torch.cat([dataset.splits[0].train, dataset.splits[0].val])
    assert sealed.shown() == len(shown)
    assert torch.equal(sealed.labels.y[shown].isnan(), dataset.labels.y[shown].isnan())  # type: ignore[union-attr]


def test_the_original_is_left_alone() -> None:
    dataset = toy_dataset("node")
    assert dataset.labels is not None
    before = dataset.labels.y.clone()
    seal(dataset, LbfgsProbe(), dataset.splits)
    assert torch.equal(dataset.labels.y, before)


def test_without_labels_there_is_nothing_to_search_by() -> None:
    dataset = toy_dataset("node")
    with pytest.raises(InputError, match="no labels"):
        seal(replace(dataset, labels=None), LbfgsProbe(), dataset.splits)
