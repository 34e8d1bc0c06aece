"""Merged encoders."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegativeInt, Positive
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.method import MAIN, Player
from gssl.methods.joint import Joint
from gssl.models.encoder import Encoder
from gssl.models.merging import MergedEncoder, routed_encoder
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler


class Merged(Joint):
    """Encoders of several methods from one initialisation, merged by weights (arXiv:2212.04089, arXiv:2402.00433).

    Each method trains a copy of the encoder as it would by itself: no two of them share a parameter, so that one
    optimizer over the sum of the losses takes the steps that one for each would take (not with ``train.clip_norm``,
    which cuts all gradients as one). What is judged computes with weights that are made of all of them: their average;
    task arithmetic, the initial weights plus the sum of scaled task vectors, the ways from the initial weights to those
    of a method (Ilharco et al., arXiv:2212.04089); or a mixture of experts, in every layer of which a router gives each
    node shares of the task vectors from the node's own row (Tang et al., arXiv:2402.00433).

    The router learns without labels: it lowers the sum of the methods' losses, each with the mixture in place of the
    method's own encoder, while experts, heads and decoders get no gradient from that. Tang et al. start from a
    pretrained network, train the router afterwards and by the entropy of class predictions, and give the words of a
    sentence the same weights; here the initial weights are random, the router follows the experts from the first step,
    and every node is an input. Layers must be linear in their weights for it (GCN, SAGE); norms and activations are
    averaged, as are running statistics of batch norm in any case, although those of merged weights differ.

    Args:
        encoder: gives architecture and initial weights.
        methods: names of two or more methods.
        options: options of some of the methods, by name; the others, and other options, have their defaults.
        merge: ``average``, task ``arithmetic``, or a mixture of ``experts``.
        scale: of the task vectors where they are added; the router's shares begin there.
        router_dim: width of the routers' hidden layer; 0 leaves it out.
    """

    card: ClassVar[Card] = Card(
        family="combination of tasks",
        views="those of the methods",
        encoders="one for each method, from one initialisation; what is judged has merged weights",
        objective="sum of the losses; for the router, their sum with the mixture as encoder",
        time="the sum over the methods; with a router twice that, and k + 1 layers for one (k: methods)",
        memory="the sum over the methods; with a router twice that",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "merge": Choice(("average", "arithmetic", "experts")),
        "scale": Float(0.1, 1.0),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        methods: Annotated[tuple[str, ...], Field(min_length=2)] = ("DGI", "GRACE", "GraphMAE"),
        merge: Literal["average", "arithmetic", "experts"] = "average",
        scale: Positive = 0.3,
        router_dim: NonNegativeInt = 32,
        **inherited: Any,
    ) -> None:
        super().__init__(encoder, methods=methods, **inherited)
        self.weight.fill_(1)
        self.merge = merge
        initial, experts = copy.deepcopy(encoder), [part.encoder for part in self.members]
        for name, expert in zip(self.names, experts, strict=True):
            _require_same(initial, expert, name)
        if merge == "experts":
            self.encoder = routed_encoder(initial, experts, hidden_dim=router_dim, start=scale)
        else:
            self.encoder = MergedEncoder(initial, experts, scale=1 / len(experts) if merge == "average" else scale)

    def encoder_of_part(self, encoder: Encoder) -> Encoder:
        return copy.deepcopy(encoder)

    def check_embedding(self, sampler: Sampler) -> None:
        if isinstance(sampler, PairSampler) and sampler.stateful:
            raise InputError(
                "Merged trains several encoders, but a sampler that stores embeddings or observes gradients knows of "
                "one; use --sampler graphsage, labor or clustergcn"
            )
        super().check_embedding(sampler)

    def loss(self, batch: MiniBatch) -> Tensor:
        total = super().loss(batch)
        if self.merge != "experts":
            return total
        with self._routed():
            return total + super().loss(batch)

    def players(self) -> Mapping[str, Player]:
        """One, of the methods' parameters and the router's."""
        player = super().players()[MAIN]
        own = dict.fromkeys((*player.parameters, *(p for p in self.encoder.parameters() if p.requires_grad)))
        return {MAIN: replace(player, parameters=tuple(own))}

    @contextmanager
    def _routed(self) -> Iterator[None]:
        """While entered, the methods see the mixture as their encoder, and only the router gets gradients."""
        parts, experts = self.members, [part.encoder for part in self.members]
        still = [p for p in self.parts.parameters() if p.requires_grad]
        try:
            for part in parts:
                part.encoder = self.encoder
            for parameter in still:
                parameter.requires_grad_(False)
            yield
        finally:
            for part, expert in zip(parts, experts, strict=True):
                part.encoder = expert
            for parameter in still:
                parameter.requires_grad_(True)


def _require_same(initial: Encoder, expert: Encoder, name: str) -> None:
    """Whether a method trains the encoder that it was given, from the weights that it was given.

    Raises:
        InputError: it does not.
    """
    first, second = initial.state_dict(), expert.state_dict()
    if first.keys() != second.keys() or not all(torch.equal(value, second[key]) for key, value in first.items()):
        raise InputError(
            f"{name} trains another encoder than the one that it is given, or from other weights, so that its weights "
            "cannot be merged with those of the other methods; leave it out"
        )
