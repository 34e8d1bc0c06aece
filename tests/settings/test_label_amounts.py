"""``--labels``: how many, of which classes, the same ones every time."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gssl.common.errors import InputError
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.types import LabelKind, Labels, Split
from gssl.settings.labels import labelled_share

NONE = torch.empty(0, dtype=torch.int64)


def classes_of(counts: list[int]) -> tuple[Labels, Split]:
    """As many training items of each class, mixed up, and five test items of each."""
    y = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts) + 5)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    labels = Labels(y[order], "multiclass", len(counts))
    train = torch.cat([(labels.y == c).nonzero().squeeze(1)[:n] for c, n in enumerate(counts)])
    test = torch.arange(len(y))[~torch.isin(torch.arange(len(y)), train)]
    return labels, Split("toy", train[torch.randperm(len(train))], test[::2], test[1::2])


def counts_of(split: Split, labels: Labels) -> list[int]:
    return labels.y[split.train].bincount(minlength=labels.num_classes).tolist()


@pytest.mark.parametrize(
    ("counts", "amount", "expected"),
    [
        ([100, 50, 30], 0.1, [10, 5, 3]),
        ([100, 50, 30], 0.01, [1, 1, 1]),  # no class is left without any
        ([100, 50, 30], 1.0, [100, 50, 30]),
        ([100, 50, 30], 1, [1, 1, 1]),
        ([100, 50, 30], 30, [30, 30, 30]),
        ([40, 7], 0.36, [14, 3]),  # 14.4 and 2.52
    ],
)
def test_each_class_has_its_share(counts: list[int], amount: float | int, expected: list[int]) -> None:
    labels, split = classes_of(counts)
    share = labelled_share(split, labels, amount, seed=3)
    assert counts_of(share, labels) == expected
    assert torch.isin(share.train, split.train).all()
    assert len(share.train.unique()) == len(share.train)
    assert share.val.equal(split.val)
    assert share.test.equal(split.test)
    assert share.name == f"toy-labels-{amount:g}"


def test_no_amount_is_the_split_itself() -> None:
    labels, split = classes_of([5, 6])
    assert labelled_share(split, labels, None, seed=0) is split


def test_the_seed_and_the_split_decide_which() -> None:
    labels, split = classes_of([60, 60])

    def chosen(seed: int, name: str = "toy", order: slice = slice(None)) -> list[int]:
        part = Split(name, split.train[order], split.val, split.test)
        found: list[int] = labelled_share(part, labels, 0.2, seed).train.tolist()
        return found

    torch.rand(5)
    assert chosen(0) == chosen(0) == sorted(chosen(0))
    assert chosen(0) != chosen(1)
    assert chosen(0) != chosen(0, name="other")


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=5), amount=st.floats(0.01, 1.0), seed=st.integers(0, 99)
)
def test_a_share_is_as_near_as_whole_labels_allow(counts: list[int], amount: float, seed: int) -> None:
    labels, split = classes_of(counts)
    for found, there in zip(counts_of(labelled_share(split, labels, amount, seed), labels), counts, strict=True):
        assert 1 <= found <= there
        assert abs(found - amount * there) <= 0.5 + 1e-4 or found == 1


def test_every_item_is_as_likely_as_any_other() -> None:
    """Of ten items of a class one is chosen; each about as often in 600 seeds, at 5 standard deviations."""
    labels, split = classes_of([10, 10])
    chosen = torch.cat([labelled_share(split, labels, 1, seed).train for seed in range(600)])
    often = chosen.bincount(minlength=len(labels.y))[split.train]
    assert bool(((often - 60).abs() < 5 * math.sqrt(600 * 0.1 * 0.9)).all())


def test_more_labels_than_there_are() -> None:
    labels, split = classes_of([60, 7])
    with pytest.raises(
        InputError, match=r"--labels 8 asks for 8 labels in each class, but class 1 has 7 training items in split 'toy'"
    ):
        labelled_share(split, labels, 8, seed=0)


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_without_classes_a_share_is_one_of_items(kind: LabelKind) -> None:
    labels = Labels(torch.rand(80, 2).round(), kind, 2)
    split = Split("toy", torch.arange(50), torch.arange(50, 60), torch.arange(60, 80))
    share = labelled_share(split, labels, 0.3, seed=1)
    assert len(share.train) == 15
    assert torch.isin(share.train, split.train).all()
    assert share.train.tolist() == labelled_share(split, labels, 0.3, seed=1).train.tolist()
    assert len(labelled_share(split, labels, 0.001, seed=1).train) == 2
    with pytest.raises(InputError, match="number for each class, but these labels are no classes; give a share"):
        labelled_share(split, labels, 3, seed=1)


def test_a_single_item_cannot_be_shared_out() -> None:
    labels = Labels(torch.rand(5, 1), "regression", 1)
    with pytest.raises(InputError, match=r"too few for --labels 0\.5"):
        labelled_share(Split("toy", torch.tensor([3]), NONE, torch.tensor([1])), labels, 0.5, seed=0)


@pytest.mark.parametrize("method", ["GRACE", "supervised"])
@pytest.mark.parametrize("amount", [0.0, 2.0, -0.1, 0, -3, 1.5])
def test_amounts_that_are_none_are_refused(method: str, amount: float | int) -> None:
    setting = None if method == "supervised" else "finetune"
    with pytest.raises(InputError, match=r"option 'labels' of setting \w+: must be a share above 0 and at most 1, or"):
        resolve(Request(method, setting=setting, labels=amount), Subject("toy", "toy", "node", "LBFGS"))


def test_a_whole_share_and_one_label_of_each_class_are_told_apart() -> None:
    subject = Subject("toy", "toy", "node", "LBFGS")
    configs = [resolve(Request("GRACE", setting="finetune", labels=amount), subject) for amount in (1, 1.0)]
    assert [type(config.setting.options["labels"]) for config in configs] == [int, float]
    assert configs[0].hash != configs[1].hash
