"""Methods that learn from labels: a linear head on the embedding of another method, or of an encoder alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.datasets.types import LabelKind, Labels, Split
from gssl.graph.batch import MiniBatch
from gssl.graph.kept import places_of
from gssl.method import Method
from gssl.models.encoder import Encoder
from gssl.objectives.weights import weighted_mean


class Labelled(Method):
    """Base: embed -> head -> loss on the known labels of the training items.

    Cross-entropy for classes, binary cross-entropy over the known labels for several tasks, squared error of
    standardised targets for regression.

    Args:
        encoder: under the head.
        dropout: dropout probability between embedding and head.
    """

    head: nn.Linear
    targets: Tensor
    known: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self, encoder: Encoder, *, dropout: float) -> None:
        super().__init__(encoder)
        self.dropout = dropout
        self.kind: LabelKind | None = None

    def fit_labels(self, labels: Labels, split: Split) -> None:
        """Attach the labels of the training items and a new head; no other label is kept.

        Args:
            labels: labels of all items; a missing one is NaN, or negative for classes.
            split: its training items are learned from.

        Raises:
            InputError: no training item has a label.
        """
        y, kind = labels.y[split.train], labels.kind
        known = y >= 0 if kind == "multiclass" else ~y.isnan()
        if not known.any():
            raise InputError(f"split {split.name!r} has no labelled training item, which learning from labels needs")
        shift, scale = _standardisation(y) if kind == "regression" else (torch.zeros(1), torch.ones(1))
        targets = torch.where(known, y, 0) if kind != "regression" else ((y - shift) / scale).nan_to_num()
        self.kind = kind
        self.head = nn.Linear(self.embedding_dim, labels.num_classes)
        # Not part of the state dict: a stored method holds no label at all.
        self.register_buffer("targets", _spread(targets, split.train, len(labels.y)), persistent=False)
        self.register_buffer("known", _spread(known, split.train, len(labels.y)), persistent=False)
        self.register_buffer("shift", shift, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    @property
    def separable(self) -> bool:
        return self.known.dim() == 1  # else a target with more known labels counts more

    def predict(self, batch: MiniBatch) -> Tensor:
        """Logits, or values on the scale of the labels for regression, shape (num_items, num_classes)."""
        return self._head(self.embed(batch)) * self.scale + self.shift

    def labels_of(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """What the loss compares the predictions for some items with, and where that is known, both (n, ...)."""
        return self.targets[items], self.known[items]

    def label_loss(self, batch: MiniBatch) -> Tensor:
        """Weighted mean over the known labels of the training items in the batch; 0 if it has none."""
        items = batch.node_ids[: batch.num_targets] if batch.graph_ids is None else batch.graph_ids
        targets, known = self.labels_of(items)
        rows = known if known.dim() == 1 else known.any(1)
        embedding = self.embed(batch)
        # The norms of a measured batch are those of all its targets, so the head must see them all.
        (places,) = places_of(rows)
        logits = self._head(embedding)[places] if batch.plan.measure else self._head(embedding[places])
        if not len(logits):
            return logits.sum()
        targets, known = targets[places], known[places]
        weight = None if batch.weight is None else batch.weight[places]
        if self.kind == "multiclass":
            return weighted_mean(F.cross_entropy(logits, targets, reduction="none"), weight)
        criterion = F.mse_loss if self.kind == "regression" else F.binary_cross_entropy_with_logits
        terms = criterion(logits, targets, reduction="none")
        weight = None if weight is None else weight[:, None].expand_as(terms)[known]
        return weighted_mean(terms[known], weight)

    def label_mass(self, batch: MiniBatch) -> Tensor | float:
        """As the mass of any method, but for the labelled targets alone: they are what the loss is a mean over."""
        if batch.plan.population is None or batch.weight is None or self.known.dim() > 1:
            return Method.mass(self, batch)
        known = self.known[batch.node_ids[: batch.num_targets]]
        return batch.weight[known].sum() / self.known.sum()

    def _head(self, embedding: Tensor) -> Tensor:
        logits: Tensor = self.head(F.dropout(embedding, self.dropout, self.training))
        return logits


def _standardisation(y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column (n, num_tasks) without its NaN; 1 for constant columns."""
    mean = y.nanmean(0)
    std = (y - mean).square().nanmean(0).sqrt()
    return mean.nan_to_num(), torch.where(std > 0, std, 1.0)


def _spread(values: Tensor, items: Tensor, num_items: int) -> Tensor:
    """``values`` in the rows ``items`` of a tensor with ``num_items`` rows, zeros elsewhere."""
    out = values.new_zeros(num_items, *values.shape[1:])
    out[items] = values
    return out
