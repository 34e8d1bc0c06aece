"""Steps of the authors' code for nodes: their modules, imported from clones, in the order of their scripts.

What a script does beside the step, such as logging, evaluation and copies of the best weights, is left out. Every
optimizer is Adam with PyTorch's defaults, as ours is here.
"""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.sparse
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv
from torch_geometric.utils import degree, dropout_edge, to_dense_adj, to_scipy_sparse_matrix

from gssl.benchmarks.perf.measure import Step
from gssl.benchmarks.perf.peers.clones import load, normalized, without_cuda
from gssl.benchmarks.perf.peers.peer import Foreign, Update
from gssl.benchmarks.perf.setups import (
    CENTERS,
    DROPOUT,
    MASKED_EDGES,
    NEGATIVES,
    ORDER,
    SKETCH,
    STARS,
    SUBGRAPH,
    TRIPLET_NEGATIVES,
    NodeSetup,
    clusters_of,
)

_SPARSE = ("torch_scatter", "torch_sparse")
_MOVED_BY_SCIPY = ("scipy.sparse.linalg.eigen", "scipy.sparse.linalg.eigen.arpack")


def grace(setup: NodeSetup) -> Step:
    """GRACE; its loss stores the similarities of all pairs."""
    (module,) = load(setup.sources, "CRIPAC-DIG/GRACE", "model")
    edge_index, x = setup.plain()
    model = module.Model(module.Encoder(x.shape[1], setup.out, F.relu), setup.out, setup.head, setup.temperature)
    rates = list(zip(setup.drop_edge, setup.mask_feature, strict=True))

    def loss() -> Tensor:
        views = [(module.drop_feature(x, mask), dropout_edge(edge_index, p=drop)[0]) for drop, mask in rates]
        value: Tensor = model.loss(*(model(*view) for view in views), batch_size=0)
        return value

    return Update(loss, model)


def gca(setup: NodeSetup) -> Step:
    """GCA by degree; its loss stores the similarities of all pairs. Centralities are made once, as in ours."""
    module, functional = load(setup.sources, "CRIPAC-DIG/GCA", "pGRACE.model", "pGRACE.functional", missing=_SPARSE)
    _, x = setup.plain()
    model = module.GRACE(_adaptive_encoder(module, setup, x), setup.out, setup.head, setup.temperature)
    views = _adaptive_views(functional, setup)
    return Update(lambda: model.loss(*(model(*view()) for view in views)), model)


def progcl(setup: NodeSetup) -> Step:
    """ProGCL with weights, after the epoch in which it fits its mixture; that epoch is done before the measurement.

    It stores the similarities of all pairs, in both views, several times.
    """
    module, functional = load(setup.sources, "junxia97/ProGCL", "pGRACE.model", "pGRACE.functional", missing=_SPARSE)
    _, x = setup.plain()
    model = module.GRACE(_adaptive_encoder(module, setup, x), setup.out, setup.head, setup.temperature)
    views = _adaptive_views(functional, setup)
    mixture = module.BetaMixture1D(
        10, *(torch.tensor(each, dtype=torch.float64) for each in ([1, 2], [2, 1], [0.95, 0.05]))
    )
    options = SimpleNamespace(epoch_start=0, mode="weight")

    def loss(epoch: int = 1) -> Tensor:
        value: Tensor = model.loss(*(model(*view()) for view in views), epoch, options, mixture)
        return value

    with contextlib.redirect_stdout(io.StringIO()):  # it says that it fits
        loss(options.epoch_start)
    return Update(loss, model)


def dgi(setup: NodeSetup) -> Step:
    """DGI. The discriminator is a bilinear layer that gets the summary once for each node."""
    (models,) = load(setup.sources, "PetarV-/DGI", "models", missing=_MOVED_BY_SCIPY)
    edge_index, x = setup.plain()
    adjacency, features = normalized(edge_index, len(x)), x[None]
    model = models.DGI(x.shape[1], setup.hidden, "prelu")
    labels = torch.cat([torch.ones(1, len(x)), torch.zeros(1, len(x))], dim=1)

    def loss() -> Tensor:
        shuffled = features[:, np.random.permutation(len(x)), :]
        logits = model(features, shuffled, adjacency, True, None, None, None)
        return F.binary_cross_entropy_with_logits(logits, labels)

    return Update(loss, model)


def mvgrl(setup: NodeSetup) -> Step:
    """MVGRL. Adjacency and diffusion are dense.

    The script trains on four squares of 2,000 nodes a step; here it is one of all nodes, as ours trains on.
    """
    (module,) = load(setup.sources, "kavehhassani/mvgrl", "node.train", missing=("dgl", "dgl.data"))
    edge_index, x = setup.plain()
    adjacency = normalized(edge_index, len(x)).to_dense()
    diffusion = 0.2 * torch.linalg.inv(torch.eye(len(x)) - 0.8 * adjacency)
    model = module.Model(x.shape[1], setup.hidden)
    features = x[None]
    labels = torch.cat([torch.ones(1, 2 * len(x)), torch.zeros(1, 2 * len(x))], dim=1)

    def loss() -> Tensor:
        shuffled = features[:, np.random.permutation(len(x)), :]
        logits = model(features, shuffled, adjacency[None], diffusion[None], False, None, None, None)[0]
        return F.binary_cross_entropy_with_logits(logits, labels)

    return Update(loss, model)


def gmi(setup: NodeSetup) -> Step:
    """GMI. Negatives are drawn in a loop over nodes, and inner products compared with all pairs of a dense matrix."""
    models, process = load(setup.sources, "zpeng27/GMI", "models", "utils.process", missing=_MOVED_BY_SCIPY)
    without_cuda()
    edge_index, x = setup.plain()
    nodes, features = len(x), x[None]
    dense = to_dense_adj(edge_index, max_num_nodes=nodes)[0].clamp(max=1)
    average = scipy.sparse.csr_matrix((dense / dense.sum(dim=1, keepdim=True).clamp(min=1)).numpy(), dtype=np.float32)
    wanted = (dense + torch.eye(nodes)).numpy()
    adjacency = normalized(edge_index, nodes)
    model = models.GMI(x.shape[1], setup.hidden, "prelu")

    def loss() -> Tensor:
        own, own_not, near, near_not, rebuilt = model(features, average, NEGATIVES, adjacency, None, None)
        near_loss = process.mi_loss_jsd(near, near_not)
        value: Tensor = 0.8 * process.mi_loss_jsd(own, own_not) + near_loss + process.reconstruct_loss(rebuilt, wanted)
        return value

    return Update(loss, model)


def ggd(setup: NodeSetup) -> Step:
    """GGD in the PyG form that lies beside the authors' script (GGD-citation/model.py), with masked features."""
    place = ("GGD-citation",)
    (module,) = load(setup.sources, "zyzisastudyreallyhardguy/Graph-Group-Discrimination", "model", folders=place)
    edge_index, x = setup.plain()
    model = module.Model(module.Encoder(x.shape[1], setup.hidden, nn.PReLU(), k=1), setup.hidden)
    labels = torch.cat([torch.ones(1, len(x)), torch.zeros(1, len(x))], dim=1)

    def loss() -> Tensor:
        masked = module.drop_feature(x, setup.mask_feature[0])
        logits = model(masked, masked[torch.randperm(len(x))], edge_index)
        return F.binary_cross_entropy_with_logits(logits, labels)

    return Update(loss, model)


def subgcon(setup: NodeSetup) -> Step:
    """SUBG-CON. Subgraphs are made before, as in ours, and put together from a list in every step."""
    model_file, module, tools = load(setup.sources, "yzjiao/Subg-Con", "model", "subgcon", "utils_mp")
    without_cuda()
    edge_index, x = setup.plain()
    subgraphs = tools.Subgraph(x, edge_index, "", SUBGRAPH, 10)
    subgraphs.process_adj_list()
    for node in range(len(x)):
        members = subgraphs.ppr.search(node)[:SUBGRAPH]
        subgraphs.subgraph[node] = Data(subgraphs.adjust_x(members), subgraphs.adjust_edge(members))
    encoder = model_file.Encoder(x.shape[1], setup.hidden)
    model = module.SugbCon(setup.hidden, encoder, model_file.Pool(setup.hidden), model_file.Scorer(setup.hidden))

    def loss() -> Tensor:
        batch, index = subgraphs.search(random.sample(range(len(x)), min(CENTERS, len(x))))
        value: Tensor = model.loss(*model(batch.x, batch.edge_index, batch.batch, index))
        return value

    return Update(loss, model)


def costa(setup: NodeSetup) -> Step:
    """COSTA with PyGCL's views; it also encodes the graph as it is, and learns nothing from that."""
    (module,) = load(
        setup.sources, "yifeiacc/COSTA", "model.COSTA", folders=("src",), missing=("wandb", "dgl", *_SPARSE)
    )
    edge_index, x = setup.plain()
    parts = module.A
    rates = zip(setup.drop_edge, setup.mask_feature, strict=True)
    views = [parts.Compose([parts.EdgeRemoving(pe=drop), parts.FeatureMasking(pf=mask)]) for drop, mask in rates]
    encoder = module.GCNEncoder(x.shape[1], setup.hidden, nn.ReLU, 2)
    model = module.COSTA(encoder, views, setup.hidden, setup.head, "cpu")
    contrast = module.DualBranchContrast(module.InfoNCE(tau=setup.temperature), mode="L2L")

    def loss() -> Tensor:
        _, *embeddings = model(x, edge_index)
        rows = torch.tensor(int(SKETCH * len(x)))
        sketch = (1 / torch.sqrt(rows)) * torch.randn(int(rows), len(x))
        value: Tensor = contrast(*(model.project(sketch @ each) for each in embeddings))
        return value

    return Update(loss, model)


def sugrl(setup: NodeSetup) -> Step:
    """SUGRL; its neighbors come from lists that are made before. Weights are those of Cora."""
    (module,) = load(setup.sources, "YujieMo/SUGRL", "models")
    edge_index, x = setup.plain()
    nodes, adjacency = len(x), normalized(edge_index, len(x))
    model = module.SUGRL_Fast(x.shape[1], cfg=[setup.hidden, setup.out], dropout=0.3)
    rows, near = adjacency.indices()
    size = torch.bincount(rows, minlength=nodes)
    first = size.cumsum(0) - size
    lists = [near[first + step % size] for step in range(1, 101)]
    margin, label = nn.MarginRankingLoss(margin=0.8, reduction="none"), -torch.ones(nodes)
    epoch = 0

    def loss() -> Tensor:
        nonlocal epoch
        epoch += 1
        order = [np.random.permutation(nodes) for _ in range(TRIPLET_NEGATIVES)]
        anchor, aggregate = model(x, adjacency)
        neighbors = sum(anchor[lists[(epoch + shift) % 100]] for shift in range(0, 10, 2)) / 5
        own, other = F.pairwise_distance(anchor, aggregate), F.pairwise_distance(anchor, neighbors)
        terms = []
        for rows in order:
            away = F.pairwise_distance(anchor, anchor[rows])
            triplets = margin(own, away, label).mean() + margin(other, away, label).mean()
            bound = (away - own.detach() - 1.0).clamp(min=0).sum() / TRIPLET_NEGATIVES
            terms.append(10 * triplets + bound)
        return torch.stack(terms).sum()

    return Update(loss, model)


def polygcl(setup: NodeSetup) -> Step:
    """PolyGCL; each of both filters computes the powers of the Laplacian of its own, for real and shuffled features."""
    (module,) = load(setup.sources, "ChenJY-Count/PolyGCL", "model", folders=("", "non-homophilous"))
    edge_index, x = setup.plain()
    model = module.Model(x.shape[1], setup.hidden, ORDER, DROPOUT, DROPOUT, False, "relu")
    labels = torch.cat([torch.ones(2 * len(x)), torch.zeros(2 * len(x))])

    def loss() -> Tensor:
        logits = model(edge_index, x, x[np.random.permutation(len(x))])
        return F.binary_cross_entropy_with_logits(logits, labels)

    return Update(loss, model)


def e2neg(setup: NodeSetup) -> Step:
    """E2Neg on the stars that its own code makes, which differ from ours by chance."""
    module, tools = load(setup.sources, "hedongxiao-tju/E2Neg", "networks", "utils")
    edge_index, x = setup.plain()
    adjacency = to_scipy_sparse_matrix(edge_index, num_nodes=len(x)).tocsr()
    centers = tools.spec_clustering(adjacency, clusters_of(len(x)), batch_size=2000)
    data = Data(x=x, edge_index=edge_index)
    stars, middles, members = tools.construct_graph(data, centers, STARS)
    options = SimpleNamespace(num_features=x.shape[1], output=setup.hidden)
    model = module.Model(module.GCN(options), setup.hidden, setup.hidden, 0.5)
    features = x[members]

    def loss() -> Tensor:
        changed = tools.augment(features, middles)
        value: Tensor = model.loss(model(features, stars), model(changed, stars), middles)
        return value

    return Update(loss, model)


def simmlp(setup: NodeSetup) -> Step:
    """SimMLP with the rates and weights of Cora, and Adam in place of AdamW."""
    script, parts, losses, views = load(setup.sources, "Zehong-Wang/SimMLP", "main", "model", "loss", "augment")
    edge_index, x = setup.plain()
    width, in_dim = setup.hidden, x.shape[1]
    encoder = parts.MLP(in_dim, width, width, nn.PReLU, 2, residual=True, norm="batch", dropout=DROPOUT)
    network = parts.GNN(width, width, width, nn.PReLU, 2, norm="batch")
    predictor = parts.MLP(width, setup.head, width, nn.PReLU, 2, norm="batch")
    decoder = parts.MLP(width, width, in_dim, nn.PReLU, 2)
    augment = views.Augment(edge_mask=setup.drop_edge[0], feature_mask=setup.mask_feature[0])
    model = parts.Model(encoder, network, predictor, augment, decoder)
    optimizer = torch.optim.Adam(model.parameters())
    data, agreement = Data(x=x, edge_index=edge_index), losses.Bootstrap(eta=1)
    return Foreign(lambda: script.train(model, agreement, data, None, optimizer, None, recon_lambda=10), optimizer)


def maskgae(setup: NodeSetup) -> Step:
    """MaskGAE with single edges masked, since its walks need torch-cluster; no clipping of gradients."""
    module, masks = load(setup.sources, "EdisonLeeeee/MaskGAE", "maskgae.model", "maskgae.mask")
    edge_index, x = setup.plain()
    widths = (x.shape[1], setup.hidden, setup.out)
    encoder = module.GNNEncoder(*widths, dropout=DROPOUT, bn=True, layer="gcn", activation="elu")
    decoders = [kind(setup.out, setup.head, dropout=0.2) for kind in (module.EdgeDecoder, module.DegreeDecoder)]
    model = module.MaskGAE(encoder, *decoders, masks.MaskEdge(p=MASKED_EDGES))
    optimizer = torch.optim.Adam(model.parameters())
    data = Data(x=x, edge_index=edge_index)
    return Foreign(lambda: model.train_step(data, optimizer, alpha=0.004, grad_norm=0.0), optimizer)


def s2gae(setup: NodeSetup) -> Step:
    """S2GAE with all hidden edges in one step, as ours, in place of 1,024; it clips gradients and drops layers out."""
    (script,) = load(setup.sources, "qiaoyu-tan/S2GAE", "s2gae_nc_acc")
    edge_index, x = setup.plain()
    once = edge_index[:, edge_index[0] < edge_index[1]].t()
    model = script.GCN(x.shape[1], setup.hidden, setup.hidden, 2, DROPOUT)
    predictor = script.LPDecoder(setup.hidden, setup.head, 1, 2, 3, DROPOUT)
    optimizer = torch.optim.Adam([*model.parameters(), *predictor.parameters()])
    options = SimpleNamespace(mask_type="dm", mask_ratio=MASKED_EDGES, batch_size=2 * len(once))
    data = Data(x=x, edge_index=edge_index)
    return Foreign(lambda: script.train(model, predictor, data, once, optimizer, options), optimizer)


def _adaptive_encoder(module: Any, setup: NodeSetup, x: Tensor) -> nn.Module:
    """GCA's encoder, whose first layer is twice as wide as the second; PyG no longer makes layers for TorchScript."""
    GCNConv.jittable = lambda self: self
    encoder: nn.Module = module.Encoder(x.shape[1], setup.out, F.relu)
    return encoder


def _adaptive_views(functional: Any, setup: NodeSetup) -> list[Callable[[], tuple[Tensor, Tensor]]]:
    """GCA's views by degree, each drawn anew when it is called."""
    edge_index, x = setup.plain()
    edges = functional.degree_drop_weights(edge_index)
    columns = functional.feature_drop_weights(x, degree(edge_index[1], len(x)))
    columns = columns.nan_to_num(nan=1.0)  # in a small random graph there are words that no node has

    def draw(drop: float, mask: float) -> tuple[Tensor, Tensor]:
        masked = functional.drop_feature_weighted_2(x, columns, mask)
        return masked, functional.drop_edge_weighted(edge_index, edges, p=drop, threshold=0.7)

    return [partial(draw, drop, mask) for drop, mask in zip(setup.drop_edge, setup.mask_feature, strict=True)]
