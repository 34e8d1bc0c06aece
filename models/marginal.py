"""Denoising by linear maps that are solved for, with the noise marginalised out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gssl.graph.block import Block
from gssl.graph.gathered import GatheredRows
from gssl.graph.sparse import BatchFeatures, dense_features
from gssl.models.ops import gcn_aggregate, matmul


def denoising_map(spread: Tensor, clean: Tensor, *, corruption: float, ridge: float) -> Tensor:
    """The linear map that gives features back best from corrupted ones that were spread over a graph.

    It minimises the expectation of ``|clean - S(corrupted) map|²`` over corruptions, which set each column to zero
    with a probability, and never the last one, of ones; ``S`` spreads. The expectation has a closed form, as in
    marginalised denoising autoencoders (Chen et al., 2012, arXiv:1206.4683).

    Args:
        spread: ``S([clean, 1])``, shape (n, dim + 1), float.
        clean: shape (n, dim), float.
        corruption: probability of a column to be zero, in [0, 1).
        ridge: penalty of the squares of the map but for its last row, as a multiple of the mean diagonal of the
            matrix that is inverted; above zero.

    Returns:
        Shape (dim + 1, dim); the last row is the intercept.
    """
    keep = torch.full((spread.shape[1],), 1 - corruption, dtype=spread.dtype, device=spread.device)
    keep[-1] = 1
    gram = spread.T @ spread
    # Two different columns are both there with probability keep², a column with itself with probability keep.
    expected = gram * keep.outer(keep)
    expected.diagonal().copy_(gram.diagonal() * keep)
    penalty = torch.full_like(keep, ridge * float(expected.diagonal().mean()))
    penalty[-1] = 0
    expected.diagonal().add_(penalty)
    return torch.cholesky_solve(keep.unsqueeze(1) * (spread.T @ clean), torch.linalg.cholesky(expected))


class MarginalisedLayer(nn.Module):
    """``D^-1/2 (A + I) D^-1/2 (X W + b)``, whose parameters are solved for and not trained.

    Args:
        dim: of what goes in and of what comes out.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, block: Block, x: BatchFeatures) -> Tensor:
        """From rows of the sources, (num_src, dim), to those of the destinations, (num_dst, dim)."""
        rows = dense_features(x) if isinstance(x, GatheredRows) else x
        return gcn_aggregate(block, matmul(rows, self.weight) + self.bias)

    @torch.no_grad()
    def fit(self, block: Block, x: Tensor, *, corruption: float, ridge: float) -> Tensor:
        """Solve for the parameters (:func:`denoising_map`).

        Args:
            block: of a whole graph.
            x: shape (num_nodes, dim), float64, so that the inverse is exact enough.
            corruption: as in :func:`denoising_map`.
            ridge: likewise.

        Returns:
            What the layer gives, shape (num_nodes, dim), float64.
        """
        spread = gcn_aggregate(block, torch.cat([x, x.new_ones(len(x), 1)], dim=1))
        found = denoising_map(spread, x, corruption=corruption, ridge=ridge)
        self.weight.copy_(found[:-1])
        self.bias.copy_(found[-1])
        return spread @ found
