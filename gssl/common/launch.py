"""How this process was started."""

from __future__ import annotations

from collections.abc import Mapping

from gssl.common.errors import InputError


def require_one_process(environment: Mapping[str, str]) -> None:
    """Refuse to be one of several processes of torchrun, each of which would do all of the same work.

    Args:
        environment: variables of this process. Launchers for training in parallel (torchrun, accelerate, deepspeed)
            set both ``RANK`` and ``WORLD_SIZE``; schedulers that start independent programs do not.

    Raises:
        InputError: there are several.

    Example:
        >>> require_one_process({"WORLD_SIZE": "1", "RANK": "0"})
        >>> require_one_process({"WORLD_SIZE": "2"})
    """
    size = environment.get("WORLD_SIZE", "").strip()
    if "RANK" in environment and size.isdecimal() and int(size) > 1:
        raise InputError(
            f"torchrun or another launcher started {size} processes (WORLD_SIZE={size}, RANK={environment['RANK']}), "
            "and gssl does not train in parallel yet: each would do all of the work again; start it without the "
            "launcher, and for several cells or trials at a time give --workers to `gssl bench` or `gssl tune`"
        )
