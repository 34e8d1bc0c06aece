"""Contrast: the survey's framework as one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gssl.augment.base import Augmenter, Compose
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegativeInt, Positive, options_of, validate
from gssl.common.space import Choice, Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.methods.pairwise import PairwiseMethod, pair_objective
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.registry import AUGMENTERS

Step = str | Mapping[str, Mapping[str, Any]]


class Contrast(PairwiseMethod):
    """Any views, any encoder, any objective of two views: the framework of the survey (Xie et al., arXiv:2102.10757).

    ``gssl run Contrast Cora --set 'views=[[drop_edge, mask_feature], [drop_edge, mask_feature]]' --set
    objective=vicreg``. With its defaults it is GRACE, loss by loss.

    Items that some view drops (nodes of one graph, by ``drop_node`` or ``subgraph``) are left out of that step.

    Args:
        encoder: shared by all views.
        views: for each view the augmenters, applied first to last: a registered name, or a name with its options, as
            in ``{drop_edge: {p: 0.2}}``; an empty list is the graph as it is.
        objective: name of a registered objective of two views; of more views, the mean over their pairs.
        objective_options: of the objective, beside the temperature.
        temperature: of objectives that have one.
        projector_dim: width of the two-layer ELU projection head; 0 leaves the head out.
    """

    card: ClassVar[Card] = Card(
        family="cross-view",
        views="any registered augmenters, for two views or more",
        encoders="one for all views, with a projection head or without",
        objective="any registered objective of two views, the mean over the pairs of views",
        time="that of the objective; n² d for InfoNCE",
        memory="that of the objective; n d for InfoNCE",
    )
    levels: ClassVar[tuple[Level, ...]] = ("node", "graph")
    search_space: ClassVar[Mapping[str, Space]] = {
        "objective": Choice(("info_nce", "nt_xent", "barlow_twins", "vicreg", "cca_ssg")),
        "temperature": Float(0.1, 1.0),
        "projector_dim": Int(32, 512, log=True),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        views: Annotated[tuple[tuple[Step, ...], ...], Field(min_length=2)] = (
            ({"drop_edge": {"p": 0.2}}, {"mask_feature": {"p": 0.3}}),
            ({"drop_edge": {"p": 0.4}}, {"mask_feature": {"p": 0.4}}),
        ),
        objective: str = "info_nce",
        objective_options: Mapping[str, Any] | None = None,
        temperature: Positive = 0.4,
        projector_dim: NonNegativeInt = 128,
    ) -> None:
        made = [Compose(*map(named_augmenter, steps)) for steps in views]
        chosen = pair_objective(objective, objective_options, temperature=temperature)
        dim = encoder.out_dim
        head = mlp_head(dim, projector_dim, dim, activation="elu") if projector_dim else nn.Identity()
        super().__init__(encoder, made, head=head, objective=chosen)

    def loss(self, batch: MiniBatch) -> Tensor:
        views = list(self.drawn_views(batch))
        projections = [self.project(self.embed(view)) for view in views]
        if all(len(projection) == batch.num_items for projection in projections):
            return self.contrast(batch, *projections)
        return self._of_shared_items(batch, views, projections)

    def _of_shared_items(self, batch: MiniBatch, views: Sequence[MiniBatch], projections: Sequence[Tensor]) -> Tensor:
        """The objective on the targets that every view has; they are in the same order everywhere."""
        targets = [each.node_ids[: each.num_targets] for each in (batch, *views)]
        shared = targets[0]
        for ids in targets[1:]:
            shared = shared[torch.isin(shared, ids)]
        if not len(shared):
            return torch.stack([projection.sum() for projection in projections]).sum() * 0
        rows = [torch.isin(ids, shared) for ids in targets]
        weight = None if batch.weight is None else batch.weight[rows[0]]
        return self.agreement([p[chosen] for p, chosen in zip(projections, rows[1:], strict=True)], weight)


def named_augmenter(step: Step) -> Augmenter:
    """The augmenter of a registered name, or of a name with options as in ``{"drop_edge": {"p": 0.2}}``.

    Raises:
        InputError: no such augmenter, an unknown or missing option, or a wrong value.
    """
    if not isinstance(step, str) and len(step) != 1:
        raise InputError(
            f"a step of a view is a name, or one name with its options as in {{drop_edge: {{p: 0.2}}}} (got {step!r})"
        )
    ((name, options),) = [(step, {})] if isinstance(step, str) else step.items()
    found: Any = AUGMENTERS.get(name)
    if not (isinstance(found, type) and issubclass(found, Augmenter)):
        raise InputError(f"{name} is not an augmenter: it must be a subclass of gssl.augment.base:Augmenter")
    values = validate(found, options, what=f"augmenter {name}")
    missing = [option.name for option in options_of(found).values() if option.required and option.name not in values]
    if missing:
        raise InputError(f"augmenter {name} needs a value for {' and '.join(map(repr, missing))}")
    made: Augmenter = found(**values)
    return made
