"""AutoSSL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from gssl.augment.clusters import k_means
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegative, Positive, PositiveInt, UsedWith
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.crossing import sent
from gssl.graph.storage import Graph
from gssl.method import OverItems
from gssl.methods.joint import Joint
from gssl.models.encoder import Encoder
from gssl.models.known import KnownNumbers
from gssl.objectives.homophily import pseudo_homophily, soft_clusters, soft_heterophily
from gssl.samplers.base import Sampler

_DECAY = (0.9, 0.999)  # of the moments, as in Adam
_CLUSTER_STEPS = 300  # at most, as scikit-learn has it


class AutoSSL(Joint):
    """Automated self-supervised learning: one encoder, several methods (Jin et al., 2022, arXiv:2106.05470).

    The loss is a weighted sum of the losses of other methods over one encoder; heads, decoders and views are their own.
    The weights are given, or learned by the differentiable search of the paper (AutoSSL-DS), so that the graph becomes
    homophilous in clusters of the embeddings: with ``H`` the mean difference between the soft cluster assignments of
    the two ends of an edge, a step of size e along the weighted gradients changes H by ``-e <dH, dloss_k>`` for each
    unit of weight k. That derivative moves the weights by a step of Adam, after which they are kept in [0, 1].

    Weights are renewed at the begin of an epoch from the whole graph, without dropout. The authors' code differentiates
    through Adam's update of the encoder and returns to the weights of the epoch with the highest pseudo-homophily; here
    the update is that of plain gradient descent, and training ends as it does for any method. Their tasks are DGI and
    four that predict properties; any methods of this project for nodes that have one player may be named. What is
    judged is the encoder's output, whatever a method by itself makes of it.

    Args:
        encoder: shared by all methods.
        methods: names of two or more methods.
        options: options of some of the methods, by name; the others, and other options, have their defaults.
        weights: one for each method, which then stay; None learns them.
        weights_lr: step of the learned weights, which begin as one over the number of methods.
        weights_epochs: epochs after which weights are renewed.
        clusters: clusters of the embeddings.
        cluster_starts: starts of k-means, of which the best one counts; they are the same in every epoch.
        temperature: of the soft cluster assignment.

    Attributes:
        weight: of each method's loss now, shape (num_methods,), float32, a buffer.
        homophily: share of edges within a cluster when weights were last renewed, a scalar buffer; 0 before that.
    """

    card: ClassVar[Card] = Card(
        family="combination of tasks",
        views="those of the methods that it weighs",
        encoders="one for all methods; heads and decoders are their own",
        objective="weighted sum of their losses; weights learned so that clusters are homophilous",
        time="the sum over the methods; before an epoch k-means and a gradient of each over the whole graph",
        memory="the greatest of the methods'; v c (c clusters) at the renewal",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "weights_lr": Choice((0.01, 0.05, 0.1)),
        "clusters": Choice((5, 10, 20)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    homophily: Tensor
    moments: Tensor
    renewals: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        weights: tuple[NonNegative, ...] | None = None,
        weights_lr: Annotated[Positive, UsedWith("weights", None)] = 0.05,
        weights_epochs: Annotated[PositiveInt, UsedWith("weights", None)] = 1,
        clusters: Annotated[PositiveInt, UsedWith("weights", None)] = 5,
        cluster_starts: Annotated[PositiveInt, UsedWith("weights", None)] = 1,
        temperature: Annotated[Positive, UsedWith("weights", None)] = 1e-3,
        **inherited: Any,
    ) -> None:
        super().__init__(encoder, **inherited)
        self.learns = weights is None
        self.weights_lr, self.weights_epochs = weights_lr, weights_epochs
        self.clusters, self.cluster_starts, self.temperature = clusters, cluster_starts, temperature
        count = len(self.names)
        if weights is not None:
            self.weight.copy_(_given(weights, count))
        self.register_buffer("homophily", torch.zeros(()))
        self.register_buffer("moments", torch.zeros(2, count, dtype=torch.float64))
        self.register_buffer("renewals", torch.zeros((), dtype=torch.int64))
        self.numbers = KnownNumbers(self)

    def check_sampler(self, sampler: Sampler) -> None:
        nodes = sampler.graph.num_nodes
        if self.learns and self.clusters > nodes:  # what is trained already embeds smaller graphs too
            raise InputError(
                f"AutoSSL cannot make {self.clusters} clusters of {nodes} nodes; choose --set clusters of at most "
                f"{nodes}"
            )
        super().check_sampler(sampler)

    def prepare(self, graph: Graph, seed: int) -> None:
        self._seed = seed
        super().prepare(graph, seed)

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        super().begin_epoch(epoch, over_items)
        if self.learns and epoch % self.weights_epochs == 0:
            over_items(self._renew)

    def _renew(self, batch: MiniBatch) -> Tensor:
        """Move the weights by what the batch of all nodes says; embeddings without gradient come back."""
        with torch.enable_grad():
            embedding: Tensor = self.encoder(batch)
            found = k_means(embedding, self.clusters, steps=_CLUSTER_STEPS, seed=self._seed, starts=self.cluster_starts)
            pattern = batch.blocks[-1].pattern
            outer = soft_heterophily(soft_clusters(embedding, found.centers, temperature=self.temperature), pattern)
            slope = self.gradient(outer)
            # Their losses once each, and one after the other: their forward passes need not be in memory together.
            inner = [self.gradient(loss(batch)) for loss in self.losses]
        change = torch.stack([-torch.dot(slope, gradient) for gradient in inner])
        self.homophily.copy_(pseudo_homophily(found.labels, pattern))
        renewals = int(self.numbers["renewals"]) + 1
        self.numbers["renewals"] = renewals
        moved = adam_step(self.weight, change, self.moments, renewals, lr=self.weights_lr).clamp(0, 1)
        # With no weight left there would be nothing to train.
        self.weight.copy_(torch.where(moved.any(), moved, self.weight))
        return embedding.detach()


def adam_step(value: Tensor, gradient: Tensor, moments: Tensor, count: int, *, lr: float) -> Tensor:
    """A step of Adam whose size does not depend on how small gradients are.

    Args:
        value: shape (n,), float.
        gradient: shape (n,), float.
        moments: decayed means of gradients and of their squares, shape (2, n), float64; changed in place.
        count: of this step, from 1.
        lr: size of a step of steady gradients.

    Returns:
        The value after the step, shape (n,), of the dtype of ``value``; where no gradient was yet, as it was.
    """
    decay = sent(torch.tensor(_DECAY, dtype=moments.dtype), moments.device)
    powers = torch.stack([gradient, gradient.square()]).to(moments.dtype)
    moments.lerp_(powers, (1 - decay)[:, None])
    mean, square = moments / (1 - decay**count)[:, None]
    step = torch.where(square > 0, mean / square.sqrt(), 0.0)
    return (value - lr * step).to(value.dtype)


def _given(weights: Sequence[float], count: int) -> Tensor:
    if len(weights) != count or not any(weights):
        raise InputError(
            f"option 'weights' of AutoSSL: it needs one number for each of the {count} methods, not all zero "
            f"(got {list(weights)})"
        )
    return torch.tensor(weights, dtype=torch.float32)
