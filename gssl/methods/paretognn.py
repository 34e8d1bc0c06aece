"""ParetoGNN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.crossing import sent
from gssl.methods.joint import Joint
from gssl.models.encoder import Encoder
from gssl.objectives.simplex import min_norm_weights
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler


class ParetoGNN(Joint):
    """Several methods over one encoder, reconciled by multiple-gradient descent (Ju et al., 2023, arXiv:2210.02016).

    In every step each loss gives its gradient for the encoder. Scaled to length 1, these span a convex hull, and the
    weights of its point of least norm are those of the losses. Heads, decoders and views are the methods' own.

    The paper's five tasks are feature reconstruction, node and graph mutual information, decorrelated views, node
    contrast and link prediction; GraphMAE, DGI, CCA-SSG, GRACE and GAE are their like here, and any methods of this
    project for nodes that have one player may be named. As in the authors' code, which is the default, weights found
    from scaled gradients weigh losses as they are. A step then need not lower them all: of two losses that are at odds,
    the one with the longer gradient wins. With ``normalize=losses`` it does, for then the step is along the point of
    least norm itself. There as here, heads take part in the weighted sum (in the algorithm of Sener and Koltun,
    arXiv:1810.04650, they follow their own losses). Their solver never leaves a method out altogether: its line search
    stops a thousandth before either end, which keeps it from settling, too. Here the least norm is found, and a loss
    that does not depend on the encoder has no weight, where there it would be divided by zero.

    Args:
        encoder: shared by all methods.
        methods: names of two or more methods.
        options: options of some of the methods, by name; the others, and other options, have their defaults.
        normalize: what is scaled by the length of a gradient: ``weights`` scales gradients where weights are found,
            ``losses`` divides the losses by it, too, ``none`` gives most weight to the loss with the shortest gradient.

    Attributes:
        weight: of each method's loss in the last step, shape (num_methods,), float32, a buffer.
    """

    card: ClassVar[Card] = Card(
        family="combination of tasks",
        views="those of the methods that it reconciles",
        encoders="one for all methods; heads and decoders are their own",
        objective="sum of their losses, weighed so that the gradient of the encoder is the shortest in their hull",
        time="the sum over the methods",
        memory="the greatest of the methods', and a gradient of each",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "normalize": Choice(("weights", "losses", "none")),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        methods: Annotated[tuple[str, ...], Field(min_length=2)] = ("GraphMAE", "DGI", "CCA-SSG", "GRACE", "GAE"),
        normalize: Literal["weights", "losses", "none"] = "weights",
        **inherited: Any,
    ) -> None:
        super().__init__(encoder, methods=methods, **inherited)
        self.normalize = normalize

    def check_sampler(self, sampler: Sampler) -> None:
        if isinstance(sampler, PairSampler) and sampler.stateful:
            raise InputError(
                "ParetoGNN takes a gradient of each of its methods, which a sampler that observes or stores gradients "
                "or embeddings would take for that of the step; use --sampler graphsage, labor or clustergcn"
            )
        super().check_sampler(sampler)

    def loss(self, batch: MiniBatch) -> Tensor:
        """The weighted sum, which hands on gradients that were taken already, so that none is taken twice.

        They are those for the parameters, and for nothing else.
        """
        parameters = [p for p in self.parameters() if p.requires_grad]
        shared = {id(p) for p in self.encoder.parameters()}
        values, slopes = [], []
        with torch.enable_grad():  # weights come from gradients even where nobody asks for that of the loss
            for term in self.each(batch):
                values.append(term.detach())
                slopes.append(_slope(term, parameters))
        of_encoder = [[g for p, g in zip(parameters, slope, strict=True) if id(p) in shared] for slope in slopes]
        weights = self._reconciled(of_encoder).to(self.weight.dtype)
        self.weight.copy_(sent(weights, self.weight.device))
        total: Tensor = torch.stack(values) @ self.weight
        return _with_slope(total, parameters, slopes, weights.tolist()) if torch.is_grad_enabled() else total

    def _reconciled(self, slopes: Sequence[Sequence[Tensor | None]]) -> Tensor:
        """Weights of the point of least norm in the hull of the gradients of the losses, shape (num_methods,).

        Args:
            slopes: for each loss its gradient for each parameter of the encoder, None where it does not depend on it.
        """
        whole = _gram(slopes)
        length = torch.tensor([square**0.5 for square in whole.diagonal().tolist()], dtype=torch.float64)
        told = (length > 0).nonzero().squeeze(1)
        if not len(told):
            return torch.full_like(length, 1 / len(slopes))
        gram = whole[told][:, told]
        if self.normalize != "none":
            gram = gram / torch.outer(length[told], length[told])
        found = min_norm_weights(gram)
        if self.normalize == "losses":
            found = found / length[told]
        weights = torch.zeros_like(length)
        weights[told] = found / found.sum()
        return weights


def _slope(term: Tensor, parameters: Sequence[Tensor]) -> Sequence[Tensor | None]:
    """The gradient of a scalar for each parameter, None where it does not depend on it."""
    if not (term.requires_grad and parameters):
        return [None] * len(parameters)
    return torch.autograd.grad(term, parameters, allow_unused=True)


def _gram(slopes: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """Inner products of gradients, summed in float64, shape (n, n), on the CPU, for which a device is asked once."""
    device = next((slope.device for slope in chain.from_iterable(slopes) if slope is not None), None)
    nothing = torch.zeros((), dtype=torch.float64, device=device)
    found = [[_inner(first, second, nothing) for second in slopes[: number + 1]] for number, first in enumerate(slopes)]
    lower = iter(torch.stack([each for row in found for each in row]).tolist())
    gram = torch.zeros(len(slopes), len(slopes), dtype=torch.float64)
    for i in range(len(slopes)):
        for j in range(i + 1):
            gram[i, j] = gram[j, i] = next(lower)
    return gram


def _inner(first: Sequence[Tensor | None], second: Sequence[Tensor | None], nothing: Tensor) -> Tensor:
    """Inner product of two gradients, a scalar, summed in float64, one parameter after the other from ``nothing``."""
    total = nothing
    for a, b in zip(first, second, strict=True):
        if a is not None and b is not None:
            total = total + torch.sum(a * b, dtype=torch.float64)
    return total


def _with_slope(
    value: Tensor, parameters: Sequence[Tensor], slopes: Sequence[Sequence[Tensor | None]], weights: Sequence[float]
) -> Tensor:
    """The value, whose gradient for each parameter is the weighted sum of slopes; of none where all slopes are None."""
    for k, parameter in enumerate(parameters):
        known = [(weight, slope[k]) for weight, slope in zip(weights, slopes, strict=True)]
        parts = [weight * part for weight, part in known if part is not None]
        if parts:
            product = (parameter * torch.stack(parts).sum(0)).sum()
            value = value + (product - product.detach())
    return value
