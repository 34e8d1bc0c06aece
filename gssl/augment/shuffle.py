"""Row shuffling: the corruption that makes negatives for DGI."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gssl.augment.base import Augmenter
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import select_features


@dataclass(frozen=True)
class Shuffle(Augmenter):
    """Give every node the features of a random other row (DGI, Velickovic et al., 2019, arXiv:1809.10341)."""

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        order = torch.randperm(batch.num_nodes, generator=rng, device=rng.device)
        return batch.with_x(select_features(batch.x, order))
