"""Messages into one layer: the edges that it aggregates along, and what belongs to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.kept import Kept, kept_of, true_places
from gssl.graph.sparse import Pattern


@dataclass(frozen=True, eq=False)
class Block:
    """Messages into one layer: row i of the pattern lists the sources that destination i aggregates.

    Destination i is also source i, so a layer finds its own input in the first ``num_dst`` source rows.

    Attributes:
        pattern: CSR positions, rows are destinations, columns are sources.
        weight: weight of each edge, shape (num_edges,), float; None means 1 each. It may require a gradient, which
            then flows through values and degrees.
        edge_attr: attributes of each edge, shape (num_edges, edge_dim), float or int64; None if there are none.
        full_degree: weighted in-degree of each source in the graph that the block was cut from, shape (num_src,),
            float; None if the block is the whole graph or stands for itself (an induced subgraph).
        sample_weight: for a control variate, Horvitz-Thompson factor of each edge that was drawn and 0 for the
            others, shape (num_edges,), float; None where the edges are there to be summed.
        num_drawn: how many edges were drawn, where that is known without asking a device.
    """

    pattern: Pattern
    weight: Tensor | None = None
    edge_attr: Tensor | None = None
    full_degree: Tensor | None = None
    sample_weight: Tensor | None = None
    num_drawn: int | None = None

    @property
    def num_dst(self) -> int:
        return self.pattern.num_rows

    @property
    def num_src(self) -> int:
        return self.pattern.num_cols

    @property
    def num_edges(self) -> int:
        return self.pattern.nnz

    @property
    def edge_index(self) -> Tensor:
        """Edges as PyG writes them: row 0 sources, row 1 destinations, shape (2, num_edges), int64."""
        return torch.stack([self.pattern.col.long(), self.pattern.row.long()])

    @property
    def learned(self) -> bool:
        """Whether weights or degrees take part in a gradient. Nothing that is made of them is kept then: it would
        belong to one backward pass, or, made without gradients, to none.
        """
        return any(values is not None and values.requires_grad for values in (self.weight, self.full_degree))

    @property
    def degree(self) -> Tensor:
        """Weighted in-degree of each destination within the block, shape (num_dst,), float."""
        return self._made_degree() if self.learned else self._degree

    @property
    def gcn_scale(self) -> Tensor:
        """D^-1/2 of each source with the self-loop counted, shape (num_src,), float.

        Raises:
            InputError: a bipartite block without ``full_degree``.
        """
        return self._made_scale() if self.learned else self._scale

    @cached_property
    def drawn(self) -> Kept:
        """The edges that were drawn, for a control variate.

        Raises:
            InputError: the block does not say which they are.
        """
        if self.sample_weight is None:
            raise InputError("a control variate needs blocks that say which of their edges were drawn")
        mask = self.pattern.mask(self.sample_weight > 0)
        if self.num_drawn is None or mask.ends or mask.turned_ends:
            return kept_of([mask])[0]
        return Kept(mask.keep, true_places(mask.keep, self.num_drawn))

    @cached_property
    def _degree(self) -> Tensor:
        return self._made_degree()

    @cached_property
    def _scale(self) -> Tensor:
        return self._made_scale()

    def _made_degree(self) -> Tensor:
        if self.weight is None:  # without ``pattern.counts``, which would be kept, too
            return self.pattern.rowptr.diff().to(torch.get_default_dtype())
        return self.weight.new_zeros(self.num_dst).index_add(0, self.pattern.row, self.weight)

    def _made_scale(self) -> Tensor:
        degree = self.degree if self.full_degree is None else self.full_degree
        if degree.numel() != self.num_src:
            raise InputError("a bipartite block needs full_degree to be normalised symmetrically")
        return (degree + 1).clamp(min=1e-12).rsqrt()

    def filter(self, keep: Tensor) -> Block:
        """Keep the edges where ``keep`` (num_edges,) bool is set, with their weights and attributes."""
        return self.left_by(*kept_of([self.pattern.mask(keep)]))

    def left_by(self, kept: Kept) -> Block:
        """The block of the edges that stay, with their weights and attributes."""
        return self._with_edges(self.pattern.left_by(kept), lambda values: values.index_select(0, kept.places))

    def head(self, num_dst: int) -> Block:
        """The messages into the first destinations, without a copy."""
        pattern = self.pattern.head(num_dst)
        return self._with_edges(pattern, lambda values: values[: pattern.nnz])

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Block:
        if self.pattern.col.device == device:
            return self
        return self.map(lambda values: values.to(device, non_blocking=non_blocking))

    def map(self, change: Callable[[Tensor], Tensor]) -> Block:
        """The block with each tensor replaced by an equal one."""
        changed = replace(self._with_edges(self.pattern.map(change), change), num_drawn=self.num_drawn)
        return changed if self.full_degree is None else replace(changed, full_degree=change(self.full_degree))

    def _with_edges(self, pattern: Pattern, select: Callable[[Tensor], Tensor]) -> Block:
        """Another pattern over the same sources; ``select`` gives what belongs to its edges."""
        edges = (self.weight, self.edge_attr, self.sample_weight)
        weight, edge_attr, sample_weight = (None if values is None else select(values) for values in edges)
        return Block(pattern, weight, edge_attr, self.full_degree, sample_weight)
