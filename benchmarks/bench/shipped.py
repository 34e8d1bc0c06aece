"""Which suites ship, told without reading them."""

from __future__ import annotations

from pathlib import Path


def folder() -> Path:
    """Where the suites that ship are kept."""
    return Path(__file__).resolve().parents[1] / "suites"


def names() -> list[str]:
    """Names of the suites that ship."""
    return sorted(file.stem for file in folder().glob("*.yaml"))


def summary_of(file: Path) -> str:
    """The first comment line of a suite file."""
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""
