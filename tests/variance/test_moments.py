"""Bias and variance from running sums, against the definitions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gssl.variance.moments import Moments


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(2, 12), shift=st.floats(0, 5))
def test_moments_are_those_of_the_stacked_estimates(seed: int, count: int, shift: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    truth = [torch.randn(3, 2, generator=rng, dtype=torch.float64), torch.randn(4, generator=rng, dtype=torch.float64)]
    estimates = [
        [t + shift + torch.randn(t.shape, generator=rng, dtype=torch.float64) for t in truth] for _ in range(count)
    ]
    moments = Moments(truth, {"matrix": [0], "vector": [1]})
    for estimate in estimates:
        moments.add(estimate)
    stacked = torch.stack([torch.cat([part.flatten() for part in estimate]) for estimate in estimates])
    true = torch.cat([part.flatten() for part in truth])
    size = true.square().sum()
    variance = stacked.var(0).sum()
    bias2 = ((stacked.mean(0) - true).square().sum() - variance / count).clamp(min=0)
    found = moments.error()
    assert found.variance == pytest.approx(float(variance / size), rel=1e-9)
    assert found.bias2 == pytest.approx(float(bias2 / size), rel=1e-7, abs=1e-9)
    part = moments.error("vector")
    vector = torch.stack([estimate[1] for estimate in estimates])
    assert part.variance == pytest.approx(float(vector.var(0).sum() / truth[1].square().sum()), rel=1e-9)


def test_the_bias_of_an_unbiased_estimator_is_not_that_of_its_finite_mean() -> None:
    """A mean of few estimates is off by variance / count, which is no bias."""
    rng = torch.Generator().manual_seed(0)
    truth = [torch.ones(2000, dtype=torch.float64)]
    moments = Moments(truth, {})
    for _ in range(4):
        moments.add([truth[0] + torch.randn(2000, generator=rng, dtype=torch.float64)])
    assert moments.error().variance == pytest.approx(1.0, rel=0.1)
    assert moments.error().bias2 < 0.05  # and not 0.25


def test_one_estimate_has_no_variance() -> None:
    moments = Moments([torch.ones(2)], {})
    moments.add([torch.zeros(2)])
    with pytest.raises(ValueError, match="fewer than two"):
        moments.error()
