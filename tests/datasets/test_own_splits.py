"""Splits of the user's own data, under all their names."""

from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from gssl.common.errors import InputError
from gssl.datasets.convert import from_arrays, from_networkx, from_pyg
from gssl.datasets.own_splits import own_splits

MASKS = np.eye(6, dtype=bool)[[0, 2, 4]] | np.eye(6, dtype=bool)[[1, 3, 5]]  # items 0 and 1, 2 and 3, 4 and 5


def parts(values: dict[str, Any]) -> list[list[list[int]]]:
    splits, _ = own_splits(values, 6)
    return [[split.train.tolist(), split.val.tolist(), split.test.tolist()] for split in splits]


@pytest.mark.parametrize("values", [
    {"train_mask": MASKS[0], "val_mask": MASKS[1], "test_mask": MASKS[2]},
    {"train_mask": torch.from_numpy(MASKS[0]).float(), "valid_mask": MASKS[1].astype(int), "test_masks": MASKS[2]},
    {"train_idx": [1, 0], "valid_idx": np.array([2, 3]), "test_idx": torch.tensor([4, 5])},
    {"idx_train": [0, 1], "idx_val": [2, 3], "idx_test": [4, 5]},
    {"train": [0, 1], "validation": [2, 3], "test": [4, 5]},
    {"train_nodes": [0, 1], "dev_ids": [2, 3], "test_index": [4, 5]},
    {"split_idx": {"train": torch.tensor([0, 1]), "valid": torch.tensor([2, 3]), "test": torch.tensor([4, 5])}},
    {"split": ["train", "training", "valid", "val", "test", "test"]},
    {"train_idx": MASKS[0], "val_idx": MASKS[1], "test_idx": MASKS[2]},
    {"idx_tr": [0, 1], "idx_va": [2, 3], "idx_te": [4, 5]},
    {"tr_mask": MASKS[0], "va_mask": MASKS[1], "te_mask": MASKS[2]},
    {"trn": [0, 1], "val": [2, 3], "tst": [4, 5]},
    {"phase": ["train", "train", "val", "val", "test", "test"]},
])  # fmt: skip
def test_every_usual_form_is_the_same_split(values: dict[str, Any]) -> None:
    assert parts(values) == [[[0, 1], [2, 3], [4, 5]]]


@pytest.mark.parametrize("turned", [False, True])
def test_several_splits_in_columns_or_rows(turned: bool) -> None:
    stacks = {key: np.stack([mask, mask[::-1]]) for key, mask in zip(("train", "val", "test"), MASKS, strict=True)}
    found = parts({f"{key}_masks": stack if turned else stack.T for key, stack in stacks.items()})
    assert found == [[[0, 1], [2, 3], [4, 5]], [[4, 5], [2, 3], [0, 1]]]


@pytest.mark.parametrize(("values", "message"), [
    ({"train_mask": np.array([0, 4]), "test_mask": MASKS[2]}, "call it train_idx instead of a mask"),
    ({"train_mask": MASKS[0][:4], "test_mask": MASKS[2]}, r"train_mask has shape \(4,\), but there are 6"),
    ({"train_idx": [0, 6], "test_idx": [1]}, "train_idx holds item 6, but there are 6"),
    ({"train_idx": [0, 0], "test_idx": [1]}, "holds an id twice"),
    ({"train_idx": [0.5, 1], "test_idx": [1]}, "give a list of ids"),
    ({"train_mask": MASKS[0]}, "train_mask only"),
    ({"train_mask": MASKS[0], "train_idx": [0], "test_idx": [1]}, "train_mask and train_idx"),
    ({"train_idx": [0, 1], "test_idx": [1]}, "item 1 in train and in test"),
    ({"split_idx": {"train": [0], "rest": [1]}}, "the part 'rest'"),
    ({"split": ["train", "test", "held", "train", "", "test"]}, "split is 'held' at item 2"),
])  # fmt: skip
def test_what_is_no_split_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        own_splits(values, 6)


@pytest.mark.parametrize(
    "name",
    [
        *("train_nodes_old", "my_split", "split", "fold", "test_edges", "folds5", "partition", "te_ids_old", "tst_1"),
        *("mask", "trainSet", "isTest", "trainitems"),
    ],
)
def test_what_looks_like_a_split_is_never_replaced_by_a_random_one(name: str) -> None:
    arrays = {"edge_index": np.array([[0], [1]]), "x": np.ones((6, 2)), name: np.array([0, 1, 2, 0, 1, 2])}
    with pytest.raises(InputError, match=f"{name} looks like a split but cannot be read"):
        from_arrays(arrays, name="g")


@pytest.mark.parametrize("name", ["{}mask", "{}Mask", "{}_mask", "mask{}", "{}Masks", "MASK_{}"])
def test_parts_under_names_without_a_line_between_their_words(name: str) -> None:
    arrays = {name.format(part): np.arange(6) % 3 == i for i, part in enumerate(("train", "val", "test"))}
    (split,), read = own_splits(arrays, 6)
    assert [part.tolist() for part in (split.train, split.val, split.test)] == [[0, 3], [1, 4], [2, 5]]
    assert set(read) == set(arrays)
    ids = {f"{part}Idx": np.array([i, i + 3]) for i, part in enumerate(("train", "val", "test"))}
    assert own_splits(ids, 6)[0][0].train.tolist() == [0, 3]


def test_arrays_that_are_not_read_are_named() -> None:
    arrays = {"edge_index": np.array([[0, 1], [1, 0]]), "x": np.ones((2, 2)), "pos": np.ones(2), "colour": np.ones(2)}
    assert "arrays that are not read: colour, pos" in from_arrays(arrays, name="g").notes


def test_other_names_of_arrays_are_read_and_said() -> None:
    found = from_arrays(
        {"edges": np.array([[0, 1], [1, 2], [2, 0]]), "Features": np.eye(3), "labels": [0, 1, 0]}, name="g"
    )
    assert found.graph.num_edges == 3
    assert found.labels is not None
    assert {"edges is read as edge_index", "Features is read as x", "labels is read as y"} <= set(found.notes)
    with pytest.raises(InputError, match="there are y and labels"):
        from_arrays({"edge_index": np.array([[0], [1]]), "x": np.eye(2), "y": [0, 1], "labels": [0, 1]}, name="g")


def graph(**more: Any) -> Data:
    return Data(edge_index=torch.tensor([[0, 1], [1, 0]]), x=torch.ones(2, 1), y=torch.tensor([0]), **more)


@pytest.mark.parametrize("flags", [
    [{"train_mask": True, "test_mask": False}, {"train_mask": False, "test_mask": torch.tensor([True])}],
    [{"split": "train"}, {"split": "test"}],
])  # fmt: skip
def test_graphs_of_a_list_say_where_they_belong(flags: list[dict[str, Any]]) -> None:
    (split,) = from_pyg([graph(**each) for each in flags]).splits
    assert [split.train.tolist(), split.val.tolist(), split.test.tolist()] == [[0], [], [1]]


@pytest.mark.parametrize(("flags", "message"), [
    ([{"split": "train"}, {}], "graph 1 has no split, but others have"),
    ([{"split": "train"}, {"split": "other"}], "graph 1: split is 'other'"),
    ([{"train_mask": torch.tensor([True, False])}] * 2, "graph 0: train_mask has shape"),
])  # fmt: skip
def test_flags_that_cannot_be_read(flags: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_pyg([graph(**each) for each in flags])


def test_words_of_a_split_are_one_in_every_kind_of_graph() -> None:
    words = ["train", "train", "valid", None, "test", "test"]
    edges = torch.tensor([[0, 1], [1, 0]])
    graph = nx.path_graph(6)
    for node, word in enumerate(words):
        graph.nodes[node].update(x=1.0, y=node % 2, **({"phase": word} if word else {}))
    whole = [word or "train" for word in words]
    one = [
        from_arrays({"edge_index": edges, "x": torch.ones(6, 1), "phase": words}, name="a"),
        from_networkx(graph, x="x", y="y"),
    ]
    many = from_pyg([Data(edge_index=edges, x=torch.ones(2, 1), phase=word) for word in whole])
    for data, train in ((one[0], [0, 1]), (one[1], [0, 1]), (many, [0, 1, 3])):
        (split,) = data.splits
        assert [split.train.tolist(), split.val.tolist(), split.test.tolist()] == [train, [2], [4, 5]]
        assert [note for note in data.notes if "phase" in note] == [
            "phase says train, val and test, and is read as the split"
        ]


def test_classes_that_are_called_train_are_labels() -> None:
    graph = {"edge_index": torch.tensor([[0, 1], [1, 0]]), "x": torch.ones(2, 1), "y": ["train", "test"]}
    data = from_arrays(graph, name="a")
    assert data.splits == ()
    assert data.labels is not None
