"""AFGRL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.augment.clusters import k_means
from gssl.augment.knn import top_k_cosine
from gssl.augment.positives import NONE, edge_keys, near_positives, pairs_among
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Fraction, PositiveInt
from gssl.common.seeds import derive_seed
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.crossing import sent
from gssl.graph.storage import Graph
from gssl.method import Method, OverItems
from gssl.models.ema import EMATarget
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.objectives.pairs import bootstrap_pairs
from gssl.samplers.base import Sampler


class AFGRL(Method):
    """Augmentation-free self-supervised learning on graphs (Lee et al., 2022, arXiv:2112.02472).

    There is one view, the graph itself. The online network predicts what the target network (its moving average) makes
    of a node's positives, and the other way round. Positives are the node and those of its nearest neighbors, by the
    cosine of online and target embedding, that have an edge to it or are in one cluster with it in any of several runs
    of k-means on the target embeddings. They are found anew at the begin of an epoch, in time quadratic in the number
    of nodes.

    In sampled batches the positives that are no targets of the batch are left out, and a pair weighs the product of the
    weights of its nodes, which is right where nodes are drawn independently; clusters hold more positives.

    The authors' code finds positives with the embeddings of the same step, that is with batch statistics of the norm;
    here they come from the networks as they are in evaluation, once an epoch, so that sampled batches have them too. It
    draws the same starts of k-means in every epoch, here each epoch has its own.

    Args:
        encoder: the online encoder; the target starts as a copy of it.
        neighbors: nearest neighbors of a node, itself included.
        clusters: clusters in a run of k-means.
        cluster_runs: runs of k-means.
        cluster_steps: steps of a run at most.
        renew_epochs: epochs after which positives are found anew; the authors' code does it in every one.
        momentum: share of the target that survives the first update; it rises to 1 along a cosine.
        predictor_dim: width of the two-layer PReLU predictor with batch norm.
    """

    card: ClassVar[Card] = Card(
        family="bootstrap",
        views="the graph itself",
        encoders="online encoder with a predictor; target encoder, its moving average",
        objective="cosine to the targets of near nodes that are linked or share a cluster, and the other way round",
        time="n d p + n k d (p: width of the predictor, k: neighbors); n² d when positives are found anew",
        memory="n (d + p + k) (similarities are made piece by piece)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "neighbors": Choice((4, 8, 16, 32)),
        "clusters": Int(10, 200, log=True),
        "momentum": Float(0.9, 0.999),
        "predictor_dim": Int(64, 2048, log=True),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    keys: Tensor
    positives: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        neighbors: PositiveInt = 4,
        clusters: PositiveInt = 100,
        cluster_runs: PositiveInt = 5,
        cluster_steps: PositiveInt = 20,
        renew_epochs: PositiveInt = 1,
        momentum: Fraction = 0.9,
        predictor_dim: PositiveInt = 1024,
    ) -> None:
        super().__init__(encoder)
        self.neighbors, self.renew_epochs = neighbors, renew_epochs
        self.clusters, self.cluster_runs, self.cluster_steps = clusters, cluster_runs, cluster_steps
        self.target = EMATarget(encoder, momentum=momentum)
        self.predictor = mlp_head(encoder.out_dim, predictor_dim, encoder.out_dim, activation="prelu", norm="batch")

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        nodes = sampler.graph.num_nodes
        for name, wanted in (("neighbors", self.neighbors), ("clusters", self.clusters)):
            if wanted > nodes:  # what is trained already embeds smaller graphs too
                raise InputError(
                    f"AFGRL cannot find {wanted} {name} among {nodes} nodes; choose --set {name} of at most {nodes}"
                )

    def prepare(self, graph: Graph, seed: int) -> None:
        """Every node is its only positive until the first epoch begins."""
        self._seed = seed
        self.register_buffer("keys", graph.derived("edge keys", lambda: edge_keys(graph.block.pattern)), False)
        positives = torch.full((graph.num_nodes, self.neighbors), NONE)
        positives[:, 0] = torch.arange(graph.num_nodes)
        self.register_buffer("positives", positives)

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        if epoch % self.renew_epochs:
            return
        both = over_items(lambda batch: torch.cat([self.encoder(batch), self.target(batch)], dim=1))
        online, target = both.chunk(2, dim=1)
        nearest = top_k_cosine(online, self.neighbors, keys=target)
        unit = F.normalize(target, dim=1).cpu()  # where clusters are made
        labels = [self._labels(unit, derive_seed(self._seed, epoch, run)) for run in range(self.cluster_runs)]
        self.positives.copy_(near_positives(nearest, self.keys, sent(torch.stack(labels), nearest.device)))

    def _labels(self, unit: Tensor, seed: int) -> Tensor:
        return k_means(unit, self.clusters, steps=self.cluster_steps, seed=seed).labels

    def loss(self, batch: MiniBatch) -> Tensor:
        prediction = self.predictor(self.encoder(batch))
        return self.agreement(batch, prediction, self.target(batch))

    def agreement(self, batch: MiniBatch, prediction: Tensor, target: Tensor) -> Tensor:
        """The objective, a scalar, from predictions and target embeddings, each of shape (num_targets, out_dim).

        A mean over pairs as in the authors' code; the paper divides the sum by the number of nodes.
        """
        pairs = pairs_among(batch.node_ids[: batch.num_targets], self.positives)
        weight = _pair_weight(pairs, batch.weight)
        either = torch.cat([pairs, pairs.flip(0)], dim=1)
        return 2 * bootstrap_pairs(prediction, target, either, weight=None if weight is None else weight.repeat(2))

    def after_step(self, progress: float) -> None:
        self.target.update(self.encoder, progress)


def _pair_weight(pairs: Tensor, weight: Tensor | None) -> Tensor | None:
    """Importance weight of each pair of different nodes: the product of theirs; a node with itself weighs its own."""
    if weight is None:
        return None
    first, second = weight[pairs[0]], weight[pairs[1]]
    return torch.where(pairs[0] == pairs[1], first, first * second)
