"""Attribute masking of whole nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.utils import segment

from gssl.augment.graphwise import GraphwiseAugmenter, graph_offsets, random_rank, segment_index, share
from gssl.common.options import Fraction
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix, dense_features


@dataclass(frozen=True, kw_only=True)
class MaskAttribute(GraphwiseAugmenter):
    """Hide all attributes of a random share of the nodes of each graph (GraphCL, You et al., 2020).

    Attributes:
        ratio: ``floor(ratio * size)`` nodes of each graph are masked.
        fill: what stands in their place: zeros, noise from N(0.5, 0.5^2) as in GraphCL's unsupervised code, or the
            mean of the graph's nodes as in its semi-supervised code. With the last two, sparse features of the batch
            become dense.
    """

    ratio: Fraction = 0.2
    fill: Literal["zero", "noise", "mean"] = "noise"

    def transform(self, batch: MiniBatch, rng: torch.Generator, chosen: Tensor) -> MiniBatch:
        offsets = graph_offsets(batch)
        masked = share(offsets.diff(), self.ratio) * chosen
        graph = segment_index(offsets, batch.num_nodes)
        hidden = random_rank(offsets, rng) < masked[graph]
        x = batch.x
        if isinstance(x, SparseMatrix) and self.fill == "zero":
            left = x.filter(~hidden[x.pattern.row.long()])
            rows = None if x.token_rows is None else x.token_rows & ~hidden
            return batch.with_x(replace(left, token_rows=rows))
        x = dense_features(x)
        masked_x = x.clone()
        masked_x[hidden] = self._tokens(x, offsets, graph[hidden], rng)
        return batch.with_x(masked_x)

    def _tokens(self, x: Tensor, offsets: Tensor, graph: Tensor, rng: torch.Generator) -> Tensor:
        """What replaces the masked rows, shape (num_masked, in_dim), given the graph of each."""
        if self.fill == "mean":
            means: Tensor = segment(x, offsets, reduce="mean")
            return means[graph]
        tokens = x.new_zeros(graph.numel(), x.shape[1])
        return tokens.normal_(0.5, 0.5, generator=rng) if self.fill == "noise" else tokens
