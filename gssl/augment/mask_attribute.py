"""Attribute masking of whole nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.utils import segment

from gssl.augment.graphwise import GraphwiseAugmenter, Step, graph_offsets, random_rank, segment_index, share
from gssl.common.options import Fraction
from gssl.graph.batch import MiniBatch
from gssl.graph.kept import Later, true_places
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
        return self.planned(batch, chosen)(batch, rng)

    def planned(self, batch: MiniBatch, chosen: Tensor) -> Step:
        total = Later((share(graph_offsets(batch).diff(), self.ratio) * chosen).sum()) if self.fill == "noise" else None
        return lambda changed, rng: self._masked(changed, rng, chosen, total)

    def _masked(self, batch: MiniBatch, rng: torch.Generator, chosen: Tensor, total: Later | None) -> MiniBatch:
        """The view; ``total`` is the number of hidden nodes, where it must be known."""
        offsets = graph_offsets(batch)
        masked = share(offsets.diff(), self.ratio) * chosen
        graph = segment_index(offsets, batch.num_nodes)
        hidden = random_rank(offsets, rng, batch.num_nodes) < masked[graph]
        x = batch.x
        if isinstance(x, SparseMatrix) and self.fill == "zero":
            left = x.filter(~hidden[x.pattern.row.long()])
            rows = None if x.token_rows is None else x.token_rows & ~hidden
            return batch.with_x(replace(left, token_rows=rows))
        x = dense_features(x)
        if total is not None:
            tokens = x.new_empty(int(total), x.shape[1]).normal_(0.5, 0.5, generator=rng)
            return batch.with_x(x.index_copy(0, true_places(hidden, int(total)), tokens))
        if self.fill == "zero":
            return batch.with_x(x.masked_fill(hidden.unsqueeze(1), 0))
        means: Tensor = segment(x, offsets, reduce="mean")
        return batch.with_x(torch.where(hidden.unsqueeze(1), means[graph], x))
