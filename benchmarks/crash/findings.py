"""What a test with kills saw."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

_MOST_TOLD = 20


@dataclass
class Findings:
    """Of one kind of command. What it finishes one after the other are its units.

    Attributes:
        units: what they are, and how many there are in one round.
        kills: number per kind of process.
        rounds: how often the command was carried out to its end.
        lost: units that were finished and later were not, or were not there at the end.
        rewritten: units whose finished result was written a second time.
        double: stored rows beyond one per unit.
        different: units whose results are not bit for bit those of the undisturbed command.
        left: files and folders that a killed process left and the last command did not remove.
        repeated: units that were begun more than once, counted each time; at most those in flight at each kill.
        in_flight: the sum over the kills of the units that were in flight: one, where a single worker was killed.
        seconds: wall time.
        told: the differences in words, some of them.
    """

    units: str
    kills: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    lost: int = 0
    rewritten: int = 0
    double: int = 0
    different: int = 0
    left: int = 0
    repeated: int = 0
    in_flight: int = 0
    seconds: float = 0.0
    told: list[str] = field(default_factory=list)

    def differ(self, what: str, found: object, expected: object) -> None:
        """Compare a result with that of the undisturbed command."""
        if found != expected:
            self.different += 1
            if len(self.told) < _MOST_TOLD:
                self.told.append(f"{what}: {str(found)[:200]} instead of {str(expected)[:200]}")

    @property
    def holds(self) -> bool:
        """Whether everything survived."""
        faults = self.lost + self.rewritten + self.double + self.different + self.left
        return not faults and self.repeated <= self.in_flight

    def mapping(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "kills": dict(self.kills), "seconds": round(self.seconds, 1), "holds": self.holds}
