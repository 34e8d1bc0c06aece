"""Random numbers named by their key: the same bits everywhere, and random ones."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy import stats

from gssl.samplers.kernels import rng as kernels
from gssl.samplers.rng import Key, Slot, below, hash64, uniform
from gssl.testing.compare import in_other_process


@njit  # type: ignore[untyped-decorator, unused-ignore]  # numba has no annotations
def by_numba(stream: int, counter: np.ndarray, bound: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    bits = np.empty(len(counter), np.uint64)
    share = np.empty(len(counter))
    number = np.empty(len(counter), np.uint64)
    for i in range(len(counter)):
        bits[i] = kernels.hash64(stream, counter[i])
        share[i] = kernels.uniform(stream, counter[i])
        number[i] = kernels.below(bits[i], bound)
    return bits, share, number


@settings(deadline=None)
@given(st.integers(0, 2**63 - 1), st.lists(st.integers(0, 2**62), min_size=1, max_size=20), st.integers(1, 2**31 - 1))
def test_numba_and_torch_give_the_same_bits(stream: int, counters: list[int], bound: int) -> None:
    counter = torch.tensor(counters)
    bits, share, number = by_numba(stream, counter.numpy(), bound)
    assert np.array_equal(hash64(stream, counter).numpy().view(np.uint64), bits)
    assert np.array_equal(uniform(stream, counter).numpy(), share)
    assert np.array_equal(below(hash64(stream, counter), bound).numpy().astype(np.uint64), number)


def test_the_generator_is_splitmix64() -> None:
    # The first numbers of seed 1234567 in the reference implementation (Vigna, splitmix64.c).
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    got = hash64(1234567, torch.arange(4)).numpy().view(np.uint64)
    assert got.tolist() == expected


@pytest.mark.parametrize("stream", [0, Key(3, 1, 4).stream(Slot.TARGETS), 2**63 - 1])
def test_uniform_numbers_are_uniform_and_neighbors_are_independent(stream: int) -> None:
    numbers = uniform(stream, torch.arange(100_000)).numpy()
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert stats.kstest(numbers, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.015  # 4.7 standard deviations


def test_streams_of_neighboring_keys_are_independent() -> None:
    keys = [Key(0, 0, 0), Key(1, 0, 0), Key(0, 1, 0), Key(0, 0, 1)]
    streams = [key.stream(slot) for key in keys for slot in (*Slot, Slot.PROPAGATION + 1)]
    assert len(set(streams)) == len(streams)
    drawn = np.stack([uniform(stream, torch.arange(50_000)).numpy() for stream in streams])
    off_diagonal = np.corrcoef(drawn) - np.eye(len(drawn))
    assert np.abs(off_diagonal).max() < 0.025  # 5.6 standard deviations


def test_integers_below_a_bound_are_equally_likely() -> None:
    numbers = below(hash64(9, torch.arange(70_000)), 7)
    assert stats.chisquare(np.bincount(numbers.numpy(), minlength=7)).pvalue > 1e-4


def test_one_stream_for_each_counter() -> None:
    streams, counter = torch.tensor([[5], [6]]), torch.arange(3)
    both = hash64(streams, counter)
    assert torch.equal(both[1], hash64(6, counter))


def test_another_process_draws_the_same() -> None:
    key = Key(7, 2, 11)
    assert in_other_process(key.stream, Slot.WALK) == key.stream(Slot.WALK)
    stream = key.stream(Slot.WALK)
    assert torch.equal(in_other_process(uniform, stream, torch.arange(99)), uniform(stream, torch.arange(99)))
