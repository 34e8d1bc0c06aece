"""A page of results that is made anew in its place, whose making is killed."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import psutil

from gssl.benchmarks.crash.findings import Findings
from gssl.benchmarks.crash.round import Round, half_written, has_open

UNITS = "pages"
_DATE = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\+00:00)?")
_ROUND = rb"/(?:calm|round-\d+)"
_INDEX = "index.html"


class ReportRound(Round):
    """``gssl report``; its units are the files of the page.

    Args:
        folder: of the round, with a store and run folders in it, and the page that is there before.
        findings: what is seen is added to them.
        expected: the files of the page with their digests.
    """

    def __init__(self, folder: Path, findings: Findings, expected: Mapping[str, str] | None = None) -> None:
        self._page = folder / "page"
        super().__init__(folder, ["report", "--out", str(self._page), "--json"], findings)
        self._expected = expected or {}

    def begun(self, command: psutil.Process) -> bool:
        return has_open(command, self.folder) or half_written(self._page.parent) > 0

    def strike(self, command: psutil.Process, rng: random.Random) -> tuple[str, list[psutil.Process], int] | None:
        return "report", [command], 1

    def look(self) -> None:
        """At every moment one page is there and whole: the former one, or the new one.

        Between two renamings the former one has another name, from which the next report takes it back or makes a new
        one; that is seen at the end.
        """
        if self._page.exists():
            self._compare()

    def end(self) -> None:
        self.findings.lost += not (self._page / _INDEX).exists()
        self._compare()
        self.findings.left += half_written(self._page.parent)

    def pages(self) -> dict[str, str]:
        """Every file of the page with the digest of its content, dates and the place apart."""
        place = re.compile(re.escape(str(self.folder.parent).encode()) + _ROUND)

        def digest(path: Path) -> str:
            return hashlib.sha256(_DATE.sub(b"", place.sub(b"", path.read_bytes()))).hexdigest()

        return {
            str(path.relative_to(self._page)): digest(path) for path in sorted(self._page.rglob("*")) if path.is_file()
        }

    def _compare(self) -> None:
        found = self.pages() if self._expected else {}
        self.findings.lost += sum(name not in found for name in self._expected)
        for name, digest in self._expected.items():
            self.findings.differ(f"page {name}", found.get(name, digest), digest)


def prepare(folder: Path) -> None:
    """Fill a folder with results to report."""
    from gssl.benchmarks.report.sample import write_sample

    write_sample(folder)
    shutil.rmtree(folder / "page")
