"""Spectral filters of the features: polynomials of the Laplacian, low-pass and high-pass by construction."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn

from gssl.augment.learned import LearnedAugmenter
from gssl.common.errors import InputError
from gssl.common.options import PositiveInt
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import dense_features
from gssl.models.ops import aggregate

Pass = Literal["low", "high"]


def chebyshev_nodes(order: int) -> Tensor:
    """The ``order + 1`` zeros of a Chebyshev polynomial, in (-1, 1), ascending, float64."""
    number = torch.arange(order, -1, -1, dtype=torch.float64)
    return ((number + 0.5) * (math.pi / (order + 1))).cos()


def chebyshev_coefficients(values: Tensor) -> Tensor:
    """Coefficients of the polynomial that has certain values at the Chebyshev nodes (ChebNetII, arXiv:2202.03580).

    Args:
        values: at :func:`chebyshev_nodes`, shape (..., order + 1), float.

    Returns:
        Shape (..., order + 1): ``sum_k c_k T_k`` is the polynomial.
    """
    return values @ _chebyshev_basis(values.shape[-1] - 1, values.dtype, values.device)


@lru_cache(maxsize=8)
def _chebyshev_basis(order: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What values at the nodes are multiplied by, shape (order + 1, order + 1); it crosses to a device once."""
    angle = chebyshev_nodes(order).acos()
    basis = (torch.arange(order + 1)[:, None] * angle).cos() * (2 / (order + 1))  # T_k at node j
    basis[0] /= 2
    return basis.T.to(device, dtype)


def chebyshev_terms(block: Block, x: Tensor, order: int) -> Tensor:
    """``T_k(L - I) x`` for k from 0 to ``order``, with ``L = I - D^-1/2 A D^-1/2`` of the graph without self-loops.

    Args:
        block: edges of a graph, square.
        x: shape (n, dim), float.
        order: at least 1.

    Returns:
        Shape (order + 1, n, dim).
    """
    if block.pattern.has_loops:
        block = block.filter(block.pattern.row != block.pattern.col)
    degree = block.degree
    scale = torch.where(degree > 0, degree, 1).rsqrt().to(x.dtype)

    def shifted(rows: Tensor, factor: float) -> Tensor:
        return aggregate(block.pattern, block.weight, rows, dst_scale=-factor * scale, src_scale=scale)

    terms = [x, shifted(x, 1.0)]
    while len(terms) <= order:
        terms.append(shifted(terms[-1], 2.0) - terms[-2])
    return torch.stack(terms[: order + 1])


class SpectralFilter(LearnedAugmenter):
    """Features filtered by a learned polynomial of the Laplacian (PolyGCL, Chen et al., 2024, openreview:y21ZO6M86t).

    What is learned are the steps between the values of the polynomial at the Chebyshev nodes of the spectrum [0, 2],
    none of which is negative: a low-pass filter begins at 2 and falls, a high-pass filter begins at 0 and rises. In a
    batch that is a subgraph, the filter is one of the subgraph.

    Attributes:
        kind: ``low`` or ``high``.
        order: degree of the polynomial, and hops that it reaches.
    """

    def __init__(self, *, kind: Pass = "low", order: PositiveInt = 10) -> None:
        super().__init__()
        self.kind, self.order = kind, order
        self.steps = nn.Parameter(torch.full((order,), 2 / order))

    def values(self) -> Tensor:
        """Of the filter at the Chebyshev nodes, from low frequencies to high ones, shape (order + 1,)."""
        risen = torch.nn.functional.pad(self.steps.relu().cumsum(0), (1, 0))
        return 2 - risen if self.kind == "low" else risen

    def mix(self, terms: Tensor) -> Tensor:
        """The filtered features, shape (n, dim), from :func:`chebyshev_terms`, shape (order + 1, n, dim)."""
        mixed: Tensor = torch.tensordot(chebyshev_coefficients(self.values()).to(terms), terms, dims=1)
        return mixed

    def forward(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        return batch.with_x(self.mix(terms_of(batch, dense_features(batch.x), self.order)))


def terms_of(batch: MiniBatch, x: Tensor, order: int) -> Tensor:
    """:func:`chebyshev_terms` of a batch whose features are ``x``.

    Raises:
        InputError: the batch was sampled layer by layer, so that it is no graph.
    """
    if not batch.is_square:
        raise InputError(
            "a spectral filter needs a graph, but the batch was sampled layer by layer; use --sampler clustergcn, "
            "graphsaint or uniform+induced, or full"
        )
    return chebyshev_terms(batch.blocks[0], x, order)
