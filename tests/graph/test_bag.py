"""The kernel that sums given and stored rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gssl.graph.bag import mixed_bags
from gssl.graph.sparse import Pattern


@settings(deadline=None)  # the first call compiles
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=9),
    st.sampled_from([1, 3, 32, 33, 100]),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_sums_are_those_of_the_rows_in_full_precision(counts: list[int], width: int, weighted: bool, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    own = torch.randn(4, width, generator=rng)
    table = torch.randn(50, width, generator=rng).bfloat16()
    place = torch.randint(50, (20,), generator=rng)
    rowptr = torch.tensor([0, *counts]).cumsum(0)
    col = torch.randint(20, (int(rowptr[-1]),), generator=rng)
    weight = torch.randn(len(col), generator=rng)
    out = torch.full((len(counts), width), torch.nan)
    mixed_bags(
        rowptr.int().numpy(),
        col.int().numpy(),
        weight.numpy() if weighted else np.empty(0, np.float32),
        own.numpy(),
        table.view(torch.uint16).numpy(),
        place.numpy(),
        out.numpy(),
    )
    rows = table[place].double()
    rows[:4] = own.double()
    dense = torch.zeros(len(counts), 20, dtype=torch.float64)
    pattern = Pattern(rowptr, col, 20)
    dense.index_put_((pattern.row, col), weight.double() if weighted else torch.ones(len(col)).double(), True)
    torch.testing.assert_close(out.double(), dense @ rows, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -3.140625, 1e-40, 3.3e38, float("inf"), float("-inf")])
def test_every_stored_number_is_itself(value: float) -> None:
    table = torch.tensor([[value]]).bfloat16()
    out, ends = np.empty((1, 1), np.float32), np.array([0, 1], np.int32)
    nothing, first = np.empty(0, np.float32), np.zeros(1, np.int32)
    place = np.zeros(1, np.int64)
    mixed_bags(ends, first, nothing, np.empty((0, 1), np.float32), table.view(torch.uint16).numpy(), place, out)
    assert float(out[0, 0]) == float(table)
