"""A training to compare with others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gssl.convergence.record import Point, Training


@pytest.fixture
def training() -> Callable[..., Training]:
    """Makes the training of a sampler; keywords replace its fields."""

    def make(**changes: Any) -> Training:
        points = tuple(Point(step=10 * i, seconds=2.0 * i, loss=3.0 - i, val=0.2 * i) for i in range(4))
        values: dict[str, Any] = {
            "method": "GRACE",
            "dataset": "toy",
            "sampler": "mvs",
            "batch_size": 64,
            "lr": 0.01,
            "seed": 0,
            "clock": "wall",
            "metric": "accuracy",
            "seconds": 5.0,
            "steps": 10,
            "points": points,
            "config_hash": "abc",
            "config": {},
            "environment": {},
        }
        return Training(**{**values, **changes})

    return make
