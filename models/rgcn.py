"""Relational graph convolutional network."""

from __future__ import annotations

import warnings

import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import HeteroConv, SAGEConv

from gssl.common.errors import InputError
from gssl.common.options import PositiveInt, Probability
from gssl.graph.batch import MiniBatch
from gssl.graph.hetero import HeteroSpec
from gssl.models.typed import FeatureMap, TypedEncoder, edges_of, full_features

EdgeType = tuple[str, str, str]


class RGCN(TypedEncoder):
    """Each relation has its own weights (Schlichtkrull et al., 2018, arXiv:1703.06103), by PyG's HeteroConv.

    ``h_i' = W_type h_i + b + sum over relations of W_r mean of h_j``, with a ReLU, in every layer but the last.
    Features of every type are mapped to ``hidden_dim`` dimensions first. Only what reaches the target type is computed.

    Args:
        in_dim: features of the target type.
        types: of the graph.
        hidden_dim: of every layer.
        num_layers: message-passing layers.
        dropout: dropout probability on the input of every layer.
    """

    def __init__(
        self,
        in_dim: int,
        types: HeteroSpec,
        *,
        hidden_dim: PositiveInt = 64,
        num_layers: PositiveInt = 2,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__(in_dim, types)
        self.num_layers, self.out_dim, self.dropout = num_layers, hidden_dim, dropout
        # Types and relations go by numbers, since modules cannot have every name.
        number = {name: str(place) for place, (name, _) in enumerate(types.types)}
        self.edge_types = [(number[a], str(place), number[b]) for place, (a, _, b) in enumerate(types.relations)]
        self.chosen = _reaching(self.edge_types, number[types.target], num_layers, types.target)
        needed = [{number[types.target]}]
        for edge_types in reversed(self.chosen):
            needed.insert(0, needed[0] | {source for source, _, _ in edge_types})
        self.maps = nn.ModuleDict(
            {number[name]: FeatureMap(width, hidden_dim) for name, width in types.types if number[name] in needed[0]}
        )
        self.relations = nn.ModuleList(_relations(edge_types, hidden_dim) for edge_types in self.chosen)
        self.selves = nn.ModuleList(
            nn.ModuleDict({key: nn.Linear(hidden_dim, hidden_dim) for key in sorted(after)}) for after in needed[1:]
        )

    def forward(self, batch: MiniBatch) -> Tensor:
        parts = self.parts(batch)
        by_name = {parts.target: full_features(batch), **{other.name: other.x for other in parts.others}}
        features = {str(place): by_name[name] for place, (name, _) in enumerate(self.types.types)}
        edges = {kind: edges_of(r.pattern) for kind, r in zip(self.edge_types, parts.relations, strict=True)}
        h = {key: F.relu(layer(features[key])) for key, layer in self.maps.items()}
        for number, (relations, selves) in enumerate(zip(self.relations, self.selves, strict=True)):
            h = {key: F.dropout(rows, self.dropout, self.training) for key, rows in h.items()}
            told = relations(h, {kind: edges[kind] for kind in self.chosen[number]})
            assert isinstance(selves, nn.ModuleDict)
            h = {key: own(h[key]) + told.get(key, 0.0) for key, own in selves.items()}
            if number < self.num_layers - 1:
                h = {key: F.relu(rows) for key, rows in h.items()}
        (out,) = h.values()  # the target is the only type that the last layer is asked for
        return out


def _relations(edge_types: list[EdgeType], dim: int) -> HeteroConv:
    convs = {kind: SAGEConv((dim, dim), dim, root_weight=False, bias=False) for kind in edge_types}
    with warnings.catch_warnings():  # types that are heard and do not hear are none that are needed later
        warnings.filterwarnings("ignore", message="There exist node types", category=UserWarning)
        return HeteroConv(convs)


def _reaching(edge_types: list[EdgeType], target: str, num_layers: int, name: str) -> list[list[EdgeType]]:
    """The relations of each layer whose messages reach the target type by the last one.

    Raises:
        InputError: none does.
    """
    reached, found = {target}, list[list[EdgeType]]()
    for _ in range(num_layers):
        layer = [kind for kind in edge_types if kind[2] in reached]
        reached = reached | {source for source, _, _ in layer}
        found.insert(0, layer)
    if not found[-1]:
        raise InputError(
            f"no relation leads to nodes of type {name!r}, so that RGCN would see their features alone: add the "
            "reverse relations (torch_geometric.transforms.ToUndirected)"
        )
    return found
