"""Scores of nodes against dense matrices."""

import pytest
import torch
from torch import Tensor

from gssl.models.gin import Order
from gssl.models.node_scores import NodeScores
from gssl.testing.toy import toy_graphs


def normed(x: Tensor) -> Tensor:
    return (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()


@pytest.mark.parametrize("order", ["norm-activation", "activation-norm"])
def test_it_is_a_gin_of_as_many_layers_with_a_narrow_last_one(order: Order) -> None:
    torch.manual_seed(0)
    graph = toy_graphs(num_graphs=5)
    scores = NodeScores(4, hidden_dim=6, num_layers=3, out_dim=2, order=order).double()
    for module in (*scores.nodes.layers, scores.last, scores.narrow[1]):
        torch.nn.init.normal_(module.bias)
    sources, destinations = graph.block.edge_index
    matrix = torch.eye(graph.num_nodes).double()
    matrix.index_put_((destinations, sources), torch.ones(len(sources)).double(), accumulate=True)
    x = graph.x.double()  # type: ignore[union-attr]  # dense here
    first = order == "norm-activation"
    for layer in scores.nodes.layers:
        x = layer.rest(matrix @ x @ layer.weight + layer.bias)  # type: ignore[operator]  # of torch
        x = torch.relu(normed(x)) if first else normed(torch.relu(x))
    x = torch.relu(matrix @ x @ scores.last.weight + scores.last.bias)
    x = x @ scores.narrow[1].weight.T + scores.narrow[1].bias  # type: ignore[operator]  # of torch
    expected = normed(x) if first else normed(torch.relu(x))
    batch = graph.full_batch().with_x(graph.x.double())  # type: ignore[union-attr]  # dense here
    torch.testing.assert_close(scores(batch), expected)
