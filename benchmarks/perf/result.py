"""What a speed and memory benchmark reports."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Measured:
    """Cost of one step of one side.

    Attributes:
        name: whose step it is.
        seconds: duration of each repeat.
        memory_mb: peak resident memory above what was resident before the step, MiB, in a process of its own.
    """

    name: str
    seconds: tuple[float, ...]
    memory_mb: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Peer:
    """One peer and how we compare with it; ratios above 1 mean that we are faster or smaller.

    Attributes:
        name: the library or formulation.
        seconds: median duration of its step.
        seconds_min: shortest duration.
        ratio: its median over ours.
        memory_mb: its peak memory, as in :class:`Measured`.
        memory_ratio: its peak memory over ours.
        times: every repeat, in seconds.
    """

    name: str
    seconds: float
    seconds_min: float
    ratio: float
    memory_mb: float
    memory_ratio: float
    times: tuple[float, ...]


@dataclass(frozen=True)
class PerfResult:
    """One benchmark. The first six fields are those of ``gssl perf NAME --json``.

    Attributes:
        name: of the benchmark.
        ours: median seconds of our step.
        peer: median seconds of the headline peer, the first that is installed; None if none is.
        ratio: ``peer / ours``.
        memory_ratio: the peer's peak memory over ours.
        peer_name: the headline peer.
        ours_min: our shortest repeat, in seconds.
        ours_memory_mb: our peak memory, as in :class:`Measured`.
        ours_times: every repeat, in seconds.
        peers: all peers that are installed.
        absent: peer that is not installed, and why.
        figures: what else was measured, for example the agreement of both sides.
        config: sizes, repeats and threads.
        environment: versions and machine.
    """

    name: str
    ours: float
    peer: float | None
    ratio: float | None
    memory_ratio: float | None
    peer_name: str | None
    ours_min: float
    ours_memory_mb: float
    ours_times: tuple[float, ...]
    peers: tuple[Peer, ...]
    absent: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, float | str] = field(default_factory=dict)
    config: Mapping[str, int | float | str] = field(default_factory=dict)
    environment: Mapping[str, object] = field(default_factory=dict)

    def mapping(self) -> dict[str, object]:
        """All fields as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class PerfTable:
    """Several benchmarks of one kind.

    Attributes:
        name: of all together.
        results: one each; their ``environment`` is empty.
        without: what was not measured since it has no peer, and why.
        config: repeats and threads.
        environment: versions and machine.
    """

    name: str
    results: tuple[PerfResult, ...]
    without: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, int | float | str] = field(default_factory=dict)
    environment: Mapping[str, object] = field(default_factory=dict)

    @property
    def compared(self) -> int:
        """Peers that were measured."""
        return sum(len(result.peers) for result in self.results)

    @property
    def slower(self) -> tuple[str, ...]:
        """Where a peer is faster than we are: ``method against peer``."""
        pairs = [(result.name, peer) for result in self.results for peer in result.peers]
        return tuple(f"{name} against {peer.name}" for name, peer in pairs if peer.ratio < 1)

    def mapping(self) -> dict[str, object]:
        """All fields as JSON types, with the summary."""
        return {**asdict(self), "compared": self.compared, "slower": list(self.slower)}


def compare(
    name: str,
    ours: Measured,
    peers: Sequence[Measured],
    *,
    absent: Mapping[str, str],
    figures: Mapping[str, float | str],
    config: Mapping[str, int | float | str],
    environment: Mapping[str, object],
) -> PerfResult:
    """Ratios of every peer to us, the first peer as the headline."""
    rivals = tuple(_rival(ours, peer) for peer in peers)
    first = rivals[0] if rivals else None
    return PerfResult(
        name=name,
        ours=ours.median,
        peer=first.seconds if first else None,
        ratio=first.ratio if first else None,
        memory_ratio=first.memory_ratio if first else None,
        peer_name=first.name if first else None,
        ours_min=min(ours.seconds),
        ours_memory_mb=ours.memory_mb,
        ours_times=ours.seconds,
        peers=rivals,
        absent=absent,
        figures=figures,
        config=config,
        environment=environment,
    )


def _rival(ours: Measured, peer: Measured) -> Peer:
    return Peer(
        name=peer.name,
        seconds=peer.median,
        seconds_min=min(peer.seconds),
        ratio=peer.median / ours.median,
        memory_mb=peer.memory_mb,
        memory_ratio=peer.memory_mb / ours.memory_mb,
        times=peer.seconds,
    )
