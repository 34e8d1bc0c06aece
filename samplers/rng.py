"""Counter-based random numbers: every draw is a pure function of its key, whatever process, rank or backend makes it.

The generator is SplitMix64 (Steele, Lea and Flood, 2014, doi:10.1145/2660193.2660195) read at any position: number
``c`` of the stream ``s`` is ``mix(s + (c + 1) * GOLDEN)``. The numba twins in :mod:`gssl.samplers.kernels.rng` return
the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor

from gssl.common.seeds import derive_seed

GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB


class Slot(IntEnum):
    """What a random number is for, so that no two purposes share one."""

    TARGETS = 0
    CHECKPOINT = 1
    CLUSTERS = 2
    WALK = 3
    PROPAGATION = 16
    """Layer ``l`` (0 is the first one of the encoder) draws from slot ``PROPAGATION + l``."""


@dataclass(frozen=True)
class Key:
    """Where a batch stands: together with a slot and a node it names one random number.

    Attributes:
        seed: of the repetition.
        epoch: from 0.
        step: batch within the epoch, from 0.
    """

    seed: int
    epoch: int
    step: int

    def stream(self, slot: int) -> int:
        """The 63-bit stream of one purpose."""
        return derive_seed(self.seed, "draw", self.epoch, self.step, int(slot))


def hash64(stream: int | Tensor, counter: Tensor) -> Tensor:
    """64 random bits for each counter of a stream.

    Args:
        stream: one stream, or one for each counter (int64, broadcast).
        counter: int64, any shape, for example global node ids.

    Returns:
        int64 (all 64 bits are random, the sign bit too), shape of the broadcast.
    """
    bits = stream + (counter + 1) * _signed(GOLDEN)
    bits = (bits ^ _shift(bits, 30)) * _signed(MIX_1)
    bits = (bits ^ _shift(bits, 27)) * _signed(MIX_2)
    return bits ^ _shift(bits, 31)


def uniform(stream: int | Tensor, counter: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) with 53 random bits, float64; arguments as of :func:`hash64`."""
    return _shift(hash64(stream, counter), 11).double() * 2.0**-53


def below(bits: Tensor, bound: int | Tensor) -> Tensor:
    """Random integers in [0, bound) from the output of :func:`hash64`.

    Args:
        bits: int64, from :func:`hash64`.
        bound: positive, below 2^31. The bias towards small numbers is below bound / 2^32.
    """
    return (_shift(bits, 32) * bound) >> 32


def _signed(constant: int) -> int:
    return constant - (1 << 64) if constant >= 1 << 63 else constant


def _shift(bits: Tensor, count: int) -> Tensor:
    """Logical shift to the right: torch's own keeps the sign."""
    return (bits >> count) & ((1 << (64 - count)) - 1)
