"""Raw text files: what PyG's readers need of them, and how many lines they hold."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gssl.common.errors import InputError

_BLANK = b" \t\r\n"
_TAIL = 1 << 16


@contextlib.contextmanager
def one_final_newline(paths: Iterable[Path]) -> Iterator[None]:
    """Within, each of these files ends in exactly one newline; afterwards it is what it was, byte for byte.

    PyG's readers cut off what follows the last newline, or the last character whatever it is (ZINC's lists of
    molecules). In a file that does not end in a newline that is the last item.
    """
    tails = {path: _cut_tail(path) for path in paths}
    try:
        yield
    finally:
        for path, (size, tail) in tails.items():
            with path.open("r+b") as file:
                file.truncate(size)
                file.seek(size)
                file.write(tail)


def _cut_tail(path: Path) -> tuple[int, bytes]:
    """Put one newline in place of the white space at the end; returns where that began, and what it was."""
    with path.open("r+b") as file:
        start = max(0, file.seek(0, 2) - _TAIL)
        file.seek(start)
        end = file.read()
        kept = end.rstrip(_BLANK)
        size = start + len(kept)
        file.truncate(size)
        file.seek(size)
        file.write(b"\n")
    return size, end[len(kept) :]


def count_lines(path: Path) -> int:
    """Lines of a text file, compressed or not, that are not blank; a last one without a newline counts.

    Raises:
        InputError: damaged.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            return sum(not line.isspace() for line in file)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(f"{path} is damaged ({error}): delete it and provide it again") from None


def require_equal(found: Mapping[str, int], wanted: Mapping[str, int], where: Path) -> None:
    """Compare what was read with what the raw files hold, so that no reader loses an item.

    Args:
        found: what was read, for example ``{"edges": 71}``.
        wanted: the same of the raw files; a count that is missing here is not compared.
        where: folder of the raw files.

    Raises:
        InputError: names the first count that differs.
    """
    for what, count in found.items():
        if wanted.get(what, count) != count:
            raise InputError(
                f"{where} holds {wanted[what]} {what}, but {count} were read: its files do not fit together, so "
                "correct them, or delete them and provide them again"
            )
