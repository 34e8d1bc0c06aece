"""SimGRACE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from gssl.augment.base import Identity
from gssl.common.card import Card
from gssl.common.options import NonNegative, Positive
from gssl.common.space import Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.methods.pairwise import PairwiseMethod, pair_objective
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.models.noise import noisy_twin


class SimGRACE(PairwiseMethod):
    """Graph contrastive learning without data augmentation (Xia et al., 2022, arXiv:2202.03104).

    What the encoder makes of a graph agrees with what an encoder with noise on its weights makes of it, against the
    other graphs of the batch (NT-Xent). The noise is drawn with each batch; the head has none.

    As in the authors' code the anchors are those of the noisy encoder, and no gradient flows through it, of which the
    paper says nothing. That code adds a self-loop to every node but the last of a graph, as GraphCL's does from which
    it is made (a slip of a range, left out here), and shuffles the graphs once and not before each epoch. The
    adversarial form of the paper (AT-SimGRACE), which trains against the worst noise for robustness, is left out.

    Args:
        encoder: of the graph; the noisy one is a copy of it.
        eta: standard deviation of the noise as a multiple of that of the parameter that it is added to.
        temperature: of the cosine similarity.
        symmetric: whether what the encoder makes of the graphs is an anchor too.
        objective: NT-Xent, or another objective of two views by its name; it gets the temperature and ``symmetric`` if
            it has them.
    """

    levels: ClassVar[tuple[Level, ...]] = ("graph",)
    default_encoder: ClassVar[str] = "GIN"
    card: ClassVar[Card] = Card(
        family="cross-view",
        views="the graph as it is; noise on the weights of the encoder",
        encoders="one and a copy of it with noise, which gets no gradient; one projection head",
        objective="NT-Xent of a graph by both encoders, the other graphs of the batch as negatives",
        time="n² d",
        memory="n²",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "eta": Float(0.1, 10.0, log=True),
        "temperature": Float(0.1, 1.0),
        "encoder.num_layers": Int(2, 5),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.epochs": Int(10, 100, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        eta: NonNegative = 1.0,
        temperature: Positive = 0.2,
        symmetric: bool = False,
        objective: str = "nt_xent",
        objective_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            encoder,
            [Identity(), Identity()],
            head=mlp_head(encoder.out_dim, encoder.out_dim, encoder.out_dim, glorot=True),
            objective=pair_objective(objective, objective_options, temperature=temperature, symmetric=symmetric),
        )
        self.eta = eta

    def loss(self, batch: MiniBatch) -> Tensor:
        with torch.no_grad():
            twin = noisy_twin(self.encoder, self.eta, self.rng)
            noisy = self.project(twin.pool(twin(batch), batch))
        return self.contrast(batch, noisy, self.project(self.embed(batch)))
