"""Labels of every origin."""

from typing import Any

import numpy as np
import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets.checksums import dataset_checksum, graph_checksum
from gssl.datasets.clean import clean_graph
from gssl.datasets.labels import compact, labelled_only, make_labels, own_labels
from gssl.datasets.types import LabelKind, Split

NAN = float("nan")


@pytest.mark.parametrize(
    ("y", "task", "classes", "shape"),
    [
        (torch.tensor([0, 2, 1]), "multiclass", 3, (3,)),
        (torch.tensor([[0], [1], [1]]), "multiclass", 2, (3,)),
        (torch.tensor([True, False, True]), "multiclass", 2, (3,)),
        (torch.tensor([0.0, 1.0, 3.0]), "multiclass", 4, (3,)),
        (torch.tensor([0.5, 1.0, 3.0]), "regression", 1, (3, 1)),
        (torch.tensor([1.0, NAN, 3.0]), "multiclass", 4, (3,)),
        (torch.tensor([1.5, NAN, 3.0]), "regression", 1, (3, 1)),
        (torch.tensor([-1, 1, 1]), "multiclass", 2, (3,)),
        (torch.tensor([[0, 1], [1, 0], [0, 1]]), "multiclass", 2, (3,)),
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


@pytest.mark.parametrize("values", [
    np.array([0.0, np.nan, 2.0, 2.0]),
    torch.tensor([0, -1, 2, 2]),
    torch.tensor([[0.0], [NAN], [2.0], [2.0]]),
    [0, None, 2, 2],
    [torch.tensor([0]), None, torch.tensor([2]), torch.tensor([2])],
    ["a", None, "c", "c"],
    np.array(["a", "", "c", "c"]),
    [[1, 0], [NAN, NAN], [0, 1], [0, 1]],
])  # fmt: skip
def test_what_has_no_label_is_no_class(values: Any) -> None:
    found = own_labels(values, 4)
    assert found.labels is not None
    assert (found.labels.kind, found.labels.y.tolist(), found.labels.num_classes) == ("multiclass", [0, -1, 1, 1], 2)
    assert found.labels.labelled.tolist() == [True, False, True, True]
    assert any("1 of 4 items have no label" in note for note in found.notes)


@pytest.mark.parametrize(
    ("values", "kind", "note"),
    [
        (np.arange(100), "regression", "100 values: read as regression"),
        (np.arange(100) % 20, "multiclass", "20 values: read as classes"),
        (np.eye(3), "multiclass", "read as one-hot, 3 classes"),
        (np.tril(np.ones((3, 3))), "multilabel", "one task each"),
        ([0.5, 1, 2], "regression", "real numbers"),
        (["b", "a", "b"], "multiclass", "the 2 sorted values of y"),
        ([-1, 1, 1], "multiclass", "-1 and 1: read as two classes"),
    ],
)
def test_a_guess_is_said_and_a_declaration_ends_it(values: Any, kind: LabelKind, note: str) -> None:
    found = own_labels(values, len(values))
    assert found.labels is not None
    assert found.labels.kind == kind
    assert any(note in each for each in found.notes)
    declared = own_labels(values, len(values), kind=kind)
    assert declared.labels is not None
    assert torch.equal(declared.labels.y, found.labels.y)
    assert not any("read as" in each for each in declared.notes)


def test_declared_kinds_that_the_values_do_not_fit() -> None:
    with pytest.raises(InputError, match="declare task=multiclass"):
        own_labels(["a", "b"], 2, kind="regression")
    with pytest.raises(InputError, match="other than 0, 1 and NaN"):
        own_labels([0, 1, 2], 3, kind="multilabel")
    with pytest.raises(InputError, match="no class number at item 0"):
        own_labels([0.5, 1, 2], 3, kind="multiclass")
    with pytest.raises(InputError, match="2 columns, but classes need one"):
        own_labels([[1, 1], [0, 1]], 2, kind="multiclass")
    targets = own_labels([-1, 0, 7], 3, kind="regression").labels
    assert targets is not None
    assert targets.y[:, 0].tolist() == [-1, 0, 7]


def test_no_value_at_all_is_no_label() -> None:
    assert own_labels(np.full(3, NAN), 3).labels is None


def test_preset_splits_keep_labelled_items_alone() -> None:
    labels = make_labels(torch.tensor([0, -1, 1, 0, -1]), 5)
    split = Split("preset", torch.tensor([0, 1]), torch.tensor([2]), torch.tensor([3, 4]))
    (kept,), notes = labelled_only((split,), labels)
    assert [kept.train.tolist(), kept.val.tolist(), kept.test.tolist()] == [[0], [2], [3]]
    assert "2 items of the preset splits have no label" in notes[0]
    with pytest.raises(InputError, match="y is -1 at item 1, which the split 'preset' has in train"):
        labelled_only((split,), labels, refuse=True)
    assert labelled_only((split,), None) == ((split,), ())


def test_no_labels_are_no_error() -> None:
    assert make_labels(None, 5) is None
    assert compact(None) == (None, ())


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (torch.tensor([0, 1]), "there are 3 items"),
        (torch.zeros(3, 1, 1), "there are 3 items"),
        (torch.tensor([0, -2, 1]), "negative class -2 at item 1"),
        (torch.tensor([0.0, float("inf"), 1.0]), "infinite value at item 1"),
        (torch.tensor([[0, 2], [1, 1], [0, 0]]), "other than 0 and 1"),
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


@pytest.mark.parametrize("text", ["nan", "NaN", "None", "<NA>", "null", "N/A"])
@pytest.mark.parametrize(
    "make", [list, np.array, lambda texts: np.array(texts).astype(object), lambda t: np.array(t, "S")]
)
def test_texts_that_stand_for_nothing_are_no_classes(text: str, make: Any) -> None:
    found = own_labels(make(["b", text, "a", "b"]), 4)
    assert found.labels is not None
    assert (found.labels.y.tolist(), found.labels.num_classes) == ([1, -1, 0, 1], 2)
    assert f"{text} in y is no class but means that an item has no label" in found.notes
    assert "classes are the 2 sorted values of y: a, b" in found.notes
    assert any("1 of 4 items have no label" in note for note in found.notes)


def test_names_of_classes_are_shown_and_na_is_one() -> None:
    found = own_labels(["NA", "none", "NA"], 3)
    assert found.labels is not None
    assert found.labels.y.tolist() == [0, 1, 0]
    assert found.notes[0].startswith(
        "classes are the 2 sorted values of y: NA, none; NA is one of them: leave it empty"
    )
    assert own_labels([f"{i:02}" for i in range(30)], 30).notes[0].endswith("08, 09, ...")


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ([-1, -1, -1], "y is -1 everywhere, so no item has a label"),
        (["nan", "", None], "y holds no name, so no item has a label"),
    ],
)
def test_labels_that_all_are_missing(values: list[Any], note: str) -> None:
    found = own_labels(values, 3)
    assert found.labels is None
    assert note in found.notes


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64])
def test_columns_of_whole_numbers_are_never_guessed(dtype: Any) -> None:
    signs, counts = np.array([[0, -1], [1, 1], [0, 1]], dtype), np.array([[3, 0], [1, 7], [0, 2]], dtype)
    with pytest.raises(InputError, match=r"other than 0 and 1.*NaN in place of -1.*--data task=regression"):
        own_labels(signs, 3)
    with pytest.raises(InputError, match=r"keep one column of classes, or declare them"):
        own_labels(counts, 3)
    declared = own_labels(counts, 3, kind="regression").labels
    assert declared is not None
    assert declared.y.tolist() == counts.tolist()


def test_values_that_are_missing_in_some_columns_are_counted() -> None:
    found = own_labels(np.array([[0, NAN, 1], [1, 1, NAN], [0, NAN, 0], [NAN, NAN, NAN]]), 4)
    assert "3 items have no value in some of the columns (3 values in 2 columns)" in found.notes
    assert any("1 of 4 items have no label" in note for note in found.notes)


def test_rows_of_zeros_among_one_hot_rows_are_hinted_at_and_can_be_declared() -> None:
    rows = np.array([[0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]])
    guessed = own_labels(rows, 4)
    assert guessed.labels is not None
    assert guessed.labels.kind == "multilabel"
    assert "no row has more than one 1, and 1 have none: --data task=multiclass takes these as" in guessed.notes[0]
    declared = own_labels(rows, 4, kind="multiclass")
    assert declared.labels is not None
    assert declared.labels.y.tolist() == [1, -1, 0, 2]


def test_the_largest_byte_is_a_class_and_not_minus_one() -> None:
    found = own_labels(np.array([0, 1, 254, 255], dtype=np.uint8), 4)
    assert found.labels is not None
    assert (found.labels.num_classes, bool(found.labels.labelled.all())) == (4, True)
    assert "y holds whole numbers, 4 values" in found.notes[0]
