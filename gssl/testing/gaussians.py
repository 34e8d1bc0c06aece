"""Embeddings of known quality: Gaussian classes, with the dataset that they are embeddings of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gssl.datasets.types import Dataset, Labels, Level, Split
from gssl.graph.storage import Graph


def gaussian_classes(
    *,
    num_items: int = 240,
    num_classes: int = 3,
    dim: int = 8,
    distance: float = 2.0,
    level: Level = "node",
    splits: Sequence[str] = (),
    seed: int = 0,
) -> tuple[Dataset, Tensor]:
    """A dataset of classes as even as can be, and embeddings that are unit Gaussians around its class means.

    Args:
        num_items: nodes or graphs; the graph has no edges.
        num_classes: classes.
        dim: dimension of the embeddings.
        distance: length of the class means, which point in random directions.
        level: what the items are.
        splits: names of preset splits; 30 % of the items train, 20 % validate, 50 % test.
        seed: decides everything.

    Returns:
        The dataset, and embeddings of shape (num_items, dim), float32.
    """
    rng = torch.Generator().manual_seed(seed)
    y = (torch.arange(num_items) % num_classes)[torch.randperm(num_items, generator=rng)]
    means = torch.nn.functional.normalize(torch.randn(num_classes, dim, generator=rng), dim=1) * distance
    embeddings = means[y] + torch.randn(num_items, dim, generator=rng)
    presets = []
    for name in splits:
        train, val, test = torch.randperm(num_items, generator=rng).tensor_split(
            [num_items * 3 // 10, num_items * 5 // 10]
        )
        presets.append(Split(name, train, val, test))
    ptr = torch.arange(num_items + 1) if level == "graph" else None
    graph = Graph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), torch.ones(num_items, 1), ptr=ptr)
    labels = Labels(y, "multiclass", num_classes)
    return Dataset(name="gaussians", level=level, graph=graph, labels=labels, splits=tuple(presets)), embeddings
