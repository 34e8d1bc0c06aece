"""Stand-ins for packages that a peer imports but does not use in what is measured."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType


class StandIn(ModuleType):
    """A module whose every attribute is a class that cannot be created, so that nothing of it is used unnoticed."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(_: object, *args: object, **kwargs: object) -> None:
            raise NotImplementedError(f"{self.__name__}.{name} is needed, but {self.__name__} is not installed")

        return type(name, (), {"__init__": refuse})


def stand_in(*packages: str) -> None:
    """Let this process import those of ``packages`` that are not installed. For processes of a benchmark only."""
    for package in packages:
        if package not in sys.modules and find_spec(package) is None:
            sys.modules[package] = StandIn(package)
