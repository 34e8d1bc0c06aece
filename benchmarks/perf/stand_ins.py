"""Stand-ins for packages that a peer imports but does not use in what is measured."""

from __future__ import annotations

import sys
from importlib import import_module
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
    """Let this process import those of ``packages`` that do not import by themselves. For a benchmark's processes only.

    A package that is there without what it needs in its turn, as torch-sparse is without torch-scatter, counts as one
    that does not import. A module within a package goes by its full name, after the package.
    """
    for package in packages:
        if package not in sys.modules and not _imports(package):
            sys.modules[package] = StandIn(package)


def _imports(package: str) -> bool:
    try:
        if find_spec(package) is None:
            return False
        import_module(package)
    except Exception:  # a package that is half there may fail in any way
        for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            del sys.modules[name]
        return False
    return True
