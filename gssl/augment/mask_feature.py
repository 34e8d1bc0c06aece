"""Feature (column) masking."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.augment.base import Augmenter
from gssl.common.options import Probability
from gssl.graph.batch import MiniBatch
from gssl.graph.gathered import GatheredRows
from gssl.graph.sparse import SparseMatrix


@dataclass(frozen=True, kw_only=True)
class MaskFeature(Augmenter):
    """Set whole feature dimensions to zero, the same for all nodes (GRACE, arXiv:2006.04131, sec. 3.2.2).

    Attributes:
        p: probability of masking a dimension.
    """

    p: Probability = 0.3

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        if self.p == 0:
            return batch
        return keep_columns(batch, torch.rand(batch.in_dim, generator=rng, device=rng.device) >= self.p)


def keep_columns(batch: MiniBatch, keep: Tensor) -> MiniBatch:
    """The batch with zeros in every feature dimension but those where ``keep`` (in_dim,) bool is set."""
    if isinstance(batch.x, SparseMatrix):
        _ = batch.x.pattern.transposed
        return batch.with_x(batch.x.filter(keep[batch.x.pattern.col]))
    if isinstance(batch.x, GatheredRows):
        return batch.with_x(batch.x.mask(keep))
    return batch.with_x(batch.x * keep)
