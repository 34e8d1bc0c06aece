"""Clustering as a task: which items are scored, and that no label is seen before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gssl.api.run import run
from gssl.common.errors import InputError
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.types import Dataset
from gssl.evaluate.clusters import KMeansProbe
from gssl.tasks.cluster import ClusterTask
from gssl.testing.toy import toy_dataset


def with_labels(dataset: Dataset, y: torch.Tensor) -> Dataset:
    assert dataset.labels is not None
    return replace(dataset, labels=replace(dataset.labels, y=y), checksum=str(hash(tuple(y.tolist()))))


def test_clusters_that_are_the_classes_are_perfect_whatever_their_numbers() -> None:
    dataset = toy_dataset("node")
    assert dataset.labels is not None
    embeddings = torch.nn.functional.one_hot(dataset.labels.y).float()
    for labels in (dataset, with_labels(dataset, 1 - dataset.labels.y)):
        task = ClusterTask(labels, KMeansProbe())
        (split,) = task.splits(0)
        score = task.score(embeddings, split, 0)
        assert score.test == 1.0
        assert {name: test for name, (_, test) in score.others.items()} == {"ari": 1, "accuracy": 1, "macro_f1": 1}
        assert score.val != score.val  # nothing to choose by
        assert task.metric == "nmi"


def test_every_labelled_item_is_a_test_item_and_no_other() -> None:
    dataset = toy_dataset("node")
    assert dataset.labels is not None
    y = dataset.labels.y.clone()
    y[::3] = -1
    (split,) = ClusterTask(with_labels(dataset, y), KMeansProbe()).splits(0)
    assert split.test.equal((y >= 0).nonzero().squeeze(1))
    assert len(split.train) == len(split.val) == 0


def test_unlabelled_items_are_clustered_but_not_scored() -> None:
    """With the labels of one cluster gone, its items still have a cluster of their own, so the rest stays perfect."""
    y = torch.arange(120) % 3
    embeddings = torch.nn.functional.one_hot(y).float()
    hidden = torch.where((y == 2) & (torch.arange(120) > 10), -1, y)
    dataset = toy_dataset("node")
    assert dataset.labels is not None
    labels = replace(dataset.labels, y=hidden, num_classes=3)
    task = ClusterTask(replace(dataset, labels=labels), KMeansProbe())
    assert task.score(embeddings, task.splits(0)[0], 0).others["accuracy"][1] == 1.0


def test_labels_move_the_score_and_nothing_else(tmp_path: Path) -> None:
    dataset = toy_dataset("node")
    assert dataset.labels is not None
    y = dataset.labels.y[torch.randperm(120, generator=torch.Generator().manual_seed(1))]
    found = [
        run(
            "GRACE", data, task="cluster", epochs=3, preset="none", out=tmp_path / name, db=f"sqlite:///{tmp_path}/s.db"
        )
        for name, data in (("true", dataset), ("false", with_labels(dataset, y)))
    ]
    assert torch.equal(found[0].embeddings, found[1].embeddings)
    assert found[0].metrics["nmi"]["test_mean"] != found[1].metrics["nmi"]["test_mean"]
    assert set(found[0].metrics) == {"nmi", "ari", "accuracy", "macro_f1"}
    assert (found[0].data["task"], found[0].val, found[0].data["probe"]) == ("cluster", None, "KMeans")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (replace(toy_dataset("node"), labels=None), "toy has no labels"),
        (toy_dataset("node", kind="regression"), "toy has regression labels"),
        (toy_dataset("graph", kind="multilabel"), "toy has multilabel labels"),
    ],
)
def test_clusters_are_compared_with_classes(dataset: Dataset, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ClusterTask(dataset, KMeansProbe())


def test_there_is_nothing_to_search_by() -> None:
    with pytest.raises(InputError, match="no validation score to search by; search with --task node or link"):
        ClusterTask(toy_dataset("node"), KMeansProbe()).sealed(0)


def test_a_probe_of_items_does_not_judge_clusters() -> None:
    with pytest.raises(InputError, match="the task is cluster; probes that fit: KMeans"):
        resolve(Request("GRACE", task="cluster", probe="P1"), Subject("toy", "toy", "node", "LBFGS"))


def test_graphs_are_clustered_too() -> None:
    dataset = toy_dataset("graph")
    assert dataset.labels is not None
    task = ClusterTask(dataset, KMeansProbe(n_init=2))
    embeddings = dataset.labels.y[:, None].float() + torch.zeros(60, 2)
    assert task.score(embeddings, task.splits(0)[0], 0).test == 1.0
