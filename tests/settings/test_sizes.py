"""What does not fit into the memory is refused before it is made."""

import pytest
import torch
from torch import nn

from gssl.common.errors import InputError
from gssl.settings.sizes import require_memory


def test_weights_gradients_and_moments_must_fit() -> None:
    def make() -> nn.Module:
        return nn.Linear(99, 10)

    require_memory(make, 4 * 4 * 1000)
    with pytest.raises(InputError, match="would have 1,000 parameters"):
        require_memory(make, 4 * 4 * 1000 - 1)


def test_sizes_that_no_tensor_has_are_refused() -> None:
    with pytest.raises(InputError, match="larger than any tensor"):
        require_memory(lambda: nn.Linear(10**18, 64))


def test_what_cannot_be_built_without_memory_is_not_refused() -> None:
    def make() -> nn.Module:
        layer = nn.Linear(2, 2)
        assert layer.weight.sum().item() is not None
        return layer

    require_memory(make, 4 * 4 * 6 - 1)


def test_a_module_without_end_is_not_built_to_its_end() -> None:
    def make() -> nn.Module:
        layers = nn.Sequential()
        while True:
            layers.append(nn.Linear(4, 4))

    with pytest.raises(InputError, match=r"would have [0-9,]+ parameters or more"):
        require_memory(make, 10**5)
    nn.Linear(1000, 1000)  # nothing is counted any more


def test_no_random_number_is_drawn() -> None:
    before = torch.get_rng_state()
    require_memory(lambda: nn.Linear(3, 3))
    assert torch.equal(before, torch.get_rng_state())
