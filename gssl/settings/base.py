"""What every setting is: which trainings a seed needs, and what each of them may see and is judged by."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from gssl.common.errors import InputError
from gssl.config.components import method_class
from gssl.config.record import RunConfig
from gssl.datasets.types import Dataset
from gssl.evaluate.base import ProbeScore
from gssl.method import Method
from gssl.samplers.base import Sampler
from gssl.settings.parts import make_method, make_sampler, new_method, sampled_for
from gssl.tasks.base import AnySplit, Task
from gssl.training.config import TrainConfig
from gssl.training.embed import embed_dataset
from gssl.training.result import TrainResult


@dataclass(frozen=True, eq=False)
class Training(ABC):
    """One training of a seed; the drivers (a run, a search, a comparison) know trainings and nothing of labels.

    Attributes:
        config: the run.
        task: what is judged.
        seed: the repetition.
        splits: that this training is judged on; none where another one goes on from it.
        number: among several trainings of a seed that have a folder each; None where the seed's own folder serves.
        source: the training whose method this one starts from; None for new weights.
        data: what is trained on in place of the task's own data.
    """

    config: RunConfig
    task: Task
    seed: int
    splits: tuple[AnySplit, ...]
    number: int | None = None
    source: Training | None = None
    data: Dataset | None = None

    @property
    def dataset(self) -> Dataset:
        """What may be trained on."""
        if self.data is not None:
            return self.data
        return self.task.visible(self.splits[0]) if self.splits else self.task.dataset

    @property
    def train(self) -> TrainConfig:
        """How it is trained."""
        return self.config.train

    @property
    def items(self) -> Tensor | None:
        """The items that the loss is about, shape (n,), int64; None for all."""
        return None

    @property
    def title(self) -> str:
        """What a progress display calls it."""
        return f"{self.config.method.name} on {self.dataset.name}, seed {self.seed}"

    @property
    def key(self) -> str:
        """What a checkpoint must have been written for."""
        return "-".join((self.config.hash, self.dataset.checksum, str(self.seed)))

    @property
    def recipe(self) -> Mapping[str, Any] | None:
        """All that decides what this training leads to, apart from the environment, as plain data.

        Two trainings with the same recipe, of whatever runs, give the same weights, so that one of them will do. None
        where nobody else could use them: what is judged belongs to its run.
        """
        return None

    @abstractmethod
    def method(self, source: Method | None = None) -> Method:
        """The method before this training.

        Args:
            source: the method that :attr:`source` led to, if there is one.
        """

    def sampler(self, method: Method) -> Sampler:
        """Where its batches come from."""
        size = self.train.batch_size
        return make_sampler(self.drawn, self.dataset, self.seed, method, self.items, batch_size=size)

    @property
    def drawn(self) -> RunConfig:
        """The configuration with the sampler that its data are drawn by."""
        level = self.dataset.level
        return self.config if level == self.task.dataset.level else sampled_for(self.config, level)

    def validate(self, method: Method) -> Callable[[], float] | None:
        """Score after an epoch by which weights are chosen, higher is better; None where the loss decides."""
        return None

    @abstractmethod
    def val(self, method: Method) -> float:
        """Validation score of a method in evaluation mode, the mean over the splits; no test label is read.

        Raises:
            InputError: the protocol has no validation score.
        """

    @abstractmethod
    def scores(self, method: Method, result: TrainResult, embeddings: Tensor) -> tuple[ProbeScore, ...]:
        """One for each split; test items are looked at here and nowhere else."""

    def on_first_split(self) -> Training:
        """The same training, judged on the first of its splits alone."""
        return replace(self, splits=self.splits[:1])


class Setting(ABC):
    """How a method is put to a task. Its configuration is the keyword-only ``__init__`` (``--set setting.NAME=VALUE``).

    Attributes:
        name: as for ``--setting``.
        has_finetuning: whether a second training follows, with options of its own (``--set finetune.NAME=VALUE``).
        inner: where in the learner of its last training the method is that embeds (a prefix of the weights' names).
        pretrain_on: another dataset that the encoder is pretrained on; None for the task's own.
        source: that dataset, once it is loaded.
    """

    name: ClassVar[str]
    has_finetuning: ClassVar[bool] = False
    inner: ClassVar[str] = ""
    pretrain_on: str | None = None
    source: Dataset | None = None

    @classmethod  # noqa: B027  most fit every method
    def check(cls, method: type[Method], name: str) -> None:
        """Whether the setting makes sense for a method.

        Raises:
            InputError: it does not.
        """

    @abstractmethod
    def trainings(self, config: RunConfig, task: Task, seed: int) -> list[Training]:
        """The trainings of a seed, sources before those that go on from them.

        Raises:
            InputError: the task does not fit the setting.
        """


@dataclass(frozen=True, eq=False)
class Pretraining(Training):
    """A self-supervised training, judged on its frozen embeddings wherever it has splits."""

    def method(self, source: Method | None = None) -> Method:
        method = make_method(self.config, self.dataset, self.seed)
        self.task.using(method.pair_decoder)  # refused before it is trained, also where another part is judged
        return method

    @property
    def recipe(self) -> Mapping[str, Any] | None:
        if self.splits or not (self.train.epochs and method_class(self.config.method.name).trains):
            return None
        content = self.drawn.mapping()
        parts = {part: content[part] for part in ("method", "encoder", "sampler")}
        train = {name: value for name, value in asdict(self.train).items() if name != "checkpoint_seconds"}
        data = {"checksum": self.dataset.checksum, "spec": self.dataset.spec.mapping()}
        return {**parts, "train": train, "data": data, "seed": self.seed}

    @property
    def key(self) -> str:
        # Where the graph differs from split to split, the checkpoints do too.
        own = () if self.task.one_graph or not self.splits else (self.splits[0].hash,)
        return "-".join((super().key, *own))

    def val(self, method: Method) -> float:
        embeddings = embed_dataset(method, self.dataset)
        task = self.task.using(method.pair_decoder)
        scores = [task.score(embeddings, split, self.seed).val for split in self.splits]
        if not scores or any(map(math.isnan, scores)):
            raise InputError(
                f"probe {self.config.probe.name} gives no validation score to search by; use --probe LBFGS"
            )
        return sum(scores) / len(scores)

    def scores(self, method: Method, result: TrainResult, embeddings: Tensor) -> tuple[ProbeScore, ...]:
        task = self.task.using(method.pair_decoder)
        return tuple(task.score(embeddings, split, self.seed) for split in self.splits)


@dataclass(frozen=True, eq=False)
class Transferred(Pretraining):
    """No training of its own: the encoder of a pretraining on another dataset, judged on this one."""

    @property
    def train(self) -> TrainConfig:
        return replace(self.config.train, epochs=0)

    def method(self, source: Method | None = None) -> Method:
        assert source is not None
        return continued(self, source)


def continued(training: Training, source: Method) -> Method:
    """A copy of the method that a source led to.

    Of one that was trained on another dataset it has the weights alone: those that a method has before it has seen any
    graph, by name. What it prepared for its own graph stays with that.
    """
    method = make_method(training.config, training.dataset, training.seed)
    weights = source.state_dict()
    if training.source is None or training.source.data is None:
        method.load_state_dict(weights)
    else:
        own = new_method(training.config, training.dataset.spec).state_dict()
        method.load_state_dict({name: value for name, value in weights.items() if name in own}, strict=False)
    return method


def numbered(count: int) -> list[int | None]:
    """Numbers of trainings that need folders of their own; one alone needs none."""
    return [None] if count == 1 else list(range(count))
