"""GraphMAE2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.card import Card
from gssl.common.options import Fraction, NonNegative, PositiveInt
from gssl.common.space import Choice, Float, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.graph.cut import restrict_rows
from gssl.methods.graphmae import GraphMAE, Masked
from gssl.models.ema import EMATarget
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.objectives.scaled_cosine import scaled_cosine_error


class GraphMAE2(GraphMAE):
    """A decoding-enhanced masked self-supervised graph learner (Hou et al., 2023, arXiv:2304.04779).

    As in GraphMAE, features are hidden and reconstructed. The codes that the decoder takes are masked several times, at
    nodes drawn anew each time, hidden or not, and the errors add up. A projection of the masked graph's embedding also
    predicts what a moving average of encoder and projector makes of the graph with all of its features.

    It follows the authors' code (THUDM/GraphMAE2). Its values for Planetoid mask the codes of the hidden nodes once, as
    GraphMAE does (``remask=fixed``); on two of the three sets its average is a copy of the encoder (momentum 0) or its
    first weights (momentum 1). The exponent of the latent error is 1 there, also where that of the features is not, and
    edges are dropped for the encoders alone, for each by itself. The code moves the average before the step of the
    optimizer, here the step comes first. Its ``replace_rate`` is an option that it does not read; here it counts.

    Args:
        encoder: sees the masked graph.
        replace_rate: share of the hidden nodes that get another node's features instead of the token.
        remask: ``random`` draws the nodes whose codes are masked, by a learned token; ``fixed`` masks those of the
            hidden nodes, with zeros, once. A linear decoder, which has no neighbors to decode from, masks none.
        remask_rate: share of the codes that each random draw masks.
        remasks: how many draws are decoded.
        latent_weight: of the latent prediction; 0 leaves it out.
        momentum: share of the average that survives each update; it stays the same.
        delay: share of the training before the average begins to move.
        projector_dim: width of the projector's hidden layer.
    """

    levels: ClassVar[tuple[Level, ...]] = ("node",)
    card: ClassVar[Card] = Card(
        family="masked reconstruction",
        views="features of some nodes behind a learned token; codes masked anew, k times",
        encoders="one, with a projector and a predictor; one more layer decodes; moving average of encoder, projector",
        objective="scaled cosine error of the features of hidden nodes in each decoding, plus cosine to the average",
        time="k (n d f + m d) + n d²; one more pass of the encoder, without gradients",
        memory="k n (d + f) + m",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        **GraphMAE.search_space,
        "remask": Choice(("random", "fixed")),
        "remask_rate": Float(0.1, 0.8),
        "latent_weight": Float(0.1, 10.0, log=True),
        "momentum": Float(0.9, 1.0),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        replace_rate: Fraction = 0.0,
        remask: Literal["random", "fixed"] = "random",
        remask_rate: Fraction = 0.5,
        remasks: PositiveInt = 3,
        latent_weight: NonNegative = 1.0,
        momentum: Fraction = 0.996,
        delay: Fraction = 0.0,
        projector_dim: PositiveInt = 256,
        **inherited: Any,
    ) -> None:
        super().__init__(encoder, replace_rate=replace_rate, **inherited)
        self.remask_rate, self.remasks = remask_rate, remasks
        self.latent_weight, self.delay = latent_weight, delay
        dim = encoder.out_dim
        self.draws = remask == "random" and not self.decodes_rows
        if self.draws:
            self.code_token = nn.Parameter(torch.zeros(dim))
        if latent_weight:
            self.projector = mlp_head(dim, projector_dim, dim, activation="prelu")
            self.predictor = nn.Sequential(nn.PReLU(), nn.Linear(dim, dim))
            self.target = EMATarget(self._projected, momentum=momentum, rises=False)

    @property
    def _projected(self) -> nn.Sequential:
        return nn.Sequential(self.encoder, self.projector)

    def loss(self, batch: MiniBatch) -> Tensor:
        view, target = self.hide(batch)
        embedding = self.encoder(self.encoded(self.drop(view, self.rng)))
        loss = self.error(embedding, view, target)
        if not self.latent_weight:
            return loss
        return loss + self.latent_weight * self.latent_error(embedding[: batch.num_targets], batch)

    def latent_error(self, embedding: Tensor, batch: MiniBatch) -> Tensor:
        """One less the cosine to the average's view of the batch, a scalar, of embeddings (num_targets, out_dim)."""
        goal = self.target(self.drop(batch, self.rng))
        return scaled_cosine_error(self.predictor(self.projector(embedding)), goal, gamma=1.0, weight=batch.weight)

    def error(self, embedding: Tensor, view: MiniBatch, target: Masked) -> Tensor:
        """Of the hidden features, a scalar: the sum over all draws of masked codes."""
        if not self.draws:
            return super().error(embedding, view, target)
        codes = self.encoder_to_decoder(embedding)
        if self.mixes_rows:  # its norm is over the rows of all nodes
            block, sources = view.blocks[-1], torch.arange(len(codes), device=codes.device)
        else:
            block, sources = restrict_rows(view.blocks[-1], target.rows, target.sizes)
        errors = []
        for _ in range(self.remasks):
            seen = F.dropout(self.remasked(codes).index_select(0, sources), self.decoder_dropout, self.training)
            decoded = self.decoder(block, seen)
            errors.append(
                self.missed(decoded.index_select(0, target.rows) if self.mixes_rows else decoded, view, target)
            )
        return torch.stack(errors).sum()

    def remasked(self, codes: Tensor) -> Tensor:
        """The codes (n, out_dim) with the token in place of some of them, drawn anew."""
        order = torch.randperm(len(codes), generator=self.rng, device=codes.device)
        masked = torch.zeros(len(codes), dtype=torch.bool, device=codes.device)
        masked[order[: round(self.remask_rate * len(codes))]] = True
        return torch.where(masked.unsqueeze(1), self.code_token, codes)

    def after_step(self, progress: float) -> None:
        if self.latent_weight and progress > self.delay:
            self.target.update(self._projected, progress)
