"""RGCL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor
from torch_geometric.utils import segment, softmax

from gssl.augment.base import Identity
from gssl.augment.graphwise import graph_offsets, induced_beside, share, weighted_rank
from gssl.common.card import Card
from gssl.common.options import NonNegative, Positive, PositiveInt
from gssl.common.space import Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.method import ContrastiveMethod
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.models.node_scores import NodeScores
from gssl.objectives.rationale import rationale_contrast

# Constants of the authors' code: scores are flattened before the softmax, what is added to each probability so that
# every node may be kept, and the least factor of a node in the readout (the greatest is 1).
_FLATNESS = 5.0
_FLOOR = 1e-3
_LEAST = 0.9


class RGCL(ContrastiveMethod):
    """Let invariant rationale discovery inspire graph contrastive learning (Li et al., 2022, arXiv:2206.07869).

    A generator gives each node of a graph the probability that it belongs to the rationale, by which the graph is told
    from others. The rationale view keeps nodes that are probable, the complement view as many that are not; a graph
    agrees with its rationale view, against those of the other graphs of the batch and against all complements. The
    readout of every view weighs its nodes by their probabilities in it, and through these the generator learns, in one
    training with the encoder. Embeddings need no generator.

    As in the authors' code for unsupervised learning the anchor is the graph itself (two rationale views in the paper)
    and one logarithm goes over both parts of the loss (``separate`` has the paper's). There nodes are drawn by the
    probabilities at the begin of an epoch; here by those of the step. The code adds a self-loop to every node but the
    last of a graph, to anchors and to what it embeds but not to views (a slip of a range, left out here). Sets without
    node labels have one constant feature there, one-hot degrees here.

    Args:
        encoder: shared by all views.
        keep: share of the nodes in each view; ``floor((1 - keep) * size)`` nodes go.
        independence: lambda, the weight of being told from complements.
        separate: whether the loss is a sum of two logarithms, as in the paper, or the logarithm of a sum.
        temperature: of the cosine similarity.
        generator_dim: dimension of the generator, a GIN.
        generator_layers: layers of it, two at least.
    """

    least_items: ClassVar[int] = 2
    levels: ClassVar[tuple[Level, ...]] = ("graph",)
    default_encoder: ClassVar[str] = "GIN"
    card: ClassVar[Card] = Card(
        family="cross-view",
        views="the graph as it is; probable nodes, and improbable ones, both drawn from learned probabilities",
        encoders="one for all three views with a projection head; a GIN for the probabilities",
        objective="a graph and its probable nodes, against those of other graphs and against improbable nodes of all",
        time="n² d; three passes of the generator",
        memory="n²",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "keep": Float(0.6, 0.95),
        "independence": Float(0.01, 1.0, log=True),
        "temperature": Float(0.1, 1.0),
        "encoder.num_layers": Int(2, 5),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.epochs": Int(10, 100, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        keep: Annotated[float, Field(gt=0, le=1)] = 0.9,
        independence: NonNegative = 0.1,
        separate: bool = False,
        temperature: Positive = 0.2,
        generator_dim: PositiveInt = 32,
        generator_layers: Annotated[int, Field(ge=2)] = 3,
    ) -> None:
        super().__init__(encoder, [Identity()])
        self.keep, self.independence, self.separate, self.temperature = keep, independence, separate, temperature
        self.head = mlp_head(encoder.out_dim, encoder.out_dim, encoder.out_dim, glorot=True)
        self.generator = NodeScores(
            encoder.in_dim, hidden_dim=generator_dim, num_layers=generator_layers, out_dim=1, order="norm-activation"
        )

    def project(self, embedding: Tensor) -> Tensor:
        projection: Tensor = self.head(embedding)
        return projection

    def loss(self, batch: MiniBatch) -> Tensor:
        probability = self.probability(batch)
        rationale, complement = self.drawn(batch, probability.detach())
        others = (self.project(self.weighed(view, self.probability(view))) for view in (rationale, complement))
        return self.contrast(batch, self.project(self.weighed(batch, probability)), *others)

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        first, second, complement = projections
        return rationale_contrast(
            first,
            second,
            complement,
            temperature=self.temperature,
            independence=self.independence,
            separate=self.separate,
            weight=batch.weight,
        )

    def probability(self, batch: MiniBatch) -> Tensor:
        """Probability of each node among those of its graph, shape (num_nodes,), float."""
        scores = self.generator(batch).squeeze(1)
        probability: Tensor = softmax(scores / _FLATNESS, ptr=graph_offsets(batch))
        return probability

    def drawn(self, batch: MiniBatch, probability: Tensor) -> tuple[MiniBatch, MiniBatch]:
        """The rationale view and the complement view, each drawn without replacement by weights of the nodes."""
        offsets = graph_offsets(batch)
        graph = batch.graph_index()
        kept = (offsets.diff() - share(offsets.diff(), 1 - self.keep)).clamp(min=1)
        greatest = segment(probability, offsets, reduce="max")[graph]
        weights = (probability + _FLOOR, greatest - probability + _FLOOR)
        ranks = (weighted_rank(offsets, weight, self.rng) for weight in weights)
        (first, second), _, _ = induced_beside([(batch, rank < kept[graph]) for rank in ranks])
        return first, second

    def weighed(self, batch: MiniBatch, probability: Tensor) -> Tensor:
        """Graph embeddings (num_graphs, out_dim) whose readout counts probable nodes fully, others a little less."""
        greatest = segment(probability, graph_offsets(batch), reduce="max")[batch.graph_index()]
        factor = _LEAST + (1 - _LEAST) * probability / greatest
        return self.encoder.pool(self.encoder(batch) * factor.unsqueeze(1), batch)
