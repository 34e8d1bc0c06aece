"""Labels of every origin."""

import numpy as np
import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets.checksums import dataset_checksum, graph_checksum
from gssl.datasets.clean import clean_graph
from gssl.datasets.labels import compact, make_labels
from gssl.datasets.types import LabelKind

NAN = float("nan")


@pytest.mark.parametrize(
    ("y", "task", "classes", "shape"),
    [
        (torch.tensor([0, 2, 1]), "multiclass", 3, (3,)),
        (torch.tensor([[0], [1], [1]]), "multiclass", 2, (3,)),
        (torch.tensor([True, False, True]), "multiclass", 2, (3,)),
        (torch.tensor([0.0, 1.0, 3.0]), "multiclass", 4, (3,)),
        (torch.tensor([0.5, 1.0, 3.0]), "regression", 1, (3, 1)),
        (torch.tensor([1.0, NAN, 3.0]), "regression", 1, (3, 1)),
        (torch.tensor([[0, 1], [1, 1], [0, 0]]), "multilabel", 2, (3, 2)),
        (torch.tensor([[0, NAN], [1, 1], [0, 0]]), "multilabel", 2, (3, 2)),
        (torch.tensor([[0.1, 2], [1, 1], [0, 0]]), "regression", 2, (3, 2)),
    ],
)
def test_the_task_is_inferred(y: torch.Tensor, task: LabelKind, classes: int, shape: tuple[int, ...]) -> None:
    labels = make_labels(y, 3)
    assert labels is not None
    assert (labels.kind, labels.num_classes, tuple(labels.y.shape)) == (task, classes, shape)
    assert labels.y.dtype == (torch.int64 if task == "multiclass" else torch.float32)


def test_binary_labels_with_gaps_keep_them() -> None:
    labels = make_labels(torch.tensor([[0.0], [NAN], [1.0]]), 3, kind="multiclass")
    assert labels is not None
    assert (labels.kind, labels.num_classes) == ("multilabel", 1)
    assert labels.y.isnan().squeeze().tolist() == [False, True, False]


def test_no_labels_are_no_error() -> None:
    assert make_labels(None, 5) is None
    assert compact(None) == (None, ())


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (torch.tensor([0, 1]), "there are 3 items"),
        (torch.zeros(3, 1, 1), "there are 3 items"),
        (torch.tensor([0, -1, 1]), "negative class -1 at item 1"),
        (torch.tensor([0.0, float("inf"), 1.0]), "infinite value at item 1"),
        (torch.tensor([[0, 2], [1, 1], [0, 0]]), "other than 0, 1"),
        (torch.tensor([1j, 1, 1]), "complex"),
    ],
)
def test_unusable_labels(y: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_labels(y, 3)


def test_class_numbers_without_gaps() -> None:
    labels, notes = compact(make_labels(torch.tensor([7, 10**9, 7, 3]), 4))
    assert labels is not None
    assert labels.y.tolist() == [1, 2, 1, 0]
    assert labels.num_classes == 3
    assert "3 classes renumbered" in notes[0]


def test_permuting_labels_changes_the_datasets_checksum_but_not_the_graphs() -> None:
    graph, _ = clean_graph(np.array([[0, 1], [1, 2]]), np.eye(3))
    again, _ = clean_graph(np.array([[1, 0], [2, 1]]), np.eye(3))
    one, two = make_labels(torch.tensor([0, 1, 1]), 3), make_labels(torch.tensor([1, 0, 1]), 3)
    assert graph_checksum(graph) == graph_checksum(again)
    assert dataset_checksum(graph, one) == dataset_checksum(again, one)
    assert len({dataset_checksum(graph, labels) for labels in (None, one, two)}) == 3


@pytest.mark.parametrize("change", ["edge", "feature", "attribute", "offsets"])
def test_the_checksum_sees_every_part_of_a_graph(change: str) -> None:
    edges, x, attr, ptr = np.array([[0, 1], [1, 0]]), np.eye(4), np.ones((2, 1)), torch.tensor([0, 2, 4])
    before, _ = clean_graph(edges, x, edge_attr=attr, ptr=ptr)
    if change == "edge":
        edges = np.array([[0, 2], [1, 3]])
    elif change == "feature":
        x[3, 3] = 2
    elif change == "attribute":
        attr[1] = 2
    else:
        ptr = torch.tensor([0, 3, 4])
    after, _ = clean_graph(edges, x, edge_attr=attr, ptr=ptr)
    assert graph_checksum(before) != graph_checksum(after)
