"""Weighted sums of rows, some of them stored in bfloat16, without a copy of these rows in another precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types, uint32
from numba.core.cgutils import ir  # type: ignore[attr-defined]  # of llvmlite, which numba brings
from numba.extending import intrinsic

from gssl.graph.cache_hint import prefetch

Array = np.ndarray
_AHEAD = 8  # rows
_LINE = 32  # stored numbers that the cache fetches together


def _as_float(context: Any, word: Any) -> Any:
    """The float32 that has the bits of a uint32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


_float_of: Any = intrinsic(_as_float)


@njit(nogil=True, cache=True)
def _add_row(total: Array, row: Array, weight: float) -> None:
    for j in range(len(total)):
        total[j] += weight * row[j]


@njit(nogil=True, cache=True)
def _add_stored(total: Array, row: Array, weight: float) -> None:
    for j in range(len(total)):
        total[j] += weight * _float_of(uint32(row[j]) << uint32(16))


@njit(nogil=True, cache=True)
def mixed_bags(rowptr: Array, col: Array, weight: Array, own: Array, table: Array, place: Array, out: Array) -> None:
    """``out[i] = sum over the non-zeros (i, j) of weight_ij * row_j``, the first rows being given, the others stored.

    Args:
        rowptr, col: the non-zeros, row by row.
        weight: of each, float32; empty for weights of 1.
        own: row j for j below their number, shape (m, dim), float32.
        table: bits of stored bfloat16 rows, shape (n, dim), uint16.
        place: where row j stands in ``table``; not looked at for the first m.
        out: written, shape (len(rowptr) - 1, dim), float32.
    """
    width, flat = out.shape[1], table.reshape(-1)
    for i in range(len(rowptr) - 1):
        total = out[i]
        for j in range(width):
            total[j] = 0
        for e in range(rowptr[i], rowptr[i + 1]):
            if e + _AHEAD < len(col):
                ahead = place[col[e + _AHEAD]] * width
                for j in range(0, width, _LINE):
                    prefetch(flat, ahead + j)
            factor: Any = weight[e] if len(weight) else np.float32(1)
            source = col[e]
            if source < len(own):
                _add_row(total, own[source], factor)
            else:
                _add_stored(total, table[place[source]], factor)
