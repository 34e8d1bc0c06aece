"""The results of the page as files for other programs: one line for each cell."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

from gssl.benchmarks.report.analysis import BoardStats, Entry
from gssl.benchmarks.report.gather import Contents
from gssl.benchmarks.stats.spread import Spread

_SCORES = ("test_mean", "test_std", "val_mean", "val_std")


def downloads(contents: Contents) -> Iterator[tuple[str, str]]:
    """``results.json`` with all metrics of a cell in one object, ``results.csv`` with columns of their own for each."""
    lines = [_line(contents, stats, entry) for stats, entry in contents.entries()]
    yield "results.json", json.dumps(lines, indent=1) + "\n"
    flat = [_flat(line) for line in lines]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(name for line in flat for name in line)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    yield "results.csv", out.getvalue()


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
