"""Search-space declarations that stand beside a component's defaults and are read by the tuner."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Float:
    """A real parameter in [low, high], on a logarithmic scale if ``log``."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Int:
    """An integer parameter in [low, high], on a logarithmic scale if ``log``."""

    low: int
    high: int
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[bool | int | float | str | None, ...]


Space = Float | Int | Choice
