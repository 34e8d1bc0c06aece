"""Encoders that are built alike and share nothing."""

import pytest
import torch

from gssl.models.gcn import GCN
from gssl.models.twin import twin
from gssl.registry import ENCODERS


@pytest.mark.parametrize("name", ["GCN", "SAGE", "GIN", "GAT", "MLP", "ResGCN"])
def test_a_twin_has_weights_of_its_own_from_the_same_distribution(name: str) -> None:
    torch.manual_seed(0)
    first = ENCODERS.get(name)(12, hidden_dim=16)
    kept = {key: value.clone() for key, value in first.state_dict().items()}
    second = twin(first)
    for (key, one), (_, other) in zip(first.named_parameters(), second.named_parameters(), strict=True):
        assert one.data_ptr() != other.data_ptr(), key
        assert torch.equal(one.flatten().sort().values, other.flatten().sort().values), key
        assert torch.equal(one, kept[key]), f"{key} of the first one changed"
        if one.unique().numel() > 8:
            assert not torch.equal(one, other), key
            assert (
                abs(float(torch.corrcoef(torch.stack([one.detach().flatten(), other.detach().flatten()]))[0, 1])) < 0.5
            ), key
    assert second.out_dim == first.out_dim


def test_the_seed_decides_the_twin() -> None:
    twins = []
    for _ in range(2):
        torch.manual_seed(3)
        twins.append(twin(GCN(5, hidden_dim=4)).state_dict())
    assert all(torch.equal(twins[0][key], twins[1][key]) for key in twins[0])
