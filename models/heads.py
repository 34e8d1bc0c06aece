"""Projection and prediction heads on top of an encoder."""

from __future__ import annotations

from typing import Literal

from torch import nn

from gssl.models.layers import Activation, BatchNorm, make_activation


def mlp_head(
    in_dim: int,
    hidden_dim: int,
    out_dim: int,
    *,
    activation: Activation = "relu",
    norm: Literal["none", "batch", "layer"] = "none",
    glorot: bool = False,
) -> nn.Sequential:
    """Linear, norm, activation, linear: the two-layer head of contrastive and bootstrapped methods.

    Args:
        in_dim: of the embeddings.
        hidden_dim: width of the hidden layer.
        out_dim: of what comes out.
        activation: in between.
        norm: before the activation, row by row or over the rows of a batch.
        glorot: whether the weights are drawn uniformly as Glorot and Bengio do and the biases are zero; else PyTorch's
            own initialisation stands.

    Returns:
        A module from shape (n, in_dim) to shape (n, out_dim).
    """
    norms: list[nn.Module] = []
    if norm == "batch":
        norms.append(BatchNorm(hidden_dim))
    elif norm == "layer":
        norms.append(nn.LayerNorm(hidden_dim))
    head = nn.Sequential(
        nn.Linear(in_dim, hidden_dim), *norms, make_activation(activation), nn.Linear(hidden_dim, out_dim)
    )
    if glorot:
        for module in head:
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
    return head
