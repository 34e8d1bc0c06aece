"""The full configuration of a run: every option of every part has its value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gssl.common.errors import InputError
from gssl.common.options import neutral_of, options_of
from gssl.training.config import TrainConfig

# Options that say how a run is carried out, not what comes out of it.
_NEUTRAL = ("checkpoint_seconds",)


@dataclass(frozen=True)
class Component:
    """One part of a run.

    Attributes:
        name: registered name or import path.
        options: the value of every option.
        neutral: options that have the value at which the part does what it did before it had them. They stay out of
            the hash, so that a new option orphans no result.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    neutral: frozenset[str] = frozenset()


FROZEN = Component("frozen")


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a result, except the data themselves and the environment.

    Attributes:
        dataset: name of the dataset.
        data: what to load, the name again or the path of the user's own graph.
        method: what is trained.
        encoder: what the method trains (a method may ignore it, as the row of raw features does).
        sampler: where batches come from.
        train: how it is trained.
        probe: what judges it.
        seeds: one repetition each.
        preset: name of the preset that was applied, if any.
        task: what is judged: nodes, graphs, links or clusters.
        setting: how: by frozen embeddings, after fine-tuning, beside labels, or by labels alone.
        finetune: how the second training of a setting that has one is done; None for the others.
        notes: what should be said of how it came about; in no hash.
        declared: what is known of data of the user's own, name to value; see :class:`gssl.datasets.declared.Declared`.
        world_size: processes that train together, where what a step learns depends on that; 1 where it does not.
    """

    dataset: str
    data: str
    method: Component
    encoder: Component
    sampler: Component
    train: TrainConfig
    probe: Component
    seeds: tuple[int, ...]
    preset: str | None = None
    task: Component = Component("node")
    setting: Component = FROZEN
    finetune: TrainConfig | None = None
    notes: tuple[str, ...] = ()
    declared: Mapping[str, Any] = field(default_factory=dict)
    world_size: int = 1

    def mapping(self) -> dict[str, Any]:
        """Plain data in the layout of presets, which ``--config`` reads back."""
        return {
            "dataset": self.data,
            "method": _named(self.method),
            "encoder": _named(self.encoder),
            "sampler": _named(self.sampler),
            "train": plain(asdict(self.train)),
            "probe": _named(self.probe),
            "task": _named(self.task),
            "setting": _named(self.setting),
            **({} if self.finetune is None else {"finetune": plain(asdict(self.finetune))}),
            **({"declared": plain(dict(self.declared))} if self.declared else {}),
            **({} if self.world_size == 1 else {"world_size": self.world_size}),
            "seeds": list(self.seeds),
        }

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the configuration as canonical JSON.

        The seeds are not in it, so repetitions share it; neither is what cannot change a result, nor an option, task or
        setting at the value that stands for how runs were before there was a choice.
        """
        content = self.mapping()
        del content["seeds"]
        content["dataset"] = self.dataset
        for key in ("train", "finetune"):
            if key in content:
                content[key] = {k: value for k, value in deciding(content[key]).items() if k not in _NEUTRAL}
        for key in ("method", "encoder", "sampler", "probe", "task", "setting"):
            part: Component = getattr(self, key)
            content[key] = {name: value for name, value in content[key].items() if name not in part.neutral}
        for key, usual in (("task", ("node", "graph")), ("setting", ("frozen", "supervised"))):
            if content[key].keys() == {"name"} and content[key]["name"] in usual:
                del content[key]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def deciding(train: Mapping[str, Any]) -> dict[str, Any]:
    """Options of training without those that were added later and have the value at which nothing changes."""
    marked = {key: neutral_of(option) for key, option in options_of(TrainConfig).items()}
    return {key: value for key, value in train.items() if (mark := marked.get(key)) is None or value != mark.value}


def plain(value: object, what: str = "configuration") -> Any:
    """``value`` as plain data: mappings, lists, texts, numbers, truth values and None.

    Raises:
        InputError: something else is in it, which no file could hold.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [plain(item, what) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item, what) for key, item in value.items()}
    raise InputError(
        f"{what} holds {value!r}, which cannot be written to a file; "
        f"let the option be a text, a number, a truth value, None or a list of them"
    )


def _named(component: Component) -> dict[str, Any]:
    return {
        "name": component.name,
        **{key: plain(value, f"option {key!r} of {component.name}") for key, value in component.options.items()},
    }
