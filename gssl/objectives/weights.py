"""Weighted reduction of per-item losses."""

from __future__ import annotations

from torch import Tensor


def weighted_mean(terms: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of ``terms`` in which a weight of 2 means what including the item twice means.

    Args:
        terms: shape (n,), float.
        weight: shape (n,), float, or None for 1 each.

    Returns:
        Scalar ``sum(w * terms) / sum(w)``.
    """
    return terms.mean() if weight is None else (weight * terms).sum() / weight.sum()


def weighted_rows(rows: Tensor, weight: Tensor | None) -> Tensor:
    """Weighted mean of the rows of a matrix (n, dim), shape (dim,)."""
    return rows.mean(0) if weight is None else weight @ rows / weight.sum()
