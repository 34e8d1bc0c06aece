"""EdgeMask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gssl.augment.mask_edge import MaskEdges
from gssl.common.card import Card
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.methods.edges import EdgePrediction, EdgeTarget, among_targets
from gssl.methods.properties import Told, head_error
from gssl.models.encoder import Encoder

Share = Annotated[float, Field(gt=0, lt=1)]


class EdgeMask(EdgePrediction[EdgeTarget]):
    """Prediction of hidden edges (Jin et al., 2020, arXiv:2006.10141, sec. 3.1.1).

    Some edges are hidden, and a linear head on the absolute difference of two embeddings tells them from pairs that no
    edge joins, by cross-entropy.

    As in the authors' code (ChandlerBang/SelfTask-GNN) each direction is hidden by itself, so that the opposite edge
    mostly stays. The code hides the same tenth of the edges at every step, and always takes the same non-edges; here
    both are drawn anew, and every edge is hidden with the same probability.

    Args:
        encoder: sees what is left of the graph.
        p: share of the edges that are hidden.
        undirected: whether both directions are hidden together.
        negatives_per_edge: non-edges drawn for every hidden edge, anew at each step.
    """

    card: ClassVar[Card] = Card(
        family="property prediction",
        views="some directed edges hidden",
        encoders="one, with a linear head on absolute differences",
        objective="cross-entropy of hidden edges against uniform non-edges",
        time="p m d",
        memory="m + p m d",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "p": Float(0.05, 0.7),
        "encoder.hidden_dim": Choice((128, 256, 512)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(self, encoder: Encoder, *, p: Share = 0.1, undirected: bool = False, **inherited: Any) -> None:
        super().__init__(encoder, **inherited)
        self.corruption = MaskEdges(p=p, undirected=undirected)
        self.head = nn.Linear(encoder.out_dim, 2)

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, EdgeTarget]:
        view, hidden = self.corruption(batch, self.rng)
        edges = hidden.among(batch.num_targets).edges
        negative = self.negatives(among_targets(batch), edges.shape[1], undirected=not hidden.directed)
        return view, EdgeTarget(edges, negative)

    def error(self, embedding: Tensor, view: MiniBatch, target: EdgeTarget) -> Tensor:
        is_edge = torch.cat([torch.ones_like(target.positive[0]), torch.zeros_like(target.negative[0])])
        told = Told(torch.cat([target.positive, target.negative], dim=1), is_edge)
        return head_error(self.head, embedding, told, view.weight)
