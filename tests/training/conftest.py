from collections.abc import Callable

import pytest
import torch

from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.samplers.full import GraphBatches
from gssl.samplers.graph import Graph


@pytest.fixture
def graph() -> Graph:
    """Thirty nodes, one hundred directed edges, eight features."""
    rng = torch.Generator().manual_seed(0)
    return Graph.from_edge_index(torch.randint(30, (2, 100), generator=rng), torch.randn(30, 8, generator=rng).relu())


@pytest.fixture
def batches() -> GraphBatches:
    """Ten graphs of four nodes, in three batches of at most four graphs."""
    rng = torch.Generator().manual_seed(1)
    edges = torch.randint(4, (2, 10, 12), generator=rng) + 4 * torch.arange(10)[None, :, None]
    x = torch.randn(40, 8, generator=rng)
    collection = Graph.from_edge_index(edges.flatten(1), x, ptr=torch.arange(0, 41, 4))
    return GraphBatches(collection, batch_size=4, seed=5)


@pytest.fixture
def make_bgrl() -> Callable[[], BGRL]:
    """A method with everything that resuming must get right: augmentation, dropout, batch norm, EMA."""

    def make() -> BGRL:
        torch.manual_seed(3)
        return BGRL(GCN(8, hidden_dim=6, norm="batch", dropout=0.3), predictor_dim=5)

    return make
