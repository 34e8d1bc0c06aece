"""Independent random streams from one seed."""

import hashlib

from gssl.common.errors import InputError

MOST_SEEDS = 10_000  # of one run or suite; each is a training of its own


def seed_range(first: int, count: int) -> tuple[int, ...]:
    """Consecutive seeds.

    Raises:
        InputError: more than anybody can train, for which not even a list is made.

    Example:
        >>> seed_range(5, 3)
        (5, 6, 7)
    """
    if count > MOST_SEEDS:
        raise InputError(f"{count} seeds are too many, each is a training of its own: ask for at most {MOST_SEEDS}")
    return tuple(range(first, first + count))


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on every part, the same in every process and on every machine.

    Example:
        >>> derive_seed(0, "split") == derive_seed(0, "split") != derive_seed(1, "split")
        True
    """
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
