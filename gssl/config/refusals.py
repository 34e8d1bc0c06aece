"""Errors of a configuration that can be told from names alone; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from gssl.common.errors import InputError, unknown


def wrong_level(kind: str, name: str, levels: Sequence[str], level: str, fitting: Sequence[str]) -> InputError:
    """The error for a method or probe that does not work on items of this level.

    Args:
        kind: ``"method"`` or ``"probe"``.
        name: of the part.
        levels: those that it works on.
        level: of the dataset.
        fitting: names of parts that fit.
    """
    return InputError(
        f"{kind} {name} works on {' and '.join(levels)}-level data, but the dataset is {level}-level; "
        f"{kind}s that fit: {', '.join(fitting) or 'none'}"
    )


def unknown_key(what: str, key: str, own: Iterable[str], parts: Mapping[str, Collection[str]]) -> InputError:
    """The error for a bare ``--set`` key that the method does not have.

    Args:
        what: how the message names the method.
        key: as the user wrote it.
        own: options of the method.
        parts: section name to the options that are addressed as ``section.option``.
    """
    exact = [f"{section}.{key}" for section, names in parts.items() if key in names]
    if exact:
        return InputError(f"unknown option of {what} {key!r}; did you mean {' or '.join(map(repr, exact))}?")
    everything = [*own, *(f"{section}.{name}" for section, names in parts.items() for name in names)]
    return unknown(f"option of {what}", key, everything)
