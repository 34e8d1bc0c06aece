"""A configuration and its data, put together: what every driver asks for trainings, splits and what is sealed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gssl.common.errors import InputError
from gssl.config import components
from gssl.config.record import RunConfig
from gssl.datasets.load import load_dataset
from gssl.datasets.translate import translated
from gssl.datasets.types import Dataset
from gssl.graph.spec import misfit
from gssl.method import Method
from gssl.registry import SETTINGS
from gssl.settings.base import Setting, Training
from gssl.settings.parts import make_task, sampled_for
from gssl.tasks.base import AnySplit, Task


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be done: a task, and the setting in which a method is put to it.

    Attributes:
        config: the run.
        task: what is judged.
        setting: which trainings that needs.
    """

    config: RunConfig
    task: Task
    setting: Setting

    @property
    def sources(self) -> dict[str, str]:
        """What is pretrained on beside the task's own data: name to checksum."""
        source = self.setting.source
        return {} if source is None else {f"data:{source.name}": source.checksum}

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be said of the data and the configuration."""
        data = self.task.dataset
        unjudged = f"{data.name} has no labels, so the embeddings were stored but not judged"
        source = self.setting.source
        more = () if source is None else tuple(f"{source.name}: {note}" for note in source.notes)
        if source is not None and source.level != data.level:
            drawn = sampled_for(self.config, source.level)
            more += (f"{source.name}: batches of {drawn.train.batch_size or 'all'} items by {drawn.sampler.name}",)
        return (*data.notes, *more, *self.config.notes, *(() if self.task.version else (unjudged,)))

    def splits(self, seed: int) -> tuple[AnySplit, ...]:
        """What a seed is judged on."""
        return self.task.splits(seed)

    def trainings(self, seed: int) -> list[Training]:
        """The trainings of a seed, sources before those that go on from them.

        Raises:
            InputError: the parts do not fit each other.
        """
        return self.setting.trainings(self.config, self.task, seed)

    def only_training(self, seed: int) -> Training:
        """The training of a seed, judged on the first of its splits, for drivers that look at one training alone.

        Raises:
            InputError: the setting goes on from one training to another.
        """
        first, *rest = self.trainings(seed)
        if any(training.source is not None for training in rest):
            option = "--setting finetune" if self.setting.has_finetuning else "setting.pretrain_on"
            raise InputError(
                f"{option} goes on from one training to another, but this command looks at a single one: leave it out "
                "to see the pretraining; labels train with --setting auxiliary or the method supervised"
            )
        return first.on_first_split()

    def sealed(self, seed: int) -> Problem:
        """The problem as a search may see it.

        Raises:
            InputError: there is no validation score to search by.
        """
        return replace(self, task=self.task.sealed(seed))

    def under(self, config: RunConfig) -> Problem:
        """The same data, sealed as they are, with another configuration."""
        task = self.task.under(components.probe_class(config.probe.name)(**config.probe.options))
        return Problem(config, task, _setting(config, lambda _: self.setting.source))


def make_problem(config: RunConfig, dataset: Dataset) -> Problem:
    """The problem that a configuration describes; a dataset that is pretrained on is loaded.

    Raises:
        InputError: the task or the setting does not fit the data or the method.
    """
    setting = _setting(config, load_dataset)
    problem = Problem(config, make_task(config, dataset), setting)
    if setting.source is not None:
        if dataset.vocabulary is not None:
            setting.source = translated(setting.source, dataset.vocabulary)
        _check_transfer(components.method_class(config.method.name), setting.source, dataset)
        _check_fitted(setting.source, problem.task)
    return problem


def _setting(config: RunConfig, load: Callable[[str], Dataset | None]) -> Setting:
    setting: Setting = SETTINGS.get(config.setting.name)(**config.setting.options)
    setting.check(components.method_class(config.method.name), config.method.name)
    if setting.pretrain_on is not None:
        setting.source = load(setting.pretrain_on)
    return setting


def _check_fitted(source: Dataset, task: Task) -> None:
    if source.fitted_to and not task.one_graph:
        raise InputError(
            f"--pretrain-on {source.name}: its model was fitted to all edges of {source.fitted_to}, those that --task "
            "link holds out too; use another task"
        )


def _check_transfer(method: type[Method], source: Dataset, dataset: Dataset) -> None:
    if method.structural and source.level in method.levels:
        return
    if source.level != dataset.level:
        raise InputError(
            f"--pretrain-on {source.name}: it is {source.level}-level data, but {dataset.name} is {dataset.level}-level"
        )
    learned, judged = source.spec, dataset.spec
    if dataset.checksum and dataset.checksum in (source.checksum, source.fitted_checksum):
        # Nobody need say what the columns of these data stand for: they are their own, or drawn to be like them.
        learned, judged = (replace(spec, meaning=dataset.checksum) for spec in (learned, judged))
    reason = misfit(learned, judged, source_name=source.name, target_name=dataset.name)
    if reason is not None:
        raise InputError(f"--pretrain-on {source.name}: {reason}; pretrain on data whose features mean the same")
