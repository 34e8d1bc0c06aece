"""Option values of one component: defaults, then each source on top, then one check against the signature."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gssl.common.errors import InputError, unknown
from gssl.common.options import Option, key_option_of, neutral_of, options_of, validate
from gssl.config.record import Component


def component(
    name: str,
    factory: Callable[..., object],
    sources: Iterable[Mapping[str, object]],
    *,
    what: str,
    reserved: Sequence[str] = (),
) -> Component:
    """A part with the value of every option; see :func:`settled`.

    Args:
        name: registered name or import path.
        factory: class or function behind the name.
        sources: option values, weak to strong.
        what: how messages name the part.
        reserved: parameters that the program fills in.
    """
    values = settled(factory, sources, what=what, reserved=reserved)
    marked = {key: neutral_of(option) for key, option in options_of(factory).items()}
    neutral = {key for key, mark in marked.items() if mark is not None and values.get(key) == mark.value}
    return Component(name, values, frozenset(neutral))


def settled(
    component: Callable[..., object],
    sources: Iterable[Mapping[str, object]],
    *,
    what: str,
    reserved: Sequence[str] = (),
) -> dict[str, Any]:
    """The value of every option.

    Args:
        component: class or function whose keyword-only parameters are the options.
        sources: option name, or ``name.INDEX`` for one item of a list or mapping, to value; later sources win.
        what: how messages name the component, for example ``"method GRACE"``.
        reserved: parameters that the program fills in and no source may set.

    Raises:
        InputError: an unknown option, a value of the wrong type or out of range, or an option without a value.
    """
    known = {name: option for name, option in options_of(component).items() if name not in reserved}
    values = {name: option.default for name, option in known.items() if not option.required}
    for source in sources:
        _drop_stale(values, source, known)
        _apply(values, source, known, what)
    missing = [name for name in known if name not in values]
    if missing:
        raise InputError(f"{what} needs a value for {' and '.join(map(repr, missing))}: give it with --set")
    return validate(component, values, what=what)


def _drop_stale(values: dict[str, Any], source: Mapping[str, object], known: Mapping[str, Option]) -> None:
    """Take away what weaker sources say of items that this one no longer names."""
    for name, option in known.items():
        named, held = source.get(key_option_of(option) or ""), values.get(name)
        if isinstance(named, list | tuple) and isinstance(held, Mapping):
            names = {str(item).lower() for item in named}
            values[name] = {key: value for key, value in held.items() if str(key).lower() in names}


def _apply(values: dict[str, Any], source: Mapping[str, object], known: Mapping[str, Option], what: str) -> None:
    for key, value in source.items():
        name, dot, path = key.partition(".")
        if name not in known:
            raise unknown(f"option of {what}", key, known)
        values[name] = replaced(values.get(name), path, value, f"option {key!r} of {what}") if dot else value


def replaced(whole: object, path: str, value: object, what: str) -> object:
    """A copy of nested lists and mappings with one value replaced.

    Args:
        whole: list, tuple or mapping; None counts as an empty mapping.
        path: numbers of items and keys of mappings, with dots between them.
        value: what comes there.
        what: how messages name it.

    Raises:
        InputError: there is nothing at the path.

    Example:
        >>> replaced([1, {"p": 0.2}], "1.p", 0.3, "option")
        [1, {'p': 0.3}]
    """
    head, dot, rest = path.partition(".")
    if whole is None or isinstance(whole, Mapping):
        changed = dict(whole or {})
        changed[head] = replaced(changed.get(head), rest, value, what) if dot else value
        return changed
    if not isinstance(whole, list | tuple):
        raise InputError(f"{what}: it is neither a list nor a mapping, so it has no item {head}")
    if not head.isdecimal() or int(head) >= len(whole):
        raise InputError(f"{what}: the item must be a number from 0 to {len(whole) - 1} (got {head!r})")
    items = list(whole)
    items[int(head)] = replaced(items[int(head)], rest, value, what) if dot else value
    return items
