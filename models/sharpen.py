"""Laplacian sharpening, the counterpart of what a GCN does, and a decoder of such layers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.graph.block import Block
from gssl.graph.sparse import Features
from gssl.models.layers import Layer
from gssl.models.ops import aggregate, aggregates_first, matmul


def sharpen(block: Block, x: Tensor) -> Tensor:
    """``(D + 2I)^-1/2 (2I - A) (D + 2I)^-1/2 x`` (GALA, Park et al., 2019, arXiv:1908.02441).

    A GCN moves each node towards its neighbors, this moves it away. The degrees are those of the signed graph, which
    keeps all eigenvalues within [-1, 1]: with the degrees of the graph itself they would have no bound.

    Args:
        block: of the messages.
        x: shape (num_src, dim), float.

    Returns:
        Shape (num_dst, dim).

    Raises:
        InputError: a bipartite block without ``full_degree``.
    """
    degree = block.degree if block.full_degree is None else block.full_degree
    if degree.numel() != block.num_src:
        raise InputError("a bipartite block needs full_degree to be normalised symmetrically")
    scale = (degree + 2).rsqrt()
    own = scale[: block.num_dst]
    spread = aggregate(block.pattern, block.weight, x, dst_scale=own, src_scale=scale)
    return (2 * own.square()).to(x.dtype).unsqueeze(1) * x[: block.num_dst] - spread


class SharpeningLayer(Layer):
    """:func:`sharpen` of ``X W``, plus ``b``, with Glorot weights; the cheaper product is taken first."""

    takes_edge_weight = True

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(in_dim, out_dim)))
        self.bias = nn.Parameter(torch.zeros(out_dim))

    def forward(self, block: Block, x: Features) -> Tensor:
        if isinstance(x, Tensor) and aggregates_first(block, x, self.weight.shape[1]):
            return torch.addmm(self.bias, sharpen(block, x), self.weight)
        return sharpen(block, matmul(x, self.weight)) + self.bias


class SharpeningDecoder(nn.Module):
    """Sharpening layers with ReLU between them.

    Args:
        dims: of the codes, of the layers between, and of what comes out.
        rectified: whether a ReLU follows the last layer, too.
    """

    def __init__(self, dims: Sequence[int], *, rectified: bool = True) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SharpeningLayer(a, b) for a, b in itertools.pairwise(dims))
        self.rectified = rectified

    def forward(self, blocks: Sequence[Block], codes: Tensor) -> Tensor:
        """From codes of the sources of the first block to rows of the destinations of the last one.

        Args:
            blocks: one for each layer.
            codes: shape (num_src of the first block, dims[0]), float.

        Returns:
            Shape (num_dst of the last block, dims[-1]), float.
        """
        x = codes
        for index, (layer, block) in enumerate(zip(self.layers, blocks, strict=True)):
            x = layer(block, x)
            if self.rectified or index < len(self.layers) - 1:
                x = x.relu()
        return x
