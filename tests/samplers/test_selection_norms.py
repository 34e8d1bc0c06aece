"""Observed gradient norms and what is believed of those that are old or unknown."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gssl.samplers import probability
from gssl.samplers.population import Population
from gssl.samplers.selection.norms import NormTable


def test_what_was_recorded_counts_from_the_next_estimate_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probability, "_AT_HAND", 0)
    table = NormTable(Population(4))
    table.record(torch.tensor([1, 3]), torch.tensor([2.0, 6.0]), now=0)
    before = table.estimate(now=1)
    table.record(torch.tensor([0, 3]), torch.tensor([1.0, 3.0]), now=1)
    table.record(torch.tensor([3]), torch.tensor([9.0]), now=2)
    assert np.concatenate(list(before())).tolist() == [4.0, 2.0, 4.0, 6.0]
    assert np.concatenate(list(table.estimate(now=3)())).tolist() == [1.0, 2.0, 4.0, 9.0]


def believed(table: NormTable, *, now: int, positions: Tensor | None = None) -> list[float]:
    return [float(norm) for part in table.estimate(positions, now=now)() for norm in part]


@pytest.mark.parametrize(("piece", "at_hand"), [(1, 0), (2, 0), (2, 100), (100, 0)])
@pytest.mark.parametrize("staleness", [0.0, 0.5])
def test_an_old_norm_is_drawn_to_the_mean(
    staleness: float, piece: int, at_hand: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gssl.samplers.selection.norms.PIECE", piece)
    monkeypatch.setattr("gssl.samplers.probability._AT_HAND", at_hand)
    table = NormTable(Population.of(torch.tensor([2, 4, 6])), staleness=staleness)
    assert believed(table, now=1) == [0, 0, 0]
    table.record(torch.tensor([6, 2]), torch.tensor([1.0, 5.0]), now=10)
    assert believed(table, now=10) == [5, 3, 1]  # unknown: the mean of what is known
    table.record(torch.tensor([4]), torch.tensor([3.0]), now=12)
    assert believed(table, now=12) == ([3.5, 3, 2.5] if staleness else [5, 3, 1])
    assert believed(table, now=9, positions=torch.tensor([2, 0])) == [1, 5]  # never older than new
