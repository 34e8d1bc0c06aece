"""Encoders with noise on their weights."""

import pytest
import torch
from torch import nn

from gssl.models.encoder import Encoder
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.models.noise import noisy_twin
from gssl.testing.toy import toy_graphs


def encoder(*, learn_eps: bool = False) -> Encoder:
    torch.manual_seed(0)
    return GIN(40, hidden_dim=60, num_layers=3, learn_eps=learn_eps)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def differences(first: nn.Module, second: nn.Module) -> dict[str, torch.Tensor]:
    pairs = zip(first.named_parameters(), second.named_parameters(), strict=True)
    return {name: (other - one).detach() for (name, one), (_, other) in pairs}


@pytest.mark.parametrize("eta", [0.1, 2.0])
def test_noise_is_as_large_as_each_parameter_says(eta: float) -> None:
    """Not as large as the parameters are together, or as the mean of each: scales differ by a factor of 100 here."""
    first = encoder()
    with torch.no_grad():
        for index, parameter in enumerate(p for p in first.parameters() if p.dim() == 2):
            parameter.mul_(100.0 ** (index % 2)).add_(7.0)
    for name, noise in differences(first, noisy_twin(first, eta, generator())).items():
        parameter = first.get_parameter(name)
        if parameter.dim() != 2:
            assert not noise.any(), f"{name} has no spread"
            continue
        assert noise.std().item() == pytest.approx(eta * parameter.std().item(), rel=0.1), name
        assert abs(noise.mean().item()) < 4 * eta * parameter.std().item() / noise.numel() ** 0.5, name


def test_without_noise_it_is_equal_and_shares_nothing() -> None:
    first = encoder()
    second = noisy_twin(first, 0.0, generator())
    assert not any(noise.any() for noise in differences(first, second).values())
    assert {t.data_ptr() for t in first.state_dict().values()}.isdisjoint(
        t.data_ptr() for t in second.state_dict().values()
    )


def test_single_numbers_stay_as_they_are() -> None:
    """The standard deviation of one number is not a number."""
    noise = differences(first := encoder(learn_eps=True), noisy_twin(first, 1.0, generator()))
    assert not any(noise[name].any() for name in noise if name.endswith("eps"))
    assert all(bool(values.isfinite().all()) for values in noise.values())


def test_gradients_and_statistics_of_the_encoder_are_left_alone() -> None:
    graph = toy_graphs(num_graphs=4)
    first = GIN(4, hidden_dim=8).train()
    before = {name: value.clone() for name, value in first.state_dict().items()}
    second = noisy_twin(first, 1.0, generator())
    assert not second(graph.full_batch()).requires_grad
    assert all(torch.equal(value, before[name]) for name, value in first.state_dict().items())
    assert all(parameter.requires_grad for parameter in first.parameters())


def test_the_generator_decides_the_noise() -> None:
    first = GCN(6, hidden_dim=4)
    one, same, other = (noisy_twin(first, 1.0, generator(seed)).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
