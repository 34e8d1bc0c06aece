"""Completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from gssl.augment.mask_node import mask_nodes
from gssl.augment.node_targets import principal_scores
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import PositiveInt
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.properties import Made, PropertyPrediction, Told
from gssl.models.encoder import Encoder
from gssl.objectives.weights import weighted_mean
from gssl.samplers.base import Sampler

Share = Annotated[float, Field(gt=0, le=1)]


class Completion(PropertyPrediction):
    """Graph completion, the third task of SS-GCNs (You et al., 2020, arXiv:2006.09136).

    The features of some nodes are taken away, and a linear head predicts from the embedding of each of them what its
    features were, in a few dimensions: the principal left singular vectors of the features. Neighbors are all that it
    has to tell it from.

    The authors' code (Shen-Lab/SS-GCNs) hides nobody's features, but leaves out the edge of every node to itself, so
    that it predicts those of all nodes at once; with two layers what is hidden comes back by the neighbors. Here
    features are hidden, as in the paper. As in the code the error is the absolute one, there 100 times that of vectors
    of length 1; here entries have the mean square 1, so that it does not depend on the number of nodes.

    Args:
        encoder: sees the graph in which features are missing.
        mask_rate: share of the nodes whose features are hidden, drawn anew at each step.
        dim: dimensions of what is predicted; the code has 24 to 48.
    """

    reads_features: ClassVar[bool] = True
    reads_edges: ClassVar[bool] = True
    card: ClassVar[Card] = Card(
        family="masked reconstruction",
        views="features of some nodes taken away",
        encoders="one, with a linear head",
        objective="absolute error of the principal scores of hidden features",
        time="h d k (h hidden nodes, k scores); once, k singular vectors of the features",
        memory="n k",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "mask_rate": Float(0.1, 0.9),
        "dim": Int(8, 128, log=True),
        "encoder.hidden_dim": Choice((128, 256, 512)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    nothing: Tensor

    def __init__(self, encoder: Encoder, *, mask_rate: Share = 0.5, dim: PositiveInt = 48) -> None:
        super().__init__(encoder, dim)
        self.mask_rate, self.dim = mask_rate, dim
        self.register_buffer("nothing", torch.zeros(encoder.in_dim), persistent=False)

    @property
    def settings(self) -> str:
        return str(self.dim)

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        least = min(sampler.graph.num_nodes, sampler.graph.in_dim)
        if self.dim >= least:
            raise InputError(
                f"Completion cannot find {self.dim} principal directions in {sampler.graph.num_nodes} rows of "
                f"{sampler.graph.in_dim} features; choose --set dim below {least}"
            )

    def make(self, graph: Graph) -> Made:
        return (principal_scores(graph.x, self.dim),)

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, Told]:
        view, rows, _ = mask_nodes(batch, self.nothing, rate=self.mask_rate, replace_rate=0.0, rng=self.rng)
        return view, Told(rows, self.made(batch.device)[0][batch.node_ids[rows]])

    def error(self, embedding: Tensor, view: MiniBatch, target: Told) -> Tensor:
        assert target.rows is not None
        gap = self.head(embedding.index_select(0, target.rows)) - target.target
        return weighted_mean(gap.abs().mean(1), target.weights(view.weight))
