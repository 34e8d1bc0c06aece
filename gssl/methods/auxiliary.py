"""Auxiliary learning: a loss on labels and the loss of a self-supervised method, of one encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import Method, OverItems, Player
from gssl.methods.labelled import Labelled
from gssl.samplers.base import Sampler


class Auxiliary(Labelled):
    """``loss on labels + weight * self-supervised loss`` (the survey's third setting, arXiv:2102.10757, sec. 2.3).

    The two are means over different items, the labelled ones of the training part and all of them, so each has a mass
    of its own and both are right where batches are sampled.

    Args:
        companion: the self-supervised method; its embedding carries the head.
        weight: of its loss.
        dropout: dropout probability between embedding and head.
    """

    def __init__(self, companion: Method, *, weight: float, dropout: float) -> None:
        super().__init__(companion.encoder, dropout=dropout)
        self.companion = companion
        self.weight = weight
        players = companion.players()
        *_, self._last = players
        self._companion_loss = players[self._last].loss or companion.loss

    @property
    def embedding_dim(self) -> int:
        return self.companion.embedding_dim

    @property
    def num_layers(self) -> int:
        return self.companion.num_layers

    def check_sampler(self, sampler: Sampler) -> None:
        self.companion.check_sampler(sampler)

    def prepare(self, graph: Graph, seed: int) -> None:
        self.companion.prepare(graph, seed)

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        self.companion.begin_epoch(epoch, over_items)

    def reseed(self, seed: int, device: torch.device) -> None:
        super().reseed(seed, device)
        self.companion.reseed(seed, device)

    def after_step(self, progress: float) -> None:
        self.companion.after_step(progress)

    def embed(self, batch: MiniBatch) -> Tensor:
        return self.companion.embed(batch)

    def loss(self, batch: MiniBatch) -> Tensor:
        own = self._companion_loss(batch) * self.companion.mass(batch)
        return self.label_loss(batch) * self.label_mass(batch) + self.weight * own

    def mass(self, batch: MiniBatch) -> float:
        """Both terms have theirs already."""
        return 1.0

    def players(self) -> Mapping[str, Player]:
        """Those of the companion; the last of them, who trains the encoder, has the head and the labels too."""
        players = {name: self._massed(player) for name, player in self.companion.players().items()}
        last = players[self._last]
        return {**players, self._last: replace(last, parameters=(*last.parameters, *self.head.parameters()), loss=None)}

    def _massed(self, player: Player) -> Player:
        loss = player.loss or self.companion.loss
        return replace(player, loss=lambda batch: loss(batch) * self.companion.mass(batch))

    def label_mass(self, batch: MiniBatch) -> Tensor | float:
        """In batches of graphs: the share of the labelled graphs that the batch has, of what it ought to have.

        With it the mean over the labelled graphs of a batch adds up, over an epoch, to that over all of them.
        """
        if batch.graph_ids is None:
            return super().label_mass(batch)
        known = self.known if self.known.dim() == 1 else self.known.any(1)
        share = known[batch.graph_ids].sum() / known.sum()
        return share * (len(known) / batch.num_items)
