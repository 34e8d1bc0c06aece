"""What the first layer aggregates, computed once where features do not change from batch to batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.block import Block
from gssl.graph.sparse import Features, Pattern, SparseMatrix


@dataclass(frozen=True, eq=False)
class FirstAggregates:
    """``A X`` of all nodes (VR-GCN, Chen et al., 2018, arXiv:1710.10568, sec. 4.1, "preprocessing").

    A first layer that reads it needs no neighbors and has no sampling error. One matrix for each linear aggregation,
    made when an encoder first asks for it.

    Attributes:
        block: all edges.
        x: features of all nodes, shape (num_nodes, in_dim), float.

    Raises:
        InputError: the features are sparse; their aggregate would not be.
    """

    block: Block
    x: Features
    _made: dict[tuple[str, torch.device], Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.x, SparseMatrix):
            raise InputError("sparse features cannot be aggregated once and for all; set sampler.precompute=false")

    def rows(self, kind: str, ids: Tensor, make: Callable[[Block, Tensor], Tensor]) -> Tensor:
        """Rows of the aggregate, shape (n, in_dim), on the device of ``ids``.

        Args:
            kind: name of the aggregation.
            ids: global node ids, shape (n,), int64.
            make: computes it from all edges and all features.
        """
        key = kind, ids.device
        if key not in self._made:
            assert not isinstance(self.x, SparseMatrix)  # refused before
            with torch.no_grad():
                self._made[key] = make(self.block, self.x).to(ids.device)
        return self._made[key].index_select(0, ids)


def without_edges(num_nodes: int, like: Pattern) -> Block:
    """The first block of a batch that reads :class:`FirstAggregates`: its destinations hear from nobody."""
    rowptr = like.rowptr.new_zeros(num_nodes + 1)
    pattern = Pattern(rowptr, like.col.new_empty(0), num_nodes)
    pattern.__dict__["transposed"] = (pattern, torch.empty(0, dtype=torch.int64, device=like.col.device))
    return Block(pattern)
