"""Agreement of two views without negatives: what keeps embeddings from collapsing is that columns stay uncorrelated."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.objectives.weights import check_views, weighted_mean, weighted_rows

_TINY = 1e-8  # beside a variance, so that a column that never changes has a finite gradient


def barlow_twins(
    first: Tensor, second: Tensor, *, redundancy: float | None = None, weight: Tensor | None = None
) -> Tensor:
    """Barlow Twins: the cross-correlation of two views should be the identity (Zbontar et al., 2021, arXiv:2103.03230).

    ``sum_j (1 - c_jj)^2 + redundancy * sum_{j != k} c_jk^2`` with c_jk the correlation, over the items, of column j of
    the first view and column k of the second. Graph Barlow Twins (Bielak et al., 2021, arXiv:2106.02466) is that.

    Args:
        first: projections of the first view, shape (n, dim), float.
        second: projections of the second view, the same items in the same order, shape (n, dim), float.
        redundancy: weight of what is off the diagonal; None is one over dim, as in Graph Barlow Twins.
        weight: importance weight of each item, a constant, shape (n,), not negative; None means 1 each. A weight of 2
            means what including the item twice means.

    Returns:
        Scalar.

    Raises:
        InputError: the shapes do not match.
    """
    check_views("Barlow Twins", first, second, weight)
    count = _count(first, weight)
    correlation = (_standardised(first, count) * count[:, None]).T @ _standardised(second, count) / count.sum()
    on = correlation.diagonal()
    off = correlation.square().sum() - on.square().sum()
    return (1 - on).square().sum() + (1 / first.shape[1] if redundancy is None else redundancy) * off


def vicreg(
    first: Tensor,
    second: Tensor,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    spread: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """VICReg: variance, invariance and covariance (Bardes et al., 2022, arXiv:2105.04906, eq. 1 to 6).

    The weighted sum of three terms: the mean squared difference between the views; for each column of each view, by how
    much its standard deviation stays below ``spread``; for each view, the squared covariances of different columns.

    As in the authors' code, the difference is a mean over columns too, and the variance term one over both views.

    Args:
        first: projections of the first view, shape (n, dim), float.
        second: projections of the second view, the same items in the same order, shape (n, dim), float.
        invariance: weight of the difference, lambda of the paper.
        variance: weight of the hinge on standard deviations, mu.
        covariance: weight of the covariances, nu.
        spread: standard deviation that is asked for, gamma.
        weight: importance weight of each item, a constant, shape (n,), not negative; None means 1 each. A weight of 2
            means what including the item twice means.

    Returns:
        Scalar, at least 0.

    Raises:
        InputError: the shapes do not match.
    """
    check_views("VICReg", first, second, weight)
    count = _count(first, weight)
    hinge = penalty = first.new_zeros(())
    for view in (first, second):
        centred = view - weighted_rows(view, count)
        # Of n items one degree of freedom goes to the mean; a single item has no spread whatever it is divided by.
        matrix = (centred * count[:, None]).T @ centred / (count.sum() - 1).clamp(min=1)
        hinge = hinge + F.relu(spread - (matrix.diagonal() + 1e-4).sqrt()).mean() / 2
        penalty = penalty + (matrix.square().sum() - matrix.diagonal().square().sum()) / first.shape[1]
    difference = weighted_mean((first - second).square().mean(1), count)
    return invariance * difference + variance * hinge + covariance * penalty


def cca_ssg(first: Tensor, second: Tensor, *, decorrelation: float = 1e-3, weight: Tensor | None = None) -> Tensor:
    """CCA-SSG: equal standardised views whose columns are uncorrelated (Zhang et al., 2021, arXiv:2106.12484, eq. 5).

    ``|Z1 - Z2|^2 + decorrelation * (|Z1' Z1 - I|^2 + |Z2' Z2 - I|^2)``, where the columns of Z have mean 0 and norm 1.

    Args:
        first: embeddings of the first view, shape (n, dim), float.
        second: embeddings of the second view, the same items in the same order, shape (n, dim), float.
        decorrelation: lambda of the paper.
        weight: importance weight of each item, a constant, shape (n,), not negative; None means 1 each. A weight of 2
            means what including the item twice means.

    Returns:
        Scalar, at least 0.

    Raises:
        InputError: the shapes do not match.
    """
    check_views("CCA-SSG", first, second, weight)
    count = _count(first, weight)
    root = (count / count.sum()).sqrt()[:, None]
    one, two = (_standardised(view, count) * root for view in (first, second))
    identity = torch.eye(first.shape[1], dtype=first.dtype, device=first.device)
    apart = sum((view.T @ view - identity).square().sum() for view in (one, two))
    return (one - two).square().sum() + decorrelation * apart


def _count(rows: Tensor, weight: Tensor | None) -> Tensor:
    """How often each item is there, shape (n,)."""
    return rows.new_ones(len(rows)) if weight is None else weight.detach().to(rows)


def _standardised(rows: Tensor, count: Tensor) -> Tensor:
    """Columns of mean 0 and variance 1 over the items, each there ``count`` times, shape (n, dim)."""
    centred = rows - weighted_rows(rows, count)
    return centred / (weighted_rows(centred.square(), count) + _TINY).sqrt()
