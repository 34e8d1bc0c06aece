"""GALA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.cut import before_last
from gssl.method import Method
from gssl.methods.features import own_features, refuse_negative_features
from gssl.models.encoder import Encoder
from gssl.models.sharpen import SharpeningDecoder
from gssl.objectives.weights import weighted_mean
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler


class GALA(Method):
    """Symmetric graph convolutional autoencoder (Park et al., 2019, arXiv:1908.02441).

    A GCN smooths features over the graph, and a decoder with as many layers and the same widths in reverse, each of
    which sharpens what it gets (:func:`~gssl.models.sharpen.sharpen`), gives them back; the loss is half of the squared
    error. So the graph is used in both directions, and no edge is predicted.

    As in the authors' code (sseung0703/GALA_TF2.0) a ReLU follows every layer, that of the code and the last one too;
    there biases are added before the aggregation and here behind it, as GCN has them. The paper's further loss for
    clusters of images, and spectral clustering by it, are left out: here k-means judges the codes. Those of
    a symmetric normalisation are as long as the degree is high, so that it finds degrees unless rows are brought to one
    length (``--set probe.unit_length=true``).

    Args:
        encoder: the smoothing half; its widths are those of the decoder.
        rectified: whether the decoder ends in a ReLU, as in the code; false for features below zero.
    """

    card: ClassVar[Card] = Card(
        family="reconstruction",
        views="the graph",
        encoders="one that smooths; a decoder that sharpens, with its widths in reverse",
        objective="squared error of the features of nodes",
        time="m f + n d f (f: the widest layer)",
        memory="n f",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "encoder.hidden_dim": Choice((128, 256, 400, 512)),
        "encoder.out_dim": Choice((32, 64, 100, 128, 256)),
        "encoder.num_layers": Int(1, 3),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(self, encoder: Encoder, *, rectified: bool = True) -> None:
        super().__init__(encoder)
        self.rectified = rectified
        dims = [encoder.out_dim, *reversed(encoder.layer_dims[:-1]), encoder.in_dim]
        self.decoder = SharpeningDecoder(dims, rectified=rectified)

    @property
    def num_layers(self) -> int:
        return super().num_layers + len(self.decoder.layers)

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        if self.rectified:
            refuse_negative_features(sampler.graph)
        if isinstance(sampler, PairSampler) and sampler.store is not None:
            raise InputError(
                "the decoder of GALA needs codes of the neighbors, which a history does not have: use a propagation "
                "without history, for example --sampler graphsage"
            )

    def loss(self, batch: MiniBatch) -> Tensor:
        hops = len(self.decoder.layers)
        codes = self.encoder(before_last(batch, hops))
        blocks = batch.blocks * hops if len(batch.blocks) == 1 else batch.blocks[-hops:]
        missed = self.decoder(blocks, codes)[: batch.num_targets] - own_features(batch)
        return 0.5 * weighted_mean(missed.square().sum(1), batch.weight)
