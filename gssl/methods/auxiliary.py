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

    @property
    def separable(self) -> bool:
        return super().separable and self.companion.separable

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        self.companion.begin_epoch(epoch, over_items)

    def reseed(self, seed: int, device: torch.device) -> None:
        self.companion.reseed(seed, device)
        self.rng = self.companion.rng  # nothing else is drawn, and a checkpoint within an epoch holds it

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
        """What the mean over the known labels of a batch stands for, of that over all of them.

        Sampled nodes have as many labels as their weights say, which is right in expectation. Of graphs a batch has a
        share of the labels, where it ought to have as large a share as of the graphs; with that the epoch adds up.
        """
        if batch.graph_ids is not None:
            share = self.known[batch.graph_ids].sum() / self.known.sum()
            return share * (len(self.known) / batch.num_items)
        if batch.plan.population is None or batch.weight is None:
            return 1.0
        known = self.known[batch.node_ids[: batch.num_targets]]
        weight = batch.weight if known.dim() == 1 else batch.weight[:, None].expand_as(known)
        return weight[known].sum() / self.known.sum()
