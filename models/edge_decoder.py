"""Decoders of masked autoencoders of edges: from the embeddings of two ends to the logit of an edge."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import MLP

from gssl.common.errors import InputError
from gssl.models.inner_products import inner_products


class InnerProduct(nn.Module):
    """Inner product of both ends (GAE, Kipf and Welling, 2016, arXiv:1611.07308); nothing is learned."""

    def forward(self, embedding: Tensor, pairs: Tensor) -> Tensor:
        """Logits, shape (n,), of pairs (2, n), int64, from embeddings (num_nodes, dim)."""
        return inner_products(embedding, pairs)


class HadamardMLP(nn.Module):
    """Perceptron on the elementwise product of both ends, the same in both directions (MaskGAE, arXiv:2205.10053).

    Args:
        dim: of the embeddings.
        hidden_dim: of the layers between.
        num_layers: linear layers; one is a weighted inner product with an intercept.
        dropout: dropout probability of what every layer but the last takes.
    """

    def __init__(self, dim: int, hidden_dim: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout if num_layers > 1 else 0.0
        between = [dropout] * max(num_layers - 2, 0) + [0.0] * min(num_layers, 2)
        self.mlp = MLP([dim, *[hidden_dim] * (num_layers - 1), 1], dropout=between, norm=None)

    def forward(self, embedding: Tensor, pairs: Tensor) -> Tensor:
        """Logits, shape (n,), of pairs (2, n), int64, from embeddings (num_nodes, dim)."""
        product = embedding.index_select(0, pairs[0]) * embedding.index_select(0, pairs[1])
        logits: Tensor = self.mlp(F.dropout(product, self.dropout, self.training))
        return logits.squeeze(1)


class CrossCorrelationMLP(nn.Module):
    """Perceptron on the products of every layer's output at the source with every layer's at the target.

    S2GAE's cross-correlation decoder (Tan et al., WSDM 2023, eq. 5): it may give the directions of an edge different
    logits.

    Args:
        dims: of the layers' outputs, which are all the same.
        hidden_dim: of the layers between.
        num_layers: linear layers.
        dropout: dropout probability of what every layer but the first takes.

    Raises:
        InputError: the outputs differ in their dimension.
    """

    def __init__(self, dims: Sequence[int], hidden_dim: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        if len(set(dims)) != 1:
            raise InputError(
                f"the cross-correlation of layers multiplies their outputs, so they must have one dimension, but have "
                f"{', '.join(map(str, dims))}; leave out encoder.out_dim"
            )
        self.dims = tuple(dims)
        self.mlp = MLP([len(dims) * sum(dims), *[hidden_dim] * (num_layers - 1), 1], dropout=dropout, norm=None)

    def forward(self, outputs: Tensor, pairs: Tensor) -> Tensor:
        """Logits, shape (n,), of pairs (2, n), int64, from all outputs side by side, shape (num_nodes, sum(dims))."""
        layers, dim = len(self.dims), self.dims[0]
        source, target = (outputs.index_select(0, end).view(-1, layers, dim) for end in pairs)
        products = source.unsqueeze(2) * target.unsqueeze(1)  # (n, layer of the source, layer of the target, dim)
        logits: Tensor = self.mlp(products.flatten(1))
        return logits.squeeze(1)
