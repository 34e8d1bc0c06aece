"""Items of a population, listed or all of them."""

import pytest
import torch
from torch import Tensor

from gssl.samplers.population import Population

LISTED = torch.tensor([1, 2, 5, 7, 9])


@pytest.mark.parametrize("ids", [torch.arange(5), LISTED])
def test_all_nodes_are_what_their_list_would_be(ids: Tensor) -> None:
    listed = Population.of(ids)
    items = Population(5) if torch.equal(ids, torch.arange(5)) else listed
    positions = torch.tensor([4, 0, 2])
    for population in (items, listed, items.in_order()):
        assert len(population) == 5
        assert torch.equal(population.at(positions), ids[positions])
        assert torch.equal(torch.as_tensor(population.run(3, 9)), ids[3:])
        assert torch.equal(torch.as_tensor(population.run(1, 3)), ids[1:3])
        assert torch.equal(population.ids, ids)
        found = population.find(ids[positions])
        assert found is not None
        assert torch.equal(found, positions)
        for outside in (-1, 10, 3 if ids is LISTED else 5):
            assert population.find(torch.tensor([int(ids[0]), outside])) is None
        nothing = torch.zeros(0, dtype=torch.int64)
        assert population.find(nothing) is nothing


def test_rising_order() -> None:
    assert Population.of(torch.tensor([30, 2, 17])).in_order().ids.tolist() == [2, 17, 30]
