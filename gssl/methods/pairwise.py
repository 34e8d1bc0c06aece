"""Contrastive methods whose objective, an agreement of two views, is chosen by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gssl.augment.base import Augmenter
from gssl.common.errors import InputError
from gssl.common.options import options_of, validate
from gssl.graph.batch import MiniBatch
from gssl.method import ContrastiveMethod
from gssl.models.encoder import Encoder
from gssl.registry import OBJECTIVES

PairObjective = partial[Tensor]
"""Called with two matrices (num_items, dim) and ``weight``; gives a scalar."""


class PairwiseMethod(ContrastiveMethod):
    """Views -> encode -> project -> an objective of two views by its name, for each pair of views (arXiv:2102.10757).

    A subclass makes the objective with :func:`pair_objective` from options of these names:

    Args:
        encoder: shared by all views.
        views: one augmenter per view, two at least.
        head: module from (num_items, out_dim) to (num_items, dim).
        objective: name of a registered objective of two views.
        objective_options: options of the objective beside those that are the method's own; None for their defaults.
    """

    least_items: ClassVar[int] = 2

    def __init__(
        self, encoder: Encoder, views: Sequence[Augmenter], *, head: nn.Module, objective: PairObjective
    ) -> None:
        super().__init__(encoder, views)
        self.objective = objective
        self.head = head

    def project(self, embedding: Tensor) -> Tensor:
        projection: Tensor = self.head(embedding)
        return projection

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        """Mean over the pairs of views."""
        return self.agreement(projections, batch.weight)

    def agreement(self, projections: Sequence[Tensor], weight: Tensor | None) -> Tensor:
        """The objective of the same items in every view, a scalar.

        Args:
            projections: one of shape (num_items, dim) per view.
            weight: of the items, shape (num_items,), or None for 1 each.
        """
        terms = [self.objective(one, two, weight=weight) for one, two in combinations(projections, 2)]
        return terms[0] if len(terms) == 1 else torch.stack(terms).mean()


def pair_objective(name: str, options: Mapping[str, Any] | None, **shared: object) -> PairObjective:
    """A registered objective of two views with its options.

    Such an objective takes two matrices called ``first`` and ``second``, whose rows are the same items, and ``weight``;
    everything else is an option with a default.

    Args:
        name: registered name or import path.
        options: of the objective.
        shared: options of the method that go to an objective which has them, and are nothing to one that has not.

    Raises:
        InputError: no such objective, one of something else (those that fit are named), or an unknown or wrong option.
    """
    function = OBJECTIVES.get(name)
    if not _compares_views(function):
        fitting = [other for other in OBJECTIVES.names() if _compares_views(OBJECTIVES.get(other))]
        raise InputError(
            f"objective {name} does not compare two views: it must take (first, second, *, weight=None) and options "
            f"with defaults; objectives that fit: {', '.join(fitting)}"
        )
    given = dict(options or {})
    for key in given:
        if key in shared:
            raise InputError(
                f"option {key!r} of the objective is one of the method's own; give it with --set {key}=VALUE"
            )
        if key == "weight":
            raise InputError("the weights of an objective come with the batch; remove 'weight' from its options")
    own = {key: value for key, value in shared.items() if key in options_of(function)}
    return partial(function, **own, **validate(function, given, what=f"objective {name}"))


def _compares_views(function: object) -> bool:
    if not callable(function):
        return False
    parameters = list(inspect.signature(function).parameters.values())
    matrices, rest = parameters[:2], parameters[2:]
    return (
        [p.name for p in matrices] == ["first", "second"]
        and all(p.kind is not p.KEYWORD_ONLY for p in matrices)
        and all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in rest)
        and "weight" in [p.name for p in rest]
    )
