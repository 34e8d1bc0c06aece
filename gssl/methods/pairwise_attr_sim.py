"""PairwiseAttrSim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch

from gssl.augment.similar_pairs import similar_pairs
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.properties import Made, PropertyPrediction, Told
from gssl.models.encoder import Encoder
from gssl.samplers.base import Sampler


class PairwiseAttrSim(PropertyPrediction):
    """Prediction of how alike the features of two nodes are (Jin et al., 2020, arXiv:2006.10141, sec. 3.1.2).

    Pairs are made once: of each node with the few whose features are most alike, with the few that are least alike,
    and, as in the authors' code (ChandlerBang/SelfTask-GNN), with as many others. A linear head on the absolute
    difference of two embeddings predicts their cosine similarity by squared error, of some pairs at each step.

    The code compares every prediction with the similarity of every pair of the step (predictions of shape (k, 1), and
    targets of shape (k,)), so that its head can learn no more than their mean; here each has its own. AutoSSL, by the
    same authors, tells the 10 nearest from random pairs instead.

    Args:
        encoder: under the head.
        neighbors: pairs of each kind for each node.
        pairs: of a step, drawn with replacement from those whose ends are both in the batch.
    """

    reads_features: ClassVar[bool] = True
    card: ClassVar[Card] = Card(
        family="property prediction",
        views="the graph",
        encoders="one, with a linear head on absolute differences",
        objective="squared error of the cosine similarity of features",
        time="p d (p pairs); once, the similarities of all nodes, in tiles",
        memory="3 k v + p d (k pairs of each kind for each of v nodes)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "neighbors": Int(1, 20, log=True),
        "pairs": Choice((2000, 5000, 10000)),
        "encoder.hidden_dim": Choice((128, 256, 512)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(self, encoder: Encoder, *, neighbors: PositiveInt = 3, pairs: PositiveInt = 5000) -> None:
        super().__init__(encoder, 1)
        self.neighbors, self.pairs = neighbors, pairs

    @property
    def settings(self) -> str:
        return str(self.neighbors)

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        nodes = sampler.graph.num_nodes
        if self.neighbors >= nodes:
            raise InputError(
                f"PairwiseAttrSim cannot find {self.neighbors} others among {nodes} nodes; choose --set neighbors "
                f"below {nodes}"
            )

    def make(self, graph: Graph) -> Made:
        return similar_pairs(graph.x, self.neighbors)

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, Told]:
        pairs, alike = self.made(batch.device)
        ids = batch.node_ids[: batch.num_targets]
        row = torch.full((self.num_nodes,), -1, device=ids.device)
        row[ids] = torch.arange(len(ids), device=ids.device)
        here = row[pairs]
        known = (here >= 0).all(0).nonzero().squeeze(1)
        if not len(known):
            return batch, Told(here[:, :0], alike[:0])
        drawn = known[torch.randint(len(known), (self.pairs,), generator=self.rng, device=ids.device)]
        return batch, Told(here[:, drawn], alike[drawn])
