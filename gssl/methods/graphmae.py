"""GraphMAE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.augment.drop_edge import DropEdge
from gssl.augment.mask_node import mask_nodes
from gssl.common.options import Fraction, Positive, Probability
from gssl.common.space import Choice, Float, Space
from gssl.method import Level, PredictiveMethod
from gssl.models.decoder import make_decoder
from gssl.models.encoder import Encoder
from gssl.objectives.scaled_cosine import scaled_cosine_error
from gssl.samplers.batch import MiniBatch
from gssl.samplers.blocks import restrict_rows
from gssl.samplers.sparse import dense_features, select_features


@dataclass(frozen=True, eq=False)
class Masked:
    """The hidden rows (num_masked,) int64 and their true features (num_masked, in_dim)."""

    rows: Tensor
    features: Tensor


class GraphMAE(PredictiveMethod[Masked]):
    """Self-supervised masked graph autoencoders (Hou et al., 2022, arXiv:2205.10803).

    Node features are hidden behind a learned token, the code of the hidden nodes is masked again, and a decoder
    layer reconstructs the features under the scaled cosine error.

    Args:
        encoder: sees the masked graph.
        mask_rate: share of the nodes to hide.
        replace_rate: share of the hidden nodes that get another node's features instead of the token.
        drop_edge: edge-drop probability of the encoder's view.
        gamma: exponent of the scaled cosine error.
        decoder: the layer that reconstructs; a linear one ignores the edges.
        decoder_dropout: dropout probability of the codes that the decoder takes.
        decoder_attention_dropout: dropout probability of the attention coefficients of a GAT decoder.
    """

    levels: ClassVar[tuple[Level, ...]] = ("node", "graph")
    default_encoder: ClassVar[str] = "GAT"
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
        decoder_attention_dropout: Probability = 0.0,
    ) -> None:
        super().__init__(encoder)
        self.mask_rate, self.replace_rate, self.gamma = mask_rate, replace_rate, gamma
        self.drop = DropEdge(p=drop_edge)
        self.token = nn.Parameter(torch.zeros(encoder.in_dim))
        self.encoder_to_decoder = nn.Linear(encoder.out_dim, encoder.out_dim, bias=False)
        self.decoder = make_decoder(
            decoder, encoder.out_dim, encoder.in_dim, attention_dropout=decoder_attention_dropout
        )
        self.decoder_dropout = decoder_dropout

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, Masked]:
        view, rows = mask_nodes(batch, self.token, rate=self.mask_rate, replace_rate=self.replace_rate, rng=self.rng)
        target = dense_features(select_features(batch.x, rows))
        return self.drop(view, self.rng), Masked(rows, target)

    def error(self, embedding: Tensor, view: MiniBatch, target: Masked) -> Tensor:
        # Only the hidden rows are compared, so only they are decoded; their own code is masked again, and they come
        # first among the sources, so the codes in need of a product are those behind them.
        block, sources = restrict_rows(view.blocks[-1], target.rows)
        num_masked = target.rows.numel()
        code = self.encoder_to_decoder(embedding.index_select(0, sources[num_masked:]))
        code = torch.cat([code.new_zeros(num_masked, code.shape[1]), code])
        code = F.dropout(code, self.decoder_dropout, self.training)
        items = target.rows if view.graph_ptr is None else view.graph_index()[target.rows]
        weight = None if view.weight is None else view.weight[items]
        return scaled_cosine_error(self.decoder(block, code), target.features, gamma=self.gamma, weight=weight)
