"""AutoGCL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, cast

import torch
from pydantic import Field
from torch import Tensor

from gssl.augment.learned_nodes import LearnedNodes, views_by
from gssl.common.card import Card
from gssl.common.options import NonNegative, Positive, PositiveInt
from gssl.common.space import Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.methods.pairwise import PairwiseMethod, pair_objective
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.models.node_scores import NodeScores
from gssl.objectives.weights import weighted_mean


class AutoGCL(PairwiseMethod):
    """Automated graph contrastive learning via learnable view generators (Yin et al., 2022, arXiv:2109.10259).

    Two generators choose for each node whether it is kept, dropped or masked. Two of three graphs, the given one and
    both views, agree against the other graphs of the batch (NT-Xent), while a second term keeps the two generators from
    making the same choices; generators and encoder are trained together. The paper's joint training with labels is
    ``--setting auxiliary``.

    The published numbers of unsupervised learning are disputed: the authors' code takes the epoch of the best test
    score, and its features have the degree and one-hot degrees beside the labels of nodes; here they are those of the
    data. Where the paper says otherwise, this follows that code: masking is off (``mask``), dropped nodes stay in the
    graph without features and edges (``remove``), and the two graphs are drawn with replacement, so that every third
    step contrasts a graph with itself.

    Args:
        encoder: shared by all views.
        mask: whether nodes may be masked too; their features are then the mean of all entries.
        remove: whether dropped nodes leave the graph.
        difference: weight of the term ``1 - mean squared difference of what both generators keep``.
        generator_dim: dimension of each generator, a GIN.
        generator_layers: layers of it, two at least.
        relaxation: temperature of the choices.
        temperature: of the cosine similarity.
        symmetric: whether graphs of both views are anchors.
        objective: NT-Xent, or another objective of two views by its name; it gets the temperature and ``symmetric`` if
            it has them.
    """

    levels: ClassVar[tuple[Level, ...]] = ("graph",)
    default_encoder: ClassVar[str] = "GIN"
    card: ClassVar[Card] = Card(
        family="cross-view",
        views="the graph, and two views whose nodes learned choices keep, drop or mask; two of these three at random",
        encoders="one for all views with a projection head; a GIN for the choices of each generator",
        objective="NT-Xent, the other graphs of the batch as negatives; plus how alike both generators choose",
        time="n² d; a pass of two generators",
        memory="n²",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "difference": Float(0.1, 10.0, log=True),
        "temperature": Float(0.1, 1.0),
        "encoder.num_layers": Int(2, 5),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.epochs": Int(10, 100, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        mask: bool = False,
        remove: bool = False,
        difference: NonNegative = 1.0,
        generator_dim: PositiveInt = 128,
        generator_layers: Annotated[int, Field(ge=2)] = 2,
        relaxation: Positive = 1.0,
        temperature: Positive = 0.5,
        symmetric: bool = True,
        objective: str = "nt_xent",
        objective_options: Mapping[str, Any] | None = None,
    ) -> None:
        generators = [
            LearnedNodes(
                NodeScores(
                    encoder.in_dim,
                    hidden_dim=generator_dim,
                    num_layers=generator_layers,
                    out_dim=3 if mask else 2,
                    order="activation-norm",
                    init="torch",
                ),
                remove=remove,
                temperature=relaxation,
            )
            for _ in range(2)
        ]
        super().__init__(
            encoder,
            generators,
            head=mlp_head(encoder.out_dim, encoder.out_dim, encoder.out_dim, glorot=True),
            objective=pair_objective(objective, objective_options, temperature=temperature, symmetric=symmetric),
        )
        self.difference = difference

    @property
    def generators(self) -> tuple[LearnedNodes, ...]:
        """Those of both views; they are stored with the learned views."""
        return cast("tuple[LearnedNodes, ...]", self.views)

    def loss(self, batch: MiniBatch) -> Tensor:
        one, two = (generator.decide(batch, self.rng) for generator in self.generators)
        numbers = torch.randint(3, (2,), generator=self.rng, device=self.rng.device)
        views, drawn = views_by((one, two), numbers.unbind())
        graphs = (batch, *views)
        projected = {index: self.project(self.embed(graphs[index])) for index in sorted(set(drawn))}
        agreement = self.contrast(batch, *(projected[index] for index in drawn))
        weight = None if batch.weight is None else batch.weight[batch.graph_index()]
        apart = weighted_mean((one.kept - two.kept).square(), weight)
        return agreement + self.difference * (1 - apart)
