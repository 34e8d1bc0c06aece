"""Nodes whose features are noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.augment.base import Augmenter
from gssl.augment.graphwise import offsets_of, random_rank, segment_index, share
from gssl.common.options import Fraction, Positive
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features


@dataclass(frozen=True, kw_only=True)
class NoiseNode(Augmenter):
    """Put normal noise in the place of all features of some nodes (LaGraph, Xie et al., 2022, arXiv:2202.08333).

    Of a sampled batch the same share of the targets and of the other rows. Sparse features become dense.

    Attributes:
        ratio: ``floor(ratio * size)`` nodes of each graph.
        std: standard deviation of the noise, whose mean is zero.
    """

    ratio: Fraction = 0.05
    std: Positive = 0.5

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        return self.hide(batch, rng)[0]

    def hide(self, batch: MiniBatch, rng: torch.Generator) -> tuple[MiniBatch, Tensor]:
        """A view, and its rows of noise, ascending, shape (num_hidden,), int64."""
        offsets = batch.graph_ptr
        if offsets is None:
            offsets = offsets_of([batch.num_targets, batch.num_nodes], batch.device)
        count = share(offsets.diff(), self.ratio)[segment_index(offsets, batch.num_nodes)]
        hidden = random_rank(offsets, rng, batch.num_nodes) < count
        rows = hidden.nonzero().squeeze(1)
        x = dense_features(batch.x)
        noise = x.new_empty(rows.numel(), x.shape[1]).normal_(0.0, self.std, generator=rng)
        return batch.with_x(x.index_copy(0, rows, noise)), rows
