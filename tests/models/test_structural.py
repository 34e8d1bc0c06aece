"""The encoder of structural features against dense matrices."""

from itertools import pairwise
from typing import Any

import pytest
import torch

from gssl.common.errors import InputError
from gssl.graph.spec import GraphSpec
from gssl.models.encoder import Encoder
from gssl.models.gin import GIN
from gssl.models.structural import StructuralEncoder
from gssl.testing.toy import toy_graphs


def make(encoder: Encoder | None = None, *, dropout: float = 0.0) -> StructuralEncoder:
    torch.manual_seed(0)
    encoder = encoder or GIN.for_graph(GraphSpec(7), hidden_dim=6, num_layers=2, norm="none", jk="last")
    return StructuralEncoder(encoder, dim=5, positions=3, degree_dim=2, max_degree=3, dropout=dropout)


def test_it_adds_up_readouts_of_features_and_all_layers() -> None:
    graph = toy_graphs(num_graphs=5)
    tower = make().double()
    x = torch.randn(graph.num_nodes, 4, dtype=torch.float64)
    sources, destinations = graph.block.edge_index
    matrix = torch.eye(graph.num_nodes).double()
    matrix.index_put_((destinations, sources), torch.ones(len(sources)).double(), accumulate=True)
    degree = (matrix.sum(1) - 1).long().clamp(max=3)  # greater ones count as the greatest
    assert degree.unique().numel() > 1
    hidden = torch.cat([x[:, :3], tower.degree_embedding.weight[degree], x[:, 3:]], dim=1)
    layers = tower.encoder.layers
    total = torch.zeros(5, 5).double()
    assert graph.ptr is not None
    for number, linear in enumerate(tower.maps):
        if number:
            layer: Any = layers[number - 1]  # type: ignore[index]  # a module list
            hidden = torch.relu(layer.rest(matrix @ hidden @ layer.weight + layer.bias))
        sums = torch.stack([hidden[a:b].sum(0) for a, b in pairwise(graph.ptr.tolist())])
        total = total + linear(sums)
    expected = total / total.norm(dim=1, keepdim=True)
    torch.testing.assert_close(tower(graph.full_batch().with_x(x)), expected)


def test_dropout_is_for_training() -> None:
    graph, tower = toy_graphs(num_graphs=5), make(dropout=0.5)
    batch = graph.full_batch().with_x(torch.randn(graph.num_nodes, 4))
    assert not torch.equal(tower(batch), tower(batch))
    tower.eval()
    assert torch.equal(tower(batch), tower(batch))


def test_the_width_of_the_data_does_not_matter() -> None:
    widths = [make(GIN.for_graph(GraphSpec(dim), hidden_dim=6)).state_dict() for dim in (3, 500)]
    assert {name: value.shape for name, value in widths[0].items()} == {n: v.shape for n, v in widths[1].items()}


def test_encoders_that_cannot_be_made_anew_are_refused() -> None:
    with pytest.raises(InputError, match="does not know how it was made"):
        make(GIN(7))


def test_another_encoder_for_other_data_has_the_same_options() -> None:
    first = GIN.for_graph(GraphSpec(7), hidden_dim=6, num_layers=2)
    second = first.another(spec=GraphSpec(3), num_layers=4)
    assert (second.in_dim, second.num_layers, second.layer_dims) == (3, 4, (6,) * 4)
    assert second.spec == GraphSpec(3)
