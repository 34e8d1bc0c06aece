"""Tasks of labelled nodes and graphs: whose splits, whose scores, and the scaffold split of molecules."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError, TrainingError
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.scaffold import scaffolds
from gssl.datasets.types import Dataset, Level, Split
from gssl.evaluate.judge import judge
from gssl.evaluate.lbfgs import LbfgsProbe
from gssl.evaluate.liblinear import GraceProbe
from gssl.evaluate.svm import LinearSvm
from gssl.settings.problem import make_problem
from gssl.tasks.items import GraphTask, ItemTask, NodeTask
from gssl.testing.toy import toy_dataset

LEVELS = pytest.mark.parametrize("level", ["node", "graph"])
# Four skeletons and chains without one: 30, 18, 6, 3 and 3 molecules.
RINGS = 10 * ("c1ccccc1",) + 6 * ("C1CCCCC1",) + 2 * ("c1ccncc1",) + ("C1CCNCC1", "CCO")
MOLECULES = tuple("C" * (number // 20) + RINGS[number % 20] for number in range(60))


def task_of(dataset: Dataset) -> ItemTask:
    return (NodeTask if dataset.level == "node" else GraphTask)(dataset, LbfgsProbe())


def rows(dataset: Dataset, dim: int = 5) -> Tensor:
    assert dataset.labels is not None
    noise = torch.randn(dataset.num_items, dim, generator=torch.Generator().manual_seed(0))
    noise[:, 0] += dataset.labels.y.float()
    return noise


@LEVELS
def test_splits_and_scores_are_those_of_the_probe(level: Level) -> None:
    dataset = toy_dataset(level, splits=("one", "two"))
    task, embeddings = task_of(dataset), rows(dataset)
    verdict = judge(LbfgsProbe(), embeddings, dataset, 3)
    splits = task.splits(3)
    assert [split.hash for split in splits] == [split.hash for split in verdict.splits]
    scores = [task.score(embeddings, split, 3) for split in splits]
    assert [(s.val, s.test, s.chosen) for s in scores] == [(s.val, s.test, s.chosen) for s in verdict.scores]
    assert (task.metric, task.version) == (verdict.metric, verdict.version)
    assert task.visible(splits[0]) is dataset  # labels are in no graph, so all of it may be trained on


@LEVELS
def test_what_is_judged_must_be_finite_and_have_a_row_for_each_item(level: Level) -> None:
    dataset = toy_dataset(level)
    task, embeddings = task_of(dataset), rows(dataset)
    (split,) = task.splits(0)
    for wrong in (embeddings[1:], embeddings[:, 0], embeddings[:, :0]):
        with pytest.raises(InputError, match=rf"one row for each of its {dataset.num_items} {level}s"):
            task.score(wrong, split, 0)
    embeddings[3, 1] = torch.inf
    with pytest.raises(TrainingError, match="not finite"):
        task.score(embeddings, split, 0)


def test_a_probe_for_graphs_does_not_judge_nodes() -> None:
    with pytest.raises(InputError, match=r"probe P5-linear judges graphs, not nodes; use --probe LBFGS"):
        NodeTask(toy_dataset("node"), LinearSvm())


def test_a_split_whose_training_items_have_one_class_is_refused() -> None:
    dataset = toy_dataset("node")
    assert dataset.labels is not None
    split = dataset.splits[0]
    alike = replace(split, train=split.train[dataset.labels.y[split.train] == 0])
    with pytest.raises(InputError, match="public"):
        task_of(replace(dataset, splits=(alike,))).splits(0)


def test_without_labels_there_is_a_task_but_nothing_to_judge() -> None:
    task = task_of(replace(toy_dataset("node"), labels=None))
    assert (task.splits(0), task.version) == ((), 0)
    with pytest.raises(InputError, match="no labels"):
        _ = task.labels


@LEVELS
def test_another_judge_keeps_the_splits_of_a_sealed_task(level: Level) -> None:
    sealed = task_of(toy_dataset(level)).sealed(0)
    other = sealed.under(LbfgsProbe())
    assert type(other) is type(sealed)
    assert [split.hash for split in other.splits(7)] == [split.hash for split in sealed.splits(0)]
    assert torch.equal(other.labels.y, sealed.labels.y)


def molecules() -> Dataset:
    """The toy graphs, each said to be a molecule."""
    return replace(toy_dataset("graph"), smiles=MOLECULES)


def skeletons(ids: Tensor) -> set[str]:
    found = scaffolds(MOLECULES)
    return {found[number] for number in ids.tolist()}


def test_scaffolds_of_the_test_molecules_occur_nowhere_else() -> None:
    pytest.importorskip("rdkit")
    task = GraphTask(molecules(), LbfgsProbe(), split="scaffold")
    (split,) = task.splits(5)
    parts = [skeletons(part) for part in (split.train, split.val, split.test)]
    assert all(parts)
    assert not parts[0] & parts[1]
    assert not parts[2] & (parts[0] | parts[1])
    assert torch.cat([split.train, split.val, split.test]).sort().values.equal(torch.arange(60))
    assert split.hash == task.splits(6)[0].hash  # nothing in it is random
    (sealed,) = task.sealed(0).splits(0)
    assert sealed.train.equal(split.train)
    assert sealed.test.equal(split.val)


def test_a_probe_that_draws_its_splits_refuses_the_scaffold_split() -> None:
    pytest.importorskip("rdkit")
    with pytest.raises(InputError, match=r"P5-linear draws splits of its own.*task.split=scaffold; use --probe LBFGS"):
        GraphTask(molecules(), LinearSvm(), split="scaffold")


def test_graphs_that_are_no_molecules_have_no_scaffolds() -> None:
    with pytest.raises(InputError, match="toy cannot be split by scaffold: it does not hold molecules"):
        GraphTask(toy_dataset("graph"), LbfgsProbe(), split="scaffold")


def test_the_usual_split_stays_out_of_the_hash_and_the_scaffold_split_does_not() -> None:
    subject = Subject("toy", "toy", "graph", "LBFGS")
    plain, usual, scaffold = (
        resolve(Request("GraphCL", assignments=given, preset="none"), subject)
        for given in ((), ("task.split=usual",), ("task.split=scaffold",))
    )
    assert plain.hash == usual.hash != scaffold.hash


def test_a_run_with_the_scaffold_split_is_judged_on_it() -> None:
    pytest.importorskip("rdkit")
    request = Request("untrained", assignments=("task.split=scaffold",), preset="none")
    problem = make_problem(resolve(request, Subject("toy", "toy", "graph", "LBFGS")), molecules())
    (training,) = problem.trainings(0)
    (split,) = training.splits
    assert split.name == "scaffold"
    assert not skeletons(split.test) & skeletons(split.train)


def test_random_splits_depend_on_the_seed_alone() -> None:
    dataset = replace(toy_dataset("node"), splits=())
    task = NodeTask(dataset, GraceProbe())
    hashes = [[split.hash for split in task.splits(seed)] for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_overlap_is_the_share_of_test_items_that_a_search_has_seen() -> None:
    dataset = toy_dataset("node")
    sealed = NodeTask(dataset, LbfgsProbe()).sealed(0)
    (split,) = dataset.splits
    shown = torch.cat([split.train, split.val])
    assert sealed.shown() == len(shown)
    mixed = Split("mixed", split.train, split.val, torch.cat([split.test[:9], shown[:3]]))
    assert sealed.overlap([mixed]) == pytest.approx(3 / 12)
    assert sealed.overlap([mixed, split]) == pytest.approx(3 / (12 + len(split.test)))
    assert NodeTask(dataset, LbfgsProbe()).overlap([mixed]) == 0.0  # not sealed: nobody searched


@pytest.mark.parametrize("probe", [LbfgsProbe(), GraceProbe(repeats=1)])
def test_items_without_a_label_are_in_no_part_and_change_no_score(probe: LbfgsProbe | GraceProbe) -> None:
    dataset = toy_dataset("node")
    assert dataset.labels is not None
    hidden = torch.arange(0, dataset.num_items, 5)
    y = dataset.labels.y.index_fill(0, hidden, -1)
    partly = replace(dataset, labels=replace(dataset.labels, y=y), splits=())
    embeddings, task = rows(dataset), NodeTask(partly, probe)
    (split,) = task.splits(0)
    task.check(split)
    assert not set(hidden.tolist()) & set(torch.cat([split.train, split.val, split.test]).tolist())
    changed = embeddings.index_fill(0, hidden, 7.0)
    assert task.score(embeddings, split, 0) == task.score(changed, split, 0)


def test_what_a_probe_could_not_judge_is_refused_before_training() -> None:
    dataset = toy_dataset("node", splits=("one",))
    ids = dataset.splits[0]
    nothing = torch.zeros(0, dtype=torch.int64)
    for cut in (replace(ids, val=nothing), replace(ids, test=nothing)):
        problem = make_problem(
            resolve(Request("GRACE"), Subject("toy", "toy", "node", "LBFGS")), replace(dataset, splits=(cut,))
        )
        with pytest.raises(InputError, match=r"has none|has no test items"):
            problem.trainings(0)
    odd = replace(dataset, metric="rmse")
    with pytest.raises(InputError, match=r"'rmse' does not fit multiclass labels; fitting: accuracy"):
        make_problem(resolve(Request("GRACE"), Subject("toy", "toy", "node", "LBFGS")), odd).trainings(0)
