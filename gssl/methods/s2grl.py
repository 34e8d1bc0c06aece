"""S2GRL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from gssl.common.card import Card
from gssl.common.options import PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.kept import places_of
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
        for hop, (rows, columns) in enumerate(_drawn(around.hops, self.hops, self.contexts, self.rng)):
            found.append(torch.stack([anchors[rows], columns]))
            classes.append(torch.full_like(columns, hop))
        return torch.cat(found, dim=1), torch.cat(classes)


def _drawn(hops: Tensor, last: int, count: int, rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """For each number of hops, uniform draws, with replacement, of a column of each row that has it.

    Args:
        hops: shape (a, n), int.
        last: numbers from 1 to this one are drawn for.
        count: columns for each such row.
        rng: on its device.

    Yields:
        The rows, each ``count`` times, and their columns, both of shape (b * count,), int64.
    """
    there = [hops == hop for hop in range(1, last + 1)]
    counts = [each.sum(1) for each in there]
    places = places_of(*(each > 0 for each in counts), *(each.flatten() for each in there))
    for own, rows, there_are in zip(counts, places, places[last:], strict=False):
        start = (own.cumsum(0) - own)[rows, None]
        draw = torch.rand(len(rows), count, generator=rng, device=rng.device, dtype=torch.float64)
        place = start + (draw * own[rows, None]).long()
        yield rows.repeat_interleave(count), (there_are % hops.shape[1])[place.flatten()]
