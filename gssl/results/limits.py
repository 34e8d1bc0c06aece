"""What every results store can hold; checked before the work, since a database would refuse it only afterwards."""

from __future__ import annotations

from gssl.common.errors import InputError
from gssl.config.record import RunConfig

LARGEST_SEED = 2**63 - 1
LONGEST_NAMES = 2000  # bytes; PostgreSQL's index over what tells measurements from each other has 2704 for a row


def require_storable(config: RunConfig) -> None:
    """Refuse a configuration that SQLite or PostgreSQL cannot store.

    Raises:
        InputError: a seed is too large, a name is not text, or the names are too long.
    """
    largest = max(config.seeds, default=0)
    if largest > LARGEST_SEED:
        raise InputError(f"seed {largest} is too large: no results store holds more than {LARGEST_SEED}; lower --seed")
    require_names(method=config.method.name, dataset=config.dataset, probe=config.probe.name)


def require_names(**names: str) -> None:
    """Refuse names that SQLite or PostgreSQL cannot store.

    Args:
        names: what messages call a name, and the name; those that tell measurements from each other.

    Raises:
        InputError: a name is not text, or they are too long.
    """
    for kind, name in names.items():
        if name != storable(name):
            raise InputError(f"the {kind} {storable(name)!r} cannot be stored: it is not text in UTF-8; rename it")
    length = sum(len(name.encode()) for name in names.values())
    if length > LONGEST_NAMES:
        longest = max(names, key=lambda kind: len(names[kind]))
        raise InputError(
            f"the name of the {longest} is too long ({len(names[longest])} characters): together the names have "
            f"{length} bytes, and a results store holds {LONGEST_NAMES}; rename it, or use a shorter path"
        )


def storable(text: str) -> str:
    """A text with what is no character, or the character 0, written out.

    Example:
        >>> print(storable("a" + chr(0)).replace(chr(92), "/"))
        a/x00
    """
    return text.encode("utf-8", "backslashreplace").decode().replace(chr(0), "\\x00")
