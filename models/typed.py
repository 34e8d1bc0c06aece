"""Encoders that read the types of nodes and the relations between them."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.hetero import HeteroParts, HeteroSpec
from gssl.graph.sparse import Features, Pattern, SparseMatrix, dense_features
from gssl.graph.spec import GraphSpec
from gssl.models.encoder import Encoder
from gssl.models.ops import matmul

HETERO_DATA = (
    "data that have several are HeCo/acm, HeCo/dblp, HeCo/aminer, HeCo/freebase, and a HeteroData of your own of which "
    "--data target_type=TYPE says which type is embedded"
)


class TypedEncoder(Encoder):
    """Embeds the nodes of the target type by those of all types.

    A subclass takes ``in_dim`` and ``types`` first, and everything else by keyword with a default.

    Args:
        in_dim: features of the target type.
        types: of the graph.
    """

    needs_types: ClassVar[bool] = True

    def __init__(self, in_dim: int, types: HeteroSpec) -> None:
        super().__init__()
        self.in_dim, self.types = in_dim, types

    @classmethod
    def for_graph(cls, spec: GraphSpec, **options: Any) -> Self:
        if spec.hetero is None:
            raise InputError(
                f"the encoder {cls.__name__} reads types of nodes and their relations, but these data are one graph "
                f"with one type; use --encoder GCN, or data of several types: {HETERO_DATA}"
            )
        return super().for_graph(spec, **{**options, "types": spec.hetero})

    def read(self, types: HeteroSpec) -> HeteroSpec:
        """What an embedding depends on of the types of a graph; a trained encoder may go to graphs with the same."""
        return types

    def parts(self, batch: MiniBatch) -> HeteroParts:
        """What is around the nodes of a batch.

        Raises:
            InputError: the batch was sampled, or its edges were changed by a view, which relations do not follow.
        """
        if batch.hetero is None:
            raise InputError(
                f"the encoder {self.title} needs the relations of all nodes, but this batch was sampled, or a view "
                "changed its edges; train on the whole graph, with a method whose views change features alone"
            )
        return batch.hetero


class FeatureMap(nn.Module):
    """``X W + b`` of dense or sparse features, with Glorot's normal weights.

    Args:
        in_dim: columns of the features.
        out_dim: columns of what comes out.
        gain: of the weights; the default is that of rectifiers, which HeCo's code uses throughout.
    """

    def __init__(self, in_dim: int, out_dim: int, *, gain: float = 2**0.5) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(in_dim, out_dim), gain=gain))
        self.bias = nn.Parameter(torch.zeros(out_dim))

    def transformed(self, x: Features) -> Tensor:
        """``X W``, shape (n, out_dim), of features of shape (n, in_dim)."""
        return matmul(x, self.weight)

    def forward(self, x: Features) -> Tensor:
        """From shape (n, in_dim) to shape (n, out_dim)."""
        return self.transformed(x) + self.bias


class SemanticAttention(nn.Module):
    """One weight for each of several embeddings of the same nodes (HAN, Wang et al., 2019, arXiv:1903.07293, eq. 7).

    Args:
        dim: of the embeddings.
        dropout: dropout probability of the query.
    """

    def __init__(self, dim: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.map = FeatureMap(dim, dim)
        self.query = nn.Parameter(nn.init.xavier_normal_(torch.empty(1, dim), gain=2**0.5)[0])
        self.dropout = dropout

    def forward(self, embeddings: Tensor) -> Tensor:
        """From shape (k, n, dim) to shape (n, dim)."""
        query = nn.functional.dropout(self.query, self.dropout, self.training)
        scores = torch.tanh(self.map(embeddings)).mean(1) @ query
        return torch.einsum("k,knd->nd", scores.softmax(0), embeddings)


def full_features(batch: MiniBatch) -> Features:
    """The features of a batch that holds all nodes: dense or sparse."""
    return batch.x if isinstance(batch.x, SparseMatrix) else dense_features(batch.x)


def edges_of(pattern: Pattern) -> Tensor:
    """Edges as PyG writes them: row 0 sources (columns), row 1 destinations (rows), shape (2, nnz), int64."""
    return torch.stack([pattern.col.long(), pattern.row.long()])
