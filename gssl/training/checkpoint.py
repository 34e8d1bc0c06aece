"""Resumable checkpoints: written whole or not at all, and read without running code from the file."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from gssl.common.errors import InputError

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any], *, config_key: str) -> None:
    """Write ``state`` so that ``path`` holds either the former checkpoint or this one, whatever happens.

    Args:
        path: the file; its folder is made.
        state: tensors, numbers, strings, and containers of them.
        config_key: names the configuration that the state belongs to.

    Raises:
        InputError: the file cannot be written, for example because the disk is full.
    """
    buffer = io.BytesIO()  # torch.save on a full disk raises a RuntimeError that does not say so
    torch.save({"format": FORMAT, "config_key": config_key, "state": state}, buffer)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = error.strerror or error
        raise InputError(f"cannot write the checkpoint {path}: {reason}; free space or choose another --out") from error


def load_checkpoint(path: Path, *, config_key: str) -> dict[str, Any] | None:
    """The state in ``path``, or None if there is no such file.

    Raises:
        InputError: the file is damaged, holds more than plain data, or belongs to another configuration.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is not a checkpoint that can be read safely (damaged, or not written by gssl); "
            f"delete it to train from the start"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a checkpoint of this version; delete it to train from the start")
    if content["config_key"] != config_key:
        raise InputError(
            f"the checkpoint {path} belongs to another configuration ({content['config_key']!r}, not {config_key!r}); "
            f"delete it or choose another --out"
        )
    state: dict[str, Any] = content["state"]
    return state


def _sync_folder(folder: Path) -> None:
    # A rename survives a power cut only once the folder is on disk too.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
