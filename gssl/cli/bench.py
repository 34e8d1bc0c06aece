"""``gssl bench``: carry out a suite, go on where it stopped, rank what is there."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gssl.cards.answer import Answer, Table
from gssl.cli.command import Command
from gssl.cli.output import say
from gssl.cli.parser import add_json, choice, integer, threads
from gssl.common.seeds import MOST_SEEDS

if TYPE_CHECKING:
    from gssl.benchmarks.bench.carry_out import SuiteOutcome
    from gssl.benchmarks.bench.display import Display
    from gssl.benchmarks.bench.table import Row

_EXAMPLES = (
    "gssl bench demo --workers 2                      a second call goes on, or shows what is there",
    "gssl bench node-small --methods GRACE,DGI --datasets Cora,Photo --seeds 3",
    "gssl bench my-suite.yaml --db postgresql+psycopg://user@host/results --engine ray",
    "gssl bench node-small --methods my_file:MyMethod    your own method among all stored results",
    "gssl bench demo --export demo.csv                also as Parquet; without a suite, everything in the store",
    "gssl bench --merge sqlite:///other.db            add what another machine has stored",
)
_RETRY = ("failed", "skipped", "timed-out", "out-of-memory")


def run(args: Namespace) -> Answer:
    """Merge, run and export, as far as each was asked for."""
    from gssl.common.errors import InputError
    from gssl.results.places import store_url

    db = store_url(args.db)
    if args.export:
        from gssl.benchmarks.bench.export import require_possible

        require_possible(args.export)
    if args.suite is None and not (args.merge or args.export):
        raise InputError("name a suite (see `gssl list suites`), or --merge or --export")
    data: dict[str, Any] = {}
    blocks: list[Table | str] = []
    if args.merge:
        from gssl.benchmarks.bench.merge import merge

        merged = merge(args.merge, db)
        data["merged"] = merged
        blocks.append(f"{merged['runs']} runs and {merged['cells']} cells added")
    keys, failure = None, ""
    if args.suite is not None:
        outcome = _bench(args, db)
        failure = _failure(outcome)
        keys = [cell.key for cell in outcome.cells]
        data = {**data, **_data(args, outcome)}
        blocks += [*_tables(outcome.rows), *_remarks(outcome)]
    if args.export:
        from gssl.benchmarks.bench.export import export

        data["exported"] = export(args.export, db, keys)
        blocks.append(f"{data['exported']} rows written to {args.export}")
    return Answer(data, blocks, failure)


def _bench(args: Namespace, db: str) -> SuiteOutcome:
    from gssl.benchmarks.bench.carry_out import Options, bench
    from gssl.benchmarks.bench.engines import ENGINES
    from gssl.benchmarks.bench.expand import SuitePart
    from gssl.benchmarks.bench.suite import load_suite

    options = Options(
        db=db,
        workers=args.workers,
        device=args.device,
        threads=args.threads,
        fresh=args.fresh,
        retry=tuple(name.replace("-", " ") for name in args.retry or ()),
        wait=not args.no_wait,
    )
    selection = SuitePart(args.methods, args.datasets, args.seeds, args.epochs)
    return bench(load_suite(args.suite), selection, options, ENGINES[args.engine](args.workers), _display(args))


def _display(args: Namespace) -> Display:
    from gssl.benchmarks.bench.display import Lines, LiveBoard, Silent

    if args.json:
        return Silent()
    return LiveBoard() if sys.stderr.isatty() else Lines(say)


def _data(args: Namespace, outcome: SuiteOutcome) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "suite": args.suite,
        "cells": len(outcome.cells),
        "counts": outcome.counts,
        "worked": outcome.worked,
        "rows": [row.mapping() for row in outcome.rows],
        "differences": [asdict(difference) for difference in outcome.differences],
        "seconds": outcome.seconds,
        "busy_seconds": outcome.busy_seconds,
    }


def _tables(rows: Sequence[Row]) -> list[Table]:
    """One table per dataset, task and metric; columns that say the same everywhere are left out."""
    from gssl.benchmarks.rows import circumstances

    names = ("options", "encoder", "sampler", "preset", "probe", "setting", "labels", "pretrain_on")
    axes = [name for name in names if len({getattr(row, name) for row in rows}) > 1]
    kinds = dict.fromkeys((row.dataset, row.task, row.metric) for row in rows)
    tables = []
    for kind in kinds:
        own = [row for row in rows if (row.dataset, row.task, row.metric) == kind]
        tables.append(_table(", ".join([kind[0], *circumstances(kind[1], "frozen")]), axes, own))
    return tables


def _table(dataset: str, axes: Sequence[str], rows: Sequence[Row]) -> Table:
    from gssl.benchmarks.bench.display import one_line
    from gssl.benchmarks.rows import format_score

    columns = ("rank", "method", *axes, "test", "validation", "seeds", "pretraining (s)", "peak (MB)", "cells")
    lines = [
        (
            "" if row.rank is None else str(row.rank),
            one_line(row.method) + (" (reference)" if row.reference else "") + (" (stored)" if row.stored else ""),
            *(one_line(getattr(row, name)) for name in axes),
            format_score(row.test_mean, row.test_std, row.metric),
            format_score(row.val_mean, row.val_std, row.metric),
            str(row.seeds),
            f"{row.pretrain_seconds:.1f}",
            f"{row.peak_memory_mb:.0f}",
            ", ".join(f"{number} {status}" for status, number in row.statuses.items()),
        )
        for row in rows
    ]
    metric = next((row.metric for row in rows if row.metric), "nothing finished")
    return Table(f"{one_line(dataset)} ({metric})", columns, lines)


def _remarks(outcome: SuiteOutcome) -> list[str]:
    from gssl.benchmarks.bench.display import duration, one_line, shortened

    counts = ", ".join(f"{number} {status}" for status, number in outcome.counts.items() if number)
    lines = [f"{len(outcome.cells)} cells: {counts}; {outcome.worked} worked on in {duration(outcome.seconds)}"]
    reasons = {
        f"{row.method}{f' ({row.options})' if row.options else ''} on {row.dataset}: {shortened(message, row.dataset)}"
        for row in outcome.rows
        if not row.stored
        for message in row.messages
    }
    lines += sorted(map(one_line, reasons))
    lines += map(one_line, _the_same(outcome.rows))
    lines += [one_line(f"not compared: {d.method} on {d.dataset}, because {d.reason}") for d in outcome.differences]
    return ["\n".join(lines)]


def _the_same(rows: Sequence[Row]) -> Iterator[str]:
    """What stands in the suite in several ways: an option with the value that it has anyway, for example."""
    held: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if row.config_hashes and not row.stored:
            held.setdefault((row.dataset, *row.config_hashes), []).append(row)
    for same in held.values():
        if len(same) > 1:
            names = " and ".join(f"{row.method} ({row.options or 'as it is'})" for row in same)
            yield f"the same configuration on {same[0].dataset}, ranked {len(same)} times: {names}; keep one of them"


def _failure(outcome: SuiteOutcome) -> str:
    """What is wrong with a suite of which nothing was finished, nor is in the hands of another runner."""
    if outcome.counts["done"] or outcome.counts["running"] or not outcome.cells:
        return ""
    return "no cell of the suite was finished; the reasons stand beside the table, and --retry repeats cells"


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def _arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("suite", metavar="SUITE", nargs="?", help="name (see `gssl list suites`) or path of a YAML file")
    what = parser.add_argument_group("what of it")
    add = what.add_argument
    add("--methods", metavar="A,B,C", type=_names, help="only these; an import path joins the groups that it fits")
    add("--datasets", metavar="A,B,C", type=_names, help="only these")
    add("--seeds", metavar="N", type=integer(1, MOST_SEEDS), help="repetitions instead of the suite's")
    add("--epochs", metavar="N", type=integer(0), help="passes over the data instead of the suite's and presets'")
    how = parser.add_argument_group("how")
    add = how.add_argument
    cores = min(4, os.cpu_count() or 1)
    add("--workers", metavar="N", type=integer(1), default=cores, help=f"cells at the same time (default: {cores})")
    add("--threads", metavar="N", type=threads, default=1, help="threads of one operation in a worker (default: 1)")
    add(
        "--device",
        metavar="auto|cpu|cuda",
        type=choice("auto", "cpu", "cuda"),
        default="auto",
        help="with CUDA each cell has a GPU of its own, so that no more cells run at the same time than there are GPUs",
    )
    add(
        "--engine",
        metavar="local|ray",
        type=choice("local", "ray"),
        default="local",
        help="this machine, or the Ray cluster at $RAY_ADDRESS (pip install 'gssl[ray]'), each node of which must see "
        "the same store, $GSSL_RUNS, data and plug-ins; that is checked",
    )
    add("--db", metavar="URL", help="results store (default: $GSSL_DB or results.db beside the runs)")
    add("--no-wait", action="store_true", help="end when other runners hold all the cells that are left")
    again = how.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="do what is missing (the default)")
    again.add_argument("--fresh", action="store_true", help="repeat what is finished too; former runs are kept on disk")
    again.add_argument(
        "--retry",
        metavar="STATUS",
        type=choice(*_RETRY),
        action="append",
        help=f"repeat cells that ended so: {', '.join(_RETRY)}; may be repeated",
    )
    out = parser.add_argument_group("results elsewhere")
    out.add_argument("--export", metavar="FILE", type=Path, help="write cells with their results to a .csv or .parquet")
    out.add_argument("--merge", metavar="URL", nargs="+", help="first add what these stores hold")
    add_json(parser)


COMMAND = Command("bench", "carry out a suite of methods and datasets, and rank them", _EXAMPLES, _arguments, run)
