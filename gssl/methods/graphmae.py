"""GraphMAE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.augment.drop_edge import DropEdge
from gssl.augment.mask_node import mask_nodes
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Fraction, Neutral, Positive, Probability, UsedWith
from gssl.common.space import Choice, Float, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.graph.cut import CutSizes, before_last, restrict_rows
from gssl.graph.sparse import dense_features, select_features
from gssl.method import PredictiveMethod
from gssl.models.decoder import GINDecoder, LinearDecoder, make_decoder
from gssl.models.encoder import Encoder
from gssl.models.layers import Activation, RowNorm
from gssl.objectives.scaled_cosine import scaled_cosine_error
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler


@dataclass(frozen=True, eq=False)
class Masked:
    """What was hidden.

    Attributes:
        rows: hidden targets, shape (num_masked,), int64.
        features: their true features, shape (num_masked, in_dim).
        others: hidden rows that are no targets, shape (n,), int64.
        sizes: of the cut of the last block to the hidden targets, where somebody asked before it is cut.
    """

    rows: Tensor
    features: Tensor
    others: Tensor
    sizes: CutSizes | None = None

    @classmethod
    def of(cls, batch: MiniBatch, rows: Tensor, others: Tensor, sizes: CutSizes | None = None) -> Masked:
        """What hiding some targets (num_masked,) and other rows (n,), both int64, hides of a batch."""
        return cls(rows, dense_features(select_features(batch.x, rows)), others, sizes)


class GraphMAE(PredictiveMethod[Masked]):
    """Self-supervised masked graph autoencoders (Hou et al., 2022, arXiv:2205.10803).

    Node features are hidden behind a learned token, the code of the hidden nodes is masked again, and a decoder
    layer reconstructs the features under the scaled cosine error. A linear decoder has no neighbors to decode from,
    so the code is not masked for it, as in the authors' code. Other decoders are one more layer, for which sampled
    batches need one more block; a history has no codes of the neighbors.

    On sets of graphs the authors' GIN differs from the usual one in encoder and decoder; the presets for them, and
    ``default-graph`` for the others, say how (see :class:`~gssl.models.gin.GIN`).

    Args:
        encoder: sees the masked graph.
        mask_rate: share of the nodes to hide.
        replace_rate: share of the hidden nodes that get another node's features instead of the token.
        drop_edge: edge-drop probability of the encoder's view.
        gamma: exponent of the scaled cosine error.
        decoder: the layer that reconstructs; a linear one ignores the edges.
        decoder_dropout: dropout probability of the codes that the decoder takes.
        decoder_attention_dropout: dropout probability of the attention coefficients of a GAT decoder.
        decoder_activation: within the MLP of a GIN decoder.
        decoder_norm: before that activation; batch norm sees all nodes of the batch, not the hidden ones alone.
        decoder_eps: weight of the node itself in the sum of a GIN decoder, less 1.
    """

    levels: ClassVar[tuple[Level, ...]] = ("node", "graph")
    default_encoder: ClassVar[str] = "GAT"
    card: ClassVar[Card] = Card(
        family="masked reconstruction",
        views="features of some nodes behind a learned token",
        encoders="one; one more layer decodes",
        objective="scaled cosine error of the features of hidden nodes, their codes masked again",
        time="n d f + m d",
        memory="n f + m",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "mask_rate": Float(0.1, 0.8),
        "replace_rate": Float(0.0, 0.2),
        "drop_edge": Float(0.0, 0.6),
        "gamma": Choice((1.0, 2.0, 3.0)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        mask_rate: Fraction = 0.5,
        replace_rate: Fraction = 0.05,
        drop_edge: Probability = 0.0,
        gamma: Positive = 2.0,
        decoder: Literal["GAT", "GCN", "GIN", "linear"] = "GAT",
        decoder_dropout: Probability = 0.0,
        decoder_attention_dropout: Annotated[Probability, UsedWith("decoder", "GAT")] = 0.0,
        decoder_activation: Annotated[Activation, Neutral("relu"), UsedWith("decoder", "GIN")] = "relu",
        decoder_norm: Annotated[RowNorm, Neutral("none"), UsedWith("decoder", "GIN")] = "none",
        decoder_eps: Annotated[float, Neutral(0.0), UsedWith("decoder", "GIN")] = 0.0,
    ) -> None:
        super().__init__(encoder)
        self.mask_rate, self.replace_rate, self.gamma = mask_rate, replace_rate, gamma
        self.drop = DropEdge(p=drop_edge)
        self.token = nn.Parameter(torch.zeros(encoder.in_dim))
        self.encoder_to_decoder = nn.Linear(encoder.out_dim, encoder.out_dim, bias=False)
        self.decoder = make_decoder(
            decoder,
            encoder.out_dim,
            encoder.in_dim,
            attention_dropout=decoder_attention_dropout,
            activation=decoder_activation,
            norm=decoder_norm,
            eps=decoder_eps,
        )
        self.decoder_dropout = decoder_dropout

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, Masked]:
        view, target = self.hide(batch)
        return self.drop(view, self.rng), target

    def hide(self, batch: MiniBatch) -> tuple[MiniBatch, Masked]:
        """The batch with some nodes hidden and all of its edges, and what was hidden."""
        view, rows, others = mask_nodes(
            batch, self.token, rate=self.mask_rate, replace_rate=self.replace_rate, rng=self.rng
        )
        return view, Masked.of(batch, rows, others)

    @property
    def num_layers(self) -> int:
        return super().num_layers + (not self.decodes_rows)

    @property
    def decodes_rows(self) -> bool:
        """Whether the decoder works on each node's own code."""
        return isinstance(self.decoder, LinearDecoder)

    @property
    def mixes_rows(self) -> bool:
        """Whether what the decoder makes of a node depends on those of the others beyond its neighbors."""
        return isinstance(self.decoder, GINDecoder) and self.decoder.mixes_rows

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        if isinstance(sampler, PairSampler) and sampler.store is not None and not self.decodes_rows:
            raise InputError(
                f"the decoder of {self.title} needs codes of the neighbors, which a history does not have: "
                "use --set decoder=linear, or a propagation without history, for example --sampler graphsage"
            )

    def loss(self, batch: MiniBatch) -> Tensor:
        view, target = self.pretext(batch)
        return self.error(self.encoder(self.encoded(view)), view, target)

    def encoded(self, view: MiniBatch) -> MiniBatch:
        """The batch whose targets are all nodes that the decoder takes the codes of."""
        return before_last(view, 0 if self.decodes_rows else 1)

    def error(self, embedding: Tensor, view: MiniBatch, target: Masked) -> Tensor:
        return self.missed(self.reconstruct(embedding, view, target), view, target)

    def missed(self, prediction: Tensor, view: MiniBatch, target: Masked) -> Tensor:
        """The scaled cosine error of reconstructed features, shape (num_masked, in_dim); a scalar."""
        items = target.rows if view.graph_ptr is None else view.graph_index()[target.rows]
        weight = None if view.weight is None else view.weight[items]
        return scaled_cosine_error(prediction, target.features, gamma=self.gamma, weight=weight)

    def reconstruct(self, embedding: Tensor, view: MiniBatch, target: Masked) -> Tensor:
        """Features of the hidden targets, shape (num_masked, in_dim)."""
        if isinstance(self.decoder, LinearDecoder):
            code = self.encoder_to_decoder(embedding.index_select(0, target.rows))
            reconstructed: Tensor = self.decoder.linear(F.dropout(code, self.decoder_dropout, self.training))
            return reconstructed
        if self.mixes_rows:
            code = self.encoder_to_decoder(embedding).index_fill(0, torch.cat([target.rows, target.others]), 0.0)
            everything: Tensor = self.decoder(view.blocks[-1], F.dropout(code, self.decoder_dropout, self.training))
            return everything.index_select(0, target.rows)
        # Only the hidden rows are compared, so only they are decoded; their own code is masked again, and they come
        # first among the sources, so the codes in need of a product are those behind them.
        block, sources = restrict_rows(view.blocks[-1], target.rows, target.sizes)
        num_masked = target.rows.numel()
        code = self.encoder_to_decoder(embedding.index_select(0, sources[num_masked:]))
        if target.others.numel():
            hidden = torch.zeros(view.num_nodes, dtype=torch.bool, device=view.device)
            hidden.index_fill_(0, target.others, True)
            code = code.masked_fill(hidden[sources[num_masked:]].unsqueeze(1), 0.0)
        code = torch.cat([code.new_zeros(num_masked, code.shape[1]), code])
        decoded: Tensor = self.decoder(block, F.dropout(code, self.decoder_dropout, self.training))
        return decoded
