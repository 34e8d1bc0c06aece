"""Resumable checkpoints: written whole or not at all, and read without running code from the file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.files import write_whole

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any], *, config_key: str) -> None:
    """Write ``state`` so that ``path`` holds either the former checkpoint or this one, whatever happens.

    Args:
        path: the file, in a folder that exists.
        state: tensors, numbers, strings, and containers of them.
        config_key: names the configuration that the state belongs to.

    Raises:
        InputError: the file cannot be written, for example because the disk is full.
    """
    buffer = io.BytesIO()  # torch.save into a full disk raises a RuntimeError that does not say so
    torch.save({"format": FORMAT, "config_key": config_key, "state": state}, buffer)

    def write(file: BinaryIO) -> None:
        file.write(buffer.getbuffer())

    write_whole(path, write)


def load_checkpoint(path: Path, *, config_key: str | None) -> dict[str, Any] | None:
    """The state in ``path``, or None if there is no such file.

    Args:
        path: the file.
        config_key: what it must have been written for; None takes any, for a folder that was identified otherwise.

    Raises:
        InputError: the file is damaged, holds more than plain data, or belongs to another configuration.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes surface as almost any error of the unpickler or the archive reader
        raise InputError(
            f"{path} is not a checkpoint that can be read safely (damaged, or not written by gssl); "
            f"delete it to train from the start"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a checkpoint of this version; delete it to train from the start")
    if config_key is not None and content["config_key"] != config_key:
        raise InputError(
            f"the checkpoint {path} belongs to another configuration ({content['config_key']!r}, not {config_key!r}); "
            f"delete it or choose another --out"
        )
    state: dict[str, Any] = content["state"]
    return state


def load_weights(path: Path, *, config_key: str | None) -> dict[str, Tensor] | None:
    """The weights that a training ended with, on the CPU; None if there is no such file.

    Raises:
        InputError: as :func:`load_checkpoint`.
    """
    state = load_checkpoint(path, config_key=config_key)
    if state is None:
        return None
    weights: dict[str, Tensor] = state["method"] if state["best"] is None else state["best"][2]
    return weights
