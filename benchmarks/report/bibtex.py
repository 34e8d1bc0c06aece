"""BibTeX entries of the papers that methods name in the first line of their docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import as_file, files
from typing import Any

from gssl import __version__
from gssl.common import yaml_io

_PAPER = re.compile(r"(arXiv:\d{4}\.\d{4,5}|doi:10\.[^\s)]+|openreview:\w+)")
_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def bibliography(summaries: Mapping[str, str]) -> str:
    """A file of entries, one for each paper, and one for this program.

    Args:
        summaries: method to the first line of its docstring.
    """
    found = dict.fromkeys(filter(None, (entry_of(name, summary) for name, summary in summaries.items())))
    return "\n".join([_OWN, *found])


def entry_of(method: str, summary: str) -> str:
    """The entry of the paper that a summary names; empty if it names none.

    Of a paper that is not in ``references.yaml`` only its number is known, and what the summary says of it.

    Args:
        method: its name, the key of a paper that is not known.
        summary: first line of its docstring.
    """
    named = _PAPER.search(summary)
    if named is None:
        return ""
    paper, known = named[1], _known()
    kind, _, number = paper.partition(":")
    where = {
        "arXiv": {"eprint": number, "archiveprefix": "arXiv"},
        "doi": {"doi": number},
        "openreview": {"url": f"https://openreview.net/forum?id={number}"},
    }[kind]
    if paper in known:
        entry = known[paper]
        fields = {"title": f"{{{entry['title']}}}", "author": entry["author"], "year": str(entry["year"])}
        return _entry(entry["key"], {**fields, **where})
    key = re.sub(r"[^A-Za-z0-9-]+", "-", method).strip("-") or "method"
    return _entry(key, {"note": _escaped(summary), **where})


@cache
def _known() -> dict[str, Any]:
    with as_file(files("gssl.benchmarks.report") / "references.yaml") as path:
        return yaml_io.read(path)


def _entry(key: str, fields: Iterable[tuple[str, str]] | Mapping[str, str]) -> str:
    lines = [f"  {name} = {{{value}}}" for name, value in dict(fields).items()]
    return f"@misc{{{key},\n" + ",\n".join(lines) + "\n}\n"


def _escaped(text: str) -> str:
    r"""Text without anything that means something to TeX.

    Example:
        >>> _escaped("100 % of {x}")
        '100 \\% of \\{x\\}'
    """
    return "".join(_SPECIAL.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)


_OWN = _entry(
    "gssl",
    {"title": "{gssl: a testbed for self-supervised learning on graphs}", "note": f"Software, version {__version__}"},
)
