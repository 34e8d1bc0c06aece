"""S2GAE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gssl.augment.mask_edge import MaskEdges
from gssl.common.card import Card
from gssl.common.options import Positive, PositiveInt, Probability
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.methods.edges import EdgePrediction, EdgeTarget, among_targets
from gssl.methods.maskgae import Share
from gssl.models.edge_decoder import CrossCorrelationMLP
from gssl.models.encoder import Encoder
from gssl.objectives.edges import edge_cross_entropy


class S2GAE(EdgePrediction[EdgeTarget]):
    """Self-supervised graph autoencoder (Tan et al., WSDM 2023, doi:10.1145/3539597.3570404).

    Directed edges are hidden one by one, so that the opposite one often stays, and a perceptron on the products of
    every layer's output at the source with every layer's at the target tells them from uniform non-edges. The
    embedding is the outputs of all layers side by side.

    The authors' code drops out the outputs that the decoder multiplies; here dropout acts on what the next layer and
    the decoder's own layers take. It makes a step of each 1,024 hidden edges, here a step has all of a batch.

    Args:
        encoder: sees what is left of the graph; its layers have one width.
        p: share of the directed edges that are hidden.
        undirected: whether both directions are hidden together.
        negatives_per_edge: non-edges drawn for every hidden edge, anew at each step.
        decoder_dim: width of the decoder's hidden layers.
        decoder_layers: linear layers of the decoder.
        decoder_dropout: dropout probability within the decoder.
    """

    card: ClassVar[Card] = Card(
        family="masked reconstruction",
        views="directed edges hidden",
        encoders="one; a perceptron on products of all layers' outputs of both ends decodes",
        objective="cross-entropy of hidden edges against uniform non-edges",
        time="m l² d h (l layers, h: width of the decoder)",
        memory="m (l² d + h)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "p": Float(0.1, 0.9),
        "decoder_dim": Choice((128, 256, 512)),
        "decoder_layers": Choice((2, 3, 4)),
        "encoder.dropout": Float(0.0, 0.8),
        "train.lr": Float(1e-3, 5e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        p: Share = 0.8,
        undirected: bool = False,
        negatives_per_edge: Positive = 1.0,
        decoder_dim: PositiveInt = 256,
        decoder_layers: PositiveInt = 3,
        decoder_dropout: Probability = 0.5,
    ) -> None:
        super().__init__(encoder, negatives_per_edge=negatives_per_edge)
        self.corruption = MaskEdges(p=p, undirected=undirected)
        self.outputs = nn.Identity()  # so that there is a module that gives them, see `measured`
        self.decoder = CrossCorrelationMLP(encoder.layer_dims, decoder_dim, decoder_layers, decoder_dropout)

    @property
    def measured(self) -> nn.Module:
        return self.outputs

    @property
    def embedding_dim(self) -> int:
        return sum(self.encoder.layer_dims)

    @property
    def pair_decoder(self) -> Callable[[Tensor, Tensor], Tensor]:
        return self.decoder

    def embed(self, batch: MiniBatch) -> Tensor:
        outputs: Tensor = self.outputs(torch.cat(self.encoder.outputs(batch), dim=1))
        return outputs

    def loss(self, batch: MiniBatch) -> Tensor:
        view, target = self.pretext(batch)
        return self.error(self.embed(view), view, target)

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, EdgeTarget]:
        view, hidden = self.corruption(batch, self.rng)
        edges = hidden.among(batch.num_targets).edges
        negative = self.negatives(among_targets(batch), edges.shape[1], undirected=not hidden.directed)
        return view, EdgeTarget(edges, negative)

    def error(self, embedding: Tensor, view: MiniBatch, target: EdgeTarget) -> Tensor:
        positive_weight, negative_weight = target.weights(view.weight)
        return edge_cross_entropy(
            self.decoder(embedding, target.positive),
            self.decoder(embedding, target.negative),
            positive_weight=positive_weight,
            negative_weight=negative_weight,
        )
