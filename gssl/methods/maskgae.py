"""MaskGAE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor
from torch_geometric.nn import MLP

from gssl.augment.base import Corruption
from gssl.augment.hidden import HiddenEdges
from gssl.augment.mask_edge import MaskEdges, MaskPaths
from gssl.common.card import Card
from gssl.common.options import NonNegative, Positive, PositiveInt, Probability, UsedWith
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.methods.edges import EdgeAutoencoder, EdgeTarget, among_targets
from gssl.models.edge_decoder import HadamardMLP, InnerProduct
from gssl.models.encoder import Encoder
from gssl.objectives.edges import edge_cross_entropy
from gssl.objectives.weights import weighted_mean

Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, eq=False)
class HiddenTarget(EdgeTarget):
    """Hidden edges, non-edges, and how many of its edges each target has lost, shape (num_targets,), float."""

    degree: Tensor


class MaskGAE(EdgeAutoencoder[HiddenTarget]):
    """Masked graph autoencoder (Li et al., 2023, arXiv:2205.10053).

    Edges are hidden in both directions, one by one or along random walks; the encoder sees the others, and a decoder
    tells the hidden ones from uniform non-edges of the whole graph. Another one predicts from each embedding how many
    edges of its node are hidden. The embedding is the outputs of all layers side by side, as in the authors' code for
    node classification, or the last one, on which their link prediction works.

    The authors' code gives every edge back of which one direction stayed, so that many of those to be predicted are
    visible; the paper's definition stands here, and so must lower shares be hidden for the same effect. Their degree
    decoder ends with a ReLU, which a regression need not.

    Args:
        encoder: sees what is left of the graph.
        mask: ``path`` hides the edges that random walks take, ``edge`` each edge by itself.
        p: share of the edges that are hidden; for paths of the nodes (or edges) that walks begin at.
        start: where walks begin, at uniform ``node`` s or at the ends of each ``edge``.
        walk_length: edges of a walk; None means one more than the encoder has layers, as in the authors' code.
        negatives_per_edge: non-edges drawn for every hidden edge, anew at each step.
        alpha: weight of the degree term.
        decoder: ``mlp`` on the elementwise product of both ends, or their inner product, ``dot``.
        decoder_dim: width of the hidden layers of both decoders.
        decoder_layers: linear layers of both decoders.
        decoder_dropout: dropout probability within the decoders.
        embedding: outputs of ``all`` layers or the ``last`` one.
        normalize: whether embeddings have length one.
    """

    default_encoder: ClassVar[str] = "GCN"
    card: ClassVar[Card] = Card(
        family="masked reconstruction",
        views="edges hidden, one by one or along random walks",
        encoders="one; a perceptron on products of both ends decodes",
        objective="cross-entropy of hidden edges against non-edges, plus the squared error of how many a node lost",
        time="m d h (h: width of the decoder)",
        memory="m (d + h)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "mask": Choice(("path", "edge")),
        "p": Float(0.3, 0.8),
        "alpha": Float(1e-4, 1e-2, log=True),
        "decoder_dim": Choice((32, 64, 128)),
        "encoder.dropout": Float(0.0, 0.8),
        "train.lr": Float(1e-3, 5e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        mask: Literal["path", "edge"] = "path",
        p: Share = 0.7,
        start: Annotated[Literal["node", "edge"], UsedWith("mask", "path")] = "node",
        walk_length: Annotated[PositiveInt | None, UsedWith("mask", "path")] = None,
        negatives_per_edge: Positive = 1.0,
        alpha: NonNegative = 0.0,
        decoder: Literal["mlp", "dot"] = "mlp",
        decoder_dim: PositiveInt = 32,
        decoder_layers: PositiveInt = 2,
        decoder_dropout: Probability = 0.2,
        embedding: Literal["all", "last"] = "all",
        normalize: bool = False,
    ) -> None:
        super().__init__(encoder, embedding=embedding, normalize=normalize, negatives_per_edge=negatives_per_edge)
        length = encoder.num_layers + 1 if walk_length is None else walk_length
        self.corruption: Corruption[HiddenEdges] = (
            MaskEdges(p=p) if mask == "edge" else MaskPaths(p=p, start=start, length=length)
        )
        dim = encoder.out_dim
        self.decoder = (
            InnerProduct() if decoder == "dot" else HadamardMLP(dim, decoder_dim, decoder_layers, decoder_dropout)
        )
        self.alpha = alpha
        if alpha:
            widths = [dim, *[decoder_dim] * (decoder_layers - 1), 1]
            self.degree_decoder = MLP(widths, dropout=decoder_dropout, norm=None)

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, HiddenTarget]:
        view, hidden = self.corruption(batch, self.rng)
        edges = hidden.among(batch.num_targets).edges
        negative = self.negatives(among_targets(batch), edges.shape[1], undirected=True)
        lost = hidden.degree(batch.num_nodes)[: batch.num_targets]
        return view, HiddenTarget(edges, negative, lost.float())

    def error(self, embedding: Tensor, view: MiniBatch, target: HiddenTarget) -> Tensor:
        positive_weight, negative_weight = target.weights(view.weight)
        loss = edge_cross_entropy(
            self.decoder(embedding, target.positive),
            self.decoder(embedding, target.negative),
            positive_weight=positive_weight,
            negative_weight=negative_weight,
        )
        if not self.alpha:
            return loss
        missed = (self.degree_decoder(embedding).squeeze(1) - target.degree).square()
        return loss + self.alpha * weighted_mean(missed, view.weight)
