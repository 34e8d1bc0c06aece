"""Judges of clusters: groups of frozen embeddings against the classes."""

from __future__ import annotations

import warnings
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, f1_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix
from torch import Tensor
from torch.nn.functional import normalize

from gssl.common.errors import InputError
from gssl.common.options import Neutral, PositiveInt
from gssl.common.seeds import derive_seed
from gssl.datasets.types import Labels, Metric
from gssl.evaluate.base import Judge, ProbeScore

Int64s = NDArray[np.int64]


class KMeansProbe(Judge):
    """k-means (scikit-learn) on the embeddings of all items, as many clusters as there are classes.

    The number of classes is all that is taken from the labels before the score. Scores are those of the labelled
    items: normalised mutual information (arithmetic mean), adjusted Rand index, and accuracy and macro-F1 after the
    clusters were matched with classes one to one so that the accuracy is highest. There is no validation, so every
    validation score is NaN.

    Args:
        n_init: starts of k-means++, of which the one with the least inertia counts.
        unit_length: whether rows are divided by their lengths, so that directions are clustered; as they are, those
            of sums over neighbors that grow with the degree are told apart by their length first.
    """

    name: ClassVar[str] = "KMeans"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = ("nmi", "ari", "accuracy", "macro_f1")

    @classmethod
    def tasks(cls) -> tuple[str, ...]:
        return ("cluster",)

    def __init__(self, *, n_init: PositiveInt = 10, unit_length: Annotated[bool, Neutral(False)] = False) -> None:
        self.n_init, self.unit_length = n_init, unit_length

    def score(self, embeddings: Tensor, labels: Labels, seed: int) -> ProbeScore:
        """Cluster all items and score the labelled ones.

        Args:
            embeddings: shape (num_items, dim), float32, detached, finite, on the CPU.
            labels: classes; an item whose class is negative or NaN is not labelled.
            seed: makes the result repeatable.

        Raises:
            InputError: labels that are not classes, or fewer than two classes among the labelled items.
        """
        if labels.kind != "multiclass":
            raise InputError(f"clusters are compared with classes, but the labels are {labels.kind}")
        y = labels.y
        known = y >= 0  # false for NaN, too
        classes, truth = y[known].unique(return_inverse=True)
        if classes.numel() < 2:
            raise InputError(
                f"clusters are compared with two classes or more, but the labelled items have {classes.numel()}"
            )
        rows = normalize(embeddings, dim=1) if self.unit_length else embeddings
        found = k_means(rows, classes.numel(), n_init=self.n_init, seed=seed)
        test = compare_clusters(truth, found[known])
        others = {name: (float("nan"), test[name]) for name in self.metrics[1:]}
        return ProbeScore(float("nan"), test[self.metrics[0]], {}, others)


def k_means(embeddings: Tensor, clusters: int, *, n_init: int, seed: int) -> Tensor:
    """Cluster of each item, shape (num_items,), int64."""
    model = KMeans(clusters, n_init=n_init, random_state=derive_seed(seed, "k-means") % 2**32)
    with warnings.catch_warnings():  # fewer different embeddings than clusters: a bad score says so
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        return torch.from_numpy(model.fit_predict(embeddings.numpy())).long()


def compare_clusters(truth: Tensor, found: Tensor) -> dict[Metric, float]:
    """How well clusters are classes; numbers of clusters mean nothing.

    Args:
        truth: class of each item, shape (n,), int64.
        found: cluster of each item, shape (n,), int64.

    Returns:
        ``nmi``, ``ari``, and ``accuracy`` and ``macro_f1`` after :func:`matched`.

    Example:
        >>> compare_clusters(torch.tensor([0, 0, 1, 1]), torch.tensor([5, 5, 2, 2]))
        {'nmi': 1.0, 'ari': 1.0, 'accuracy': 1.0, 'macro_f1': 1.0}
    """
    y, cluster = truth.numpy(), found.numpy()
    predicted = matched(y, cluster)
    return {
        "nmi": float(normalized_mutual_info_score(y, cluster)),
        "ari": float(adjusted_rand_score(y, cluster)),
        "accuracy": float((predicted == y).mean()),
        "macro_f1": float(f1_score(y, predicted, labels=np.unique(y), average="macro", zero_division=0.0)),
    }


def matched(y: Int64s, cluster: Int64s) -> Int64s:
    """The class of each item's cluster, if clusters and classes are matched for the highest accuracy.

    The matching is one to one (Hungarian method), as in Xie et al. (2016, arXiv:1511.06335); items of clusters that
    no class is left for get -1.
    """
    classes, clusters = np.unique(y), np.unique(cluster)
    rows, columns = linear_sum_assignment(contingency_matrix(y, cluster), maximize=True)
    class_of = np.full(len(clusters), -1, dtype=np.int64)
    class_of[columns] = classes[rows]
    return class_of[np.searchsorted(clusters, cluster)]
