"""Adjoint history."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from gssl.samplers.batch import MiniBatch
from gssl.samplers.blocks import touching_rows
from gssl.samplers.history import Mode
from gssl.samplers.propagation.stored import StoredPropagation
from gssl.samplers.selection.base import Draw
from gssl.samplers.sparse import SparseMatrix, select_features


class AdjointPropagation(StoredPropagation):
    """Neighbours' embeddings and the adjoints that they send back both come from the history.

    The gradient of every layer is a sum over nodes, of which the batch is a weighted sample (weights act where
    parameters collect their gradient). Unbiased in every layer where the history is exact; biased by its staleness
    else. The norms that minimise its variance fall out of the step itself.
    """

    mode: ClassVar[Mode] = "adjoint"
    whole_population: ClassVar[bool] = True

    def stored_batch(self, draw: Draw) -> MiniBatch:
        block, sources = touching_rows(self.graph.block, draw.ids)
        history = self.handle(sources, len(draw.ids))
        return MiniBatch(
            x=select_features(self.graph.x, sources),
            blocks=(block,) * self.num_layers,
            node_ids=sources,
            num_targets=len(draw.ids),
            weight=self.target_weight(draw),
            history=replace(history, input_norm=self._input_norm[draw.ids]),
        )

    @cached_property
    def _input_norm(self) -> Tensor:
        """Squared norm of the features of each node, the scale of what the first layer takes, shape (num_nodes,)."""
        x = self.graph.x
        if isinstance(x, SparseMatrix):
            row = x.pattern.row.long()
            return torch.zeros(x.shape[0]).index_add(0, row, x.value.square().float())
        norms: Tensor = torch.linalg.vecdot(x, x)
        return norms.float()
