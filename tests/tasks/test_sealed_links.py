"""What a worker of a search is sent of a link task, to the last byte, and what is kept of data with preset links."""

from __future__ import annotations

import io
import pickle
import pickletools
from dataclasses import replace

import pytest
import torch

from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.links import random_link_split, visible_graph
from gssl.datasets.types import Dataset, LinkSplit
from gssl.evaluate.links import Dot, Hadamard
from gssl.settings.problem import make_problem
from gssl.tasks.base import Task
from gssl.tasks.link import LinkTask
from gssl.testing.toy import toy_dataset


def preset(metric: str = "hits@10") -> tuple[Dataset, LinkSplit]:
    """A dataset as OGB publishes them: training edges in the graph, the other pairs beside it."""
    dataset = toy_dataset("node")
    split = random_link_split(dataset.graph, val=0.1, test=0.2, seed=4)
    graph = visible_graph(dataset.graph, split)
    return replace(dataset, graph=graph, labels=None, splits=(), links=split, metric=metric), split


def other_test(split: LinkSplit) -> LinkSplit:
    """The same training and validation pairs with other test pairs."""
    return replace(split, test=split.test_negatives, test_negatives=split.test)


def content(task: Task) -> bytes:
    """What travels to a worker, with every tensor in a fixed layout."""
    file = io.BytesIO()
    pickle.dump(task, file)
    return pickletools.optimize(file.getvalue())


def test_what_travels_does_not_depend_on_the_test_pairs() -> None:
    dataset, split = preset()
    tasks = [LinkTask(replace(dataset, links=links), Dot()) for links in (split, other_test(split))]
    assert content(tasks[0]) != content(tasks[1])
    assert content(tasks[0].sealed(0)) == content(tasks[1].sealed(0))


def test_what_was_looked_at_before_does_not_travel() -> None:
    """The full graph keeps what was derived from it; nothing of that is in what is sealed."""
    dataset = toy_dataset("node")
    task = LinkTask(dataset, Dot())
    (split,) = task.splits(0)
    dataset.graph.full_batch()
    dataset.graph.derived("diffusion", lambda: dataset.graph.block.edge_index.clone())
    sealed: LinkTask = pickle.loads(pickle.dumps(task.sealed(0)))
    edges = {tuple(edge) for edge in sealed.dataset.graph.block.edge_index.T.tolist()}
    assert not edges & {tuple(pair) for pair in split.test.T.tolist()}
    assert "_derived" not in vars(sealed.dataset.graph)
    assert len(pickle.dumps(sealed)) < len(pickle.dumps(task))


@pytest.mark.parametrize("metric", ["hits@10", "mrr", "average_precision"])
def test_the_metric_of_the_data_is_kept(metric: str) -> None:
    dataset, _ = preset(metric)
    task = LinkTask(dataset, Dot())
    assert task.metric == task.sealed(0).metric == task.sealed(0).under(Hadamard()).metric == metric


def test_a_random_split_is_scored_by_the_first_metric_of_its_probe() -> None:
    """Not by that of the dataset's labels."""
    task = LinkTask(replace(toy_dataset("node"), metric="accuracy"), Dot())
    assert task.metric == task.sealed(0).metric == "roc_auc"


def test_preset_links_are_the_only_split_of_every_seed_and_their_graph_is_left_alone() -> None:
    dataset, split = preset()
    task = LinkTask(dataset, Dot())
    assert [[each.hash for each in task.splits(seed)] for seed in (0, 1)] == [[split.hash]] * 2
    assert task.visible(split).graph is dataset.graph
    assert task.sealed(0).dataset.graph is dataset.graph


def test_trainings_of_a_sealed_problem_see_the_edges_that_a_run_trains_on() -> None:
    config = resolve(Request("GAE", task="link", preset="none"), Subject("toy", "toy", "node", "LBFGS"))
    problem = make_problem(config, toy_dataset("node"))
    (run,), (trial,) = problem.trainings(2), problem.sealed(2).trainings(2)
    assert torch.equal(run.dataset.graph.block.edge_index, trial.dataset.graph.block.edge_index)
    assert trial.dataset.labels is None


def test_the_judge_of_a_sealed_task_may_change() -> None:
    """Hadamard fits on the training pairs; the sealed test is the validation again."""
    task = LinkTask(toy_dataset("node"), Dot())
    sealed = task.sealed(0).under(Hadamard())
    (split,) = sealed.splits(0)
    embeddings = torch.randn(120, 4, generator=torch.Generator().manual_seed(0))
    score = sealed.score(embeddings, split, 0)
    assert score.val == score.test
    assert set(score.chosen) == {"C"}
