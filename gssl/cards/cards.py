"""The cards that ``gssl show`` prints."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from gssl.augment.base import Augmenter, Compose
from gssl.cards.answer import Answer, Table
from gssl.cards.describe import (
    argument_texts,
    default_text,
    description,
    option_data,
    option_table,
    summary,
    type_text,
)
from gssl.cards.texts import number_text, value_text
from gssl.common.errors import InputError, unknown
from gssl.common.options import options_of, texts_in
from gssl.common.resolve import Resolver, load
from gssl.common.space import Choice, Float, Space
from gssl.config import components
from gssl.config.layer import SECTIONS, Layer
from gssl.config.presets import presets_of
from gssl.config.resolve import TASK_RESERVED
from gssl.datasets.catalog import DATASETS, DatasetSpec, find_spec
from gssl.evaluate.base import Probe
from gssl.method import ContrastiveMethod, Method, PredictiveMethod
from gssl.models.encoder import Encoder
from gssl.registry import (
    AUGMENTERS,
    ENCODERS,
    METHODS,
    OBJECTIVES,
    PROBES,
    PROPAGATIONS,
    SAMPLERS,
    SELECTIONS,
    SETTINGS,
    TASKS,
)
from gssl.samplers.base import Sampler
from gssl.samplers.propagation.base import Propagation
from gssl.tasks.base import Task
from gssl.training.config import FinetuneConfig, TrainConfig

Published = Callable[[str], list[dict[str, Any]]]

FAMILIES: dict[str, Resolver[Any]] = {
    "method": METHODS,
    "encoder": ENCODERS,
    "augmenter": AUGMENTERS,
    "objective": OBJECTIVES,
    "probe": PROBES,
    "sampler": SAMPLERS,
    "selection": SELECTIONS,
    "propagation": PROPAGATIONS,
    "dataset": DATASETS,
    "task": TASKS,
    "setting": SETTINGS,
}
_BASES = {"method": Method, "encoder": Encoder, "augmenter": Augmenter, "probe": Probe, "sampler": Sampler}


def cards(name: str, published: Published = lambda _: []) -> list[Answer]:
    """One card for each component or dataset of that name, or for the object at an import path.

    Args:
        name: of a component or dataset, or an import path.
        published: the committed published numbers that are about a method.

    Raises:
        InputError: nothing has that name; the nearest names are listed.
    """
    if ":" in name and name.lower().partition(":")[0] not in {known.lower() for known in DATASETS.names()}:
        return [_card(*_imported(name), published)]
    kinds = [kind for kind, family in FAMILIES.items() if name.lower() in map(str.lower, family.names())]
    if "method" in kinds and "setting" in kinds:  # the setting of this one method
        kinds.remove("setting")
    if not kinds and "+" in name:
        return [_card("sampler", SAMPLERS.canonical(name), None, published)]
    if not kinds:
        raise unknown("name", name, [known for family in FAMILIES.values() for known in family.names()])
    return [_card(kind, FAMILIES[kind].canonical(name), None, published) for kind in kinds]


def _imported(path: str) -> tuple[str, str, Any]:
    found = load(path, "component")
    for kind, base in _BASES.items():
        if isinstance(found, type) and issubclass(found, base):
            return kind, path, found
    raise InputError(f"{path} is not a method, encoder, augmenter, probe or sampler")


def _card(kind: str, name: str, found: Any, published: Published) -> Answer:
    if kind == "dataset":
        return _dataset_card(name)
    found = FAMILIES[kind].get(name) if found is None else found
    if kind == "method":
        return _method_card(name, found, published(name))
    if kind in ("sampler", "selection", "propagation"):
        return _sampler_card(kind, name, found)
    facts = _facts(found)
    prefix = "" if kind in ("augmenter", "objective") else f"{kind}."
    component = components.encoder_factory(name) if kind == "encoder" else found
    omit = TASK_RESERVED if kind == "task" else ()
    data = {"name": name, "kind": kind, "summary": summary(found), **facts, "options": option_data(component, omit)}
    blocks = [_head(kind, name, summary(found), facts), *_nonempty(option_table(component, "options", prefix, omit))]
    if kind == "setting" and found.has_finetuning:
        data["finetune"] = option_data(FinetuneConfig)
        blocks.append(option_table(FinetuneConfig, "second training", "finetune."))
    return Answer(data, blocks)


def _sampler_card(kind: str, name: str, found: Any) -> Answer:
    """Of a sampler, or of one of its halves: what it does, and what of it is biased."""
    halves = getattr(found, "halves", (found,))
    facts = (
        dict(zip(("selection", "propagation"), (half.__name__ for half in halves), strict=False)) if halves[1:] else {}
    )
    for half in halves:
        if issubclass(half, Propagation):
            facts["unbiased"] = " and ".join(half.unbiased) + ", for a linear encoder" if half.unbiased else "see below"
    facts = {**facts, **_facts(found)}
    reserved = components.SAMPLER_RESERVED if kind == "sampler" else ("graph", *components.SAMPLER_RESERVED)
    meanings = {key: text for half in halves for key, text in argument_texts(half).items()}
    options = [o for o in options_of(found).values() if o.name not in reserved]
    rows = [(f"sampler.{o.name}", type_text(o.annotation), default_text(o), meanings.get(o.name, "")) for o in options]
    texts = [description(half) for half in halves]
    data = {
        "name": name,
        "kind": kind,
        "summary": summary(found),
        **facts,
        "description": "\n\n".join(texts),
        "options": option_data(found),
    }
    table = Table("options", ("option", "type", "default", "meaning"), rows)
    return Answer(data, [_head(kind, name, summary(found), facts), *texts, *_nonempty(table)])


def _method_card(name: str, method: type[Method], numbers: list[dict[str, Any]]) -> Answer:
    facts = {**_facts(method), "parts": ", ".join(_parts(method)) or "none of its own"}
    presets = presets_of(name)
    data = {
        "name": name,
        "kind": "method",
        "summary": summary(method),
        **facts,
        "options": option_data(method),
        "train": option_data(TrainConfig),
        "search_space": {key: asdict(space) for key, space in method.search_space.items()},
        "presets": {preset: _preset_data(layer) for preset, layer in presets.items()},
        "published": numbers,
    }
    space = Table("search space", ("option", "range"), [(k, _space_text(s)) for k, s in method.search_space.items()])
    blocks = [
        _head("method", name, summary(method), facts),
        *_nonempty(option_table(method, "options (--set NAME=VALUE)")),
        option_table(TrainConfig, "training", "train."),
        *_nonempty(space),
        *_nonempty(_preset_table(presets)),
        *_nonempty(_published_table(numbers)),
    ]
    return Answer(data, blocks)


def _dataset_card(name: str) -> Answer:
    spec: DatasetSpec | None = find_spec(name)
    if spec is None:
        return Answer(
            {"name": name, "kind": "dataset", "path": DATASETS.paths[name]}, [f"dataset {name}: {DATASETS.paths[name]}"]
        )
    facts = {key: value for key, value in asdict(spec).items() if key not in ("name", "summary", "loader", "kind")}
    facts["labels"] = spec.kind
    data = {"name": name, "kind": "dataset", "summary": spec.summary, **facts}
    return Answer(data, [_head("dataset", name, spec.summary, facts)])


def _head(kind: str, name: str, text: str, facts: Mapping[str, object]) -> Table:
    rows = [(key.replace("_", " "), _fact_text(value)) for key, value in facts.items()]
    return Table(f"{kind} {name}: {text}", ("", ""), rows)


def _facts(component: Any) -> dict[str, object]:
    """Class constants that say what a component is for."""
    facts: dict[str, object] = {}
    if inspect.isclass(component) and issubclass(component, Method):
        facts["family"] = (
            "contrastive"
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


def _preset_data(layer: Layer) -> dict[str, object]:
    sections = {
        kind: {**({"name": section.name} if section.name else {}), **section.options}
        for kind in SECTIONS
        if (section := layer.sections.get(kind)) is not None
    }
    return {"source": layer.source, **({"protocol": layer.protocol} if layer.protocol else {}), **sections}


def _preset_table(presets: Mapping[str, Layer]) -> Table:
    rows = [
        (
            name,
            " ".join(_assignments(layer)),
            layer.source + (f" (made for {layer.protocol})" if layer.protocol else ""),
        )
        for name, layer in presets.items()
    ]
    return Table(
        "presets (--preset NAME; that of the dataset and the probe is taken by itself)",
        ("preset", "settings", "source"),
        rows,
    )


def _assignments(layer: Layer) -> Iterable[str]:
    for kind in SECTIONS:
        section = layer.section(kind)
        prefix = "" if kind == "method" else f"{kind}."
        if section.name:
            yield f"{kind}={section.name}"
        yield from (f"{prefix}{key}={value_text(value)}" for key, value in section.options.items())


def _space_text(space: Space) -> str:
    if isinstance(space, Choice):
        return " | ".join(map(value_text, space.values))
    kind = "real" if isinstance(space, Float) else "integer"
    return f"{kind} from {number_text(space.low)} to {number_text(space.high)}{', logarithmic' if space.log else ''}"


def _published_table(entries: list[dict[str, Any]]) -> Table:
    """What a source does not say is left empty, and a column that says nothing is left out."""
    told = [{key: value for key, value in entry.items() if value not in (None, "")} for entry in entries]
    columns = [key for key in dict.fromkeys(key for entry in entries for key in entry) if any(key in t for t in told)]
    columns = [key for key in columns if key != "method"]
    return Table("published", columns, [[value_text(entry.get(key, "")) for key in columns] for entry in told])


def _nonempty(table: Table) -> list[Table]:
    return [table] if table.rows else []


def _fact_text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else value_text(value)
