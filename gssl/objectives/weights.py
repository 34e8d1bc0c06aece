"""Weighted reduction of per-item losses."""

from __future__ import annotations

from torch import Tensor

from gssl.common.errors import InputError


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


def check_views(name: str, first: Tensor, second: Tensor, weight: Tensor | None) -> None:
    """Whether two views hold the same items, row by row, each with its weight.

    Args:
        name: how messages name the objective.
        first: shape (n, dim).
        second: shape (n, dim).
        weight: shape (n,), or None.

    Raises:
        InputError: the shapes do not match.
    """
    if first.dim() != 2 or first.shape != second.shape:
        raise InputError(
            f"{name} needs two projections of the same shape (num_items, dim), "
            f"but got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    if weight is not None and weight.shape != first.shape[:1]:
        raise InputError(f"{name} needs one weight per item: {len(first)}, but got {tuple(weight.shape)}")
