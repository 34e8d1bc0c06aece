"""Context prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.utils import segment

from gssl.augment.context import substruct_and_context
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegativeInt, PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.graph.kept import occurrences
from gssl.method import Method
from gssl.methods.categories import categorical
from gssl.models.encoder import Encoder, Readout
from gssl.objectives.weights import weighted_mean

_WIDTH = 3  # of the ring, in hops


class ContextPred(Method):
    """Context prediction on molecules (Hu et al., 2020, arXiv:1905.12265).

    The encoder embeds the neighbourhood of a random centre of every molecule, a second network the ring around it; the
    centre's embedding and the mean over the nodes that both have agree by their inner product within a molecule and
    not between molecules (binary cross-entropy, the code's ``cbow``). The second network is built like the encoder,
    with as many layers as the ring has hops, and is not used afterwards.

    Contexts of other molecules are drawn by a shift, as in the authors' code, but of a random order: in the order of
    the batch the same molecules would meet again and again where batches are not shuffled. A molecule is never its
    own negative, as it is in the code where it is alone in a batch. Molecules without a ring are left out in both.

    Args:
        encoder: of the neighbourhoods; what is kept.
        k: hops of the neighbourhood; null for as many as the encoder has layers.
        r1: the ring begins beyond this distance from the centre; null for ``k - 1``.
        r2: the ring ends at this distance; null for ``r1 + 3``.
        negatives: contexts of other molecules for each centre.
        pooling: how the nodes that both have become one context.
    """

    levels: ClassVar[tuple[Level, ...]] = ("graph",)
    default_encoder: ClassVar[str] = "GINE"
    card: ClassVar[Card] = Card(
        family="cross-scale",
        views="the neighbourhood of a random centre, and the ring around it",
        encoders="one for neighbourhoods, another one like it for rings",
        objective="cross-entropy of inner products of centre and context, contexts of other molecules as negatives",
        time="v + m for the distances, a pass over the rings, n k d (k negatives)",
        memory="v d",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "negatives": Int(1, 5),
        "encoder.num_layers": Int(2, 5),
        "encoder.hidden_dim": Choice((64, 128, 300)),
        "train.lr": Float(1e-4, 1e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        k: PositiveInt | None = None,
        r1: NonNegativeInt | None = None,
        r2: PositiveInt | None = None,
        negatives: PositiveInt = 1,
        pooling: Readout = "mean",
    ) -> None:
        super().__init__(encoder)
        categorical(encoder, self.title)
        self.k = encoder.num_layers if k is None else k
        self.r1 = self.k - 1 if r1 is None else r1
        self.r2 = self.r1 + _WIDTH if r2 is None else r2
        if not self.r1 < min(self.k, self.r2):
            raise InputError(f"a ring from r1={self.r1} to r2={self.r2} around k={self.k} hops: r1 must be below both")
        self.negatives, self.pooling = negatives, pooling
        self.context_encoder = encoder.another(num_layers=self.r2 - self.r1)
        if self.context_encoder.out_dim != encoder.out_dim:
            raise InputError(
                f"neighbourhoods get {encoder.out_dim} dimensions and contexts {self.context_encoder.out_dim}, because "
                "outputs of layers are joined; use encoder.jk=last, or r2 - r1 equal to encoder.num_layers"
            )

    def loss(self, batch: MiniBatch) -> Tensor:
        pair = substruct_and_context(batch, self.rng, k=self.k, r1=self.r1, r2=self.r2)
        if not pair.context.num_graphs:  # nothing to compare
            nodes: Tensor = self.encoder(batch)
            return nodes.sum() * 0.0
        centres = self.encoder(pair.substruct)[pair.centres]
        shared = self.context_encoder(pair.context)[pair.anchors]
        counts = occurrences(pair.anchor_graphs, len(centres))
        contexts: Tensor = segment(shared, F.pad(counts.cumsum(0), (1, 0)), reduce=self.pooling)
        order = torch.randperm(len(centres), generator=self.rng, device=batch.device)
        return context_error(centres, contexts, order, negatives=self.negatives, weight=pair.context.weight)


def context_error(
    centres: Tensor, contexts: Tensor, order: Tensor, *, negatives: int = 1, weight: Tensor | None = None
) -> Tensor:
    """Binary cross-entropy of inner products: of each centre with its context, and with contexts of others.

    Args:
        centres: embedding of the centre of each graph, shape (n, dim), float, with n at least 1.
        contexts: embedding of the context of each graph, shape (n, dim), float.
        order: of the graphs, shape (n,), int64; negatives are those that follow, from the last on to the first.
        negatives: how many for each centre, if there are as many others; their terms add up.
        weight: importance weight of each graph, shape (n,), float; None means 1 each. It counts for a graph as centre
            and as negative.

    Returns:
        Scalar.
    """
    loss = weighted_mean(F.softplus(-(centres * contexts).sum(1)), weight)
    for shift in range(1, min(negatives, len(order) - 1) + 1):
        other = torch.empty_like(order)
        other[order] = order.roll(-shift)
        pairs = None if weight is None else weight * weight[other]
        loss = loss + weighted_mean(F.softplus((centres * contexts[other]).sum(1)), pairs)
    return loss
