"""Decoders of edges against loops over their layers."""

import pytest
import torch
import torch.nn.functional as F

from gssl.common.errors import InputError
from gssl.models.edge_decoder import CrossCorrelationMLP, HadamardMLP, InnerProduct

PAIRS = torch.tensor([[0, 1, 2, 2, 4], [1, 0, 3, 2, 0]])


def embeddings(dim: int) -> torch.Tensor:
    return torch.randn(5, dim, generator=torch.Generator().manual_seed(0))


def test_the_inner_product_has_no_parameters() -> None:
    z = embeddings(6)
    torch.testing.assert_close(InnerProduct()(z, PAIRS), (z @ z.T)[PAIRS[0], PAIRS[1]])
    assert not list(InnerProduct().parameters())


@pytest.mark.parametrize("num_layers", [1, 2, 4])
def test_hadamard_is_a_perceptron_on_products_in_both_directions(num_layers: int) -> None:
    torch.manual_seed(0)
    decoder, z = HadamardMLP(6, 5, num_layers, 0.3).eval(), embeddings(6)
    x = z[PAIRS[0]] * z[PAIRS[1]]
    layers = list(decoder.mlp.lins)
    assert [layer.weight.shape[1] for layer in layers] == [6, *[5] * (num_layers - 1)]
    for layer in layers[:-1]:
        x = F.relu(layer(x))
    torch.testing.assert_close(decoder(z, PAIRS), layers[-1](x).squeeze(1))
    torch.testing.assert_close(decoder(z, PAIRS), decoder(z, PAIRS.flip(0)))


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_dropout_comes_before_all_layers_but_the_last(num_layers: int) -> None:
    """So a single layer has none, and of two the second sees everything."""
    torch.manual_seed(0)
    decoder, z = HadamardMLP(6, 5, num_layers, 0.5), embeddings(6)
    if num_layers == 1:
        assert torch.equal(decoder(z, PAIRS), decoder(z, PAIRS))
        return
    seen: list[torch.Tensor] = []
    for layer in decoder.mlp.lins:
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    decoder(z, PAIRS)
    product = z[PAIRS[0]] * z[PAIRS[1]]
    assert ((seen[0] == 0) | torch.isclose(seen[0], 2 * product)).all()
    assert (seen[0] == 0).any()
    before = decoder.mlp.lins[-2]
    torch.testing.assert_close(seen[-1], F.relu(F.linear(seen[-2], before.weight, before.bias)))


def test_cross_correlation_multiplies_every_layer_with_every_other() -> None:
    torch.manual_seed(0)
    decoder = CrossCorrelationMLP((4, 4, 4), 7, 3, 0.5).eval()
    outputs = embeddings(12)
    layers = outputs.split(4, dim=1)
    parts = [layers[i][PAIRS[0]] * layers[j][PAIRS[1]] for i in range(3) for j in range(3)]
    x = torch.cat(parts, dim=1)
    lins = list(decoder.mlp.lins)
    assert [lin.weight.shape for lin in lins] == [(7, 36), (7, 7), (1, 7)]
    for lin in lins[:-1]:
        x = F.relu(lin(x))
    torch.testing.assert_close(decoder(outputs, PAIRS), lins[-1](x).squeeze(1))
    assert not torch.allclose(decoder(outputs, PAIRS), decoder(outputs, PAIRS.flip(0))), "directions differ"


def test_cross_correlation_needs_layers_of_one_width() -> None:
    with pytest.raises(InputError, match=r"one dimension, but have 8, 4; leave out encoder\.out_dim"):
        CrossCorrelationMLP((8, 4), 7, 2, 0.0)
