"""The cards that ``gssl show`` prints; of what ships with the project they are made without importing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gssl.cards import index
from gssl.cards.answer import Answer, Table
from gssl.cards.texts import number_text, value_text
from gssl.common.errors import unknown
from gssl.common.resolve import Resolver
from gssl.config.layer import SECTIONS, Layer
from gssl.config.presets import presets_of
from gssl.datasets.catalog import DATASETS, DatasetSpec, find_spec
from gssl.registry import (
    AUGMENTERS,
    ENCODERS,
    METHODS,
    OBJECTIVES,
    PARTS,
    PROBES,
    PROPAGATIONS,
    SAMPLERS,
    SELECTIONS,
    SETTINGS,
    TASKS,
)

Numbers = Callable[[str], dict[str, list[dict[str, Any]]]]
Options = Sequence[Mapping[str, Any]]

FAMILIES: dict[str, Resolver[Any]] = {
    "method": METHODS,
    "encoder": ENCODERS,
    "augmenter": AUGMENTERS,
    "objective": OBJECTIVES,
    "part": PARTS,
    "probe": PROBES,
    "sampler": SAMPLERS,
    "selection": SELECTIONS,
    "propagation": PROPAGATIONS,
    "dataset": DATASETS,
    "task": TASKS,
    "setting": SETTINGS,
}
# Keys of a card that are shown in tables of their own, or not at all.
_SHOWN_ELSEWHERE = (
    "name", "kind", "summary", "description", "options", "train", "finetune", "search_space", "presets", "published",
    "measured", "agreement", "has_finetuning", "card",
)  # fmt: skip

_PLACE = {
    "family": "family",
    "views": "views",
    "encoders": "encoders",
    "objective": "objective",
    "time": "time (n items, m edges, v nodes, d width, f columns of features)",
    "memory": "memory",
    "whole_graph": "sampled batches",
}


def cards(name: str, numbers: Numbers = lambda _: {}, others: Iterable[str] = ()) -> list[Answer]:
    """One card for each component or dataset of that name, or for the object at an import path.

    Args:
        name: of a component or dataset, or an import path.
        numbers: the committed numbers about a method: ``published``, ``measured`` and their ``agreement``.
        others: names of what has no card here, and may have been meant.

    Raises:
        InputError: nothing has that name; the nearest names are listed.
    """
    if ":" in name and name.lower().partition(":")[0] not in {known.lower() for known in DATASETS.names()}:
        from gssl.cards.facts import facts_of, imported

        kind, found = imported(name)
        return [_card(facts_of(kind, name, found), numbers)]
    kinds = [kind for kind, family in FAMILIES.items() if name.lower() in map(str.lower, family.names())]
    if "method" in kinds and "setting" in kinds:  # the setting of this one method
        kinds.remove("setting")
    if not kinds and "+" in name:
        kinds = ["sampler"]
    if not kinds:
        raise unknown("name", name, [*(known for family in FAMILIES.values() for known in family.names()), *others])
    return [_named(kind, FAMILIES[kind].canonical(name), numbers) for kind in kinds]


def _named(kind: str, name: str, numbers: Numbers) -> Answer:
    if kind == "dataset":
        return _dataset_card(name)
    stored = index.stored(kind, name)
    if stored is not None and not (kind == "task" and _has_plugins(PROBES)):  # a task names all of its probes
        return _card(stored, index.numbers)
    from gssl.cards.facts import facts_of

    return _card(facts_of(kind, name, FAMILIES[kind].get(name)), numbers)


def _has_plugins(family: Resolver[Any]) -> bool:
    return any(not path.startswith("gssl.") for path in family.paths.values())


def _training_options() -> Mapping[str, Options]:
    stored = index.training_options()
    if stored is not None:
        return stored
    from gssl.cards.facts import training_options

    return training_options()


def _card(facts: Mapping[str, Any], numbers: Numbers) -> Answer:
    if facts["kind"] == "method":
        return _method_card(facts, numbers(facts["name"]))
    kind = facts["kind"]
    prefix = {"augmenter": "", "objective": "", "selection": "sampler.", "propagation": "sampler.", "part": ""}.get(
        kind, f"{kind}."
    )
    data = {key: value for key, value in facts.items() if key != "has_finetuning"}
    texts = [facts["description"]] if facts.get("description") else []
    blocks = [_head(facts), *texts, *_nonempty(_option_table(facts["options"], "options", prefix))]
    if facts.get("has_finetuning"):
        data["finetune"] = _training_options()["finetune"]
        blocks.append(_option_table(data["finetune"], "second training", "finetune."))
    return Answer(data, blocks)


def _method_card(facts: Mapping[str, Any], numbers: Mapping[str, list[dict[str, Any]]]) -> Answer:
    presets = presets_of(facts["name"])
    data = {
        **facts,
        "train": _training_options()["train"],
        "search_space": facts["search_space"],
        "presets": {preset: _preset_data(layer) for preset, layer in presets.items()},
        "published": numbers.get("published", []),
        "measured": numbers.get("measured", []),
        "agreement": numbers.get("agreement", []),
    }
    space = [(key, _space_text(space)) for key, space in facts["search_space"].items()]
    blocks = [
        _head(facts),
        *_nonempty(_place_table(facts["card"])),
        *_nonempty(_option_table(facts["options"], "options (--set NAME=VALUE)")),
        _option_table(data["train"], "training", "train."),
        *_nonempty(Table("search space", ("option", "range"), space)),
        *_nonempty(_preset_table(presets)),
        *_nonempty(_number_table("published", data["published"])),
        *_nonempty(_number_table("measured here (benchmarks/results)", data["measured"])),
        *_nonempty(_number_table("against print (gap = mean - print)", data["agreement"])),
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
    return Answer(data, [_head(data)])


def _head(data: Mapping[str, Any]) -> Table:
    facts = {key: value for key, value in data.items() if key not in _SHOWN_ELSEWHERE}
    rows = [(key.replace("_", " "), _fact_text(value)) for key, value in facts.items()]
    return Table(f"{data['kind']} {data['name']}: {data['summary']}", ("", ""), rows)


def _place_table(card: Mapping[str, Any] | None) -> Table:
    """Place in the framework of the survey, and what a step costs."""
    rows = [] if card is None else [(_PLACE[key], value or "yes") for key, value in card.items()]
    return Table("place in the framework, and the cost of a step beside encoder and optimizer", ("", ""), rows)


def _option_table(options: Options, title: str, prefix: str = "") -> Table:
    """Options as they are given to ``--set``."""
    rows = [
        (
            prefix + o["name"],
            o["type"],
            "(required)" if o.get("required") else value_text(o["default"]),
            o["meaning"],
        )
        for o in options
    ]
    return Table(title, ("option", "type", "default", "meaning"), rows)


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


def _space_text(space: Mapping[str, Any]) -> str:
    if "values" in space:
        return " | ".join(map(value_text, space["values"]))
    kind = "real" if space["kind"] == "Float" else "integer"
    scale = ", logarithmic" if space["log"] else ""
    return f"{kind} from {number_text(space['low'])} to {number_text(space['high'])}{scale}"


def _number_table(title: str, entries: list[dict[str, Any]]) -> Table:
    """What a source does not say is left empty, and a column that says nothing is left out."""
    told = [{key: value for key, value in entry.items() if value not in (None, "")} for entry in entries]
    columns = [key for key in dict.fromkeys(key for entry in entries for key in entry) if any(key in t for t in told)]
    columns = [key for key in columns if key != "method"]
    return Table(title, columns, [[_score_text(entry.get(key, "")) for key in columns] for entry in told])


def _score_text(value: object) -> str:
    return number_text(value, 4) if isinstance(value, float) else value_text(value)


def _nonempty(table: Table) -> list[Table]:
    return [table] if table.rows else []


def _fact_text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else value_text(value)
