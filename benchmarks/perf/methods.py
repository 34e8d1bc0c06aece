"""One training step of every method against the authors' code and the libraries that have the method."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from gssl.benchmarks.perf.cases import CASES, OURS, WITHOUT_PEER, Case
from gssl.benchmarks.perf.limits import limited
from gssl.benchmarks.perf.machine import describe, thread_count
from gssl.benchmarks.perf.measure import Side, in_fresh_process, peak_of, take_turns
from gssl.benchmarks.perf.peers.peer import DISTRIBUTIONS, clone
from gssl.benchmarks.perf.result import Measured, PerfResult, PerfTable, compare
from gssl.benchmarks.perf.setups import available_data, available_graphs, available_types
from gssl.common.errors import InputError
from gssl.common.options import PositiveInt
from gssl.registry import METHODS
from gssl.results.environment import installed
from gssl.training.memory import free_memory


@dataclass(frozen=True)
class Probed:
    """What one side needs.

    Attributes:
        memory_mb: as in :class:`~gssl.benchmarks.perf.result.Measured`.
        parameters: numbers that it trains.
    """

    memory_mb: float
    parameters: int


def run(
    *,
    methods: tuple[str, ...] = (),
    data: Literal["auto", "random"] = "auto",
    nodes: PositiveInt = 2_708,
    graphs: PositiveInt = 128,
    sources: str = "",
    repeats: PositiveInt = 9,
    threads: PositiveInt | None = None,
) -> PerfTable:
    """One training step of each method on Cora, ACM or a batch of MUTAG, against PyG, PyGCL, DIG and the authors' code.

    Args:
        methods: only these; all that have a peer if there are none.
        data: Cora, MUTAG and ACM where their files are here, or random graphs, the first two of their size.
        nodes: of a random graph.
        graphs: of the batch.
        sources: folder with clones of official repositories, each called owner+name.
        repeats: measured steps of each side.
        threads: of all sides; PyTorch's default if None.

    Raises:
        InputError: a method is not registered or has no peer, or ``sources`` is no folder.
    """
    if sources and not Path(sources).is_dir():
        raise InputError(f"sources={sources} is not a folder; give that of the clones, each called owner+name")
    threads = thread_count(threads)
    chosen = [_on(case, data, nodes, graphs, sources) for case in select(methods)]
    results = [_measured(case, repeats, threads) for case in chosen]
    names = sorted({package for case in chosen for peer in case.peers for package in peer.packages})
    repositories = sorted({peer.repository for case in chosen for peer in case.peers if peer.repository})
    environment = describe(threads)
    environment["peers"] = installed(tuple(DISTRIBUTIONS[name] for name in names))
    environment["sources"] = {name: commit for name in repositories if (commit := _commit(sources, name))}
    return PerfTable(
        name="methods",
        results=tuple(results),
        without=WITHOUT_PEER if not methods else {},
        config={"repeats": repeats, "threads": threads},
        environment=environment,
    )


def select(methods: Sequence[str]) -> list[Case[Any]]:
    """The cases of some methods, or all.

    Raises:
        InputError: a method is not registered, or has no peer.
    """
    wanted = [METHODS.canonical(name) for name in methods]
    known = {case.method for case in CASES}
    for name in wanted:
        if name not in known:
            reason = f": {WITHOUT_PEER[name]}" if name in WITHOUT_PEER else ""
            raise InputError(
                f"{name} has no peer to be measured against{reason}; choose from {', '.join(sorted(known))}"
            )
    return [case for case in CASES if not wanted or case.method in wanted]


def _on(case: Case[Any], data: str, nodes: int, graphs: int, sources: str) -> Case[Any]:
    if case.level == "node":
        return case.on(data=available_data() if data == "auto" else "random", nodes=nodes, sources=sources)
    if case.level == "hetero":
        return case.on(data=available_types() if data == "auto" else "toy", sources=sources)
    return case.on(data=available_graphs() if data == "auto" else "random", graphs=graphs, sources=sources)


def probe(side: Side, threads: int) -> Probed | str:
    """What a side needs, or why it does not work here. Call it in a fresh process."""
    torch.set_num_threads(threads)
    try:
        step: Any = side.build()
        return Probed(peak_of(step), step.parameters)
    except Exception as error:  # other people's code may fail in any way
        if side.name == OURS:
            raise
        return f"it fails here with {type(error).__name__}: {error}"


def probe_within(side: Side, threads: int) -> Probed | str:
    """As :func:`probe`, within the memory that is free, of which other people's code might want more for good."""
    limited(free_memory())
    return probe(side, threads)


def _measured(case: Case[Any], repeats: int, threads: int) -> PerfResult:
    absent = {p.name: why for p in case.peers if (why := p.absence(case.setup.sources)) is not None}
    ours, *theirs = case.sides(tuple(peer for peer in case.peers if peer.name not in absent))
    needs: dict[str, Probed] = {}
    for side in (ours, *theirs):
        found = in_fresh_process(probe if side is ours else probe_within, side, threads)
        if isinstance(found, Probed):
            needs[side.name] = found
        else:
            absent[side.name] = found
    sides = [side for side in (ours, *theirs) if side.name in needs]
    times, _ = in_fresh_process(take_turns, sides, partial(dict[str, float]), repeats, threads)
    mine, *others = [Measured(s.name, t, needs[s.name].memory_mb) for s, t in zip(sides, times, strict=True)]
    return compare(
        case.method,
        mine,
        others,
        absent=absent,
        figures={f"{name} parameters": need.parameters for name, need in needs.items()},
        config={"level": case.level, **_sizes(case)},
        environment={},
    )


def _sizes(case: Case[Any]) -> Mapping[str, int | float | str]:
    """What the setup says in numbers and words, without the place of the clones."""
    values = asdict(case.setup)
    del values["sources"]
    if case.setup.data != "random":
        values.pop("features", None)
    return {key: str(value) if isinstance(value, tuple) else value for key, value in values.items()}


def _commit(sources: str, repository: str) -> str:
    """Hash of the commit that a clone is at; empty if there is none or it is not known."""
    place = clone(sources, repository)
    if not (sources and (place / ".git").exists()):
        return ""
    asked = ["git", "-C", str(place), "rev-parse", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
