"""Signatures in words: the type, default and meaning of each option."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError

from gssl.cards.texts import number_text
from gssl.common.options import options_of
from gssl.common.resolve import first_paragraph

_NAMES = {
    "number": "real",
    "integer": "integer",
    "boolean": "true/false",
    "string": "text",
    "null": "null",
    "object": "mapping",
}
_BOUNDS = (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<"))


def option_data(
    component: Callable[..., object],
    omit: Collection[str] = (),
    *,
    owners: Iterable[Callable[..., object]] = (),
) -> list[dict[str, object]]:
    """Options of a component as they are given to ``--set``.

    Args:
        component: class or function.
        omit: parameters that the program fills in.
        owners: whose docstrings describe them, where that is not the component's own.
    """
    meanings = {key: text for owner in owners or (component,) for key, text in argument_texts(owner).items()}
    return [
        {
            "name": o.name,
            "type": type_text(o.annotation),
            "default": None if o.required else _plain(o.default),
            **({"required": True} if o.required else {}),
            "meaning": meanings.get(o.name, ""),
        }
        for o in options_of(component).values()
        if o.name not in omit
    ]


def type_text(annotation: Any) -> str:
    """An annotation in words.

    Example:
        >>> from gssl.common.options import Probability
        >>> type_text(tuple[Probability, Probability] | None)
        'list of (real >= 0 < 1, real >= 0 < 1) or null'
    """
    try:
        schema = TypeAdapter(annotation).json_schema()
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUserError):
        return inspect.formatannotation(annotation)
    return _schema_text(schema)


def argument_texts(component: Callable[..., object]) -> dict[str, str]:
    """Meaning of each parameter from the ``Args:`` or ``Attributes:`` section of a Google docstring."""
    owners = reversed(component.__mro__) if inspect.isclass(component) else (component,)
    texts: dict[str, str] = {}
    for documented in owners:  # options that are inherited are described where they are declared
        texts |= _sections(inspect.cleandoc(documented.__doc__ or ""))
    return texts


def summary(component: object) -> str:
    """First paragraph of the docstring."""
    return first_paragraph(inspect.getdoc(component) or "")


def description(component: object) -> str:
    """The docstring up to its first section."""
    doc = inspect.getdoc(component) or ""
    return re.split(r"^(?:Args|Attributes|Raises|Warns|Returns):", doc, maxsplit=1, flags=re.MULTILINE)[0].strip()


def _sections(doc: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    name, inside = "", False
    for line in doc.splitlines():
        if re.match(r"^(Args|Attributes):$", line):
            inside = True
        elif inside and line and not line.startswith(" "):
            inside = False
        elif inside and (found := re.match(r"^    (\w[\w, ]*): (.*)$", line)):
            name = found[1]
            texts |= {part.strip(): found[2] for part in name.split(",")}
        elif inside and name and line.strip():
            texts |= {part.strip(): f"{texts[part.strip()]} {line.strip()}" for part in name.split(",")}
    return texts


def _schema_text(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(map(_schema_text, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return " | ".join(map(str, schema.get("enum", [schema.get("const")])))
    if "prefixItems" in schema:
        return f"list of ({', '.join(map(_schema_text, schema['prefixItems']))})"
    if schema.get("type") == "array":
        return f"list of {_schema_text(schema.get('items', {}))}"
    name = _NAMES.get(schema.get("type", ""), "any")
    return " ".join([name, *(f"{sign} {number_text(schema[key])}" for key, sign in _BOUNDS if key in schema)])


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
