"""The keys of a suite file as tables for the documents, from the models that check it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gssl.benchmarks.bench.suite import Budget, Group, MethodEntry, SamplerEntry, SettingEntry, SuiteFile
from gssl.benchmarks.rows import markdown_table
from gssl.cards.describe import argument_texts, type_text
from gssl.cards.texts import value_text

# Each model under the heading that its keys stand below.
SECTIONS: dict[type[BaseModel], str] = {
    SuiteFile: "The file",
    Group: "A group",
    MethodEntry: "An entry of methods",
    SamplerEntry: "An entry of samplers",
    SettingEntry: "An entry of settings",
    Budget: "A budget",
}


def schema_tables() -> str:
    """A heading and a table of keys for each part of a suite file, in Markdown."""
    return "\n\n".join(f"### {title}\n\n{_table(model)}" for model, title in SECTIONS.items())


def _table(model: type[BaseModel]) -> str:
    meanings = argument_texts(model)
    rows = [
        (f"`{key}`", _type(field), _default(field), meanings[key].replace("``", "`").replace("None", "null"))
        for key, field in model.model_fields.items()
    ]
    return markdown_table(["key", "type", "default", "meaning"], rows)


def _type(field: FieldInfo) -> str:
    """The type in words, with a link where it is a part that has a table of its own."""
    annotation = field.annotation
    parts = [model for model in _models(annotation) if model in SECTIONS]
    if not parts:
        bounded = Annotated[(annotation, *field.metadata)] if field.metadata else annotation
        return type_text(bounded).replace("|", "\\|")
    title = SECTIONS[parts[0]]
    link = f"[{title[0].lower()}{title[1:]}](#{title.lower().replace(' ', '-')})"
    return f"list, each {link}" if _is_list(annotation) else link


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    value = field.default
    if isinstance(value, list):
        value = [item.name if isinstance(item, SamplerEntry | SettingEntry) else item for item in value]
    return "" if value is None or value == {} or isinstance(value, BaseModel) else f"`{value_text(value)}`"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))
