"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from gssl.common.errors import InputError, StorageError

_DRIVE = re.compile(r"[A-Za-z]:")
_MOST_JSON = 1 << 28  # bytes
_LONGEST = 255  # bytes of a name that file systems take


def inside(root: Path, name: object, told_by: object) -> Path:
    """The path below a folder that a name leads to which stands in a file.

    Every path that is made from the content of a file, an archive or a database goes through this function.

    Args:
        root: the folder.
        name: a relative path, with slashes of either kind.
        told_by: what holds the name, for messages.

    Raises:
        InputError: the name is no text, empty, absolute, too long, or leads out of the folder.

    Example:
        >>> inside(Path("raw"), "a/b.txt", "the archive").as_posix()
        'raw/a/b.txt'
        >>> inside(Path("raw"), "../b.txt", "the archive")
        Traceback (most recent call last):
        gssl.common.errors.InputError: the archive names '../b.txt', which leads out of its folder: do not use it
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts if isinstance(name, str) else ()
    if not isinstance(name, str) or not parts or "\0" in name or any(len(os.fsencode(p)) > _LONGEST for p in parts):
        raise InputError(f"{told_by} names {str(name)[:80]!r}, which is no name of a file: do not use it")
    if parts[0].startswith("/") or _DRIVE.match(parts[0]) or ".." in parts:
        raise InputError(f"{told_by} names {name!r}, which leads out of its folder: do not use it")
    return root.joinpath(*parts)


def require_regular(path: Path, most_bytes: int | None = None) -> None:
    """Refuse pipes, devices and folders, from which reading may never end, and files that are too large.

    A path where nothing is passes, so that the one who opens it says so.

    Raises:
        InputError: it is one of those.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"cannot read {path}: it is no regular file")
    if most_bytes is not None and path.is_file() and path.stat().st_size > most_bytes:
        raise InputError(
            f"cannot read {path}: it has {path.stat().st_size} bytes, more than the {most_bytes} that are read"
        )


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Let ``write`` fill a file that takes the place of ``path`` once it is complete and on disk.

    Raises:
        StorageError: the system refuses, for example because the disk is full; ``path`` is as it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8."""
    write_whole(path, lambda file: _put(file, text.encode()))


def write_json(path: Path, data: Mapping[str, object]) -> None:
    """Write a JSON object; a number that is not finite is an error."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def parse_json(text: str | bytes, *, no_key_twice: bool = False) -> Any:
    """What a text in JSON stands for.

    Args:
        text: the whole of it.
        no_key_twice: whether an object that has a key twice is refused, of which the last one would count otherwise;
            for what people write by hand.

    Raises:
        ValueError: it is no JSON, nested too deeply, or has a key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_single_keys if no_key_twice else None)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _single_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"it has the key {key!r} twice")
        found[key] = value
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: the file does not hold one, is no regular file, or is too large.
    """
    require_regular(path, _MOST_JSON)
    try:
        data = parse_json(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} is damaged: it does not hold a JSON object")
    return data


def cannot_write(path: Path, error: OSError) -> StorageError:
    """What to tell the user when the system refuses to write ``path``."""
    advice = {
        errno.ENOSPC: "free some space and give the same command again, it goes on where it stopped",
        errno.EDQUOT: "your quota is used up; free some space and give the same command again",
    }.get(error.errno or 0, "choose another place with --out, --db or GSSL_RUNS")
    return StorageError(f"cannot write {path}: {error.strerror or error}; {advice}")


def _put(file: BinaryIO, content: bytes) -> None:
    file.write(content)


def _sync_folder(folder: Path) -> None:
    # A rename survives a power cut only once the folder is on disk too.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
