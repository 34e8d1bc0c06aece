"""Bandana."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from gssl.augment.bandwidth import Bandwidth, layerwise
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Positive, PositiveInt, Probability
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.kept import places_of
from gssl.methods.edges import EdgeAutoencoder, among_targets, pair_weight
from gssl.models.edge_decoder import HadamardMLP
from gssl.models.encoder import Encoder
from gssl.objectives.edges import edge_cross_entropy


@dataclass(frozen=True, eq=False)
class Bandwidths:
    """What each layer must predict.

    Attributes:
        edges: of each layer, the edges among the targets, shape (2, n), int64, rows, the source first.
        shares: of each layer, the bandwidths of its edges, shape (n,), float.
        negative: pairs that are no edges, shape (2, m), int64.
    """

    edges: tuple[Tensor, ...]
    shares: tuple[Tensor, ...]
    negative: Tensor


class Bandana(EdgeAutoencoder[Bandwidths]):
    """Masked graph autoencoder with non-discrete bandwidths (Zhao et al., 2024, arXiv:2402.03814).

    No edge is hidden. For each layer anew, the edges into a node share a bandwidth of one by chance, and messages are
    weighed by it. From the output of every layer one decoder tells edges from uniform non-edges, in which an edge costs
    as much as its bandwidth in that layer. The loss is the mean over the layers. Embeddings are made without masks.

    The authors' code (Newiz430/Bandana) draws bandwidths for the edges sorted by their ends, and takes them for those
    of the edges in the order of its split, which is another one; so an edge costs the bandwidth of some other edge
    there. Here it costs its own, which is the paper's definition. That decoder has a logit for each of the two classes,
    here it has their difference. For node classification the code trains on 85 % of the edges, up to the epoch that
    tells the others best, with 65,536 of them a step; here all train, for a given time. Its degrees have six decimals.

    Args:
        encoder: its layers take weights of edges and have one width.
        temperature: of the softmax that shares the bandwidth; the lower, the closer to one edge a node.
        negatives_per_edge: non-edges drawn for every edge, anew at each step, the same for all layers.
        decoder_dim: width of the decoder's hidden layers.
        decoder_layers: linear layers of the decoder, a perceptron on the elementwise product of both ends.
        decoder_dropout: dropout probability within the decoder.
        embedding: outputs of ``all`` layers or the ``last`` one.
        normalize: whether embeddings have length one.
    """

    card: ClassVar[Card] = Card(
        family="masked reconstruction",
        views="edges weighed by chance, for each layer anew",
        encoders="one; a perceptron on products of both ends decodes the output of every layer",
        objective="cross-entropy of edges, by their bandwidth, against uniform non-edges; mean over the layers",
        time="l m d h (l layers, h: width of the decoder)",
        memory="l m (d + h)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "temperature": Float(0.1, 1.0),
        "decoder_dim": Choice((32, 64, 128, 256)),
        "decoder_dropout": Float(0.0, 0.8),
        "encoder.num_layers": Choice((1, 2, 3, 4, 5)),
        "encoder.dropout": Float(0.0, 0.8),
        "train.lr": Float(1e-3, 5e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        temperature: Positive = 1.0,
        negatives_per_edge: Positive = 1.0,
        decoder_dim: PositiveInt = 32,
        decoder_layers: PositiveInt = 2,
        decoder_dropout: Probability = 0.2,
        embedding: Literal["all", "last"] = "all",
        normalize: bool = False,
    ) -> None:
        super().__init__(encoder, embedding=embedding, normalize=normalize, negatives_per_edge=negatives_per_edge)
        encoder.require_edge_weight()
        self.dims = encoder.layer_dims
        if len(set(self.dims)) != 1:
            raise InputError(
                "Bandana decodes the output of every layer by one decoder, so they must have one dimension, but have "
                f"{', '.join(map(str, self.dims))}; leave out encoder.out_dim"
            )
        self.view = Bandwidth(temperature=temperature)
        self.outputs = nn.Identity()  # so that there is a module that gives them, see `measured`
        self.decoder = HadamardMLP(self.dims[0], decoder_dim, decoder_layers, decoder_dropout)

    @property
    def measured(self) -> nn.Module:
        return self.outputs

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, Bandwidths]:
        view = layerwise(self.view, batch, len(self.dims), self.rng)
        edges, shares = zip(*(edges_among(block, batch.num_targets) for block in view.blocks), strict=True)
        negative = self.negatives(among_targets(batch), edges[-1].shape[1], undirected=True)
        return view, Bandwidths(edges, shares, negative)

    def loss(self, batch: MiniBatch) -> Tensor:
        view, target = self.pretext(batch)
        return self.error(self.outputs(torch.cat(self.encoder.outputs(view), dim=1)), view, target)

    def error(self, embedding: Tensor, view: MiniBatch, target: Bandwidths) -> Tensor:
        """A scalar, of the outputs of all layers side by side, shape (num_targets, num_layers * dim)."""
        layers = zip(embedding.split(self.dims, dim=1), target.edges, target.shares, strict=True)
        return torch.stack([self._told(*layer, view, target.negative) for layer in layers]).mean()

    def _told(self, rows: Tensor, edges: Tensor, shares: Tensor, view: MiniBatch, negative: Tensor) -> Tensor:
        return edge_cross_entropy(
            self.decoder(rows, edges),
            self.decoder(rows, negative),
            label=shares,
            positive_weight=pair_weight(view.weight, edges),
            negative_weight=pair_weight(view.weight, negative),
        )


def edges_among(block: Block, num_targets: int) -> tuple[Tensor, Tensor]:
    """The edges between the first rows of a block with weights: their ends (2, n), int64, and weights (n,), float."""
    rows = block.head(num_targets)
    assert rows.weight is not None
    if num_targets == rows.num_src:
        return rows.edge_index, rows.weight
    (among,) = places_of(rows.pattern.col < num_targets)
    return rows.edge_index[:, among], rows.weight[among]
