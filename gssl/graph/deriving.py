"""What is computed from a graph or a pattern once, and kept with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Derived = TypeVar("Derived")


class Deriving:
    """Keeps what was derived from it as long as it lives."""

    def derived(self, key: str, make: Callable[[], Derived]) -> Derived:
        """What is computed from this once and kept with it, such as a diffusion or a partition.

        Args:
            key: names it, with the options that decide it.
            make: computes it.
        """
        kept: dict[str, Any] = self.__dict__.setdefault("_derived", {})
        if key not in kept:
            kept[key] = make()
        found: Derived = kept[key]
        return found
