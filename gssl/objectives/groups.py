"""Group discrimination: is a node one of the graph, or of the corrupted one?"""

from __future__ import annotations

from torch import Tensor

from gssl.objectives.jsd import binary_agreement


def group_discrimination(real: Tensor, corrupted: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of the logits that the summed projections of both groups are (GGD, arXiv:2206.01535).

    Nothing is compared with anything, so a node costs its own columns and no more.

    Args:
        real: projections of the nodes of the graph, shape (n, dim), float.
        corrupted: projections of the same nodes in the corrupted graph, shape (n, dim), float.
        weight: importance weight of each node, shape (n,); None means 1 each.

    Returns:
        Scalar mean over both groups; log 2 where nothing is told.
    """
    return binary_agreement(real.sum(1), corrupted.sum(1), weight=weight)
