"""The diffusion of a batch's own edges as a view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Generator, Tensor

from gssl.augment.base import Augmenter
from gssl.augment.diffuse import Kernel, as_is
from gssl.common.errors import InputError
from gssl.common.options import Positive, PositiveInt
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.diffusion import exact_heat, exact_ppr, heat, ppr
from gssl.graph.sparse import Pattern

Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class DiffuseBatch(Augmenter):
    """Edges weighted by a diffusion in place of those of the batch (MVGRL, arXiv:2006.05582; GDC, arXiv:1911.05485).

    It is that of the edges that the batch has: of the whole graph in a batch of everything, of a subgraph by itself in
    a sampled one. (:class:`~gssl.augment.diffuse.Diffuse` is made for one graph and has its entries in every batch.)
    The matrix is kept with the block that it was made of, so that a batch that comes again is not diffused anew.
    Attributes of edges are left out: the new edges have none.

    Attributes:
        kernel: personalised PageRank or the heat kernel, of ``D^-1/2 (A + I) D^-1/2``.
        alpha: probability of a return, for PageRank.
        t: time of diffusion, for the heat kernel.
        eps: tolerance of the entries, see :mod:`gssl.graph.diffusion`.
        top_k: greatest entries of each row that are kept; None for all that were reached.
        exact: whether the matrix is the exact one, for small graphs; ``eps`` is not used then.
        normalized: whether layers that normalise edges themselves, as GCN does, shall multiply with the diffusion and
            with nothing else; false gives the entries as weights of edges, for other layers.
    """

    kernel: Kernel = "ppr"
    alpha: Share = 0.2
    t: Positive = 5.0
    eps: Share = 1e-4
    top_k: PositiveInt | None = 64
    exact: bool = False
    normalized: bool = True

    def __call__(self, batch: MiniBatch, rng: Generator) -> MiniBatch:
        if not batch.is_square:
            raise InputError(
                "DiffuseBatch needs all edges among the nodes of a batch, but the batch was sampled layer by layer; "
                "use --sampler clustergcn, graphsaint or uniform+induced, or full"
            )
        return batch.map_blocks(self._diffused)

    def _diffused(self, block: Block) -> Block:
        if block.learned:
            raise InputError("DiffuseBatch cannot diffuse edges whose weights are learned; put it before such a view")
        kept: dict[DiffuseBatch, Block] = block.__dict__.setdefault("_diffused", {})
        if self not in kept:
            pattern, value = self._matrix(block)
            kept[self] = as_is(pattern, value) if self.normalized else Block(pattern, value)
        return kept[self]

    def _matrix(self, block: Block) -> tuple[Pattern, Tensor]:
        if self.kernel == "ppr":
            if self.exact:
                return exact_ppr(block, alpha=self.alpha, top_k=self.top_k)
            return ppr(block, alpha=self.alpha, eps=self.eps, top_k=self.top_k)
        if self.exact:
            return exact_heat(block, t=self.t, top_k=self.top_k)
        return heat(block, t=self.t, eps=self.eps, top_k=self.top_k)
