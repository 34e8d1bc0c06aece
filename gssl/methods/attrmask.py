"""Attribute masking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.augment.mask_atoms import HiddenAtoms, mask_atoms
from gssl.common.card import Card
from gssl.common.options import Probability
from gssl.common.space import Choice, Float, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.method import PredictiveMethod
from gssl.methods.categories import categorical, place_of
from gssl.models.encoder import Encoder
from gssl.objectives.weights import weighted_mean


class AttrMask(PredictiveMethod[HiddenAtoms]):
    """Attribute masking on molecules (Hu et al., 2020, arXiv:1905.12265).

    Some atoms of every molecule are hidden, all categories of them, behind the learned row that the encoder has for
    nodes without features; a linear head predicts from the embedding of each which element it is, by cross-entropy.

    The authors' code describes an atom by element and chirality and predicts the element alone; here an atom has the
    categories of the data (nine of PyG's), all of which are hidden, and ``predict`` names further ones to predict.
    The code counts a bond's label once and takes the sum of the embeddings of both its atoms, as here. An encoder
    without a learned row sees zeros.

    Args:
        encoder: sees the molecules with hidden atoms.
        mask_rate: share of the atoms of each molecule; one more than its whole part is hidden, as in the code.
        predict: names of the categories that are predicted, each by a head of its own; empty for the first one, which
            is the element of an atom. The loss is the sum over them.
        bonds: whether the bonds of hidden atoms are hidden, too, and their first category, the type, is predicted.
    """

    levels: ClassVar[tuple[Level, ...]] = ("graph",)
    default_encoder: ClassVar[str] = "GINE"
    card: ClassVar[Card] = Card(
        family="masked reconstruction",
        views="some atoms of each molecule hidden, with their bonds if asked for",
        encoders="one, with a linear head for each category",
        objective="cross-entropy of the categories of hidden atoms",
        time="h d c (h hidden atoms, c values of a category)",
        memory="h c",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "mask_rate": Float(0.05, 0.5),
        "bonds": Choice((False, True)),
        "encoder.hidden_dim": Choice((64, 128, 300)),
        "train.lr": Float(1e-4, 1e-2, log=True),
    }

    def __init__(
        self, encoder: Encoder, *, mask_rate: Probability = 0.15, predict: tuple[str, ...] = (), bonds: bool = False
    ) -> None:
        super().__init__(encoder)
        self.spec = categorical(encoder, self.title, edges=bonds)
        self.mask_rate, self.bonds = mask_rate, bonds
        self.predicted = tuple(place_of(name, self.spec.nodes) for name in predict or (self.spec.nodes[0].name,))
        self.heads = nn.ModuleList(nn.Linear(encoder.out_dim, self.spec.nodes[c].size) for c in self.predicted)
        self.bond_head = nn.Linear(encoder.out_dim, self.spec.edges[0].size) if bonds else None

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, HiddenAtoms]:
        return mask_atoms(batch, self.rng, self.spec, rate=self.mask_rate, edges=self.bonds)

    def error(self, embedding: Tensor, view: MiniBatch, target: HiddenAtoms) -> Tensor:
        atoms, weight = embedding[target.rows], _weight_of(target.rows, view)
        total = embedding.new_zeros(())
        for head, category in zip(self.heads, self.predicted, strict=True):
            total = total + code_error(head(atoms), target.codes[:, category], weight)
        if self.bond_head is not None:
            pattern = view.blocks[0].pattern
            one, other = pattern.row[target.edges].long(), pattern.col[target.edges].long()
            logits = self.bond_head(embedding[one] + embedding[other])
            total = total + code_error(logits, target.edge_codes[:, 0], _weight_of(one, view))
        return total


def code_error(logits: Tensor, codes: Tensor, weight: Tensor | None = None) -> Tensor:
    """Weighted mean of the cross-entropy over the items whose code is known, a scalar; 0 if there are none.

    Args:
        logits: shape (n, size), float.
        codes: shape (n,), int64; -1 where it is not known.
        weight: importance weight of each item, shape (n,), float; None means 1 each.
    """
    known = codes >= 0
    if codes.device.type != "cpu":  # which would have to be asked
        terms = F.cross_entropy(logits, codes.clamp(min=0), reduction="none")
        share = known.to(terms) if weight is None else weight * known
        return (share * terms).sum() / share.sum().clamp(min=torch.finfo(share.dtype).tiny)
    if not known.any():
        return logits.sum() * 0.0
    terms = F.cross_entropy(logits[known], codes[known], reduction="none")
    return weighted_mean(terms, None if weight is None else weight[known])


def _weight_of(rows: Tensor, view: MiniBatch) -> Tensor | None:
    """Weight of the graph of each row, shape (n,), float."""
    return None if view.weight is None else view.weight[view.graph_index()[rows]]
