"""Embeddings of nodes by random walks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.seeds import derive_seed
from gssl.graph.pairs import Pairs


@dataclass(frozen=True, kw_only=True)
class Node2Vec:
    """What embeddings of node2vec (Grover and Leskovec, 2016, arXiv:1607.00653) are trained with, and their training.

    Walks step to a uniform neighbor, whatever the direction of the edge (p = q = 1). The first node of each window of a
    walk is told from what follows it there, by the sigmoid of the inner product, and from uniform nodes. Objective,
    windows and lazy Adam are those of PyG's class of this name, which needs pyg-lib or torch-cluster for its walks.

    Attributes:
        dim: columns of the embedding.
        walk_length: nodes of a walk.
        context_size: nodes of a window, at most as many.
        walks_per_node: in each epoch.
        negatives: windows of uniform nodes for every window.
        epochs: over all nodes.
        batch_size: nodes whose walks make a step.
        lr: learning rate.
    """

    dim: int
    walk_length: int
    context_size: int
    walks_per_node: int
    negatives: int
    epochs: int
    batch_size: int
    lr: float

    def fit(self, pairs: Pairs, seed: int) -> Tensor:
        """The embeddings of all nodes.

        Args:
            pairs: of the graph; a node without neighbors walks on the spot.
            seed: decides everything.

        Returns:
            Shape (num_nodes, dim), float32, on the CPU.
        """
        rng = torch.Generator().manual_seed(derive_seed(seed, "node2vec"))
        table = torch.randn(pairs.num_nodes, self.dim, generator=rng)
        embedding = nn.Embedding.from_pretrained(table, freeze=False, sparse=True)
        optimizer = torch.optim.SparseAdam(list(embedding.parameters()), lr=self.lr)
        with torch.enable_grad():
            for _ in range(self.epochs):
                for roots in torch.randperm(pairs.num_nodes, generator=rng).split(self.batch_size):
                    optimizer.zero_grad()
                    self._loss(embedding, pairs, roots, rng).backward()
                    optimizer.step()
        learned: Tensor = embedding.weight.detach()
        return learned

    def _loss(self, embedding: nn.Embedding, pairs: Pairs, roots: Tensor, rng: torch.Generator) -> Tensor:
        begin = roots.repeat(self.walks_per_node)
        walked = random_walks(pairs, begin, self.walk_length - 1, rng)
        begin = begin.repeat(self.negatives)
        shape = len(begin), self.walk_length - 1
        drawn = torch.cat([begin.unsqueeze(1), torch.randint(pairs.num_nodes, shape, generator=rng)], dim=1)
        near, far = (_products(embedding, walk.unfold(1, self.context_size, 1)) for walk in (walked, drawn))
        return F.softplus(-near).mean() + F.softplus(far).mean()


def random_walks(pairs: Pairs, roots: Tensor, length: int, rng: torch.Generator) -> Tensor:
    """The nodes of simple random walks.

    Args:
        pairs: of the graph; self-loops are not walked.
        roots: where each walk begins, shape (num_walks,), int64.
        length: steps of each walk; a node without neighbors stays where it is.
        rng: on the device of ``roots``.

    Returns:
        Shape (num_walks, length + 1), int64.
    """
    offsets, neighbors, _ = pairs.neighbors
    degree, path = offsets.diff(), [roots]
    for _ in range(length):
        here = path[-1]
        draw = torch.rand(here.numel(), generator=rng, device=rng.device, dtype=torch.float64)
        step = (offsets[here] + (draw * degree[here]).long()).clamp(max=max(neighbors.numel() - 1, 0))
        path.append(torch.where(degree[here] > 0, neighbors[step], here) if neighbors.numel() else here)
    return torch.stack(path, dim=1)


def _products(embedding: nn.Embedding, windows: Tensor) -> Tensor:
    """Inner products of the first node of each window (num_walks, num_windows, size) with the others."""
    flat = windows.reshape(-1, windows.shape[-1])
    first, rest = embedding(flat[:, :1]), embedding(flat[:, 1:])
    products: Tensor = (first * rest).sum(-1)
    return products
