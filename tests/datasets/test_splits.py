"""Splits are disjoint, repeatable and identified by their hash."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gssl.common.errors import InputError
from gssl.datasets.labels import make_labels
from gssl.datasets.splits import checked, k_folds, mask_splits, preset_split, random_split
from gssl.datasets.types import Labels, Split


def _labels(y: list[int]) -> Labels:
    labels = make_labels(torch.tensor(y), len(y))
    assert labels is not None
    return labels


def _ids(split: Split) -> list[int]:
    return torch.cat([split.train, split.val, split.test]).tolist()


@settings(deadline=None)
@given(st.integers(10, 500), st.floats(0.1, 0.6), st.floats(0, 0.4), st.integers(0, 2**31))
def test_random_splits_partition_the_items(items: int, train: float, val: float, seed: int) -> None:
    split = random_split(items, train=train, val=val, seed=seed)
    assert sorted(_ids(split)) == list(range(items))
    assert len(split.train) == round(train * items)
    assert len(split.val) == round(val * items)
    assert split.hash == random_split(items, train=train, val=val, seed=seed).hash


def test_seeds_and_shares_give_different_splits() -> None:
    splits = [random_split(100, train=share, val=0.1, seed=seed) for share in (0.1, 0.2) for seed in range(20)]
    assert len({split.hash for split in splits}) == 40
    assert splits[3].name == "random-0.1-0.1-seed3"


def test_a_random_split_is_the_same_on_every_machine() -> None:
    assert random_split(2708, train=0.1, val=0.1, seed=0).hash == "59f43aef21b1dc2c"


def test_a_test_share_leaves_the_rest_out() -> None:
    split = random_split(100, train=0.1, val=0.1, test=0.3, seed=0)
    assert [len(part) for part in (split.train, split.val, split.test)] == [10, 10, 30]


def test_random_draws_are_uniform() -> None:
    counts = torch.zeros(50)
    for seed in range(400):
        counts[random_split(50, train=0.2, val=0.2, seed=seed).train] += 1
    assert ((counts - 80).abs() < 4.5 * (400 * 0.2 * 0.8) ** 0.5).all()


@pytest.mark.parametrize("shares", [(0.0, 0.1, None), (0.9, 0.2, None), (0.5, -0.1, None), (0.5, 0.3, 0.4)])
def test_impossible_shares(shares: tuple[float, float, float | None]) -> None:
    train, val, test = shares
    with pytest.raises(InputError, match="shares"):
        random_split(100, train=train, val=val, test=test, seed=0)


def test_stratified_splits_keep_the_shares_of_classes() -> None:
    labels = _labels([0] * 100 + [1] * 50 + [2] * 10)
    split = random_split(160, train=0.5, val=0.2, seed=1, labels=labels)
    assert labels.y[split.train].bincount().tolist() == [50, 25, 5]
    assert labels.y[split.val].bincount().tolist() == [20, 10, 2]
    assert sorted(_ids(split)) == list(range(160))


def test_a_class_of_one_cannot_be_stratified() -> None:
    with pytest.raises(InputError, match="stratified split cannot be made"):
        random_split(20, train=0.5, val=0.2, seed=1, labels=_labels([0] * 19 + [1]))
    multilabel = Labels(torch.zeros(20, 3), "multilabel", 3)
    with pytest.raises(InputError, match="not by multilabel"):
        random_split(20, train=0.5, val=0.2, seed=1, labels=multilabel)


@pytest.mark.parametrize("stratify", [True, False])
def test_folds_test_every_item_once(stratify: bool) -> None:
    labels = _labels([0] * 60 + [1] * 40)
    folds = k_folds(100, folds=10, seed=3, labels=labels if stratify else None)
    assert sorted(torch.cat([fold.test for fold in folds]).tolist()) == list(range(100))
    for fold in folds:
        assert fold.val.numel() == 0
        assert sorted(_ids(fold)) == list(range(100))
        if stratify:
            assert labels.y[fold.test].bincount().tolist() == [6, 4]
    assert len({fold.hash for fold in folds}) == 10
    assert [fold.hash for fold in folds] != [fold.hash for fold in k_folds(100, folds=10, seed=4)]


@pytest.mark.parametrize(("items", "folds"), [(5, 10), (5, 1)])
def test_impossible_folds(items: int, folds: int) -> None:
    with pytest.raises(InputError, match="folds"):
        k_folds(items, folds=folds, seed=0)


def test_masks() -> None:
    train, val, test = (torch.tensor(mask) for mask in ([1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 1]))
    (split,) = mask_splits("public", train.bool(), val.bool(), test.bool())
    assert (split.name, split.train.tolist(), split.val.tolist(), split.test.tolist()) == ("public", [0], [1, 2], [4])


def test_several_masks_share_a_test_mask() -> None:
    train = torch.tensor([[1, 0], [0, 1], [0, 0], [0, 0]]).bool()
    val = torch.tensor([[0, 1], [1, 0], [0, 0], [0, 0]]).bool()
    splits = mask_splits("preset", train, val, torch.tensor([0, 0, 0, 1]).bool())
    assert [split.name for split in splits] == ["preset-0", "preset-1"]
    assert [split.train.tolist() for split in splits] == [[0], [1]]
    assert [split.test.tolist() for split in splits] == [[3], [3]]


def test_masks_that_do_not_fit() -> None:
    mask = torch.tensor([True, False, False])
    with pytest.raises(InputError, match="test_mask must be bool"):
        mask_splits("m", mask, ~mask, mask.long())
    with pytest.raises(InputError, match="val_mask must be bool"):
        mask_splits("m", mask, mask[:2], mask)
    with pytest.raises(InputError, match="different numbers of splits"):
        mask_splits("m", mask.expand(2, 3).T, mask.expand(3, 3).T, mask)
    with pytest.raises(InputError, match="item 0 in train and in test"):
        mask_splits("m", mask, torch.zeros(3, dtype=torch.bool), mask)
    with pytest.raises(InputError, match="no training items"):
        mask_splits("m", torch.zeros(3, dtype=torch.bool), mask, ~mask)


def test_a_share_of_too_few_items_says_so() -> None:
    with pytest.raises(InputError, match=r"a share of 0\.1 to train on is none of 3 labelled items: use more of them"):
        random_split(3, train=0.1, val=0.1, seed=0)


def _ids_of(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int64)


@pytest.mark.parametrize(
    ("train", "val", "test", "message"),
    [
        ((0, 1), (1,), (2,), "item 1 in train and in val"),
        ((0,), (1,), (2, 5), "item 5 in test, but there are 5"),
        ((0, -1), (1,), (2,), "item -1 in train"),
        ((0, 0), (1,), (2,), "twice in train"),
    ],
)
def test_preset_ids_are_checked(
    train: tuple[int, ...], val: tuple[int, ...], test: tuple[int, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        preset_split("preset", 5, _ids_of(*train), _ids_of(*val), _ids_of(*test))


def test_the_hash_depends_on_sets_and_not_on_their_order() -> None:
    one = preset_split("a", 5, _ids_of(2, 0), _ids_of(1), _ids_of(3, 4))
    two = preset_split("b", 5, _ids_of(0, 2), _ids_of(1), _ids_of(4, 3))
    moved = preset_split("c", 5, _ids_of(0), _ids_of(1, 2), _ids_of(3, 4))
    assert one.hash == two.hash != moved.hash
    assert checked(one, 5) is one


@pytest.mark.parametrize("stratify", [False, True])
def test_only_the_items_that_may_be_drawn_are(stratify: bool) -> None:
    y = _labels([0, 1, -1, 0, 1] * 8)
    among = y.labelled.nonzero()[:, 0]
    chosen = y if stratify else None
    split = random_split(40, train=0.25, val=0.25, seed=0, labels=chosen, among=among)
    assert (len(split.train), len(split.val), sorted(_ids(split))) == (8, 8, among.tolist())
    folds = k_folds(40, folds=4, seed=0, labels=chosen, among=among)
    assert sorted(torch.cat([fold.test for fold in folds]).tolist()) == among.tolist()
    assert all(sorted(_ids(fold)) == among.tolist() for fold in folds)
