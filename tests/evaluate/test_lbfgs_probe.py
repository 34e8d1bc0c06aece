"""The default probe: its splits, its choice, and what it is invariant to."""

import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets.types import Dataset, LabelKind, Labels, Metric, Split
from gssl.evaluate.lbfgs import LbfgsProbe
from gssl.testing.gaussians import gaussian_classes
from gssl.testing.toy import toy_dataset


def labels_of(dataset: Dataset) -> Labels:
    assert dataset.labels is not None
    return dataset.labels


def test_preset_splits_take_turns() -> None:
    dataset, _ = gaussian_classes(splits=["preset-0", "preset-1", "preset-2"])
    names = [split.name for seed in range(7) for split in LbfgsProbe().splits(dataset, seed)]
    assert names == [f"preset-{seed % 3}" for seed in range(7)]
    single, _ = gaussian_classes(splits=["public"])
    assert [split.name for split in LbfgsProbe().splits(single, 5)] == ["public"]


def test_random_splits_are_stratified() -> None:
    dataset, _ = gaussian_classes(num_items=300, num_classes=3)
    y = labels_of(dataset).y
    for seed in range(5):
        (split,) = LbfgsProbe().splits(dataset, seed)
        assert split.name.startswith("stratified")
        for part, count in ((split.train, 10), (split.val, 10), (split.test, 80)):
            assert y[part].bincount().tolist() == [count] * 3


@pytest.mark.parametrize(
    ("items", "name"), [(12, "stratified-0.2-0.2"), (8, "stratified-0.2-0.2"), (40, "stratified-0.1")]
)
def test_a_small_set_trains_on_a_share_that_has_two_classes(items: int, name: str) -> None:
    dataset, _ = gaussian_classes(num_items=items, num_classes=2)
    for seed in range(5):
        (split,) = LbfgsProbe().splits(dataset, seed)
        assert split.name.startswith(name)
        assert len(labels_of(dataset).y[split.train].unique()) == 2


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_labels_that_cannot_be_stratified_get_a_plain_random_split(task: LabelKind) -> None:
    dataset = toy_dataset("node", kind=task, splits=())
    if task == "multiclass":
        y = labels_of(dataset).y.clone()
        y[0] = 2  # a class of one
        dataset = Dataset(name="one", level="node", graph=dataset.graph, labels=Labels(y, "multiclass", 3))
    (split,) = LbfgsProbe().splits(dataset, 0)
    assert split.name.startswith("random")
    assert [len(part) for part in (split.train, split.val, split.test)] == [12, 12, 96]


def test_the_penalty_is_the_strongest_of_the_best_on_validation() -> None:
    dataset, x = gaussian_classes(num_items=400, dim=60, distance=1.0, splits=["public"])
    split = dataset.splits[0]
    fixed = []
    for l2 in LbfgsProbe.penalties:
        probe = LbfgsProbe()
        probe.penalties = (l2,)  # type: ignore[misc]  # this probe alone
        fixed.append(probe.score(x, labels_of(dataset), split, "accuracy", 0))
    chosen = LbfgsProbe().score(x, labels_of(dataset), split, "accuracy", 0)
    best = max(score.val for score in fixed)
    first = [score.val for score in fixed].index(best)
    assert chosen.val == pytest.approx(best, abs=0.02)  # warm starts end within the tolerance of cold ones
    assert chosen.chosen["l2"] == LbfgsProbe.penalties[first]
    assert len({score.val for score in fixed}) > 2


def test_errors_are_minimised() -> None:
    dataset, x = gaussian_classes(num_items=600, dim=60, splits=["public"])
    target = (x[:, :3].sum(1, keepdim=True) * 2 + 50).float()
    labels = Labels(target + torch.randn(600, 1, generator=torch.Generator().manual_seed(0)), "regression", 1)
    score = LbfgsProbe().score(x, labels, dataset.splits[0], "rmse", 0)
    constant = float(labels.y[dataset.splits[0].test].std())
    assert score.val < constant / 2
    assert score.test < constant / 2
    assert 1e-5 < score.chosen["l2"] < 10


@pytest.mark.parametrize(
    ("task", "metric"), [("multiclass", "accuracy"), ("multilabel", "roc_auc"), ("regression", "mae")]
)
def test_scale_and_origin_of_the_columns_do_not_matter(task: LabelKind, metric: Metric) -> None:
    dataset = toy_dataset("node", kind=task)
    labels = labels_of(dataset)
    x = torch.randn(120, 5, generator=torch.Generator().manual_seed(0))
    x[:, :1] += labels.y.float().nan_to_num().view(120, -1)[:, :1]
    moved = x * torch.tensor([1e-3, 1.0, 1e3, 7.0, 0.5]) + torch.tensor([0.0, 5.0, 100.0, -3.0, 1.0])
    scores = [LbfgsProbe().score(each, labels, dataset.splits[0], metric, 0) for each in (x, moved)]
    assert scores[0].val == pytest.approx(scores[1].val, abs=1e-2)
    assert scores[0].test == pytest.approx(scores[1].test, abs=1e-2)


def test_statistics_come_from_the_training_items() -> None:
    dataset, x = gaussian_classes(splits=["public"])
    split = dataset.splits[0]
    shifted = x.clone()
    shifted[split.test] = 1e4 * torch.randn(len(split.test), 8, generator=torch.Generator().manual_seed(1))
    honest, other = (LbfgsProbe().score(each, labels_of(dataset), split, "accuracy", 0) for each in (x, shifted))
    assert (honest.val, honest.chosen) == (other.val, other.chosen)
    assert honest.test > other.test + 0.2


def test_more_items_than_a_chunk_are_scored_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    from gssl.evaluate import lbfgs

    dataset, x = gaussian_classes(splits=["public"])
    whole = LbfgsProbe().score(x, labels_of(dataset), dataset.splits[0], "accuracy", 0)
    monkeypatch.setattr(lbfgs, "_CHUNK", 7)
    assert LbfgsProbe().score(x, labels_of(dataset), dataset.splits[0], "accuracy", 0) == whole


def test_a_split_without_validation_items_is_refused() -> None:
    dataset, _ = gaussian_classes()
    split = Split("bare", torch.arange(50), torch.empty(0, dtype=torch.int64), torch.arange(50, 240))
    with pytest.raises(InputError, match="'bare' has none: add some"):
        LbfgsProbe().check(labels_of(dataset), split, "accuracy")


def test_unknown_labels_are_left_out_in_training_and_scoring() -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(400, 4, generator=rng)
    y = (x[:, :2] + 0.5 * torch.randn(400, 2, generator=rng) > 0).float()
    split = Split("s", torch.arange(150), torch.arange(150, 250), torch.arange(250, 400))
    known = LbfgsProbe().score(x, Labels(y, "multilabel", 2), split, "roc_auc", 0)
    holes = y.clone()
    holes[::3] = torch.nan
    score = LbfgsProbe().score(x, Labels(holes, "multilabel", 2), split, "roc_auc", 0)
    assert score.test == pytest.approx(known.test, abs=0.05)
    assert score.test > 0.85
