from collections.abc import Callable

import pytest
import torch

from gssl.graph.sparse import SparseMatrix
from gssl.graph.storage import Graph
from gssl.methods.reference import Raw, Untrained
from gssl.models.gcn import GCN
from gssl.registry import METHODS

EDGES = torch.tensor([[0, 1, 3, 4], [1, 0, 4, 3]])
X = torch.tensor([[1.0, 0.0], [2.0, 0.5], [4.0, 0.0], [8.0, 0.0], [16.0, -1.0]])


@pytest.mark.parametrize("store", [lambda x: x, SparseMatrix.from_dense], ids=["dense", "sparse"])
def test_raw_gives_the_features_of_nodes_and_their_sums_over_graphs(
    store: Callable[[torch.Tensor], torch.Tensor | SparseMatrix],
) -> None:
    raw = Raw(GCN(2))
    one = Graph.from_edge_index(EDGES, store(X))
    assert torch.equal(raw.embed(one.full_batch()), X)
    graphs = Graph.from_edge_index(EDGES, store(X), ptr=torch.tensor([0, 2, 3, 5]))
    expected = torch.tensor([[3.0, 0.5], [4.0, 0.0], [24.0, -1.0]])
    assert torch.equal(raw.embed(graphs.full_batch()), expected)
    assert torch.equal(raw.embed(graphs.graph_batch(torch.tensor([2, 0]))), expected[[2, 0]])


def test_untrained_is_the_encoder_with_its_readout() -> None:
    encoder = GCN(2, hidden_dim=3, readout="mean")
    untrained = Untrained(encoder)
    graphs = Graph.from_edge_index(EDGES, X, ptr=torch.tensor([0, 2, 3, 5]))
    nodes = encoder(graphs.full_batch())
    expected = torch.stack([nodes[:2].mean(0), nodes[2], nodes[3:].mean(0)])
    torch.testing.assert_close(untrained.embed(graphs.full_batch()), expected)
    one = Graph.from_edge_index(EDGES, X)
    torch.testing.assert_close(untrained.embed(one.full_batch()), nodes)


@pytest.mark.parametrize(("name", "kind"), [("raw", Raw), ("untrained", Untrained)])
def test_rows_are_known_by_name_and_say_that_they_do_not_train(name: str, kind: type[Untrained]) -> None:
    assert METHODS.get(name) is kind
    assert not kind.trains
    assert not kind.needs_labels
    assert kind.levels == ("node", "graph")
    with pytest.raises(TypeError, match="reference row"):
        kind(GCN(2)).loss(Graph.from_edge_index(EDGES, X).full_batch())
