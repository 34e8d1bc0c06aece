"""Feature (column) masking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gssl.augment.base import Change, PartAugmenter
from gssl.common.options import Probability
from gssl.graph.batch import MiniBatch
from gssl.graph.gathered import GatheredRows
from gssl.graph.sparse import SparseMatrix


@dataclass(frozen=True, kw_only=True)
class MaskFeature(PartAugmenter):
    """Set whole feature dimensions to zero, the same for all nodes (GRACE, arXiv:2006.04131, sec. 3.2.2).

    Attributes:
        p: probability of masking a dimension.
    """

    part: ClassVar[Literal["features"]] = "features"
    p: Probability = 0.3

    def drawn(self, batch: MiniBatch, rng: torch.Generator) -> Change:
        if self.p == 0:
            return lambda changed: changed
        return keeping_columns(batch, torch.rand(batch.in_dim, generator=rng, device=rng.device) >= self.p)


def keeping_columns(batch: MiniBatch, keep: Tensor) -> Change:
    """What puts zeros in every feature dimension but those where ``keep`` (in_dim,) bool is set.

    Args:
        batch: with the features that are to be changed; only its edges may change before.
        keep: for which nobody waits yet.
    """
    x = batch.x
    if isinstance(x, SparseMatrix):
        x.pattern.be_ready_to_turn()
        filtered = x.filtering(keep[x.pattern.col])
        return lambda changed: changed.with_x(filtered())
    if isinstance(x, GatheredRows):
        return lambda changed: changed.with_x(x.mask(keep))
    return lambda changed: changed.with_x(x * keep)
