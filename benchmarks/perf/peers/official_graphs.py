"""Steps of the authors' code for graphs: their modules, imported from clones, in the order of their scripts.

A step begins with the 128 graphs of a batch one by one where the code changes them one by one, and with a batch where
it does not. GraphCL's code and those that are made from it give every node but the last of a graph a self-loop and
take a node with no edge for one that was dropped; so do these steps.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from types import MethodType, SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

from gssl.benchmarks.perf.measure import Step
from gssl.benchmarks.perf.peers.clones import load, normalized, without_cuda
from gssl.benchmarks.perf.peers.peer import Foreign, Turns, Update
from gssl.benchmarks.perf.setups import GraphSetup

_CPU = torch.device("cpu")
_FOLDER = ("unsupervised_TU",)
_SPARSE = ("torch_scatter", "torch_sparse")
Change = Callable[[Data], Data]


def graphcl(setup: GraphSetup) -> Step:
    """GraphCL with one view of four random changes, which are made graph by graph; the ratios are fixed in the code.

    Which nodes are left is found at once; the script looks for each node among all edges.
    """
    script, changes = load(setup.sources, "Shen-Lab/GraphCL", "gsimclr", "aug", folders=_FOLDER, missing=_SPARSE)
    kinds = [changes.drop_nodes, changes.permute_edges, changes.subgraph, changes.mask_nodes]
    return _augmented(script, setup, lambda: random.choice(kinds))


def joao(setup: GraphSetup) -> Step:
    """JOAO: an update of the network, with changes as in GraphCL's code, and none; the distribution is uniform."""
    name = "Shen-Lab/GraphCL_Automated"
    script, changes = load(setup.sources, name, "joao", "aug", folders=_FOLDER, missing=_SPARSE)
    kinds = [changes.drop_nodes, changes.permute_edges, changes.subgraph, changes.mask_nodes, _same]
    return _augmented(script, setup, lambda: random.choice(kinds))


def joaov2(setup: GraphSetup) -> Step:
    """JOAOv2, as JOAO. The script draws one of its five heads for all graphs of an epoch."""
    name = "Shen-Lab/GraphCL_Automated"
    script, changes = load(setup.sources, name, "joaov2", "aug", folders=_FOLDER, missing=_SPARSE)
    kinds = [changes.drop_nodes, changes.permute_edges, changes.subgraph, changes.mask_nodes, _same]
    return _augmented(script, setup, lambda: random.choice(kinds), heads=5)


def simgrace(setup: GraphSetup) -> Step:
    """SimGRACE. Gradients flow through the noisy copy, too, and go nowhere."""
    (script,) = load(setup.sources, "junxia97/SimGRACE", "simgrace", folders=_FOLDER, missing=_SPARSE)
    graphs = Batch.from_data_list(_looped(setup))
    model, noisy = (_simclr(script, setup, graphs.num_features) for _ in range(2))
    options = SimpleNamespace(eta=1.0)

    def loss() -> Tensor:
        second = script.gen_ran_output(graphs, model, noisy, options)
        first = model(graphs.x, graphs.edge_index, graphs.batch, graphs.num_graphs)
        value: Tensor = model.loss_cal(second.detach(), first)
        return value

    return Update(loss, model)


def rgcl(setup: GraphSetup) -> Step:
    """RGCL; nodes are drawn graph by graph, by probabilities from before the epoch, which stand still here."""
    script, changes = load(setup.sources, "lsh0520/RGCL", "rgcl", "aug", folders=_FOLDER)
    graphs = _looped(setup)
    whole = Batch.from_data_list(graphs)
    script.args, script.dataset_num_features = SimpleNamespace(prior=False), whole.num_features
    model = script.simclr(setup.hidden, setup.layers, "all")
    scores = [torch.full((graph.num_nodes,), 1 / graph.num_nodes) for graph in graphs]

    def loss() -> Tensor:
        pairs = list(zip(graphs, scores, strict=True))
        kept = (changes.drop_nodes_prob(deepcopy(graph), score.clone(), 0.9) for graph, score in pairs)
        left = (changes.drop_nodes_cp(deepcopy(graph), score.clone(), 0.9) for graph, score in pairs)
        projected = []
        for batch in (whole, Batch.from_data_list(list(kept)), Batch.from_data_list(list(left))):
            parts = (batch.x, batch.edge_index, batch.batch)
            projected.append(model(*parts, model.explain(*parts)))
        value: Tensor = model.loss_cal(*projected)
        return value

    return Update(loss, model)


def autogcl(setup: GraphSetup) -> Step:
    """AutoGCL: its own epoch over one batch, with the term that keeps both generators apart."""
    place = ("unsupervised", "")
    missing = ("IPython", "torchvision", "torchvision.transforms", *_SPARSE)
    (script,) = load(setup.sources, "Somedaywilldo/AutoGCL", "us_main", folders=place, missing=missing)
    batch = setup.batch()
    shape = SimpleNamespace(num_features=batch.num_features)
    model = script.simclr(shape, setup.hidden, setup.layers, False)
    generators = [script.ViewGenerator(shape, setup.head, script.GIN_NodeWeightEncoder) for _ in range(2)]
    views = torch.optim.Adam([p for generator in generators for p in generator.parameters()])
    optimizer = torch.optim.Adam(model.parameters())
    both = torch.optim.Adam([p for part in (model, *generators) for p in part.parameters()])  # for their number

    def step() -> object:
        return script.train_cl_with_sim_loss(*generators, views, model, optimizer, [batch], _CPU)

    return Foreign(step, both)


def adgcl(setup: GraphSetup) -> Step:
    """AD-GCL. The share of dropped edges of each graph is found at once; the script loops over the graphs.

    A comment in its layer leaves out the weights of edges, which PyG reads by now; its layers work without templates.
    """
    names = ("unsupervised.encoder", "unsupervised.learning", "unsupervised.view_learner")
    encoders, learning, views = load(setup.sources, "susheels/adgcl", *names, missing=_SPARSE)
    batch = setup.batch()

    def encoder(width: int, layers: int) -> nn.Module:
        made: nn.Module = encoders.TUEncoder(batch.num_features, width, layers, pooling_type="layerwise")
        for layer in made.modules():
            if isinstance(layer, MessagePassing):
                layer.propagate = MethodType(MessagePassing.propagate, layer)
        return made

    model = learning.GInfoMinMax(encoder(setup.hidden, setup.layers), setup.hidden * setup.layers)
    augmenter = views.ViewLearner(encoder(setup.head, setup.layers), mlp_edge_model_dim=64)
    owner = batch.batch[batch.edge_index[0]]
    parts = (batch.batch, batch.x, batch.edge_index, None)

    def weights() -> Tensor:
        logits = augmenter(*parts)
        chance = 1e-4 + (1 - 2e-4) * torch.rand(logits.shape)
        return torch.sigmoid((chance / (1 - chance)).log() + logits).squeeze(1)

    def adversary() -> Tensor:
        augmenter.train()
        model.eval()
        edges = weights()
        dropped = scatter(1 - edges, owner, dim_size=batch.num_graphs, reduce="mean").mean()
        agreement = model.calc_loss(model(*parts)[0], model(*parts, edges)[0])
        value: Tensor = 5.0 * dropped - agreement
        return value

    def learner() -> Tensor:
        model.train()
        augmenter.eval()
        value: Tensor = model.calc_loss(model(*parts)[0], model(*parts, weights().detach())[0])
        return value

    return Turns(Update(adversary, augmenter), Update(learner, model))


def infograph(setup: GraphSetup) -> Step:
    """InfoGraph; the graph of each node is marked in a loop over the nodes."""
    (script,) = load(setup.sources, "fanyun-sun/InfoGraph", "main", folders=("unsupervised",))
    without_cuda()
    batch = setup.batch()
    script.args, script.dataset_num_features = SimpleNamespace(prior=False), batch.num_features
    model = script.InfoGraph(setup.hidden, setup.layers)
    return Update(lambda: model(batch.x, batch.edge_index, batch.batch, batch.num_graphs), model)


def mvgrl(setup: GraphSetup) -> Step:
    """MVGRL. Matrices are dense and padded to the largest graph; the graph of each node is marked in a loop."""
    without_cuda()
    (script,) = load(setup.sources, "kavehhassani/mvgrl", "graph.train", missing=("dgl", "dgl.data"))
    graphs = setup.plain()
    sizes = [graph.num_nodes for graph in graphs]
    most = max(sizes)
    adjacency, diffusion, features = [], [], []
    for graph, size in zip(graphs, sizes, strict=True):
        dense = normalized(graph.edge_index, size).to_dense()
        spread = 0.2 * torch.linalg.inv(torch.eye(size) - 0.8 * dense)
        pad = most - size
        adjacency.append(F.pad(dense, (0, pad, 0, pad)))
        diffusion.append(F.pad(spread, (0, pad, 0, pad)))
        features.append(F.pad(graph.x, (0, 0, 0, pad)))
    inputs = [torch.stack(each) for each in (adjacency, diffusion, features)]
    model = script.Model(graphs[0].num_features, setup.hidden, setup.layers)
    layers = nn.ModuleList([*model.gnn1.layers, *model.gnn2.layers])  # in lists, which the optimizer does not see
    owner = torch.arange(len(graphs)).repeat_interleave(most)

    def loss() -> Tensor:
        nodes, graph, nodes_too, graph_too = model(*inputs, sizes)
        pairs = ((nodes, graph_too), (nodes_too, graph))
        terms = [script.local_global_loss_(n.reshape(len(owner), -1), g, owner, "JSD", sizes) for n, g in pairs]
        return torch.stack(terms).sum()

    return Update(loss, model, layers)


def _looped(setup: GraphSetup) -> list[Data]:
    """The graphs with a self-loop at every node but the last."""
    graphs = setup.plain()
    for graph in graphs:
        loops = torch.arange(graph.num_nodes - 1).repeat(2, 1)
        graph.edge_index = torch.cat([graph.edge_index, loops], dim=1)
    return graphs


def _same(data: Data) -> Data:
    return data


def _simclr(script: Any, setup: GraphSetup, features: int) -> Any:
    """The network that GraphCL's code and those made from it have in common; they read sizes from their globals."""
    script.args, script.dataset_num_features, script.device = SimpleNamespace(prior=False), features, _CPU
    return script.simclr(setup.hidden, setup.layers)


def _augmented(script: Any, setup: GraphSetup, draw: Callable[[], Change], heads: int = 0) -> Step:
    """A step of GraphCL's loop.

    Args:
        script: the module of the script.
        setup: sizes.
        draw: gives the change of the next graph.
        heads: how many there are to choose from; 0 where there is one only.
    """
    graphs = _looped(setup)
    whole = Batch.from_data_list(graphs)
    model = _simclr(script, setup, whole.num_features)

    def loss() -> Tensor:
        changed = _without_isolated(Batch.from_data_list([draw()(deepcopy(graph)) for graph in graphs]))
        chosen: Sequence[int] = [int(np.random.choice(heads))] if heads else []
        first = model(whole.x, whole.edge_index, whole.batch, whole.num_graphs)
        second = model(changed.x, changed.edge_index, changed.batch, whole.num_graphs, *chosen)
        value: Tensor = model.loss_cal(first, second)
        return value

    return Update(loss, model)


def _without_isolated(batch: Batch) -> Batch:
    """The nodes that have an edge, and the edges between different nodes."""
    kept = torch.zeros(batch.num_nodes, dtype=torch.bool)
    kept[batch.edge_index.flatten()] = True
    number = kept.cumsum(0) - 1
    apart = batch.edge_index[0] != batch.edge_index[1]
    batch.x, batch.batch = batch.x[kept], batch.batch[kept]
    batch.edge_index = number[batch.edge_index[:, apart]]
    return batch
