"""One-shot propagation with history."""

from __future__ import annotations

from dataclasses import replace

from gssl.graph.batch import MiniBatch
from gssl.samplers.propagation.stored import StoredPropagation
from gssl.samplers.selection.base import Draw


class HistoryPropagation(StoredPropagation):
    """Every layer computes the targets alone; their neighbours' rows come from the history.

    MVS (Cong et al., 2020, arXiv:2006.13866, algorithm 1) with uniform or minimal-variance targets, GNNAutoScale
    (Fey et al., 2021, arXiv:2106.05609) with clusters. Biased: embeddings by the staleness of the history, and
    gradients of all layers but the last because the backward pass stops at it, however fresh it is.
    """

    def stored_batch(self, draw: Draw) -> MiniBatch:
        made = self.one_shot(draw.ids, self.engine.into(draw.here), ahead=not draw.is_awaited)
        return replace(made, weight=self.target_weight(draw))
