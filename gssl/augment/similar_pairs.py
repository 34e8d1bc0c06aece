"""Pairs of nodes whose features are most alike, least alike, and any."""

from __future__ import annotations

import torch
from sklearn.metrics.pairwise import cosine_similarity
from torch import Tensor

from gssl.augment.features import as_scipy
from gssl.graph.sparse import Features
from gssl.samplers.draws import keyed_order

_CELLS = 1 << 29  # similarities that are looked at, 23,000 nodes with each other
_CELLS_AT_ONCE = 1 << 24


def similar_pairs(x: Features, k: int, *, cells: int = _CELLS) -> tuple[Tensor, Tensor]:
    """Pairs of different nodes with the cosine similarity of their features, by which most of them were chosen.

    For each node the k others that are most alike, the k that are least alike, and k that are drawn, the same in every
    run; a pair that is found from both ends counts once. Of equal similarities any may be taken. A node without
    features has similarity 0 to all.

    Args:
        x: features, shape (n, f), on the CPU.
        k: of each kind, less than n.
        cells: similarities that are computed at most, if they are those of one node. Of more nodes pairs are sought
            from some only, whose numbers are hashed.

    Returns:
        Pairs, the lower number first, shape (2, p), int64, and their similarities, shape (p,), float32.
    """
    count, rows = int(x.shape[0]), as_scipy(x)
    nodes = torch.arange(count)
    kept = min(count, max(1, cells // count))
    if kept < count:
        nodes = keyed_order(nodes, 0)[:kept].sort().values
    rng = torch.Generator().manual_seed(0)
    keys, values = [], []
    for some in nodes.split(max(1, _CELLS_AT_ONCE // count)):
        alike = torch.from_numpy(cosine_similarity(rows[some.numpy()], rows)).float()
        chosen = _chosen(alike, some, k, rng)
        values.append(alike.gather(1, chosen).flatten())
        low, high = torch.minimum(some[:, None], chosen), torch.maximum(some[:, None], chosen)
        keys.append((low * count + high).flatten())
    found, place = torch.unique(torch.cat(keys), return_inverse=True)
    value = torch.empty(len(found), dtype=torch.float32).scatter_(0, place, torch.cat(values))
    return torch.stack([found // count, found % count]), value


def _chosen(alike: Tensor, own: Tensor, k: int, rng: torch.Generator) -> Tensor:
    """The others that are most and least alike, and drawn ones, shape (len(own), 3 k), int64."""
    rows = torch.arange(len(own))
    most, least = alike.clone(), alike.clone()
    most[rows, own], least[rows, own] = -torch.inf, torch.inf
    # Drawn from all but one, and the node itself is stepped over.
    drawn = torch.randint(alike.shape[1] - 1, (len(own), k), generator=rng)
    drawn += drawn >= own[:, None]
    return torch.cat([most.topk(k).indices, least.topk(k, largest=False).indices, drawn], dim=1)
