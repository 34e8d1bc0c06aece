"""S2GRL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from gssl.common.card import Card
from gssl.common.options import PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.methods.hop_prediction import Around, HopPrediction
from gssl.models.encoder import Encoder


class S2GRL(HopPrediction):
    """Global context prediction (Peng et al., 2020, arXiv:2003.01604).

    Every node has a context of each hop count, the nodes at that distance, and the farthest ones together; a linear
    head on the absolute difference of two embeddings tells to which context of a node another one belongs, by
    cross-entropy. A node has the same share in the loss by each of its contexts, whether that has one node or a
    thousand, in which this differs from PairwiseDistance; nodes without a path between them are no pair.

    No code of the authors is known. The number of ``hops`` is that of PairwiseDistance; to draw one node of each
    context, and contexts of some anchors in a step, is a choice of ours.

    Args:
        encoder: under the head.
        hops: distances that are told apart, the last of them with all greater ones.
        anchors: nodes of a step whose contexts are looked at, drawn anew at each.
        contexts: nodes drawn of each context of an anchor.
    """

    card: ClassVar[Card] = Card(
        family="property prediction",
        views="the graph",
        encoders="one, with a linear head on absolute differences",
        objective="cross-entropy of the number of hops between two nodes, one pair of each number for a node",
        time="a n h + a h d (a anchors, h hops); once, distances by breadth-first search",
        memory="a n + a h d; 64 MiB of distances at most",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "hops": Int(2, 6),
        "contexts": Choice((1, 4)),
        "encoder.hidden_dim": Choice((128, 256, 512)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(self, encoder: Encoder, *, contexts: PositiveInt = 1, **inherited: Any) -> None:
        super().__init__(encoder, **inherited)
        self.contexts = contexts

    def draw(self, around: Around) -> tuple[Tensor, Tensor]:
        anchors, found, classes = around.anchors, list[Tensor](), list[Tensor]()
        for hop in range(1, self.hops + 1):
            place, counts = _drawn(around.hops == hop, self.contexts, self.rng)
            of = anchors[counts > 0].repeat_interleave(self.contexts)
            found.append(torch.stack([of, place]))
            classes.append(torch.full_like(place, hop - 1))
        return torch.cat(found, dim=1), torch.cat(classes)


def _drawn(there: Tensor, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Uniform draws, with replacement, of a column of each row of which something is there.

    Args:
        there: shape (a, n), bool.
        count: columns for each such row.
        rng: on its device.

    Returns:
        The columns, row after row, shape (b * count,), int64, and how many are there in each row, shape (a,), int64.
    """
    counts = there.sum(1)
    columns = there.nonzero()[:, 1]
    first, some = counts.cumsum(0) - counts, counts > 0
    draw = torch.rand(int(some.sum()), count, generator=rng, device=rng.device, dtype=torch.float64)
    place = first[some, None] + (draw * counts[some, None]).long()
    return columns[place.flatten()], counts
