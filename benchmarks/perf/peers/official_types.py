"""Steps of the authors' code for several types of nodes: modules of clones, in the order of their scripts."""

from __future__ import annotations

import contextlib
import io
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.benchmarks.perf.measure import Step
from gssl.benchmarks.perf.peers.clones import load, normalized, without_cuda
from gssl.benchmarks.perf.peers.peer import Update
from gssl.benchmarks.perf.setups import DROPOUT, HeteroSetup, parts_of
from gssl.graph.sparse import dense_features


def dmgi(setup: HeteroSetup) -> Step:
    """DMGI. The discriminator is a bilinear layer that gets the summary once for each node.

    The weight of a node's loop is 1 here, as in ours; the script has 3, which costs the same.
    """
    module, layers = load(setup.sources, "pcy1302/DMGI", "models.DMGI", "layers")
    x = dense_features(setup.graph().x)[None]
    nodes = x.shape[1]
    adjacency = [normalized(path, nodes) for path in setup.paths()]
    options = SimpleNamespace(
        ft_size=x.shape[2],
        hid_units=setup.hidden,
        activation="relu",
        drop_prob=DROPOUT,
        isBias=False,
        nb_graphs=len(adjacency),
        nb_nodes=nodes,
        readout_func=layers.AvgReadout(),
        readout_act_func=nn.Sigmoid(),
        isAttn=False,
        isSemi=False,
    )
    model = module.modeler(options)
    labels = torch.cat([torch.ones(1, nodes), torch.zeros(1, nodes)], dim=1)

    def loss() -> Tensor:
        order = np.random.permutation(nodes)
        found = model([x] * len(adjacency), adjacency, [x[:, order, :] for _ in adjacency], True, None, None, None)
        told = [F.binary_cross_entropy_with_logits(logits, labels) for logits in found["logits"]]
        value: Tensor = torch.stack(told).sum() + 0.001 * found["reg_loss"]
        return value

    return Update(loss, model)


def heco(setup: HeteroSetup) -> Step:
    """HeCo. It draws neighbors in a loop over nodes and has features without sense as dense identity matrices."""
    (module,) = load(setup.sources, "liun-online/HeCo", "module", folders=("code",))
    without_cuda()
    graph = setup.graph()
    parts, wanted = parts_of(graph), dict(setup.neighbors)
    nodes = graph.num_nodes
    features = [dense_features(graph.x), *(dense_features(other.x) for other in parts.others)]
    near = []
    for other in parts.others:
        pattern = parts.neighbors[other.name]
        near.append(np.array([*np.split(pattern.col.numpy(), pattern.rowptr[1:-1].numpy()), None], dtype=object)[:-1])
    paths = [normalized(path, nodes) for path in setup.paths()]
    positives = parts.positives
    alike = torch.eye(nodes) if positives is None else torch.zeros(nodes, nodes)
    if positives is not None:
        alike[positives.row.long(), positives.col.long()] = 1
    drawn = [wanted[other.name] for other in parts.others]
    sizes = [each.shape[1] for each in features]
    model = module.HeCo(setup.hidden, sizes, 0.3, 0.5, len(paths), drawn, len(drawn), setup.temperature, 0.5)
    pairs = alike.to_sparse()

    def loss() -> Tensor:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its attentions
            value: Tensor = model(features, pairs, paths, near)
        return value

    return Update(loss, model)
