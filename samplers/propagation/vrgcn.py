"""Neighbor sampling with a control variate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from gssl.common.options import Neutral, PositiveInt
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.first import without_edges
from gssl.graph.history import Mode, Precision, Storage
from gssl.graph.plan import Plan
from gssl.graph.storage import Graph
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.stored import StoredPropagation
from gssl.samplers.rng import Slot
from gssl.samplers.selection.base import Draw


class VRGCNPropagation(StoredPropagation):
    """VR-GCN (Chen, Zhu and Song, 2018, arXiv:1710.10568).

    Each layer aggregates the stored rows of all neighbours and corrects them with the change of a few drawn ones.
    Unbiased in the embeddings for a linear encoder whatever the history holds; with fresh history exact. Gradients
    are biased: they flow through the drawn neighbours alone.

    Args:
        fanout: neighbours drawn for each node and layer.
        precompute: the paper's preprocessing, see ``StoredPropagation``.

    The other options are those of ``StoredPropagation``.
    """

    mode: ClassVar[Mode] = "control"
    unbiased = ("embedding",)

    def __init__(
        self,
        graph: Graph,
        *,
        num_layers: int,
        fanout: PositiveInt = 2,
        history_storage: Storage = "device",
        history_precision: Precision = "float32",
        history_folder: str | Path | None = None,
        precompute: bool = False,
        backend: Annotated[Backend, Neutral("auto")] = "auto",
    ) -> None:
        super().__init__(
            graph,
            num_layers=num_layers,
            history_storage=history_storage,
            history_precision=history_precision,
            history_folder=history_folder,
            precompute=precompute,
            backend=backend,
        )
        self.fanout = fanout

    def stored_batch(self, draw: Draw) -> MiniBatch:
        blocks: list[Block] = []
        sources: list[Tensor] = []
        fresh, edges = draw.ids, self.engine.into(draw.here)
        for layer in reversed(range(1, self.num_layers)):
            growing = self.engine.start(fresh, edges)
            found = growing.controlled(self.fanout, draw.key.stream(Slot.PROPAGATION + layer))
            degree = self.graph.block.degree[growing.nodes]
            block = replace(self.exact.block(found.hop, None, degree, turned=False), sample_weight=found.factor)
            block, ids = _drawn_first(block, growing.nodes)
            blocks.append(block)
            sources.append(ids)
            fresh, edges = ids[: found.num_fresh], found.edges
        if self.first is None:
            block, ids = self.incoming(fresh, edges)
        else:
            block, ids = without_edges(len(fresh), self.engine.pattern), fresh
        sources = [*reversed([*sources, ids])]
        history = self.handle(ids, len(fresh), sources)
        return MiniBatch(
            x=self.features(ids, len(fresh), ahead=not draw.is_awaited),
            blocks=tuple(reversed([*blocks, block])),
            node_ids=ids,
            num_targets=len(draw.ids),
            weight=self.target_weight(draw),
            plan=Plan(history=history, first=self.first),
        )


def _drawn_first(block: Block, ids: Tensor) -> tuple[Block, Tensor]:
    """Renumber the sources so that destinations come first, then the drawn ones, then the rest."""
    assert block.sample_weight is not None
    rank = torch.full((block.num_src,), 2, dtype=torch.int8, device=ids.device)
    drawn = (block.sample_weight > 0).int()
    rank = torch.where(drawn.new_zeros(block.num_src).index_add_(0, block.pattern.col, drawn) > 0, 1, rank)
    rank[: block.num_dst] = 0
    order = torch.argsort(rank, stable=True)
    number = torch.empty_like(order)
    number[order] = torch.arange(len(order), device=ids.device)
    pattern = replace(block.pattern, col=number[block.pattern.col.long()].to(block.pattern.col.dtype))
    degree = None if block.full_degree is None else block.full_degree[order]
    return replace(block, pattern=pattern, full_degree=degree), ids[order]
