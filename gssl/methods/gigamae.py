"""GiGaMAE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from sklearn.decomposition import PCA
from torch import Tensor, nn

from gssl.augment.mask_edge import MaskEdges
from gssl.augment.mask_node import mask_nodes
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Fraction, Positive, PositiveInt, Probability
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.kept import places_of
from gssl.graph.sparse import Features, dense_features
from gssl.graph.storage import Graph
from gssl.method import PredictiveMethod
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.models.node2vec import Node2Vec
from gssl.objectives.info_nce import info_nce
from gssl.samplers.base import Sampler

Finite = Annotated[float, Field(allow_inf_nan=False)]
ForTargets = tuple[Finite, Finite, Finite]
"""A weight for the embedding of the structure, for that of the features, and for both side by side."""


@dataclass(frozen=True, eq=False)
class MaskedTargets:
    """Which targets have lost what, disjoint rows, int64, and what is to be told of all of them.

    Attributes:
        edges: that are sources of a hidden edge.
        features: whose features are hidden.
        both: both.
        latent: rows of the targets in each of the latent spaces, shape (num_targets, dim), float.
    """

    edges: Tensor
    features: Tensor
    both: Tensor
    latent: tuple[Tensor, Tensor, Tensor]


class GiGaMAE(PredictiveMethod[MaskedTargets]):
    """Generalizable graph masked autoencoder (Shi et al., 2023, arXiv:2308.09663).

    Collaborative latent space reconstruction: features of nodes and directed edges are hidden. From the embedding of
    each node that has lost something, three heads reconstruct what other methods make of the whole graph: an embedding
    of its structure (node2vec), one of its features (whitened principal components), and both side by side, which is
    what the two have in common. Each is told by InfoNCE from those of the other nodes that have lost the same. Nodes
    that have lost edges, features or both are three groups, with weights of their own for the three targets.

    The targets are made when the method is prepared, from the seed of the run, and are part of its state. The authors'
    code (sycny/GiGaMAE) takes PyG's node2vec, of which this is the case p = q = 1. It takes as many components as have
    a given share of the singular values; here their number is an option, since heads are made before there are data. It
    hides each node's features with a probability, here that share of them is hidden. By an index that is multiplied
    with a mask, its first node counts as one that has lost edges in every step, which is not done here. It lowers the
    rate by a fifth every 200 epochs; and it takes the first weight for nodes that have lost both for the second, too.

    Args:
        encoder: sees what is left of the graph.
        mask_feature: share of the nodes whose features are hidden.
        mask_edge: probability of hiding each directed edge.
        temperature: of the cosine similarity.
        edge_weights: of the three targets (structure, features, both) for nodes that have lost edges.
        feature_weights: the same for nodes that have lost features.
        both_weights: the same for nodes that have lost both.
        structure_dim: columns of the embedding of the structure.
        walk_length: nodes of a random walk.
        context_size: nodes of a window of it.
        walks_per_node: in each of its epochs.
        walk_negatives: random windows for each window.
        walk_epochs: of node2vec.
        walk_batch_size: nodes whose walks make a step.
        walk_lr: learning rate of node2vec.
        feature_dim: components of the features; where there are fewer, the others are zero. None for the features
            themselves.
    """

    default_encoder: ClassVar[str] = "GAT"
    least_items: ClassVar[int] = 2
    card: ClassVar[Card] = Card(
        family="masked reconstruction",
        views="features of some nodes and directed edges hidden",
        encoders="one, with a head for each of three targets, which are made once of the whole graph",
        objective="InfoNCE of reconstructed with latent targets: structure, features and both",
        time="n² (s + k) (s, k: columns of the targets), three times; once, before training: node2vec and components",
        memory="n (d + s + k)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "mask_feature": Float(0.1, 0.9),
        "mask_edge": Float(0.0, 0.9),
        "temperature": Float(0.1, 1.0),
        "feature_dim": Choice((32, 64, 128, 256)),
        "encoder.dropout": Float(0.0, 0.8),
        "train.lr": Float(1e-4, 2e-2, log=True),
    }

    structure: Tensor
    feature: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        mask_feature: Fraction = 0.7,
        mask_edge: Probability = 0.7,
        temperature: Positive = 0.7,
        edge_weights: ForTargets = (4.0, 1.0, 1.0),
        feature_weights: ForTargets = (1.0, 4.0, 1.0),
        both_weights: ForTargets = (2.0, 2.0, -1.0),
        structure_dim: PositiveInt = 64,
        walk_length: PositiveInt = 5,
        context_size: PositiveInt = 5,
        walks_per_node: PositiveInt = 5,
        walk_negatives: PositiveInt = 5,
        walk_epochs: PositiveInt = 100,
        walk_batch_size: PositiveInt = 512,
        walk_lr: Positive = 0.01,
        feature_dim: PositiveInt | None = 64,
    ) -> None:
        super().__init__(encoder)
        if not 2 <= context_size <= walk_length:
            raise InputError(
                f"a window has 2 nodes at least and at most those of a walk, {walk_length}, but context_size is "
                f"{context_size}; choose --set context_size between them"
            )
        self.mask_feature, self.temperature = mask_feature, temperature
        self.hide_edges = MaskEdges(p=mask_edge, undirected=False)
        self.weights = (edge_weights, feature_weights, both_weights)
        self.walks = Node2Vec(
            dim=structure_dim,
            walk_length=walk_length,
            context_size=context_size,
            walks_per_node=walks_per_node,
            negatives=walk_negatives,
            epochs=walk_epochs,
            batch_size=walk_batch_size,
            lr=walk_lr,
        )
        self.feature_dim = feature_dim
        dim, columns = encoder.out_dim, feature_dim or encoder.in_dim
        widths = (structure_dim, columns, structure_dim + columns)
        self.heads = nn.ModuleList(mlp_head(dim, 2 * dim, width, norm="batch") for width in widths)

    def prepare(self, graph: Graph, seed: int) -> None:
        """Make the latent targets of all nodes."""
        pairs = graph.block.pattern.pairs
        structure = graph.derived(f"{self.walks} by seed {seed}", lambda: self.walks.fit(pairs, seed))
        feature = graph.derived(f"{self.feature_dim} components", lambda: components(graph.x, self.feature_dim))
        self.register_buffer("structure", structure.clone())
        self.register_buffer("feature", feature.clone())

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        if not sampler.graph.block.num_edges:  # what is trained already embeds such graphs, too
            raise InputError(
                "GiGaMAE reconstructs an embedding of the structure, but the graph has no edges; use others"
            )

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, MaskedTargets]:
        size, nothing = batch.num_targets, torch.zeros(batch.in_dim, device=batch.device)
        view, rows, others = mask_nodes(batch, nothing, rate=self.mask_feature, replace_rate=0.0, rng=self.rng)
        view, hidden = self.hide_edges(view, self.rng)
        lost = torch.zeros(2, batch.num_nodes, dtype=torch.bool, device=batch.device)
        lost[0, hidden.edges[0]] = True
        lost[1, torch.cat([rows, others])] = True
        edges, features = lost[:, :size]
        groups = (edges & ~features, features & ~edges, edges & features)
        of_edges, of_features, of_both = places_of(*groups)
        ids = batch.node_ids[:size]
        structure, feature = self.structure[ids], self.feature[ids]
        latent = (structure, feature, torch.cat([structure, feature], dim=1))
        return view, MaskedTargets(of_edges, of_features, of_both, latent)

    def error(self, embedding: Tensor, view: MiniBatch, target: MaskedTargets) -> Tensor:
        """A scalar; of a node alone in its group nothing can be told."""
        told = [head(embedding) for head in self.heads]
        loss = torch.stack([0 * rows.sum() for rows in told]).sum()
        groups = (target.edges, target.features, target.both)
        for rows, weights in zip(groups, self.weights, strict=True):
            if rows.numel() < 2:
                continue
            own = None if view.weight is None else view.weight[rows]
            for goal, guess, weight in zip(target.latent, told, weights, strict=True):
                pair = goal.index_select(0, rows), guess.index_select(0, rows)
                if weight:
                    loss = loss + weight * info_nce(*pair, temperature=self.temperature, symmetric=False, weight=own)
        return loss


def components(x: Features, count: int | None) -> Tensor:
    """The first principal components of features, each of variance one.

    Args:
        x: features, shape (num_nodes, in_dim).
        count: how many columns; those that the features do not have are zero. None for the features themselves.

    Returns:
        Shape (num_nodes, count), or that of ``x``, float32.
    """
    rows = dense_features(x)
    if count is None:
        return rows.float()
    found = torch.zeros(len(rows), count)
    if torch.equal(rows, rows[:1].expand_as(rows)):
        return found
    known = min(count, *rows.shape)
    model = PCA(known, whiten=True, svd_solver="covariance_eigh")
    columns = torch.from_numpy(model.fit_transform(rows.double().numpy())).float()
    varied = torch.from_numpy(model.explained_variance_ > 1e-10 * model.explained_variance_[0])
    found[:, :known] = columns * varied
    return found
