"""Distance of embeddings from their centre."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from gssl.objectives.weights import weighted_mean, weighted_rows


def scattering(embedding: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """How little embeddings scatter: minus the mean squared distance of their directions from the mean direction.

    SGRL (He et al., NeurIPS 2024, openreview:R8SolCx62K) pushes every node away from the centre of all on the unit
    sphere, for which no pair of nodes is looked at. The value is -1 where directions cancel out, and 0 where all are
    the same.

    Args:
        embedding: shape (n, dim), float.
        weight: importance weight of each item, shape (n,), not negative; None means 1 each. A weight of 2 means what
            including the item twice means.

    Returns:
        Scalar in [-1, 0].
    """
    direction = F.normalize(embedding, dim=1)
    apart = (direction - weighted_rows(direction, weight)).square().sum(1)
    return -weighted_mean(apart, weight)
