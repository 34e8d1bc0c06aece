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
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.stored import StoredPropagation
from gssl.samplers.rng import Slot, hash64, uniform
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
        fresh = draw.ids
        for layer in reversed(range(1, self.num_layers)):
            block, ids = self.incoming(fresh, turned=False)  # it is renumbered yet
            factor = drawn_edges(block.pattern, fresh, self.fanout, draw.key.stream(Slot.PROPAGATION + layer))
            block, ids = _drawn_first(replace(block, sample_weight=factor), ids)
            blocks.append(block)
            sources.append(ids)
            fresh = ids[: _num_fresh(block)]
        if self.first is None:
            block, ids = self.incoming(fresh)
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


def drawn_edges(pattern: Pattern, rows: Tensor, fanout: int, stream: int) -> Tensor:
    """Horvitz-Thompson factor of each edge when ``fanout`` of every row are drawn without replacement.

    Args:
        pattern: its rows are the nodes ``rows``.
        rows: global ids, shape (num_rows,), int64.
        fanout: edges to draw in each row, all where there are fewer.
        stream: of the random numbers.

    Returns:
        Shape (nnz,), float32: degree / drawn for drawn edges, 0 for the others.
    """
    counts = pattern.counts.long()
    row = pattern.row.long()
    first = pattern.rowptr[:-1].long()[row]
    position = torch.arange(pattern.nnz, device=row.device) - first
    luck = uniform(hash64(stream, rows)[row], position)
    order = torch.argsort(luck + row)  # rows stay together: luck is below 1
    drawn = torch.zeros(pattern.nnz, dtype=torch.bool, device=row.device)
    drawn[order] = position < fanout
    return torch.where(drawn, (counts / counts.clamp(max=fanout).clamp(min=1))[row], 0.0).float()


def _num_fresh(block: Block) -> int:
    """Leading sources that are destinations or drawn."""
    assert block.sample_weight is not None
    drawn = torch.where(block.sample_weight > 0, block.pattern.col, -1)
    return max(block.num_dst, int(drawn.max()) + 1 if len(drawn) else 0)


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
