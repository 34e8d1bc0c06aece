"""M3S."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.augment.clusters import k_means
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import PositiveInt, Probability
from gssl.common.seeds import derive_seed
from gssl.common.space import Choice, Float, Int, Space
from gssl.datasets.types import Labels, Split
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import OverItems
from gssl.methods.labelled import Labelled
from gssl.models.encoder import Encoder
from gssl.objectives.pseudo_labels import aligned_clusters, most_confident
from gssl.samplers.base import Sampler

_CLUSTER_STEPS = 300  # at most, as scikit-learn has it
_NONE = -1


class M3S(Labelled):
    """Multi-stage self-training with clusters (Sun et al., 2020, arXiv:1902.11038).

    Encoder and linear head learn from the labelled nodes. At the end of a stage nodes without a label are given the
    class that is predicted for them: those of the greatest confidence, of each class as many as its share of the labels
    says, where DeepCluster agrees. That is, k-means groups the embeddings, and the mean of those nodes of a cluster
    that have no label must be nearest to the mean of the labelled nodes of that class.

    It learns from the labels of training nodes and from its own predictions, and from no other label, in the setting
    ``supervised`` (``--set setting.labels=5`` leaves five labels of each class: it is made for few). The authors' code
    is not published; the repository that they point to instead (Junseok0207/M3S_Pytorch) begins each stage with new
    weights, here training goes on. From that repository are the number of nodes that are added, and that embeddings
    are clustered at unit length.

    Args:
        encoder: trained together with the head.
        stages: how often nodes are added, if ``train.epochs`` lasts for them and a last stage.
        stage_epochs: epochs of each stage.
        clusters: of the embeddings.
        additions: nodes of each class that are chosen at a time, before clusters have their say; None for the share of
            the class in the labels times ``3 n / degree^layers`` over the stages, with the mean degree: about as many
            labels as reach the whole graph three times over.
        dropout: dropout probability between encoder and head.

    Attributes:
        pseudo: class that each node was given, shape (num_nodes,), int64, -1 for none; a buffer.
    """

    needs_labels: ClassVar[bool] = True
    card: ClassVar[Card] = Card(
        family="pseudo-labels",
        views="the graph itself, with its training labels",
        encoders="one, with a linear head",
        objective="cross-entropy of labels, and of confident predictions that clusters agree with",
        time="n d c (c classes); k-means after a stage",
        memory="n (d + c)",
        whole_graph="sampled batches are drawn from the labelled nodes, so that no other one would ever be in one",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "stages": Int(1, 10),
        "clusters": Int(20, 300, log=True),
        "dropout": Float(0.0, 0.8),
        "encoder.hidden_dim": Choice((16, 64, 128, 256)),
        "train.lr": Float(1e-4, 1e-1, log=True),
        "train.weight_decay": Float(1e-6, 1e-2, log=True),
    }

    pseudo: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        stages: PositiveInt = 5,
        stage_epochs: PositiveInt = 200,
        clusters: PositiveInt = 200,
        additions: PositiveInt | None = None,
        dropout: Probability = 0.5,
    ) -> None:
        super().__init__(encoder, dropout=dropout)
        self.stages, self.stage_epochs, self.clusters, self.additions = stages, stage_epochs, clusters, additions

    def prepare(self, graph: Graph, seed: int) -> None:
        self._seed = seed
        self._mean_degree = graph.num_edges / max(graph.num_nodes, 1)
        self.register_buffer("pseudo", torch.full((graph.num_nodes,), _NONE))

    def fit_labels(self, labels: Labels, split: Split) -> None:
        if labels.kind != "multiclass":
            raise InputError(
                f"M3S gives nodes a class, so it needs labels that are classes, but these are {labels.kind}; use the "
                "method supervised"
            )
        super().fit_labels(labels, split)

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        nodes = sampler.graph.num_nodes
        if self.clusters > nodes:
            raise InputError(
                f"M3S cannot make {self.clusters} clusters of {nodes} nodes; choose --set clusters of at most {nodes}"
            )

    @property
    def measured(self) -> nn.Module:
        return self.head

    @property
    def separable(self) -> bool:
        return False  # pseudo-labels change what is known

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        stage, rest = divmod(epoch, self.stage_epochs)
        if rest or not 1 <= stage <= self.stages:
            return
        width = self.embedding_dim
        rows = over_items(self._embedded_and_told)
        self._add(F.normalize(rows[:, :width], dim=1), rows[:, width:].softmax(1), stage)

    def labels_of(self, items: Tensor) -> tuple[Tensor, Tensor]:
        if not hasattr(self, "pseudo"):
            raise InputError("M3S knows no graph yet; call prepare(graph, seed) first")
        targets, known = super().labels_of(items)
        pseudo = self.pseudo[items]
        return torch.where(known, targets, pseudo.clamp(min=0)), known | (pseudo != _NONE)

    def loss(self, batch: MiniBatch) -> Tensor:
        return self.label_loss(batch)

    def _embedded_and_told(self, batch: MiniBatch) -> Tensor:
        embedding = self.embed(batch)
        return torch.cat([embedding, self.head(embedding)], dim=1)

    def _add(self, rows: Tensor, probability: Tensor, stage: int) -> None:
        """Give some nodes the class that is predicted for them.

        Args:
            rows: embeddings of all nodes, of length 1, shape (num_nodes, dim).
            probability: of each class for each node, shape (num_nodes, num_classes).
            stage: its number, from 1.
        """
        items = torch.arange(len(rows), device=self.pseudo.device)
        targets, known = (values.to(rows.device) for values in self.labels_of(items))
        found = k_means(
            rows, self.clusters, steps=_CLUSTER_STEPS, seed=derive_seed(self._seed, "clusters", stage), starts=1
        )
        classes = probability.shape[1]
        aligned = aligned_clusters(rows, found.labels, targets, known, num_classes=classes)
        chosen = most_confident(probability, ~known, self._additions(classes).to(rows.device))
        predicted = probability.argmax(1)
        added = chosen & (predicted == aligned)
        self.pseudo.copy_(torch.where(added.to(self.pseudo.device), predicted.to(self.pseudo.device), self.pseudo))

    def _additions(self, num_classes: int) -> Tensor:
        """Nodes that are chosen of each class, shape (num_classes,), int64."""
        if self.additions is not None:
            return torch.full((num_classes,), self.additions)
        reached = max(self._mean_degree, 1.0) ** self.encoder.num_layers  # nodes that a label reaches
        labelled = self.targets[self.known]
        share = torch.bincount(labelled, minlength=num_classes).cpu().double() / len(labelled)
        whole = (3 * len(self.pseudo) / reached * share).long()
        return torch.tensor([math.ceil(count / self.stages) for count in whole.tolist()])
