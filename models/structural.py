"""Encoders of graphs that have no features: what a node is follows from where it stands."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.graph.spec import GraphSpec
from gssl.models.encoder import Encoder


class StructuralEncoder(nn.Module):
    """Positions, degrees and a mark of the root through an encoder to one unit row a graph (GCC, arXiv:2006.09963).

    The degree of a node is embedded. Features and the outputs of all layers are pooled, each has a linear map, and the
    sum of those is the row, as in the authors' code.

    Args:
        encoder: any that gives the outputs of its layers; another one like it, for structural features, is made.
        dim: columns of the row.
        positions: columns of the positions.
        degree_dim: columns of the embedding of a degree.
        max_degree: greater degrees count as this one.
        dropout: probability on the output of each linear map.

    Raises:
        InputError: it is not known how the encoder was made, or it does not give the outputs of its layers.
    """

    def __init__(
        self, encoder: Encoder, *, dim: int, positions: int, degree_dim: int, max_degree: int, dropout: float
    ) -> None:
        super().__init__()
        spec = GraphSpec(positions + degree_dim + 1, meaning="positions, degree and root")
        self.encoder = encoder.another(spec=spec)
        self.encoder.edge_attr = False  # there are none, and nothing is left out
        self.degree_embedding = nn.Embedding(max_degree + 1, degree_dim)
        widths = (spec.in_dim, *self.encoder.layer_dims)
        self.maps = nn.ModuleList(nn.Linear(width, dim) for width in widths)
        self.max_degree, self.dropout = max_degree, dropout

    def forward(self, batch: MiniBatch) -> Tensor:
        """Embed graphs.

        Args:
            batch: of whole graphs, whose ``x`` has the positions of the nodes, and in the last column 1 for roots.

        Returns:
            Shape (num_graphs, dim), float, rows of length 1.
        """
        x = dense_features(batch.x)
        degree = batch.blocks[0].pattern.counts.long().clamp(max=self.max_degree)
        features = torch.cat([x[:, :-1], self.degree_embedding(degree), x[:, -1:]], dim=1)
        outputs = (features, *self.encoder.outputs(batch.with_x(features)))
        total: Tensor = torch.stack(
            [
                F.dropout(linear(self.encoder.pool(nodes, batch)), self.dropout, self.training)
                for linear, nodes in zip(self.maps, outputs, strict=True)
            ]
        ).sum(0)
        return F.normalize(total, dim=1)
