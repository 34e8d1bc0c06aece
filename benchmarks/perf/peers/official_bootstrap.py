"""Steps of the authors' code of methods without negatives, where one network learns from another.

As in :mod:`gssl.benchmarks.perf.peers.official_nodes`: modules of clones, in the order of their scripts. Momenta and
rates stand still.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.utils import add_self_loops, softmax

from gssl.benchmarks.perf.measure import Step
from gssl.benchmarks.perf.peers.clones import load, normalized
from gssl.benchmarks.perf.peers.peer import Foreign, Update
from gssl.benchmarks.perf.setups import AFGRL_SEARCH, MOMENTUM, NORM_MOMENTUM, NodeSetup


def bgrl(setup: NodeSetup) -> Step:
    """BGRL; each view is a deep copy of the graph. The momentum and the rate stand still."""
    (module,) = load(setup.sources, "nerdslab/bgrl", "bgrl")
    edge_index, x = setup.plain()
    data = Data(x=x, edge_index=edge_index)
    encoder = module.GCN([x.shape[1], setup.hidden, setup.out], batchnorm=True, batchnorm_mm=NORM_MOMENTUM)
    model = module.BGRL(encoder, module.MLP_Predictor(setup.out, setup.out, hidden_size=setup.head))
    rates = zip(setup.drop_edge, setup.mask_feature, strict=True)
    views = [module.get_graph_drop_transform(drop_edge_p=drop, drop_feat_p=mask) for drop, mask in rates]

    def loss() -> Tensor:
        first, second = (view(data) for view in views)
        one, target_two = model(first, second)
        two, target_one = model(second, first)
        terms = (F.cosine_similarity(*pair, dim=-1).mean() for pair in ((one, target_two), (two, target_one)))
        return 2 - sum(terms, torch.zeros(()))

    return Update(loss, model, after=lambda: model.update_target_network(MOMENTUM))


def afgrl(setup: NodeSetup) -> Step:
    """AFGRL with k-means by faiss; positives are looked for with the embeddings of the step, within that step."""
    (module,) = load(setup.sources, "Namkyeong/AFGRL", "models.AFGRL", missing=("tensorboardX",))
    edge_index, x = setup.plain()
    neighbors, clusters, runs, steps = AFGRL_SEARCH
    options = SimpleNamespace(
        dropout=0.0,
        mad=MOMENTUM,
        epochs=10_000,
        device="cpu",
        num_centroids=min(clusters, len(x)),
        num_kmeans=runs,
        clus_num_iters=steps,
        pred_hid=setup.head,
        topk=neighbors,
    )
    model = module.AFGRL([x.shape[1], setup.hidden], options)
    loops, weight = add_self_loops(edge_index, torch.ones(edge_index.shape[1]), num_nodes=len(x))

    def loss() -> Tensor:
        value: Tensor = model(x, None, edge_index, [loops, weight], edge_weight=torch.ones(edge_index.shape[1]))[1]
        return value

    return Update(loss, model, after=model.update_moving_average)


def blnn(setup: NodeSetup) -> Step:
    """BLNN as its script has it, slips included: the second prediction is the first one over again."""
    (module,) = load(setup.sources, "Cloudy1225/BLNN", "bgrl", missing=("torch_scatter",))
    edge_index, x = setup.plain()
    data = Data(x=x, edge_index=edge_index)
    encoder = module.GCN([x.shape[1], setup.hidden, setup.out], batchnorm=True, batchnorm_mm=NORM_MOMENTUM)
    model = module.BGRL(encoder, module.MLP_Predictor(setup.out, setup.out, hidden_size=setup.head))
    rates = zip(setup.drop_edge, setup.mask_feature, strict=True)
    views = [module.get_graph_drop_transform(drop_edge_p=drop, drop_feat_p=mask) for drop, mask in rates]
    source, target = edge_index

    def loss() -> Tensor:
        first, second = (view(data) for view in views)
        one, target_two = model(first, second)
        _, target_one = model(second, first)
        one = F.normalize(one)
        two, target_one, target_two = F.normalize(one), F.normalize(target_one), F.normalize(target_two)
        own = 2 - (one * target_two).sum() / len(x) - (two * target_one).sum() / len(x)
        attention = softmax((target_one[source] * target_two[target]).sum(1) / setup.temperature, target)
        pairs = ((one, target_two), (two, target_one))
        near = [(attention * (q[source] * y[target]).sum(1)).sum() / len(x) for q, y in pairs]
        value: Tensor = own - torch.stack(near).sum()
        return value

    return Update(loss, model, after=lambda: model.update_target_network(MOMENTUM))


def sgrl(setup: NodeSetup) -> Step:
    """SGRL: the turn of the online network, then that of the target, without the copies of weights that are best."""
    module, script = load(setup.sources, "hedongxiao-tju/SGRL", "models", "train")
    edge_index, x = setup.plain()
    data, width, activation = Data(x=x, edge_index=edge_index), setup.hidden, nn.PReLU()
    encoders = [module.Conv(x.shape[1], width, width, activation, 1) for _ in range(2)]
    online = module.Online(*encoders, width, normalized(edge_index, len(x)), 1, MOMENTUM)
    target = module.Target(encoders[1])
    optimizers = [torch.optim.Adam(model.parameters()) for model in (online, target)]

    def step() -> object:
        for optimizer in optimizers:
            optimizer.zero_grad()
        script.train_online(online, optimizers[0], data)
        return script.train_target(target, optimizers[1], data)

    return Foreign(step, optimizers[0])
