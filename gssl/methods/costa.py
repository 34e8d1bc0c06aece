"""COSTA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from gssl.augment.base import Compose
from gssl.augment.drop_edge import DropEdge
from gssl.augment.mask_feature import MaskFeature
from gssl.augment.sketch import gaussian_sketch
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Positive, PositiveInt, Probability, UsedWith
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.methods.pairwise import PairwiseMethod, pair_objective
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.samplers.base import Sampler

Ratio = Annotated[float, Field(gt=0, le=2)]


class COSTA(PairwiseMethod):
    """Covariance-preserving feature augmentation (Zhang et al., 2022, arXiv:2206.04726).

    What is contrasted is no nodes but random sums of all node embeddings: a Gaussian sketch, which keeps the second
    moments of the embeddings and has fewer rows than there are nodes. With two views (MV-COSTA) both embeddings are
    sketched by the same projection and InfoNCE tells the sums of one view from those of the other; with a single one
    (SV-COSTA) the sums are told from each other.

    The paper's loss has negatives in both views; the authors' code (yifeiacc/COSTA) has those of the other view only,
    which is the default here (``intra``). The code has MV-COSTA alone, and masks the features of both views at the
    first view's rate; SV-COSTA is here as the paper describes it.

    In a sampled batch the targets are sketched, scaled by the roots of their weights, so that the second moments of the
    sketch are those of all nodes in expectation.

    Args:
        encoder: shared by all views.
        mode: ``multi`` for two views, ``single`` for the first one alone.
        drop_edge: edge-drop probability of each view.
        mask_feature: feature-mask probability of each view.
        ratio: rows of the sketch, as a share of the items of a batch.
        temperature: of the cosine similarity.
        projector_dim: width of the two-layer ELU projection head.
        intra: whether sums of the same view are negatives too, as in the paper; nothing to a single view.
    """

    card: ClassVar[Card] = Card(
        family="cross-view",
        views="edges dropped, columns of features masked, one or two draws; embeddings sketched by a random projection",
        encoders="one for all views, with a projection head on the sketches",
        objective="InfoNCE of a random sum of nodes in both views, the other sums as negatives",
        time="k n d + k² d for k rows of the sketch",
        memory="n d (projection and similarities are made piece by piece)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "mode": Choice(("multi", "single")),
        "drop_edge.0": Float(0.0, 0.6),
        "drop_edge.1": Float(0.0, 0.6),
        "mask_feature.0": Float(0.0, 0.6),
        "mask_feature.1": Float(0.0, 0.6),
        "ratio": Float(0.1, 1.0),
        "temperature": Float(0.1, 1.0),
        "projector_dim": Int(32, 512, log=True),
        "train.lr": Float(1e-5, 1e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        mode: Literal["multi", "single"] = "multi",
        drop_edge: tuple[Probability, Probability] = (0.2, 0.4),
        mask_feature: tuple[Probability, Probability] = (0.3, 0.3),
        ratio: Ratio = 0.5,
        temperature: Positive = 0.4,
        projector_dim: PositiveInt = 256,
        intra: Annotated[bool, UsedWith("mode", "multi")] = False,
    ) -> None:
        views = [Compose(DropEdge(p=e), MaskFeature(p=f)) for e, f in zip(drop_edge, mask_feature, strict=True)]
        super().__init__(
            encoder,
            views if mode == "multi" else views[:1],
            head=mlp_head(encoder.out_dim, projector_dim, encoder.out_dim, activation="elu"),
            objective=pair_objective("info_nce", None, temperature=temperature, intra=intra and mode == "multi"),
        )
        self.ratio = ratio

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        nodes = sampler.graph.num_nodes
        if self.ratio * nodes < 2:
            raise InputError(
                f"COSTA contrasts {self.ratio:g} times as many sketches as nodes, which is less than two of {nodes} "
                "nodes; choose a greater --set ratio, or a larger graph"
            )

    def loss(self, batch: MiniBatch) -> Tensor:
        embeddings = torch.cat([self.embed(view) for view in self.drawn_views(batch)], dim=1)
        count = max(int(self.ratio * len(embeddings)), 1)
        sketches = gaussian_sketch(embeddings, count, self.rng, weight=batch.weight).chunk(len(self.views), dim=1)
        return self.contrast(batch, *(self.project(sketch) for sketch in sketches))

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        """The objective of projected sketches, each of shape (num_sketches, dim); one stands for both views."""
        first, second = projections if len(projections) > 1 else projections * 2
        return self.objective(first, second)
