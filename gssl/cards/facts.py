"""What a component is, as plain data from its signature, docstring and class constants."""

from __future__ import annotations

import inspect
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from gssl.augment.base import Augmenter, Compose
from gssl.cards.describe import description, option_data, summary
from gssl.common.errors import InputError
from gssl.common.options import options_of, texts_in
from gssl.common.resolve import load
from gssl.config import components
from gssl.config.resolve import TASK_RESERVED
from gssl.evaluate.base import Probe
from gssl.method import ContrastiveMethod, Method, PredictiveMethod
from gssl.models.encoder import Encoder
from gssl.registry import AUGMENTERS, OBJECTIVES, PROBES, SETTINGS, TASKS
from gssl.samplers.base import Sampler
from gssl.samplers.propagation.base import Propagation
from gssl.tasks.base import Task
from gssl.tasks.items import ItemTask
from gssl.training.config import FinetuneConfig, TrainConfig

_BASES = {"method": Method, "encoder": Encoder, "augmenter": Augmenter, "probe": Probe, "sampler": Sampler}
_SAMPLERS = ("sampler", "selection", "propagation")


def facts_of(kind: str, name: str, found: Any) -> dict[str, Any]:
    """Everything about a component that is not read from other files.

    Args:
        kind: of which family, for example ``"method"``.
        name: registered name or import path.
        found: the class or function itself.
    """
    data: dict[str, Any] = {"name": name, "kind": kind, "summary": summary(found)}
    if kind in _SAMPLERS:
        return data | _sampler_facts(kind, found)
    component = components.encoder_factory(name) if kind == "encoder" else found
    data |= _constants(found)
    if kind == "method":
        data["parts"] = ", ".join(_parts(found)) or "none of its own"
        data["tasks"] = _tasks(found)
        data["settings"] = _settings(found, name)
        data["card"] = None if found.card is None else asdict(found.card)
    data["options"] = option_data(component, TASK_RESERVED if kind == "task" else ())
    if kind == "method":
        data["search_space"] = {
            key: {"kind": type(space).__name__, **asdict(space)} for key, space in found.search_space.items()
        }
    if kind == "setting":
        data["has_finetuning"] = found.has_finetuning
    return data


def training_options() -> dict[str, list[dict[str, object]]]:
    """Options of the first and of the second training, which belong to no component."""
    return {"train": option_data(TrainConfig), "finetune": option_data(FinetuneConfig)}


def imported(path: str) -> tuple[str, Any]:
    """The object at an import path and what kind of component it is.

    Raises:
        InputError: it is none.
    """
    found = load(path, "component")
    for kind, base in _BASES.items():
        if isinstance(found, type) and issubclass(found, base):
            return kind, found
    raise InputError(f"{path} is not a method, encoder, augmenter, probe or sampler")


def modules_of(found: Any) -> list[str]:
    """The project's modules that declare a component: of its class and bases, or of its function and its halves.

    A task names the probes that judge it, so those belong to it.
    """
    owners = [found, *getattr(found, "halves", ())]
    if inspect.isclass(found) and issubclass(found, Task):
        owners += [PROBES.get(name) for name in PROBES.names()]
    classes = [base for owner in owners if inspect.isclass(owner) for base in owner.__mro__]
    names = {owner.__module__ for owner in (*owners, *classes)}
    return sorted(name for name in names if name.partition(".")[0] == "gssl")


def _sampler_facts(kind: str, found: Any) -> dict[str, Any]:
    """Of a sampler, or of one of its halves: what it does, and what of it is biased."""
    halves = getattr(found, "halves", (found,))
    facts: dict[str, Any] = (
        dict(zip(("selection", "propagation"), (half.__name__ for half in halves), strict=False)) if halves[1:] else {}
    )
    for half in halves:
        if issubclass(half, Propagation):
            facts["unbiased"] = " and ".join(half.unbiased) + ", for a linear encoder" if half.unbiased else "see below"
    reserved = components.SAMPLER_RESERVED if kind == "sampler" else ("graph", *components.SAMPLER_RESERVED)
    return {
        **facts,
        **_constants(found),
        "description": "\n\n".join(description(half) for half in halves),
        "options": option_data(found, reserved, owners=halves),
    }


def _constants(component: Any) -> dict[str, object]:
    """Class constants that say what a component is for."""
    facts: dict[str, object] = {}
    if inspect.isclass(component) and issubclass(component, Method):
        facts["family"] = (
            component.card.kind
            if component.card
            else "contrastive"
            if issubclass(component, ContrastiveMethod)
            else "predictive"
            if issubclass(component, PredictiveMethod)
            else "other"
        )
        facts["default_encoder"] = component.default_encoder
        facts["needs_labels"] = component.needs_labels
    if inspect.isclass(component) and issubclass(component, Task):
        facts["probes"] = components.probes_of(component.name)
    for key in ("levels", "version"):
        if hasattr(component, key) and not isinstance(getattr(component, key), property):
            value = getattr(component, key)
            facts[key] = list(value) if isinstance(value, tuple) else value
    module = inspect.getmodule(component)
    facts["source"] = module.__name__ if module else ""
    return facts


def _tasks(method: type[Method]) -> list[str]:
    """Names of the tasks that a method can be put to.

    One that needs labels has none to learn from in tasks without, and one that needs types of nodes has none left where
    edges are held out of one graph.
    """
    found = {name: TASKS.get(name) for name in TASKS.names()}
    fitting = [name for name, task in found.items() if set(task.levels) & set(method.levels)]
    return [
        name
        for name in fitting
        if (not method.needs_labels or issubclass(found[name], ItemTask))
        and (not method.needs_types or found[name].one_graph)
    ]


def _settings(method: type[Method], name: str) -> list[str]:
    """Names of the settings that make sense for a method."""
    if method.needs_labels:
        return ["supervised"]
    fitting = []
    for setting in SETTINGS.names():
        with suppress(InputError):
            SETTINGS.get(setting).check(method, name)
            fitting.append(setting)
    return [setting for setting in fitting if setting != "supervised"]


def _parts(method: type[Method]) -> list[str]:
    """Augmenters and objectives that the method's module uses or its defaults name, by their registered names."""
    used = {id(value) for value in vars(sys.modules[method.__module__]).values()}
    named = {text for option in options_of(method).values() for text in texts_in(option.default)}
    names = []
    for family in (AUGMENTERS, OBJECTIVES):
        for name, path in family.paths.items():
            module, _, attribute = path.partition(":")
            part = getattr(sys.modules.get(module), attribute, None)
            if name in named or (part is not None and part is not Compose and id(part) in used):
                names.append(f"{name} ({family.family})")
    return names
