"""One resolver per component family: a name, an import path or an installed entry point."""

import ast
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from gssl.common.errors import InputError, unknown

T = TypeVar("T")
_CLASSES = ("method", "probe", "task", "setting")  # families whose components are classes
_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class Resolver(Generic[T]):
    """Finds the components of one family without importing those that are not asked for.

    Args:
        family: singular name used in messages, for example ``"method"``.
        builtin: name to ``"module:attribute"`` for what ships with the project.
        group: entry-point group in which installed plug-ins announce themselves.
    """

    def __init__(self, family: str, builtin: Mapping[str, str], *, group: str) -> None:
        self.family = family
        self.group = group
        self._builtin = dict(builtin)

    @cached_property
    def paths(self) -> dict[str, str]:
        """Name to import path of everything registered.

        Raises:
            InputError: two components have the same name (case does not matter).
        """
        found = dict(self._builtin)
        taken = {name.lower() for name in found}
        for point in entry_points(group=self.group):
            if point.name.lower() in taken:
                raise InputError(
                    f"two {self.family}s are called {point.name!r}: the entry point {point.value!r} "
                    f"must be renamed or its package uninstalled"
                )
            taken.add(point.name.lower())
            found[point.name] = point.value
        return found

    def names(self) -> list[str]:
        return list(self.paths)

    def canonical(self, name: str) -> str:
        """The registered spelling of ``name``, or the import path itself.

        Raises:
            InputError: nothing has that name; the nearest names are listed.
        """
        if ":" in name:
            return name
        by_lower = {known.lower(): known for known in self.paths}
        if name.lower() not in by_lower:
            _refuse_dotted(name, self.family)
            raise unknown(self.family, name, self.paths)
        return by_lower[name.lower()]

    def get(self, name: str) -> T:
        """Import the component called ``name`` (or at ``package.module:Attribute``).

        Raises:
            InputError: no such name, module or attribute.
        """
        canonical = self.canonical(name)
        component: T = load(self.paths.get(canonical, canonical), self.family)
        return component

    def summary(self, name: str) -> str:
        """First paragraph of the component's docstring, read from its source without importing it."""
        path = self.paths[self.canonical(name)]
        module, _, attribute = path.partition(":")
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            return ""
        for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
                return first_paragraph(ast.get_docstring(node) or "")
        return ""


def first_paragraph(doc: str) -> str:
    r"""The summary of a cleaned docstring on one line; it may have been broken where a line was full.

    Example:
        >>> first_paragraph("What it is (Author,\n2020).\n\nMore.")
        'What it is (Author, 2020).'
    """
    return " ".join(doc.partition("\n\n")[0].split())


def import_paths(text: str) -> list[str]:
    """Everything in a text that looks like the import path of a component.

    Example:
        >>> import_paths("objective=mine:loss views=[[{my.own:Drop: {p: 0.2}}]]")
        ['mine:loss', 'my.own:Drop']
    """
    return _PATH.findall(text)


def load(path: str, family: str) -> Any:
    """Import ``package.module:Attribute``; modules in the working folder are found too.

    Raises:
        InputError: the path is malformed, or the module or attribute does not exist.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise InputError(f"{family} path {path!r} must look like package.module:Name")
    if module_name.endswith(".py") or "/" in module_name:
        dotted = ".".join(module_name.removesuffix(".py").removeprefix("./").split("/"))
        raise InputError(f"{family} path {path!r} must name a module, not a file: write {dotted}:{attribute}")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    if module_name not in sys.modules and "." not in module_name:
        _refuse_unseen(module_name, attribute, family)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if missing == module_name or module_name.startswith(missing + "."):
            raise InputError(f"there is no module {missing!r} for {family} {path!r}") from None
        raise InputError(f"{family} {path!r} needs the package {missing!r}, which is not installed") from None
    except (Exception, SystemExit) as error:  # a script that ends itself would end the command without a word
        if module_name.partition(".")[0] == "gssl":
            raise  # a fault of ours
        raise InputError(f"importing {module_name} for {family} {path!r} failed: {_told(error)}") from error
    if not hasattr(module, attribute):
        raise unknown(f"{family} in {module_name}", attribute, [n for n in vars(module) if not n.startswith("_")])
    return getattr(module, attribute)


def _refuse_dotted(name: str, family: str) -> None:
    """Say how a class in a file is named, where somebody wrote a dot for the colon.

    Raises:
        InputError: the part before the last dot is a module that can be found, or a file.
    """
    head, dot, last = name.rpartition(".")
    if last == "py":
        head, last = name, "CLASS"
    module = ".".join(head.removesuffix(".py").removeprefix("./").split("/"))
    if not dot or not all(part.isidentifier() for part in module.split(".")):
        return
    if Path(*module.split(".")).with_suffix(".py").is_file() or importlib.util.find_spec(module.partition(".")[0]):
        raise InputError(f"unknown {family} {name!r}; one in a module or file is named {module}:{last}")


def _told(error: BaseException) -> str:
    """An error of a module that is imported, with the last place outside of this file that it came through."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames[1:] else ""
    return f"{type(error).__name__}: {error}{place}"


def _refuse_unseen(module: str, attribute: str, family: str) -> None:
    """Refuse, before the module is run, what its source shows to be missing or of another kind.

    Nothing is said of a module whose source is not at hand or does not parse: importing it will tell.

    Raises:
        InputError: the source binds no such name, or binds it to a class where a function is wanted or the other way.
    """
    try:
        spec = importlib.util.find_spec(module)
        tree = ast.parse(Path(spec.origin or "").read_text(encoding="utf-8")) if spec is not None else None
    except (ImportError, OSError, ValueError, SyntaxError, RecursionError):
        return
    if tree is None:
        return
    for node in tree.body:
        name = getattr(node, "name", None)
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if name == attribute and is_function and family in _CLASSES:
            raise InputError(f"{family} {module}:{attribute} is a function, but must be a class; it was not imported")
        if name == attribute and isinstance(node, ast.ClassDef) and family == "dataset":
            raise InputError(
                f"{family} {module}:{attribute} is a class, but must be a function that returns a dataset; it was not "
                "imported"
            )
    bound = {word for node in ast.walk(tree) for word in _names_in(node)}
    if not bound & {attribute, "*", "__getattr__", "globals", "setattr", "exec"}:
        raise unknown(f"{family} in {module}", attribute, [name for name in bound if not name.startswith("_")])


def _names_in(node: ast.AST) -> list[str]:
    """Names that a statement may bind, and what may bind any."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.alias):
        return [(node.asname or node.name).partition(".")[0]]
    return [node.id] if isinstance(node, ast.Name) else []
