"""GAE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import Positive
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern
from gssl.method import PredictiveMethod
from gssl.models.encoder import Encoder
from gssl.objectives.edges import edge_reconstruction, uniform_negatives
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler


@dataclass(frozen=True, eq=False)
class Pairs:
    """Edges and non-edges among the nodes of a batch, each of shape (2, n), int64."""

    positive: Tensor
    negative: Tensor

    def weights(self, weight: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Importance weight of each pair: the product of its ends'."""
        if weight is None:
            return None, None
        return tuple(weight[p[0]] * weight[p[1]] for p in (self.positive, self.negative))  # type: ignore[return-value]


def among_targets(batch: MiniBatch) -> Pattern:
    """The edges among the targets that are in the last block of a batch, shape (num_targets, num_targets)."""
    pattern, size = batch.blocks[-1].pattern, batch.num_targets
    if pattern.num_rows == pattern.num_cols == size:
        return pattern
    rows = pattern.head(size)
    kept = rows.filter(rows.col < size)
    return Pattern(kept.rowptr, kept.col, size)


class GAE(PredictiveMethod[Pairs]):
    """Graph auto-encoder (Kipf and Welling, 2016, arXiv:1611.07308).

    The inner products of the embeddings predict the edges of the batch against uniform non-edges. The paper sums
    over all pairs of nodes; sampled non-edges estimate the same re-weighted loss in O(edges). On sampled batches the
    pairs are those of targets, each with the product of their weights: clusters have many edges, uniform draws few.

    Args:
        encoder: gives the embeddings.
        negatives_per_edge: non-edges drawn for every edge, anew at each step.
    """

    search_space: ClassVar[Mapping[str, Space]] = {
        "negatives_per_edge": Choice((1.0, 2.0, 5.0)),
        "encoder.out_dim": Choice((16, 32, 64, 128, 256)),
        "train.lr": Float(1e-4, 5e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(self, encoder: Encoder, *, negatives_per_edge: Positive = 1.0) -> None:
        super().__init__(encoder)
        self.negatives_per_edge = negatives_per_edge

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, Pairs]:
        pattern = among_targets(batch)
        edges = torch.stack([pattern.col.long(), pattern.row.long()])
        count = round(self.negatives_per_edge * max(edges.shape[1], 1))
        negative = uniform_negatives(pattern, count, self.rng)
        return batch, Pairs(edges, negative)

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        if isinstance(sampler, PairSampler) and not sampler.propagation.complete:
            raise InputError(
                f"{type(self).__name__} tells edges from non-edges among the targets, but the propagation "
                f"{type(sampler.propagation).__name__} leaves some edges among them out; propagations that fit: "
                "exact, induced, saint, history, lmc, adjoint, vrgcn, for example --sampler clustergcn"
            )

    def error(self, embedding: Tensor, view: MiniBatch, target: Pairs) -> Tensor:
        positive_weight, negative_weight = target.weights(view.weight)
        return edge_reconstruction(
            embedding,
            target.positive,
            target.negative,
            positive_weight=positive_weight,
            negative_weight=negative_weight,
        )
