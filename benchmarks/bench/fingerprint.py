"""What data of the user's own hold, in a few digits: other content, other cells."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gssl.datasets.nodes_beside import nodes_beside

WHOLE = 64 << 20  # bytes of a file of a folder that is read as a whole
_PIECES, _PIECE = 64, 1 << 16


def fingerprint(path: Path) -> str:
    """Digest of the content of a file, or of the names and contents of the files of a folder.

    A file by itself is read as a whole, as it is when it is loaded. Of a file in a folder that is larger than 64 MiB
    (features that stay in their file) 64 pieces of 64 KiB are read, and its size and the time of its last change
    count as well: rewriting it or copying it makes its cells run again, a change that keeps all of these is not seen.
    What is declared of the data in a JSON beside them belongs to them, and so does a table of nodes beside edges.
    """
    names = dict.fromkeys((f"{path.name}.json", f"{path.stem}.json"))
    beside = [file for name in names if (file := path.with_name(name)).is_file() and file != path]
    nodes = nodes_beside(path)
    beside += [] if nodes is None else [nodes]
    if path.is_file() and not beside:
        return _content(path, whole=True)[:16]
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        if file.is_file():
            name = "" if file == path else file.relative_to(path).as_posix()
            digest.update(f"{name}|{_content(file, whole=file == path)}|".encode())
    for file in beside:
        digest.update(f"beside|{_content(file, whole=True)}".encode())
    return digest.hexdigest()[:16]


def _content(file: Path, *, whole: bool) -> str:
    status = file.stat()
    with file.open("rb") as content:
        if whole or status.st_size <= WHOLE:
            return hashlib.file_digest(content, "sha256").hexdigest()
        digest = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode())
        for number in range(_PIECES):
            content.seek(number * (status.st_size - _PIECE) // (_PIECES - 1))
            digest.update(content.read(_PIECE))
    return digest.hexdigest()
