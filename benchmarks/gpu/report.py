"""What a part of the check found, in a file that is whole at every moment."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from gssl.common.files import write_json

SCHEMA = 1
Verdict = Literal["same", "differs", "failed", "skipped"]
Status = Literal["running", "passed", "failed", "error", "timeout", "skipped"]
Kind = Literal["correctness", "figures"]
WRONG: tuple[Verdict, ...] = ("differs", "failed")


@dataclass(frozen=True)
class Case:
    """One comparison of the device with the CPU.

    Attributes:
        name: what is compared.
        verdict: ``same`` within the tolerance, ``differs``, ``failed`` with an error, or ``skipped`` with a reason.
        difference: the largest relative difference; None where there is none to tell.
        tolerance: that it may have; 0 where bits must be equal, None where nothing was compared.
        detail: why it failed or was skipped, or the numbers that differ.
    """

    name: str
    verdict: Verdict
    difference: float | None = None
    tolerance: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class Figure:
    """One figure with its target.

    Attributes:
        name: of the figure.
        value: what is compared with the target.
        unit: ``times`` (a ratio), ``share``, or ``s``.
        ours: our side of the ratio, in seconds, MiB or operations a second, as ``what`` says; None where there is none.
        peer: the other side; None where it could not be measured.
        peer_name: what the other side is.
        target: what issue and documents ask for.
        at_least: whether the target is a lower bound, else an upper one.
        judged: whether it is a figure of the size and on the device that the target is meant for.
        what: one sentence.
    """

    name: str
    value: float
    unit: Literal["times", "share", "s"]
    target: float
    at_least: bool
    judged: bool
    what: str
    ours: float | None = None
    peer: float | None = None
    peer_name: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where that is not judged."""
        if not self.judged or not math.isfinite(self.value):
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


class Report:
    """The findings of one part, written anew after each, so that what there is survives a kill.

    Args:
        path: the JSON file.
        name: of the part.
        kind: of the part.
        limit: seconds that it has.
        config: what it works on.
        environment: versions and machine.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        kind: Kind,
        limit: float,
        config: Mapping[str, object],
        environment: Mapping[str, object],
    ) -> None:
        self.path = path
        self.cases: list[Case] = []
        self.figures: list[Figure] = []
        self.numbers: dict[str, float | int | str | bool] = {}
        self._fixed = {"schema": SCHEMA, "name": name, "kind": kind, "limit_seconds": limit}
        self._rest = {"config": dict(config), "environment": dict(environment)}
        self._start = time.monotonic()
        self.write("running")

    @property
    def left(self) -> float:
        """Seconds until the part must end."""
        limit = self._fixed["limit_seconds"]
        assert isinstance(limit, int | float)
        return limit - (time.monotonic() - self._start)

    def add(self, *found: Case | Figure) -> None:
        """Book findings."""
        for item in found:
            if isinstance(item, Case):
                self.cases.append(item)
            else:
                self.figures.append(item)
        self.write("running")

    def note(self, **numbers: float | int | str | bool) -> None:
        """Book numbers that have no target."""
        self.numbers |= numbers
        self.write("running")

    def end(self) -> None:
        """The part is through."""
        self.write("failed" if any(case.verdict in WRONG for case in self.cases) else "passed")

    def write(self, status: Status, message: str = "") -> None:
        """Write what there is."""
        write_json(
            self.path,
            {
                **self._fixed,
                "status": status,
                "message": message,
                "seconds": round(time.monotonic() - self._start, 2),
                "cases": [finite(asdict(case)) for case in self.cases],
                "figures": [finite({**asdict(figure), "reached": figure.reached}) for figure in self.figures],
                "numbers": finite(self.numbers),
                **self._rest,
            },
        )


def finite(values: Mapping[str, object]) -> dict[str, object]:
    """The same with None for numbers that JSON does not have."""
    return {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in values.items()}


def unfinished(name: str, kind: Kind, limit: float, status: Status, message: str) -> dict[str, object]:
    """What stands in the place of a part that wrote nothing."""
    empty: Sequence[object] = ()
    return {
        "schema": SCHEMA,
        "name": name,
        "kind": kind,
        "limit_seconds": limit,
        "status": status,
        "message": message,
        "seconds": 0.0,
        "cases": list(empty),
        "figures": list(empty),
        "numbers": {},
        "config": {},
        "environment": {},
    }
