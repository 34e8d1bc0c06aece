"""Transformers over the patches of graphs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError


class PatchAttention(nn.Module):
    """Self-attention among the patches of a graph, whose coefficients may be multiplied by weights.

    That is ``(W * softmax(Q K^T / sqrt(d))) V`` for each head (He et al., 2023, arXiv:2212.13350), which torch's
    attention does not offer. Weights of one give the usual attention.

    Args:
        dim: of the rows.
        heads: of which each has ``dim / heads`` columns.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise InputError(f"{heads} heads cannot share {dim} columns; choose heads that divide encoder.hidden_dim")
        self.heads = heads
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        for part in self.query_key_value.weight.detach().split(dim):
            nn.init.xavier_uniform_(part, gain=2**-0.5)
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, there: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mix the patches of each graph.

        Args:
            x: shape (num_graphs, patches, dim), float.
            there: which patches there are, shape (num_graphs, patches), bool; others are not listened to.
            weight: of each pair, shape (num_graphs, patches, patches), float; None means ones.

        Returns:
            Shape (num_graphs, patches, dim).
        """
        graphs, patches, dim = x.shape
        parts = self.query_key_value(x).view(graphs, patches, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(2, 3) * (dim // self.heads) ** -0.5
        # Not minus infinity, with which a graph without patches would have no coefficients at all.
        scores = scores.masked_fill(~there[:, None, None], torch.finfo(scores.dtype).min)
        shares = scores.softmax(3)
        if weight is not None:
            shares = shares * weight.unsqueeze(1)
        mixed = (shares @ value).transpose(1, 2).reshape(graphs, patches, dim)
        out: Tensor = self.out(mixed)
        return out


class PatchLayer(nn.Module):
    """Attention and a perceptron of twice the width, each behind a layer norm and beside a shortcut.

    Args:
        dim: of the rows.
        heads: of the attention.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention = PatchAttention(dim, heads)
        self.first_norm, self.second_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.wide, self.narrow = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor, there: Tensor, weight: Tensor | None = None) -> Tensor:
        """Arguments and result as of :class:`PatchAttention`."""
        x = x + self.attention(self.first_norm(x), there, weight)
        out: Tensor = x + self.narrow(F.relu(self.wide(self.second_norm(x))))
        return out


class PatchTransformer(nn.Module):
    """Layers behind each other (Graph-ViT's, arXiv:2212.13350).

    Args:
        dim: of the rows.
        layers: how many.
        heads: of the attention of each.
    """

    def __init__(self, dim: int, layers: int, heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(PatchLayer(dim, heads) for _ in range(layers))

    def forward(self, x: Tensor, there: Tensor, weight: Tensor | None = None) -> Tensor:
        """Arguments and result as of :class:`PatchAttention`."""
        for layer in self.layers:
            x = layer(x, there, weight)
        return x
