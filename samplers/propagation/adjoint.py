"""Adjoint history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.history import Mode
from gssl.graph.kept import occurrences
from gssl.graph.plan import Plan
from gssl.graph.remote import is_remote
from gssl.graph.sparse import Pattern, SparseMatrix, entries_in, select_features
from gssl.graph.storage import Graph
from gssl.samplers.kernels.touch import append_rows
from gssl.samplers.propagation.growing import Hop, Touching
from gssl.samplers.propagation.stored import StoredPropagation, ask_heads
from gssl.samplers.selection.base import Draw

_ENTRIES = 1 << 20  # of the features that are looked at together


class AdjointPropagation(StoredPropagation):
    """Neighbours' embeddings and the adjoints that they send back both come from the history.

    The gradient of every layer is a sum over nodes, of which the batch is a weighted sample (weights act where
    parameters collect their gradient). Unbiased in every layer where the history is exact; biased by its staleness
    else. The norms that minimise its variance fall out of the step itself.
    """

    mode: ClassVar[Mode] = "adjoint"
    whole_population: ClassVar[bool] = True
    prefers: ClassVar[Mapping[str, object]] = {"norms": "online"}  # a checkpoint would see the last layer alone
    _out_of: Tensor | None = None  # offsets of the edges that begin in each node, on the CPU, once the graph moved

    def prepare(self) -> None:
        _ = self.graph.block.pattern.transposed, self._input_norm

    def place(self, graph: Graph) -> None:
        norm = self._input_norm  # summed on the CPU, in the order of the CPU
        self._out_of = self.graph.block.pattern.transposed[0].rowptr
        super().place(graph)
        self.__dict__["_input_norm"] = norm.to(graph.device)

    def stored_batch(self, draw: Draw) -> MiniBatch:
        block, sources = self.touching(draw.ids, draw.here)
        ask_heads(block, len(draw.ids))
        history = self.handle(sources, len(draw.ids))
        return MiniBatch(
            x=self.features(sources, len(draw.ids), ahead=not draw.is_awaited),
            blocks=(block,) * self.num_layers,
            node_ids=sources,
            num_targets=len(draw.ids),
            weight=self.target_weight(draw),
            plan=Plan(history=replace(history, input_norm=self._input_norm[draw.ids]), first=self.first),
        )

    def touching(self, ids: Tensor, here: Tensor | None = None) -> tuple[Block, Tensor]:
        """All edges that begin or end in some nodes.

        Args:
            ids: distinct global ids, shape (n,), int64.
            here: the same on the CPU, if they are there, too.

        Returns:
            A square block over ``ids`` and their neighbors in either direction, in which the first n rows and columns
            are complete, and the global ids of its nodes, ``ids`` first.
        """
        growing, out = self.engine.start(ids, self.engine.into(here)), None
        if here is not None and self._out_of is not None:
            out = entries_in(self._out_of, here)
        found = growing.both_ways(*self.graph.block.pattern.transposed, total=out)
        nodes = growing.nodes
        pattern, chosen = self._append(found, len(nodes))
        if out is not None:  # all edges of the block that begin in ``ids`` are all that do
            pattern.tell_end(len(ids), found.into.pattern.nnz)
            pattern.transposed[0].tell_end(len(ids), out)
        position = torch.cat([found.into.position.long(), found.position])
        degree = self.graph.block.degree[nodes]
        return self.exact.block(Hop(pattern, position[chosen], degree), None, degree), nodes

    def _append(self, found: Touching, num_rows: int) -> tuple[Pattern, Tensor]:
        """What :func:`~gssl.samplers.kernels.touch.append_rows` gives, on any device."""
        above, source, target = found.into.pattern, found.out_of.row, found.reached
        if self.engine.numba:
            return append_rows(above, source, target, num_rows)
        leaving = (target >= above.num_rows).nonzero().squeeze(1) if found.leaving is None else found.leaving
        leaving = leaving[torch.argsort(target[leaving], stable=True)]
        counts = occurrences(target[leaving] - above.num_rows, num_rows - above.num_rows)
        rowptr = torch.cat([above.rowptr, (above.nnz + counts.cumsum(0)).to(above.rowptr.dtype)])
        col = torch.cat([above.col, source[leaving].to(above.col.dtype)])
        chosen = torch.cat([torch.arange(above.nnz, device=leaving.device), above.nnz + leaving])
        return Pattern(rowptr, col, num_rows), chosen

    @cached_property
    def _input_norm(self) -> Tensor:
        """Squared norm of the features of each node, the scale of what the first layer takes, shape (num_nodes,)."""
        x = self.graph.x
        if isinstance(x, SparseMatrix):
            row = x.pattern.row.long()
            return torch.zeros(x.shape[0], dtype=torch.float32).index_add(0, row, x.value.square().float())
        # By parts in one buffer, for features may lie in a file larger than the memory.
        rows = max(1, _ENTRIES // max(1, x.shape[1]))
        squares, norms = x.new_empty(rows, x.shape[1]), x.new_empty(len(x), dtype=torch.float32)
        for start, norm in zip(range(0, len(x), rows), norms.split(rows), strict=True):
            part = (
                select_features(x, torch.arange(start, start + len(norm))) if is_remote(x) else x[start : start + rows]
            )
            assert isinstance(part, Tensor)
            norm.copy_(torch.mul(part, part, out=squares[: len(part)]).sum(1))
        return norms
