"""The results of the page as files for other programs, a line for each cell or seed, and the papers as BibTeX."""

from __future__ import annotations

import json
from collections.abc import Iterator

from gssl.benchmarks.report.analysis import BoardStats, Entry
from gssl.benchmarks.report.bibtex import bibliography
from gssl.benchmarks.report.gather import Contents
from gssl.benchmarks.spreadsheet import csv_text
from gssl.benchmarks.stats.spread import Spread
from gssl.registry import METHODS

_SCORES = ("test_mean", "test_std", "val_mean", "val_std")


def downloads(contents: Contents) -> Iterator[tuple[str, str]]:
    """Every file, by name.

    ``results.json`` has all metrics of a cell in one object, ``results.csv`` columns of their own for each, and
    ``seeds.csv`` a line for each seed that counts, for statistics of one's own. Formulas are harmless in both.
    """
    lines = [_line(contents, stats, entry) for stats, entry in contents.entries()]
    yield "results.json", json.dumps(lines, indent=1) + "\n"
    yield "results.csv", csv_text([_flat(line) for line in lines])
    yield "seeds.csv", csv_text([line for stats, entry in contents.entries() for line in _seeds(stats, entry)])
    known = set(METHODS.names())
    methods = sorted({entry.cell.first.method for _, entry in contents.entries()} & known, key=str.lower)
    yield "references.bib", bibliography({name: METHODS.summary(name) for name in methods})


def _seeds(stats: BoardStats, entry: Entry) -> Iterator[dict[str, object]]:
    for row in entry.cell.rows:
        yield {
            "method": row.method,
            "variant": entry.cell.variant,
            "dataset": row.dataset,
            "board": stats.board.name,
            "protocol": entry.cell.protocol.name,
            "config_hash": row.config_hash,
            "seed": row.seed,
            "status": row.status,
            "metric": row.metric,
            "val": row.val,
            "test": row.test,
            "split_hash": row.split_hash,
            "epochs": row.epochs,
            "pretrain_seconds": row.pretrain_seconds,
            "peak_memory_mb": row.peak_memory_mb,
            "environment_hash": row.environment_hash,
        }


def _line(contents: Contents, stats: BoardStats, entry: Entry) -> dict[str, object]:
    cell, row = entry.cell, entry.cell.first
    return {
        "method": row.method,
        "variant": cell.variant,
        "dataset": row.dataset,
        "board": stats.board.name,
        "task": row.task,
        "setting": row.setting,
        "labels": cell.protocol.labels,
        "probe": row.probe,
        "probe_version": row.probe_version,
        "metric": row.metric,
        "encoder": row.encoder,
        "sampler": row.sampler,
        "preset": row.preset,
        "seeds": len(cell.done),
        "epochs": entry.length.epochs,
        "epochs_of_preset": entry.length.whole,
        "width": cell.width,
        "comparable": not entry.lacks,
        "lacks": ", ".join(entry.lacks),
        "warning": ", ".join(caution.kind for caution in contents.cautions.get(cell.id, ())),
        "status": cell.status,
        "pretrain_seconds": cell.mean("pretrain_seconds"),
        "pretrain_cpu_seconds": cell.mean("pretrain_cpu_seconds"),
        "load": cell.mean("load"),
        "peak_memory_mb": cell.mean("peak_memory_mb"),
        "config_hash": row.config_hash,
        "dataset_checksum": row.dataset_checksum,
        "metrics": {
            measure.metric: dict(zip(_SCORES, (*_two(test), *_two(val)), strict=True))
            for measure, (val, test) in cell.metrics.items()
        },
    }


def _two(found: Spread | None) -> tuple[float | None, float | None]:
    return (None, None) if found is None else (found.mean, found.std)


def _flat(line: dict[str, object]) -> dict[str, object]:
    metrics = line["metrics"]
    assert isinstance(metrics, dict)
    columns = {f"{name}_{score}": value for name, scores in metrics.items() for score, value in scores.items()}
    return {**{name: value for name, value in line.items() if name != "metrics"}, **columns}
