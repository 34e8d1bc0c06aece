"""How this process was started: alone, or as one of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gssl.common.errors import InputError

_NEEDED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Launch:
    """One of the processes of a launcher.

    Attributes:
        rank: number of this process, from 0.
        world: how many there are.
        local_rank: number of this process among those of its host.
        local_world: how many of them are on this host.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1


def launched(environment: Mapping[str, str]) -> Launch:
    """What the launcher says of this process.

    Args:
        environment: variables of this process. Launchers for training in parallel (torchrun, accelerate, deepspeed)
            set both ``RANK`` and ``WORLD_SIZE``; schedulers that start independent programs do not.

    Raises:
        InputError: it is one of several, but a variable by which they find each other is missing.

    Example:
        >>> launched({"WORLD_SIZE": "1", "RANK": "0"})
        Launch(rank=0, world=1, local_rank=0, local_world=1)
    """
    if _world(environment) == 1:
        return Launch()
    missing = [name for name in _NEEDED if not environment.get(name, "").strip()]
    if missing:
        raise InputError(
            f"{_several(environment)}, but not {' and '.join(missing)}, by which they find each other; start them with "
            "`torchrun --nproc-per-node N -m gssl run ...`"
        )
    try:
        numbers = [int(environment[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")]
    except ValueError as error:
        raise InputError(f"{_several(environment)}, and a number among its variables is none: {error}") from None
    return Launch(*numbers)


def require_one_process(environment: Mapping[str, str]) -> None:
    """Refuse to be one of several processes of torchrun, each of which would do all of the same work.

    Args:
        environment: see :func:`launched`.

    Raises:
        InputError: there are several.

    Example:
        >>> require_one_process({"WORLD_SIZE": "1", "RANK": "0"})
        >>> require_one_process({"WORLD_SIZE": "2"})
    """
    if _world(environment) > 1:
        raise InputError(
            f"{_several(environment)}, each of which would do all of the same work: of all commands `gssl run` alone "
            "trains in several processes; start this one without the launcher, and for several cells or trials at a "
            "time give --workers to `gssl bench` or `gssl tune`"
        )


def _world(environment: Mapping[str, str]) -> int:
    size = environment.get("WORLD_SIZE", "").strip()
    return int(size) if "RANK" in environment and size.isdecimal() and int(size) > 1 else 1


def _several(environment: Mapping[str, str]) -> str:
    size, rank = environment["WORLD_SIZE"].strip(), environment["RANK"]
    return f"torchrun or another launcher started {size} processes (WORLD_SIZE={size}, RANK={rank})"
