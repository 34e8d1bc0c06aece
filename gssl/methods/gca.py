"""GCA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from gssl.augment.adaptive import AdaptiveDropEdge, AdaptiveMaskFeature
from gssl.augment.base import Compose
from gssl.augment.centrality import Centrality, Ends, centrality
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Fraction, Probability
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.grace import GRACE
from gssl.models.encoder import Encoder


class GCA(GRACE):
    """Graph contrastive learning with adaptive augmentation (Zhu et al., 2021, arXiv:2010.14945).

    GRACE whose views drop edges into nodes of low centrality, and mask features that central nodes rarely have, more
    often than others. Centralities are those of the whole graph and belong to nodes, so that a sampled batch has the
    same probabilities.

    Degree and eigenvector centrality are as in the authors' code. Its PageRank has no teleport and is stopped early,
    here it is the paper's.

    Args:
        encoder: shared by both views.
        drop_edge: mean edge-drop probability of each view.
        mask_feature: mean feature-mask probability of each view.
        centrality: what makes a node important.
        cutoff: greatest probability of dropping an edge or masking a feature.
        ends: whether the importance of an edge is that of the node that it points to, as in the authors' code, or the
            mean of both ends, as in the paper for undirected graphs.
        binary: whether a node has a feature or not, for words; false counts absolute values, for continuous features.
    """

    card: ClassVar[Card] = Card(
        family="cross-view",
        views="edges into nodes of low centrality dropped, columns that central nodes rarely use masked; two draws",
        encoders="one for both views, with a projection head",
        objective="InfoNCE of a node in both views, all other nodes of both views as negatives",
        time="n² d",
        memory="n d (similarities are made piece by piece)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        **GRACE.search_space,
        "centrality": Choice(("degree", "eigenvector", "pagerank")),
        "cutoff": Float(0.5, 0.9),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        drop_edge: tuple[Probability, Probability] = (0.3, 0.4),
        mask_feature: tuple[Probability, Probability] = (0.1, 0.0),
        centrality: Centrality = "degree",
        cutoff: Fraction = 0.7,
        ends: Ends = "target",
        binary: bool = True,
        **inherited: Any,
    ) -> None:
        super().__init__(encoder, drop_edge=drop_edge, mask_feature=mask_feature, **inherited)
        self.rates = tuple(zip(drop_edge, mask_feature, strict=True))
        self.centrality, self.cutoff, self.ends, self.binary = centrality, cutoff, ends, binary
        self.views = ()  # there are none without a graph

    def prepare(self, graph: Graph, seed: int) -> None:
        kind = self.centrality
        node = graph.derived(f"centrality {kind}", lambda: centrality(graph.block, kind))
        self.views = tuple(
            Compose(
                AdaptiveDropEdge.of(graph.block, node, p=drop, cutoff=self.cutoff, ends=self.ends),
                AdaptiveMaskFeature.of(graph.x, node, p=mask, cutoff=self.cutoff, binary=self.binary),
            )
            for drop, mask in self.rates
        )

    def loss(self, batch: MiniBatch) -> Tensor:
        if not self.views:
            raise InputError(f"{self.title} knows no centralities yet; call prepare(graph, seed) first")
        return super().loss(batch)
