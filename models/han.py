"""Heterogeneous graph attention network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.nn import HANConv

from gssl.common.errors import InputError
from gssl.common.options import PositiveInt, Probability
from gssl.graph.batch import MiniBatch
from gssl.graph.hetero import HeteroSpec
from gssl.graph.sparse import dense_features
from gssl.models.metapath import checked_paths, of_meta_paths
from gssl.models.typed import TypedEncoder, edges_of


class HAN(TypedEncoder):
    """Attention along each meta-path, then over the meta-paths (Wang et al., 2019, arXiv:1903.07293), by PyG's HANConv.

    A node is its own neighbor on every meta-path. PyG holds the messages of one meta-path at a time, ``hidden_dim``
    numbers for each pair of nodes that it joins: about a gigabyte and as many seconds a step for the psp of HeCo/acm.

    Args:
        in_dim: features of the target type.
        types: of the graph.
        hidden_dim: of the embedding, all heads together.
        heads: attention heads along a meta-path; must divide ``hidden_dim``.
        dropout: dropout probability of the attention coefficients.
        paths: names of the meta-paths that are read; None for all.
    """

    num_layers = 1

    def __init__(
        self,
        in_dim: int,
        types: HeteroSpec,
        *,
        hidden_dim: PositiveInt = 64,
        heads: PositiveInt = 8,
        dropout: Probability = 0.0,
        paths: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(in_dim, types)
        if hidden_dim % heads:
            raise InputError(f"HAN with encoder.hidden_dim={hidden_dim} cannot be divided into {heads} heads")
        self.names, self.out_dim = checked_paths(paths, types), hidden_dim
        self.edge_types = [("target", f"path{number}", "target") for number in range(len(self.names))]
        self.layer = HANConv(in_dim, hidden_dim, (["target"], self.edge_types), heads=heads, dropout=dropout)

    def read(self, types: HeteroSpec) -> HeteroSpec:
        return of_meta_paths(types)

    def forward(self, batch: MiniBatch) -> Tensor:
        by_name = {path.name: path.pattern for path in self.parts(batch).meta_paths}
        own = torch.arange(batch.num_nodes, device=batch.device).expand(2, -1)
        edges = {
            edge_type: torch.cat([edges_of(by_name[name]), own], dim=1)
            for edge_type, name in zip(self.edge_types, self.names, strict=True)
        }
        out: Tensor = self.layer({"target": dense_features(batch.x)}, edges)["target"]
        return out
