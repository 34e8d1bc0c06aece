"""Steps of PyGCL's examples with its views, contrasts and losses; its user writes encoder and loop.

It imports dgl, torch-scatter and torch-sparse. Without them they get stand-ins, where a step does not use them.
"""

from __future__ import annotations

import copy
from types import ModuleType

import torch
from torch import Tensor, nn
from torch_geometric.nn import global_add_pool

from gssl.benchmarks.perf.measure import Step
from gssl.benchmarks.perf.peers.encoders import Isomorphism, Layers, Shortcut, head
from gssl.benchmarks.perf.peers.peer import Update
from gssl.benchmarks.perf.peers.pyg import corruption
from gssl.benchmarks.perf.setups import MOMENTUM, NORM_MOMENTUM, GraphSetup, NodeSetup
from gssl.benchmarks.perf.stand_ins import stand_in


def dgi(setup: NodeSetup) -> Step:
    """DGI. The discriminator is a linear map of the summary, with a bias, and the loss that of Jensen and Shannon."""
    library = _pygcl()
    edge_index, x = setup.plain()
    encoder = Layers(x.shape[1], setup.hidden, activation=nn.PReLU)
    project = nn.Linear(setup.hidden, setup.hidden)
    contrast = library.models.SingleBranchContrast(loss=library.losses.JSD(), mode="G2L")

    def loss() -> Tensor:
        nodes = encoder(x, edge_index)
        graph = project(nodes.mean(dim=0, keepdim=True).sigmoid())
        value: Tensor = contrast(h=nodes, g=graph, hn=encoder(*corruption(x, edge_index)))
        return value

    return Update(loss, encoder, project)


def grace(setup: NodeSetup) -> Step:
    """The step of PyGCL's GRACE example without its embedding of the unaugmented graph, which it does not train on."""
    library = _pygcl()
    edge_index, x = setup.plain()
    encoder = Layers(x.shape[1], setup.hidden, setup.out)
    project = head((setup.out, setup.head, setup.out), nn.ELU)
    views = _views(library, setup)
    loss_function = library.losses.InfoNCE(tau=setup.temperature)
    contrast = library.models.DualBranchContrast(loss=loss_function, mode="L2L", intraview_negs=True)

    def loss() -> Tensor:
        value: Tensor = contrast(*(project(encoder(*view(x, edge_index)[:2])) for view in views))
        return value

    return Update(loss, encoder, project)


def bgrl(setup: NodeSetup) -> Step:
    """BGRL. PyGCL compares every node with every other and then reads the diagonal.

    The example's dropout and its projection within the encoder are left out, so that both sides compute the same.
    """
    library = _pygcl()
    edge_index, x = setup.plain()
    online = bgrl_encoder(setup, x.shape[1])
    target = copy.deepcopy(online).requires_grad_(False)
    predictor = head((setup.out, setup.head, setup.out), nn.PReLU)
    views = _views(library, setup)
    contrast = library.models.BootstrapContrast(loss=library.losses.BootstrapLatent(), mode="L2L")

    def loss() -> Tensor:
        drawn = [view(x, edge_index)[:2] for view in views]
        first, second = (predictor(online(*view)) for view in drawn)
        with torch.no_grad():
            targets = [target(*view) for view in drawn]
        value: Tensor = contrast(h1_pred=first, h2_pred=second, h1_target=targets[0], h2_target=targets[1])
        return -value  # PyGCL's is the similarity itself, whose sign its example leaves as it is

    def follow() -> None:
        for old, new in zip(target.parameters(), online.parameters(), strict=True):
            old.data = MOMENTUM * old.data + (1 - MOMENTUM) * new.data

    return Update(loss, online, predictor, after=follow)


def bgrl_encoder(setup: NodeSetup, in_dim: int) -> Layers:
    """The encoder of BGRL and G-BT: batch norm and PReLU behind every layer."""
    return Layers(
        in_dim,
        setup.hidden,
        setup.out,
        activation=nn.PReLU,
        norms=lambda width: nn.BatchNorm1d(width, momentum=NORM_MOMENTUM),
    )


def gbt(setup: NodeSetup) -> Step:
    """G-BT. PyGCL computes the loss of both directions, which are the same; no encoding of the graph as it is."""
    library = _pygcl()
    edge_index, x = setup.plain()
    encoder = bgrl_encoder(setup, x.shape[1])
    contrast = library.models.WithinEmbedContrast(loss=library.losses.BarlowTwins())
    views = _views(library, setup)

    def loss() -> Tensor:
        value: Tensor = contrast(*(encoder(*view(x, edge_index)[:2]) for view in views))
        return value

    return Update(loss, encoder)


def vicreg(setup: NodeSetup) -> Step:
    """VICReg. PyGCL has the loss, of both directions, which are the same; the rest is as in ours."""
    library = _pygcl()
    edge_index, x = setup.plain()
    encoder = Layers(x.shape[1], setup.hidden, setup.out)
    ends = [part for _ in range(2) for part in (nn.BatchNorm1d(setup.head), nn.ReLU())]
    maps = [nn.Linear(setup.out, setup.head), nn.Linear(setup.head, setup.head), nn.Linear(setup.head, setup.head)]
    project = nn.Sequential(maps[0], *ends[:2], maps[1], *ends[2:], maps[2])
    contrast = library.models.WithinEmbedContrast(loss=library.losses.VICReg())
    views = _views(library, setup)

    def loss() -> Tensor:
        value: Tensor = contrast(*(project(encoder(*view(x, edge_index)[:2])) for view in views))
        return value

    return Update(loss, encoder, project)


def mvgrl_nodes(setup: NodeSetup) -> Step:
    """MVGRL on nodes. PyGCL makes the diffusion once; it keeps all entries above 1e-4, ours the 128 greatest of a row.

    The example's keywords for the shuffled nodes are not those of the released package, which are taken here.
    """
    library = _pygcl()
    edge_index, x = setup.plain()
    views = [library.augmentors.Identity(), library.augmentors.PPRDiffusion(alpha=0.2)]
    encoders = [Layers(x.shape[1], setup.hidden, activation=nn.PReLU) for _ in views]
    project = nn.Linear(setup.hidden, setup.hidden)
    contrast = library.models.DualBranchContrast(loss=library.losses.JSD(), mode="G2L")

    def loss() -> Tensor:
        drawn = [view(x, edge_index) for view in views]
        first, second = (encoder(*view) for encoder, view in zip(encoders, drawn, strict=True))
        graphs = [project(nodes.mean(dim=0, keepdim=True).sigmoid()) for nodes in (first, second)]
        third, fourth = (
            encoder(view[0][torch.randperm(len(x))], *view[1:]) for encoder, view in zip(encoders, drawn, strict=True)
        )
        value: Tensor = contrast(h1=first, h2=second, g1=graphs[0], g2=graphs[1], h3=third, h4=fourth)
        return value

    return Update(loss, *encoders, project)


def mvgrl_graphs(setup: GraphSetup) -> Step:
    """MVGRL on graphs. PyGCL makes the diffusion of the batch in every step unless it is told to keep it, as here.

    The example's encoder of the diffusion ignores its weights, and its heads have ReLUs; both are as in ours here.
    """
    library = _pygcl()
    batch = setup.batch()
    views = [library.augmentors.Identity(), library.augmentors.PPRDiffusion(alpha=0.2)]
    widths = (batch.x.shape[1], *[setup.hidden] * setup.layers)
    encoders = [Layers(*widths, activation=nn.PReLU) for _ in views]
    of_nodes = Shortcut(setup.hidden, setup.hidden, nn.PReLU)
    of_graphs = Shortcut(setup.hidden * setup.layers, setup.hidden, nn.PReLU)
    contrast = library.models.DualBranchContrast(loss=library.losses.JSD(), mode="G2L")

    def loss() -> Tensor:
        parts = []
        for encoder, view in zip(encoders, views, strict=True):
            outputs = encoder.outputs(*view(batch.x, batch.edge_index))
            pooled = torch.cat([global_add_pool(each, batch.batch) for each in outputs], dim=1)
            parts.append((of_nodes(outputs[-1]), of_graphs(pooled)))
        (first, graphs), (second, graphs_too) = parts
        value: Tensor = contrast(h1=first, h2=second, g1=graphs, g2=graphs_too, batch=batch.batch)
        return value

    return Update(loss, *encoders, of_nodes, of_graphs)


def infograph(setup: GraphSetup) -> Step:
    """InfoGraph. PyGCL finds a node's graph with an identity matrix of all nodes."""
    library = _pygcl()
    batch = setup.batch()
    encoder = Isomorphism(batch.x.shape[1], setup.hidden, setup.layers)
    width = setup.hidden * setup.layers
    heads = nn.ModuleList([Shortcut(width, width), Shortcut(width, width)])
    contrast = library.models.SingleBranchContrast(loss=library.losses.JSD(), mode="G2L")

    def loss() -> Tensor:
        both = encoder(batch.x, batch.edge_index, batch.batch)
        nodes, graphs = (project(part) for project, part in zip(heads, both, strict=True))
        value: Tensor = contrast(h=nodes, g=graphs, batch=batch.batch)
        return value

    return Update(loss, encoder, heads)


def graphcl(setup: GraphSetup) -> Step:
    """GraphCL. One change is drawn for the whole batch, where ours draws one for each graph.

    Nodes that PyGCL drops stay in the graph without edges, it masks columns of features, not nodes, walks from 1,000
    nodes of a batch of any size, and has the graphs of both views as anchors. The example's third pass, over the graphs
    as they are, is left out, since nothing learns from it.
    """
    library = _pygcl()
    batch = setup.batch()
    encoder = Isomorphism(batch.x.shape[1], setup.hidden, setup.layers)
    width = setup.hidden * setup.layers
    project = head((width, width, width))
    parts = library.augmentors
    candidates = [
        parts.RWSampling(num_seeds=1000, walk_length=10),
        parts.NodeDropping(pn=setup.ratio),
        parts.FeatureMasking(pf=setup.ratio),
        parts.EdgeRemoving(pe=setup.ratio),
    ]
    views = [parts.Identity(), parts.RandomChoice(candidates, 1)]
    contrast = library.models.DualBranchContrast(loss=library.losses.InfoNCE(tau=setup.temperature), mode="G2G")

    def loss() -> Tensor:
        drawn = [view(batch.x, batch.edge_index)[:2] for view in views]
        first, second = (project(encoder(*view, batch.batch)[1]) for view in drawn)
        value: Tensor = contrast(g1=first, g2=second, batch=batch.batch)
        return value

    return Update(loss, encoder, project)


def _pygcl() -> ModuleType:
    stand_in("dgl", "torch_scatter", "torch_sparse")
    import GCL
    import GCL.augmentors
    import GCL.losses
    import GCL.models

    found: ModuleType = GCL
    return found


def _views(library: ModuleType, setup: NodeSetup) -> list[nn.Module]:
    """Edges dropped and features masked, at the rates of each view."""
    parts = library.augmentors
    rates = zip(setup.drop_edge, setup.mask_feature, strict=True)
    return [parts.Compose([parts.EdgeRemoving(pe=edge), parts.FeatureMasking(pf=mask)]) for edge, mask in rates]
