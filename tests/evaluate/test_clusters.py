"""k-means against classes: closed forms, an exhaustive matching, and labels that only the score sees."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.datasets.types import Labels
from gssl.evaluate.clusters import KMeansProbe, compare_clusters, k_means, matched
from gssl.evaluate.metrics import higher_is_better


def labels(y: Tensor, kind: str = "multiclass") -> Labels:
    return Labels(y, kind, int(y.max()) + 1)  # type: ignore[arg-type]


def blobs(classes: int = 3, each: int = 30) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(classes).repeat_interleave(each)
    return 5.0 * torch.eye(classes)[y] + 0.3 * torch.randn(classes * each, classes, generator=rng), y


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=40))
def test_the_matching_is_the_best_of_all(items: list[tuple[int, int]]) -> None:
    """Every way to give clusters different classes, tried one by one."""
    y, cluster = (np.array(column) for column in zip(*items, strict=True))
    classes, clusters = np.unique(y), np.unique(cluster)
    padded = [*classes, *[-1] * len(clusters)]
    best = max(
        np.mean([dict(zip(clusters, chosen, strict=True))[c] == t for t, c in items])
        for chosen in itertools.permutations(padded, len(clusters))
    )
    predicted = matched(y, cluster)
    assert np.mean(predicted == y) == pytest.approx(best)
    given_to = {int(c): {int(p) for p in predicted[cluster == c]} for c in clusters}
    assert all(len(found) == 1 for found in given_to.values())
    used = [next(iter(found)) for found in given_to.values() if found != {-1}]
    assert len(used) == len(set(used)) == min(len(classes), len(clusters))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40))
def test_mutual_information_and_rand_index_are_their_definitions(items: list[tuple[int, int]]) -> None:
    y, cluster = (torch.tensor(column) for column in zip(*items, strict=True))
    found = compare_clusters(y, cluster)
    table = np.zeros((4, 4))
    np.add.at(table, (y.numpy(), cluster.numpy()), 1)
    share, rows, columns = table / len(items), table.sum(1) / len(items), table.sum(0) / len(items)
    entropies = [-sum(p * math.log(p) for p in part if p > 0) for part in (rows, columns)]
    mutual = sum(
        share[i, j] * math.log(share[i, j] / rows[i] / columns[j])
        for i, j in itertools.product(range(4), range(4))
        if share[i, j] > 0
    )
    if max(entropies) > 0:
        assert found["nmi"] == pytest.approx(mutual / (sum(entropies) / 2), abs=1e-9)
    together = sum(math.comb(int(n), 2) for n in table.flatten())
    by_row, by_column = (sum(math.comb(int(n), 2) for n in table.sum(axis)) for axis in (1, 0))
    chance = by_row * by_column / math.comb(len(items), 2)
    if (by_row + by_column) / 2 != chance:
        assert found["ari"] == pytest.approx((together - chance) / ((by_row + by_column) / 2 - chance))


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(4)), st.integers(0, 2**31))
def test_numbers_of_clusters_mean_nothing(order: list[int], seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(4, (50,), generator=rng)
    cluster = torch.where(torch.rand(50, generator=rng) < 0.7, y, torch.randint(4, (50,), generator=rng))
    renamed = compare_clusters(y, 3 + 2 * torch.tensor(order)[cluster])
    assert renamed == pytest.approx(compare_clusters(y, cluster), abs=1e-12)


def test_closed_forms() -> None:
    y = torch.tensor([0, 0, 0, 1, 1, 1])
    found = compare_clusters(y, torch.tensor([1, 1, 0, 0, 0, 0]))
    assert found["accuracy"] == 5 / 6
    assert found["macro_f1"] == pytest.approx((2 * 2 / 5 + 2 * 3 / 7) / 2)
    assert compare_clusters(y, torch.zeros(6, dtype=torch.int64)) == pytest.approx(
        {"nmi": 0.0, "ari": 0.0, "accuracy": 0.5, "macro_f1": (2 / 3) / 2}
    )
    each_alone = compare_clusters(y, torch.arange(6))
    assert each_alone["accuracy"] == 2 / 6
    assert each_alone["macro_f1"] == pytest.approx(f1_score(y, [0, -1, -1, 1, -1, -1], labels=[0, 1], average="macro"))


def test_separated_classes_are_found() -> None:
    x, y = blobs()
    score = KMeansProbe().score(x, labels(y), 0)
    assert (score.test, score.chosen) == (1.0, {})
    assert math.isnan(score.val)
    assert list(score.others) == list(KMeansProbe.metrics[1:]) == ["ari", "accuracy", "macro_f1"]
    assert all(math.isnan(val) and test == 1.0 for val, test in score.others.values())
    assert all(higher_is_better(metric) for metric in KMeansProbe.metrics)


@pytest.mark.parametrize("missing", [-1, float("nan")])
def test_unlabelled_items_are_clustered_but_not_scored(missing: float) -> None:
    x, y = blobs()
    partly = y.double() if math.isnan(missing) else y.clone()
    partly[::2] = missing
    whole, part = KMeansProbe().score(x, labels(y), 0), KMeansProbe().score(x, Labels(partly, "multiclass", 3), 0)
    assert whole.test == part.test == 1.0
    # Embeddings of unlabelled items move the clusters: two classes alone would be cut apart at another place.
    line = torch.tensor([[0.0], [1.0], [4.0], [5.0], [9.0], [9.1], [9.2], [9.3], [9.4]])
    y = torch.tensor([0, 0, 1, 1, -1, -1, -1, -1, -1])
    assert KMeansProbe().score(line, Labels(y, "multiclass", 2), 0).test == 0.0
    assert KMeansProbe().score(line[:4], Labels(y[:4], "multiclass", 2), 0).test == 1.0


def test_labels_give_the_number_of_clusters_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = blobs()
    seen = []

    def watched(embeddings: Tensor, clusters: int, *, n_init: int, seed: int) -> Tensor:
        seen.append((clusters, n_init, seed))
        return k_means(embeddings, clusters, n_init=n_init, seed=seed)

    monkeypatch.setattr("gssl.evaluate.clusters.k_means", watched)
    KMeansProbe().score(x, Labels(y, "multiclass", 7), 5)  # four of seven classes do not occur
    KMeansProbe(n_init=2).score(x, Labels(2 * y.flip(0), "multiclass", 7), 5)
    assert seen == [(3, 10, 5), (3, 2, 5)]


def test_the_same_seed_gives_the_same_clusters() -> None:
    x = torch.randn(200, 5, generator=torch.Generator().manual_seed(1))
    first, again, other = (k_means(x, 6, n_init=1, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_embeddings_that_coincide_get_a_bad_score_and_no_warning() -> None:
    _, y = blobs()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = KMeansProbe().score(torch.ones(90, 4), labels(y), 0)
    assert score.test == 0.0
    assert score.others["accuracy"][1] == pytest.approx(1 / 3)


def test_what_cannot_be_compared() -> None:
    x, y = blobs()
    with pytest.raises(InputError, match="are multilabel"):
        KMeansProbe().score(x, Labels(torch.ones(90, 2), "multilabel", 2), 0)
    with pytest.raises(InputError, match="are regression"):
        KMeansProbe().score(x, Labels(y.float().unsqueeze(1), "regression", 1), 0)
    with pytest.raises(InputError, match="labelled items have 1"):
        KMeansProbe().score(x, Labels(torch.where(y == 1, y, -1), "multiclass", 2), 0)
    with pytest.raises(InputError, match="labelled items have 0"):
        KMeansProbe().score(x, Labels(torch.full((90,), -1), "multiclass", 2), 0)
    with pytest.raises(InputError, match="n_init"):
        validate(KMeansProbe, {"n_init": 0}, what="probe KMeans")


def test_directions_are_clustered_whatever_their_lengths() -> None:
    embeddings, y = blobs()
    stretched = (
        embeddings * torch.logspace(0, 3, len(y))[torch.randperm(len(y), generator=torch.manual_seed(0))][:, None]
    )
    assert KMeansProbe().score(stretched, labels(y), 0).test < 0.5
    assert KMeansProbe(unit_length=True).score(stretched, labels(y), 0).test == pytest.approx(1.0)
