"""A graph convolution along every meta-path, and their common embedding."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import NonNegative, PositiveInt, Probability
from gssl.graph.batch import MiniBatch
from gssl.graph.hetero import HeteroSpec
from gssl.graph.sparse import Features, Pattern
from gssl.models.layers import Activation, dropout_features, make_activation
from gssl.models.ops import aggregate
from gssl.models.typed import FeatureMap, SemanticAttention, TypedEncoder, full_features

Join = Literal["semantic", "node", "mean"]


class MetaPathGCN(TypedEncoder):
    """A GCN layer along each meta-path, joined by attention or a mean: HeCo's second view, and the encoder of DMGI.

    ``D^-1/2 (A + s I) D^-1/2 X W + b`` for the adjacency matrix A of each meta-path (Kipf and Welling, 2017,
    arXiv:1609.02907, with s for 1). Only the nodes of the target type are read.

    Args:
        in_dim: features of the target type.
        types: of the graph.
        hidden_dim: of the embedding.
        project: whether features are first mapped to ``hidden_dim`` dimensions, with an ELU, as in HeCo.
        dropout: dropout probability of the mapped features.
        in_dropout: dropout probability of the input of each meta-path's layer.
        activation: after each layer; every meta-path has its own.
        self_weight: s, how much a node counts itself.
        join: how the embeddings of the meta-paths become one: ``semantic`` weighs each by one number (HeCo, HAN),
            ``node`` by a number for each node (DMGI), ``mean`` takes their mean.
        attention_dropout: dropout probability of the query of semantic attention.
        paths: names of the meta-paths that are read; None for all.
    """

    num_layers = 1

    def __init__(
        self,
        in_dim: int,
        types: HeteroSpec,
        *,
        hidden_dim: PositiveInt = 64,
        project: bool = True,
        dropout: Probability = 0.0,
        in_dropout: Probability = 0.0,
        activation: Activation = "prelu",
        self_weight: NonNegative = 1.0,
        join: Join = "semantic",
        attention_dropout: Probability = 0.0,
        paths: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(in_dim, types)
        self.names = checked_paths(paths, types)
        self.out_dim, self.dropout, self.in_dropout, self.self_weight = hidden_dim, dropout, in_dropout, self_weight
        self.project = FeatureMap(in_dim, hidden_dim) if project else None
        width = hidden_dim if project else in_dim
        self.layers = nn.ModuleList(FeatureMap(width, hidden_dim) for _ in self.names)
        self.activations = nn.ModuleList(make_activation(activation) for _ in self.names)
        self.join_kind = join
        self.semantic = SemanticAttention(hidden_dim, dropout=attention_dropout) if join == "semantic" else None
        self.scores = nn.ModuleList(nn.Linear(hidden_dim, 1) for _ in self.names if join == "node")

    def read(self, types: HeteroSpec) -> HeteroSpec:
        return of_meta_paths(types)

    def inputs(self, batch: MiniBatch) -> Features:
        """What the layers read: the features of the targets, mapped unless ``project=false``."""
        x = full_features(batch)
        return x if self.project is None else F.elu(F.dropout(self.project(x), self.dropout, self.training))

    def along(self, inputs: Features, batch: MiniBatch) -> Tensor:
        """The embedding by each meta-path, shape (num_paths, num_targets, out_dim), from :meth:`inputs`."""
        by_name = {path.name: path for path in self.parts(batch).meta_paths}
        outputs = []
        for name, layer, activation in zip(self.names, self.layers, self.activations, strict=True):
            assert isinstance(layer, FeatureMap)
            hidden = layer.transformed(dropout_features(inputs, self.in_dropout, self.training))
            outputs.append(activation(path_aggregate(by_name[name].pattern, hidden, self.self_weight) + layer.bias))
        return torch.stack(outputs)

    def join(self, embeddings: Tensor) -> Tensor:
        """One embedding, shape (num_targets, out_dim), of one for each meta-path, (num_paths, num_targets, out_dim)."""
        if self.join_kind == "mean":
            return embeddings.mean(0)
        if self.semantic is not None:
            joined: Tensor = self.semantic(embeddings)
            return joined
        scores = torch.cat([score(one) for score, one in zip(self.scores, embeddings, strict=True)], dim=1)
        return torch.einsum("nk,knd->nd", scores.softmax(1), embeddings)

    def forward(self, batch: MiniBatch) -> Tensor:
        return self.join(self.along(self.inputs(batch), batch))


def path_aggregate(pattern: Pattern, x: Tensor, self_weight: float) -> Tensor:
    """``D^-1/2 (A + s I) D^-1/2 x`` of a pattern A without a diagonal, shape (n, dim); D counts s, too."""
    scale = (pattern.counts + self_weight).to(x.dtype).clamp(min=1e-12).rsqrt()
    out = aggregate(pattern, None, x, dst_scale=scale, src_scale=scale)
    return out + (self_weight * scale.square()).unsqueeze(1) * x


def of_meta_paths(types: HeteroSpec) -> HeteroSpec:
    """The types without those that are no ends of meta-paths, and without relations."""
    return HeteroSpec(types.target, types.types[:1], (), types.meta_paths)


def checked_paths(paths: tuple[str, ...] | None, types: HeteroSpec) -> tuple[str, ...]:
    """The meta-paths that an encoder reads.

    Raises:
        InputError: the data have none, or not these.
    """
    known = types.meta_paths
    chosen = known if paths is None else paths
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(known):
        raise InputError(
            f"encoder.paths is {list(chosen)}: choose one or more of the meta-paths {', '.join(known) or 'none'}, "
            "each once"
        )
    return chosen
