"""PairwiseDistance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from gssl.augment.hops import UNREACHED
from gssl.common.card import Card
from gssl.common.options import PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.kept import places_of
from gssl.methods.hop_prediction import Around, HopPrediction
from gssl.models.encoder import Encoder


class PairwiseDistance(HopPrediction):
    """Prediction of the distance of two nodes (Jin et al., 2020, arXiv:2006.10141, sec. 3.1.1).

    A linear head on the absolute difference of two embeddings tells whether the nodes are one, two, three or more hops
    apart, by cross-entropy; of each class equally many pairs are drawn. Two nodes without a path between them are in
    the last class, as in the authors' code (ChandlerBang/SelfTask-GNN).

    The code holds the distances of all pairs and draws from them without replacement; here pairs are drawn with
    replacement, among those that begin at one of some ``anchors`` of the step (as in the code of AutoSSL, by the same
    authors), and a class with few pairs repeats them.

    Args:
        encoder: under the head.
        hops: distances that are told apart, the last of them with all greater ones.
        anchors: nodes of a step from which distances are looked at, drawn anew at each.
        pairs: drawn of each distance in a step.
    """

    card: ClassVar[Card] = Card(
        family="property prediction",
        views="the graph",
        encoders="one, with a linear head on absolute differences",
        objective="cross-entropy of the number of hops between two nodes, equally many pairs of each",
        time="a n + p d (a anchors, p pairs); once, distances by breadth-first search",
        memory="a n + p d; 64 MiB of distances at most",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "hops": Int(2, 6),
        "pairs": Choice((1000, 4000)),
        "encoder.hidden_dim": Choice((128, 256, 512)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(self, encoder: Encoder, *, pairs: PositiveInt = 4000, **inherited: Any) -> None:
        super().__init__(encoder, **inherited)
        self.pairs = pairs

    def draw(self, around: Around) -> tuple[Tensor, Tensor]:
        far = around.hops.flatten()
        width, found, classes = around.hops.shape[1], list[Tensor](), list[Tensor]()
        there = [far == hop for hop in range(1, self.hops)] + [(far == self.hops) | (far == UNREACHED)]
        for number, places in enumerate(places_of(*there)):
            if len(places):
                found.append(places[self._draws(len(places))])
                classes.append(torch.full_like(found[-1], number))
        if not found:  # a batch of a single node
            return around.anchors.new_empty(2, 0), around.anchors.new_empty(0)
        place = torch.cat(found)
        return torch.stack([around.anchors[place // width], place % width]), torch.cat(classes)

    def _draws(self, count: int) -> Tensor:
        return torch.randint(count, (self.pairs,), generator=self.rng, device=self.rng.device)
