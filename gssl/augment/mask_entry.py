"""Masking of single entries of the features."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gssl.augment.base import Augmenter
from gssl.common.options import Probability
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix, dense_features


@dataclass(frozen=True, kw_only=True)
class MaskEntry(Augmenter):
    """Set single entries of the feature matrix to zero, each by itself (SimMLP, Wang et al., 2024, arXiv:2412.03864).

    The other entries stay as they are, unlike those of dropout. Zeros of sparse features stay zeros either way, so that
    only stored entries are drawn.

    Attributes:
        p: probability of masking an entry.
    """

    p: Probability = 0.3

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        if self.p == 0:
            return batch
        if isinstance(batch.x, SparseMatrix) and batch.x.token is None:
            batch.x.pattern.be_ready_to_turn()
            keep = torch.rand(batch.x.pattern.nnz, generator=rng, device=rng.device) >= self.p
            return batch.with_x(batch.x.filter(keep))
        x = dense_features(batch.x)
        keep = torch.rand(x.shape, generator=rng, device=rng.device) >= self.p
        return batch.with_x(x * keep)
