"""Projection and prediction heads on top of an encoder."""

from __future__ import annotations

from torch import nn

from gssl.models.layers import Activation, RowNorm, make_activation, make_row_norm


def mlp_head(
    in_dim: int,
    hidden_dim: int,
    out_dim: int,
    *,
    activation: Activation = "relu",
    norm: RowNorm = "none",
    glorot: bool = False,
    hidden_layers: int = 1,
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
        hidden_layers: how often linear map, norm and activation come before the last linear map; the expander of VICReg
            has two.

    Returns:
        A module from shape (n, in_dim) to shape (n, out_dim).
    """
    parts: list[nn.Module] = []
    for width in (in_dim, *[hidden_dim] * (hidden_layers - 1)):
        parts += [nn.Linear(width, hidden_dim), *make_row_norm(norm, hidden_dim), make_activation(activation)]
    head = nn.Sequential(*parts, nn.Linear(hidden_dim, out_dim))
    if glorot:
        for module in head:
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
    return head
