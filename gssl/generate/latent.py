"""A variational graph auto-encoder, fitted to one graph."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.datasets.generators import simple_edges
from gssl.generate.features import mixed_columns
from gssl.graph.sparse import Features
from gssl.graph.storage import Graph
from gssl.methods.vgae import VGAE
from gssl.models.gcn import GCN
from gssl.samplers.full import FullBatch
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

MOST_NODES = 50_000  # every pair of nodes has a logit of its own
_HIDDEN, _LATENT = 32, 16  # the paper's
_TRAIN = TrainConfig(epochs=200, lr=0.01)
_ROWS = 512
_BINS = 4096


def from_posterior(
    graph: Graph, rng: np.random.Generator, *, nodes: int, neighbors: int, seed: int
) -> tuple[np.ndarray, Features]:
    """A graph drawn from a VGAE that is trained on another (Kipf and Welling, 2016, arXiv:1611.07308).

    A new node's code is drawn from the posterior of a node that is drawn uniformly: single posteriors are far from the
    prior, from whose draws the decoder makes no graph like the data. Pairs are joined independently by the decoder,
    whose logits are moved by one number, since it was trained on as many edges as non-edges: so far that the expected
    mean degree is that of the data. The decoder knows nothing of features: each column is that of one of the nodes
    whose mean codes are nearest.

    Args:
        graph: what the model is fitted to; directions of its edges are not looked at.
        rng: of all draws but those of the training.
        nodes: of the new graph.
        neighbors: nearest nodes that features are drawn from.
        seed: of the training.

    Returns:
        Each edge once, shape (2, num_edges), int64, and features, shape (nodes, dim).

    Raises:
        InputError: too many nodes.
    """
    if max(nodes, graph.num_nodes) > MOST_NODES:
        raise InputError(
            f"model=vgae looks at every pair of nodes, so {max(nodes, graph.num_nodes):,} of them are too many (at "
            f"most {MOST_NODES:,}); use model=dcsbm"
        )
    mean, deviation = _posterior(graph, seed)
    like = torch.from_numpy(rng.integers(graph.num_nodes, size=nodes))
    noise = torch.from_numpy(rng.standard_normal((nodes, mean.shape[1]), dtype=np.float32))
    code = mean[like] + deviation[like] * noise
    donors = torch.cat(
        [torch.cdist(part, mean).topk(min(neighbors, len(mean)), largest=False).indices for part in code.split(_ROWS)]
    )
    degree = simple_edges(graph.block.edge_index.numpy(), graph.num_nodes).shape[1] / graph.num_nodes
    return _joined(code, rng, degree * nodes), mixed_columns(graph.x, donors, rng)


def _posterior(graph: Graph, seed: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every node's code, each (num_nodes, 16), after training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "vgae"))
        method = VGAE(GCN(graph.in_dim, hidden_dim=_HIDDEN, out_dim=2 * _LATENT, final_activation=False))
        method.prepare(graph, seed)
        pretrain(method, FullBatch(graph), _TRAIN, seed=derive_seed(seed, "train"))
    with torch.no_grad():
        mean, log_std = method.encoder(graph.full_batch()).chunk(2, dim=1)
    return mean, log_std.clamp(max=10).exp()


def _joined(code: Tensor, rng: np.random.Generator, edges: float) -> np.ndarray:
    """Pairs i < j drawn with probabilities ``sigmoid(<code_i, code_j> + shift)``, whose sum is ``edges``."""
    nodes = len(code)
    wanted = min(edges, 0.5 * nodes * (nodes - 1) / 2)
    shift = _shift(code, wanted)
    found = []
    for first in range(0, nodes, _ROWS):
        logits = code[first : first + _ROWS] @ code.T + shift
        draws = torch.from_numpy(rng.random(tuple(logits.shape), dtype=np.float32))
        taken = (draws < logits.sigmoid()).triu(first + 1).nonzero().T
        found.append(torch.stack([taken[0] + first, taken[1]]))
    return torch.cat(found, dim=1).numpy()


def _shift(code: Tensor, wanted: float) -> float:
    """What added to all logits makes their probabilities sum to ``wanted``, from a histogram of them; by bisection."""
    span = float(code.norm(dim=1).max() ** 2) + 1e-6
    count = torch.zeros(_BINS, dtype=torch.float64)
    for first in range(0, len(code), _ROWS):
        logits = code[first : first + _ROWS] @ code.T
        above = torch.ones_like(logits, dtype=torch.bool).triu(first + 1)
        count += torch.histc(logits[above], _BINS, -span, span).double()
    centre = (torch.arange(_BINS, dtype=torch.float64) + 0.5) * (2 * span / _BINS) - span
    low, high = -span - 40.0, span + 40.0
    for _ in range(60):
        middle = (low + high) / 2
        above_wanted = float(count @ (centre + middle).sigmoid()) > wanted
        low, high = (low, middle) if above_wanted else (middle, high)
    return (low + high) / 2
