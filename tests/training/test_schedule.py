from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gssl.training.schedule import rate_factor


@given(
    position=st.floats(0, 100),
    epochs=st.floats(1, 100),
    warmup=st.floats(0, 150),
    schedule=st.sampled_from(["constant", "cosine"]),
)
def test_is_a_share_that_never_rises_after_the_warmup(
    position: float, epochs: float, warmup: float, schedule: Literal["constant", "cosine"]
) -> None:
    factor = rate_factor(position, epochs=epochs, warmup=warmup, schedule=schedule)
    later = rate_factor(position + 1, epochs=epochs, warmup=warmup, schedule=schedule)
    assert 0 <= factor <= 1
    if position >= warmup:
        assert later <= factor
    elif position + 1 < warmup:
        assert later == pytest.approx(factor + 1 / warmup)


@pytest.mark.parametrize("per_epoch", [1, 4])
def test_cosine_is_that_of_torch(per_epoch: int) -> None:
    epochs, warmup = 12, 3
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    total = (epochs - warmup) * per_epoch
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total)
    for step in range(total):
        ours = rate_factor(warmup + step / per_epoch, epochs=epochs, warmup=warmup, schedule="cosine")
        assert ours == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        reference.step()


def test_corners() -> None:
    assert rate_factor(0, epochs=10, warmup=2, schedule="cosine") == 0
    assert rate_factor(1, epochs=10, warmup=2, schedule="cosine") == 0.5
    assert rate_factor(2, epochs=10, warmup=2, schedule="cosine") == 1
    assert rate_factor(6, epochs=10, warmup=2, schedule="cosine") == pytest.approx(0.5)
    assert rate_factor(10, epochs=10, warmup=2, schedule="cosine") == pytest.approx(0)
    assert rate_factor(0, epochs=10, warmup=0, schedule="constant") == 1
    assert rate_factor(5, epochs=5, warmup=10, schedule="cosine") == 0.5  # warm-up longer than training
