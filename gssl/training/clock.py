"""Wall time, CPU time and the load of the machine."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Mark:
    """A moment.

    Attributes:
        wall: seconds of a clock that is never set back.
        cpu: seconds that all threads of this process together have computed for.
    """

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Self:
        return cls(time.perf_counter(), time.process_time())


def load_average() -> float | None:
    """Processes that computed, or wanted to, on average over the last minute; None where the system does not say.

    More of them than there are processors make wall times longer than they need be.
    """
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # not on Windows; not in every container
        return None
