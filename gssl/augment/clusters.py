"""Clusters of all rows of a matrix."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from gssl.augment.features import as_scipy
from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.graph.crossing import sent
from gssl.graph.sparse import Features


@dataclass(frozen=True, eq=False)
class Clusters:
    """One run of k-means.

    Attributes:
        labels: cluster of each row, shape (n,), int64.
        centers: mean of each cluster, shape (num_clusters, dim), float.
    """

    labels: Tensor
    centers: Tensor


def k_means(x: Features, num_clusters: int, *, steps: int, seed: int, starts: int | None = None) -> Clusters:
    """Clusters of rows by Lloyd's algorithm (scikit-learn, on the CPU).

    Args:
        x: shape (n, dim), float, finite; dense or sparse.
        num_clusters: at most n; where fewer rows differ, some are empty.
        steps: of Lloyd's algorithm at most.
        seed: of the starts.
        starts: starts of k-means++, of which the one with the least inertia counts; None for one at rows that are drawn
            uniformly, which costs a quarter of one of those.

    Raises:
        InputError: more clusters than rows.
    """
    if num_clusters > x.shape[0]:
        raise InputError(f"{num_clusters} clusters cannot be made of {x.shape[0]} rows")
    state = derive_seed(seed, "k-means") % 2**32
    init = "random" if starts is None else "k-means++"
    model = KMeans(num_clusters, init=init, n_init=starts or 1, max_iter=steps, random_state=state)
    with warnings.catch_warnings():  # fewer different rows than clusters
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        labels = model.fit_predict(as_scipy(x))
    return Clusters(
        sent(torch.from_numpy(labels).long(), x.device),
        sent(torch.from_numpy(model.cluster_centers_).to(x.dtype), x.device),
    )
