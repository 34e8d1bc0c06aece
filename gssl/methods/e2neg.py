"""E2Neg."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gssl.augment.representatives import Spectrum, Stars, spectral_centers, stars_around
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegativeInt, Positive, PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import select_features
from gssl.graph.storage import Graph
from gssl.methods.pairwise import PairwiseMethod, pair_objective
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.samplers.base import Sampler


class E2Neg(PairwiseMethod):
    """Does GCL need a large number of negative samples? (Huang et al., 2025, arXiv:2503.17908).

    No: of each spectral cluster of the graph only the most central node is contrasted. The topology around these
    centers is made anew, so that no two of them hear of each other: a star each, of nodes from its neighborhood. A view
    is the stars with the features of the centers exchanged among them, and InfoNCE tells the centers apart. A step
    costs as much as the stars, whatever the size of the graph.

    The paper contrasts the stars as they are with those whose centers have exchanged features. The authors' code
    (hedongxiao-tju/E2Neg) exchanges them in place, before it makes the first view, so that both views are the same and
    only the negatives teach; ``shuffled`` says which. Its clusters are those of the greatest eigenvalues of the
    Laplacian. Its PReLU has a slope for each column, here there is one for all.

    Args:
        encoder: of the stars, and of the whole graph for embeddings.
        clusters: of the graph; each has a center.
        neighbors: leaves of a star at most.
        least_neighbors: nodes that a neighborhood must have before it stops to grow, hop by hop.
        spectrum: whether clusters are those of the greatest eigenvalues of the Laplacian, or of the least, as in
            spectral clustering otherwise.
        shuffled: whether the centers exchange features in both views, which then are one, or in the second only.
        temperature: of the cosine similarity.
        projector_dim: width of the two-layer ELU projection head; null for that of the encoder.
    """

    card: ClassVar[Card] = Card(
        family="cross-view",
        views="stars around one center for each spectral cluster, whose centers have exchanged features",
        encoders="one for both views, with a projection head",
        objective="InfoNCE of a center in both views, the other centers as negatives",
        time="s f + c f d + c² d for c centers with s leaves, once c eigenvectors",
        memory="s f + c d",
        whole_graph="it is trained on stars around representatives of the whole graph, to which a sampled batch would "
        "add nothing",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "clusters": Int(10, 200, log=True),
        "neighbors": Int(10, 200, log=True),
        "spectrum": Choice(("high", "low")),
        "shuffled": Choice(("both", "second")),
        "temperature": Float(0.1, 1.0),
        "encoder.hidden_dim": Choice((512, 1024, 2048, 4096)),
        "train.lr": Float(1e-5, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    centers: Tensor
    leaves: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        clusters: PositiveInt = 50,
        neighbors: PositiveInt = 100,
        least_neighbors: NonNegativeInt = 50,
        spectrum: Spectrum = "high",
        shuffled: Literal["both", "second"] = "both",
        temperature: Positive = 0.5,
        projector_dim: PositiveInt | None = None,
    ) -> None:
        width = encoder.out_dim
        super().__init__(
            encoder,
            [],
            head=mlp_head(width, projector_dim or width, width, activation="elu"),
            objective=pair_objective("info_nce", None, temperature=temperature, intra=True),
        )
        self.clusters, self.spectrum, self.shuffled = clusters, spectrum, shuffled
        self.neighbors, self.least_neighbors = neighbors, least_neighbors

    def prepare(self, graph: Graph, seed: int) -> None:
        found = Stars(torch.empty(0, dtype=torch.int64), torch.empty(0, self.neighbors, dtype=torch.int64))
        if self.clusters < graph.num_nodes:  # what is trained already embeds smaller graphs too
            settings = self.clusters, self.spectrum, self.neighbors, self.least_neighbors, seed
            found = graph.derived(f"stars {settings}", lambda: self._stars(graph, seed))
        found = found.padded(self.clusters)
        self.register_buffer("centers", found.centers)
        self.register_buffer("leaves", found.leaves)

    def _stars(self, graph: Graph, seed: int) -> Stars:
        pattern = graph.block.pattern
        centers = spectral_centers(pattern, self.clusters, spectrum=self.spectrum, seed=seed)
        return stars_around(pattern, centers, least=self.least_neighbors, most=self.neighbors, seed=seed)

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        nodes = sampler.graph.num_nodes
        if self.clusters >= nodes:
            raise InputError(
                f"E2Neg cannot make {self.clusters} clusters of {nodes} nodes; choose a lower --set clusters"
            )

    def loss(self, batch: MiniBatch) -> Tensor:
        if not hasattr(self, "centers"):
            raise InputError("E2Neg knows no centers yet; call prepare(graph, seed) first")
        found = Stars(self.centers, self.leaves).known
        if len(found.centers) < 2:
            raise InputError(
                f"E2Neg contrasts centers of clusters that have neighbors, but found {len(found.centers)} of them; "
                "the graph needs edges, and --set neighbors and least_neighbors so low that one star does not take the "
                "nodes of the others"
            )
        stars = found.batch(batch, num_layers=self.num_layers)
        exchanged = self._seen(self._exchanged(stars))
        first = exchanged if self.shuffled == "both" else self._seen(stars)
        return self.contrast(stars, first, exchanged)

    def _seen(self, stars: MiniBatch) -> Tensor:
        return self.project(self.encoder(stars))

    def _exchanged(self, stars: MiniBatch) -> MiniBatch:
        """The stars with the features of the centers in a random order."""
        count = stars.num_targets
        order = torch.randperm(count, generator=self.rng, device=stars.device)
        rest = torch.arange(count, stars.num_nodes, device=stars.device)
        return stars.with_x(select_features(stars.x, torch.cat([order, rest])))
