"""Frozen representations: pretrain without labels, then judge the embeddings as they are."""

from __future__ import annotations

from typing import Annotated, ClassVar

from gssl.common.options import Neutral
from gssl.config.record import RunConfig
from gssl.settings.base import Pretraining, Setting, Training, Transferred, numbered
from gssl.tasks.base import Task


class Frozen(Setting):
    """Pretrain without labels, then judge the frozen embeddings (arXiv:2102.10757, sec. 2.3, unsupervised learning).

    Args:
        pretrain_on: another dataset that the encoder is pretrained on, whose features mean the same.
    """

    name: ClassVar[str] = "frozen"

    def __init__(self, *, pretrain_on: Annotated[str | None, Neutral(None)] = None) -> None:
        self.pretrain_on = pretrain_on

    def trainings(self, config: RunConfig, task: Task, seed: int) -> list[Training]:
        """One for all splits, or one for each where held-out edges make the graph another."""
        splits = task.splits(seed)
        for split in splits:
            task.check(split)
        parts = [splits] if task.one_graph else [(split,) for split in splits]
        if self.source is None:
            return [Pretraining(config, task, seed, *part) for part in zip(parts, numbered(len(parts)), strict=True)]
        before = Pretraining(config, task, seed, (), data=self.source)
        return [
            before,
            *(Transferred(config, task, seed, part, number, before) for number, part in enumerate(parts)),
        ]
