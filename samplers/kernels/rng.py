"""The numba twins of :mod:`gssl.samplers.rng`: same stream, same counter, same bits."""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from gssl.samplers.rng import GOLDEN, MIX_1, MIX_2

_GOLDEN, _MIX_1, _MIX_2 = uint64(GOLDEN), uint64(MIX_1), uint64(MIX_2)


@njit(inline="always")
def hash64(stream: int, counter: int) -> np.uint64:
    """64 random bits as uint64; both arguments must be uint64 or non-negative."""
    bits = uint64(stream) + (uint64(counter) + uint64(1)) * _GOLDEN
    bits = (bits ^ (bits >> uint64(30))) * _MIX_1
    bits = (bits ^ (bits >> uint64(27))) * _MIX_2
    return bits ^ (bits >> uint64(31))


@njit(inline="always")
def uniform(stream: int, counter: int) -> float:
    """A float64 in [0, 1)."""
    return float(hash64(stream, counter) >> uint64(11)) * 2.0**-53


@njit(inline="always")
def below(bits: int, bound: int) -> np.uint64:
    """An integer in [0, bound) from the output of :func:`hash64`, ``bound`` below 2^31."""
    return ((uint64(bits) >> uint64(32)) * uint64(bound)) >> uint64(32)
