"""What ships with the project, as data: one committed file, so that nothing heavy is imported to tell of it.

``python -m gssl.benchmarks.card_index`` writes the file from the classes (``make docs``). An entry counts only while
the declarations that it was made from are still the same: of a part that somebody changes, the class itself is asked.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import gssl

FILE = Path(__file__).with_name("index.json")
SHARED = ("gssl.common.options",)  # types that options everywhere are annotated with
TRAINING = "gssl.training.config"


def stored(kind: str, name: str) -> dict[str, Any] | None:
    """The facts of a component (:func:`gssl.cards.facts.facts_of`); None if the file does not know it as it is now."""
    entry: dict[str, Any] | None = _content().get("components", {}).get(kind, {}).get(name)
    if entry is None or declarations(entry["modules"]) != entry["digest"]:
        return None
    facts: dict[str, Any] = entry["facts"]
    return facts


def training_options() -> dict[str, list[dict[str, Any]]] | None:
    """Options of the trainings (:func:`gssl.cards.facts.training_options`), or None as above."""
    entry = _content().get("training")
    if entry is None or declarations([TRAINING]) != entry["digest"]:
        return None
    options: dict[str, list[dict[str, Any]]] = entry["options"]
    return options


def numbers(method: str) -> dict[str, list[dict[str, Any]]]:
    """Committed numbers that are about a method: ``published``, ``measured`` here, and the ``agreement`` of the two."""
    found: dict[str, list[dict[str, Any]]] = _content().get("numbers", {}).get(method, {})
    return found


def declarations(modules: Iterable[str]) -> str:
    """A digest of what modules declare: everything but imports, bodies of functions and private functions."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted({*modules, *SHARED}):
        digest.update(_declared(name).encode())
    return digest.hexdigest()


@cache
def _declared(module: str) -> str:
    path = Path(gssl.__file__).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return ""
    tree.body = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr | ast.If)]
    return ast.unparse(_Bare().visit(tree))


class _Bare(ast.NodeTransformer):
    """Leaves signature and docstring of functions that can be seen, and nothing of the others."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef | None:
        if node.name.startswith("_") and node.name != "__init__":
            return None
        node.body = [ast.Expr(ast.Constant(ast.get_docstring(node)))]
        return node


@cache
def _content() -> dict[str, Any]:
    if not FILE.is_file():
        return {}
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content
