"""Several processes as a launcher starts them, without the launcher."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """What a process left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


def start(
    world: int,
    arguments: Callable[[int], Sequence[str]],
    *,
    folder: Callable[[int], Path],
    environment: Mapping[str, str] | None = None,
) -> list[subprocess.Popen[str]]:
    """Start Python as each of ``world`` processes that find each other on this machine.

    Args:
        world: how many.
        arguments: of Python, for each rank.
        folder: where each works.
        environment: variables beside those of the launcher.
    """
    port = free_port()
    return [
        subprocess.Popen(
            [sys.executable, *arguments(rank)],
            cwd=folder(rank),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **variables(rank, world, port), **(environment or {})},
        )
        for rank in range(world)
    ]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


def variables(rank: int, world: int, port: int, address: str = "localhost", local_world: int = 0) -> dict[str, str]:
    """What a launcher tells a process.

    Args:
        rank: its number.
        world: how many there are.
        port: of the first one.
        address: of the host of the first one.
        local_world: how many are on each host; 0 for all.
    """
    each = local_world or world
    numbers = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank % each, "LOCAL_WORLD_SIZE": each}
    return {name: str(value) for name, value in numbers.items()} | {
        "GROUP_RANK": str(rank // each),
        "MASTER_ADDR": address,
        "MASTER_PORT": str(port),
    }


def ends(processes: Sequence[subprocess.Popen[str]], *, timeout: float = 300.0) -> list[Ended]:
    """Wait for processes.

    Raises:
        subprocess.TimeoutExpired: one did not end in time; all are killed then.
    """
    try:
        texts = [process.communicate(timeout=timeout) for process in processes]
    except subprocess.TimeoutExpired:
        for process in processes:
            process.kill()
        raise
    return [Ended(process.returncode, *text) for process, text in zip(processes, texts, strict=True)]
