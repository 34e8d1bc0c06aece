"""``gssl report``: stored results as a page."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from gssl.cards.answer import Answer, Table
from gssl.cli.command import Command
from gssl.cli.parser import add_json, integer

_EXAMPLES = (
    "gssl report                                  all results, into report/ beside the runs",
    "gssl report --out page --db sqlite:///r.db   another store, another folder",
    "gssl report --extra variance.json --extra curves.jsonl --extra runs/tune-GRACE-Cora/study.json",
)


def run(args: Namespace) -> Answer:
    """Write the page."""
    from gssl.benchmarks.report.site import write_report
    from gssl.results.places import runs_root, store_url

    out = args.out or runs_root() / "report"
    found = write_report(store_url(args.db), out, extras=args.extra, projections=args.projections)
    shown = {key.replace("_", " "): str(value) for key, value in found.items() if key not in ("out", "index")}
    return Answer(found, [Table("", ("", ""), list(shown.items())), f"open {found['index']} in a browser"])


def _arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--db", metavar="URL", help="results store (default: $GSSL_DB or results.db beside the runs)")
    add("--out", metavar="DIR", type=Path, help="folder of the page (default: report beside the runs)")
    add(
        "--extra",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="output of `gssl variance --json` or `gssl converge`, or study.json of `gssl tune`; may be repeated",
    )
    add(
        "--projections",
        metavar="N",
        type=integer(0),
        default=200,
        help="runs whose embeddings are drawn at most (default: 200)",
    )
    add_json(parser)


COMMAND = Command("report", "write a static page of all stored results", _EXAMPLES, _arguments, run)
