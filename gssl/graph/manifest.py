"""What a folder of history files belongs to, so that no other graph's or encoder's is overwritten or read."""

from __future__ import annotations

import json
import os
from pathlib import Path

from gssl.common.errors import InputError
from gssl.common.files import parse_json

MANIFEST = "history.json"
_FORMAT = 1


def claim(folder: Path, signature: str, num_nodes: int) -> None:
    """Make a folder the one of a history; it is made if it does not exist.

    Args:
        folder: empty, absent, or claimed by the same history before.
        signature: names graph and encoder.
        num_nodes: rows of its files.

    Raises:
        InputError: the folder holds something else, or cannot be written.
    """
    if check(folder, signature, num_nodes):
        return
    content = {"format": _FORMAT, "signature": signature, "num_nodes": num_nodes}
    partial = folder / f".{MANIFEST}.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        partial.replace(folder / MANIFEST)
    except OSError as error:
        raise InputError(f"the history cannot be written to {folder} ({error.strerror}): change it") from error


def check(folder: Path, signature: str, num_nodes: int) -> bool:
    """Whether a folder was claimed by this history; false where nothing is in it yet.

    Raises:
        InputError: the folder holds the history of another graph or another encoder, or anything else.
    """
    advice = "choose another sampler.history_folder, or delete this one"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is in the way: a history needs a folder; choose another sampler.history_folder")
    if not (folder / MANIFEST).exists():
        if folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
            raise InputError(f"{folder} is not empty and holds no history: {advice}")
        return False
    try:
        found = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))
        theirs = (int(found["format"]), str(found["signature"]), int(found["num_nodes"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{folder / MANIFEST} is damaged ({error}): {advice}") from None
    if theirs != (_FORMAT, signature, num_nodes):
        raise InputError(
            f"{folder} holds the history of another graph or another encoder ({theirs[1] or 'unnamed'}, {theirs[2]} "
            f"nodes; this is {signature or 'unnamed'}, {num_nodes} nodes): {advice}"
        )
    return True
