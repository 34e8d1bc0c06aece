"""Rows as a database gives them: SQLite keeps values of any type in any column, and other programs write there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from gssl.common.errors import StorageError
from gssl.results.database import shown

T = TypeVar("T")


def checked(kind: type[T], values: Mapping[str, Any], url: str) -> T:
    """A row as a dataclass whose fields are texts, numbers or None.

    Args:
        kind: the dataclass; columns are called like its fields.
        values: of the columns.
        url: of the store, for the message.

    Raises:
        StorageError: a value is of another type than its field, or no finite number; nothing is computed from it.
    """
    for name, allowed in _types(kind):  # type: ignore[arg-type]  # classes are hashable
        value = values[name]
        if not isinstance(value, allowed) or (isinstance(value, float) and not math.isfinite(value)):
            place = ", ".join(f"{key} {str(values[key])[:60]!r}" for key in _TOLD if key in values)
            raise StorageError(
                f"the results store {shown(url)} is damaged: {name} is {str(value)[:40]!r} in the row with {place}; "
                "restore a copy of the store, or delete the row"
            )
    return kind(**values)


_TOLD = ("key", "method", "dataset", "seed", "date")


@cache
def _types(kind: type[Any]) -> tuple[tuple[str, tuple[type, ...]], ...]:
    """What each field may hold."""
    hints = get_type_hints(kind)
    return tuple((item.name, _allowed(hints[item.name])) for item in fields(kind))


def _allowed(annotation: Any) -> tuple[type, ...]:
    if annotation is float:
        return (float, int)
    if isinstance(annotation, type):
        return (annotation,)
    inner = get_args(annotation)
    if all(isinstance(value, str) for value in inner):  # a literal; a newer version may know others
        return (str,)
    return tuple(found for part in inner for found in _allowed(part))
