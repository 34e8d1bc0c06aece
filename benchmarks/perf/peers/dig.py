"""Steps of DIG: epochs of its own training loop over one batch, which it is given as a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import global_add_pool, global_mean_pool

from gssl.benchmarks.perf.measure import Step
from gssl.benchmarks.perf.peers.encoders import Isomorphism, Layers
from gssl.benchmarks.perf.peers.peer import Foreign
from gssl.benchmarks.perf.setups import GraphSetup, NodeSetup
from gssl.benchmarks.perf.stand_ins import stand_in

_CPU = torch.device("cpu")
_ENDLESS = 10**9  # epochs


class Batched(nn.Module):
    """An encoder as DIG wants it, which hands over a batch.

    Args:
        encoder: what is trained.
        read: the encoder's answer to a batch: graphs, or graphs and nodes.
    """

    def __init__(self, encoder: nn.Module, read: Callable[[Any, Batch], Any]) -> None:
        super().__init__()
        self.encoder, self.read = encoder, read

    def forward(self, batch: Batch) -> Any:
        return self.read(self.encoder, batch)


def grace(setup: NodeSetup) -> Step:
    """GRACE. Its views differ from the paper's: they also add as many random edges as they drop, and mask nodes instead
    of columns of features. Its head has a ReLU, and the width of the embedding.
    """
    method = _dig()
    edge_index, x = setup.plain()
    encoder = Batched(Layers(x.shape[1], setup.hidden, setup.out), lambda e, batch: e(batch.x, batch.edge_index))
    made = method.GRACE(setup.out, *setup.drop_edge, *setup.mask_feature, tau=setup.temperature, device=_CPU)
    return _epochs(made, encoder, [Batch.from_data_list([Data(x=x, edge_index=edge_index)])])


def infograph(setup: GraphSetup) -> Step:
    """InfoGraph. DIG marks the graph of each node in a loop over the nodes.

    Its encoder gives nodes the width of one layer; here they are all layers side by side, as in ours and the authors'.
    """
    method, batch = _dig(), setup.batch()
    width = setup.hidden * setup.layers
    encoder = Batched(Isomorphism(batch.x.shape[1], setup.hidden, setup.layers), _graphs_and_nodes)
    return _epochs(method.InfoGraph(width, width, device=_CPU), encoder, [batch])


def graphcl(setup: GraphSetup) -> Step:
    """GraphCL. Graphs are taken apart, changed one by one and put together again; those of both views are anchors.

    DIG calls four changes random3. Its change of edges fails as released unless it drops some, too, as ours does, which
    it is told to do.
    """
    method, batch = _dig(), setup.batch()
    encoder = Batched(
        Isomorphism(batch.x.shape[1], setup.hidden, setup.layers), lambda e, b: _graphs_and_nodes(e, b)[0]
    )
    width = setup.hidden * setup.layers
    made = method.GraphCL(width, None, "random3", setup.ratio, tau=setup.temperature, device=_CPU)
    for change in made.views_fn[1].candidates:
        change.drop = True
    return _epochs(made, encoder, [batch])


def mvgrl_graphs(setup: GraphSetup) -> Step:
    """MVGRL on graphs. DIG inverts the matrix of every graph anew in every step, and loops over nodes as InfoGraph."""
    method, batch = _dig(), setup.batch()
    widths = (batch.x.shape[1], *[setup.hidden] * setup.layers)
    encoders = [Batched(Layers(*widths, activation=nn.PReLU), _summed) for _ in range(2)]
    made = method.MVGRL(setup.hidden * setup.layers, setup.hidden, alpha=0.2, device=_CPU)
    return _epochs(made, encoders, [batch])


def mvgrl_nodes(setup: NodeSetup) -> Step:
    """MVGRL on nodes. DIG inverts the matrix anew in every step, draws nodes, and gives the corrupted graph no weights.

    It is given one draw of all nodes, which is what ours trains on, in place of two of 2,000. Its summary goes through
    a projection with a hidden layer, and its diffusion keeps all entries.
    """
    method = _dig()
    edge_index, x = setup.plain()
    encoders = [Batched(Layers(x.shape[1], setup.hidden, activation=nn.PReLU), _averaged) for _ in range(2)]
    made = method.NodeMVGRL(setup.hidden, setup.hidden, alpha=0.2, batch_size=1, num_nodes=len(x), device=_CPU)
    return _epochs(made, encoders, [Batch.from_data_list([Data(x=x, edge_index=edge_index)])])


def _graphs_and_nodes(encoder: Isomorphism, batch: Batch) -> tuple[Tensor, Tensor]:
    nodes, graphs = encoder(batch.x, batch.edge_index, batch.batch)
    return graphs, nodes


def _summed(encoder: Layers, batch: Batch) -> tuple[Tensor, Tensor]:
    outputs = encoder.outputs(batch.x, batch.edge_index, batch.edge_attr)
    return torch.cat([global_add_pool(each, batch.batch) for each in outputs], dim=1), outputs[-1]


def _averaged(encoder: Layers, batch: Batch) -> tuple[Tensor, Tensor]:
    nodes = encoder(batch.x, batch.edge_index, batch.edge_attr)
    return global_mean_pool(nodes, batch.batch).sigmoid(), nodes


def _dig() -> ModuleType:
    stand_in("torch_scatter", "torch_sparse")
    from dig.sslgraph import method
    from dig.sslgraph.method.contrastive.model import contrastive

    contrastive.trange = partial(contrastive.trange, disable=True)  # its progress bar
    found: ModuleType = method
    return found


def _epochs(method: Any, encoder: nn.Module | list[Batched], loader: list[Batch]) -> Step:
    modules = [encoder] if isinstance(encoder, nn.Module) else encoder
    optimizer = torch.optim.Adam([p for module in modules for p in module.parameters()])  # the method adds its heads
    epochs: Iterator[object] = method.train(encoder, loader, optimizer, _ENDLESS, per_epoch_out=True)
    return Foreign(lambda: next(epochs), optimizer)
