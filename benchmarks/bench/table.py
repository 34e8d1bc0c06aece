"""The table of a suite: one row per configuration, over its seeds, ranked within each dataset."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gssl.benchmarks.bench.cell import Cell
from gssl.benchmarks.rows import ERROR_METRICS, REFERENCE_METHODS, amount, compared_setting
from gssl.results.cells import CellRow, CellScore
from gssl.results.columns import metrics_of
from gssl.results.summary import mean_and_std, summary_of


@dataclass(frozen=True)
class Row:
    """One configuration on one dataset.

    Attributes:
        dataset, method, encoder, sampler, preset, probe, probe_version, task, setting: what it is.
        labels, pretrain_on: labels that it was given, in words, and other data that it was pretrained on; empty for all
            labels, and for none.
        epochs: trained, the mean over seeds.
        metric: what the scores are, on which choices are made; empty as long as nothing is finished.
        test_mean, test_std, val_mean, val_std: over the finished seeds, as fractions; None without any.
        metrics: the same four numbers of every metric, by name.
        rank: among the configurations of the same dataset, task, probe, setting and amount of labels; 1 is the best;
            None without a score.
        reference: whether it is a reference row and not a self-supervised method.
        seeds: finished seeds.
        statuses: how many of its cells are in which status.
        pretrain_seconds, probe_seconds: mean per seed.
        peak_memory_mb: largest.
        config_hashes: of the runs behind it.
        split_hash: of each finished seed.
        probe_options: settings of the probe that the suite makes.
        apart: what tells it from rows of the same names, as ``KEY=VALUE``.
        stored: whether it was taken from earlier results instead of being part of this call.
        messages: reasons of cells that did not end well, each once.
    """

    dataset: str
    method: str
    encoder: str
    sampler: str
    preset: str
    probe: str
    probe_version: int
    setting: str
    epochs: int
    metric: str
    test_mean: float | None
    test_std: float | None
    val_mean: float | None
    val_std: float | None
    seeds: int
    statuses: Mapping[str, int]
    pretrain_seconds: float
    probe_seconds: float
    peak_memory_mb: float
    config_hashes: Sequence[str]
    split_hash: Mapping[int, str] = field(default_factory=dict)
    probe_options: Sequence[str] = ()
    rank: int | None = None
    stored: bool = False
    messages: Sequence[str] = ()
    task: str = ""
    labels: str = ""
    pretrain_on: str = ""
    metrics: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    apart: Sequence[str] = ()

    @property
    def options(self) -> str:
        """:attr:`apart` as one text."""
        return ", ".join(self.apart)

    @property
    def reference(self) -> bool:
        return self.method in REFERENCE_METHODS

    def mapping(self) -> dict[str, object]:
        """Plain data for ``--json``."""
        return {**asdict(self), "reference": self.reference}


def suite_rows(cells: Sequence[Cell], rows: Mapping[str, CellRow], scores: Mapping[str, CellScore]) -> list[Row]:
    """Rows of a suite, ranked, datasets in order of the suite.

    Args:
        cells: of the suite.
        rows: their state in the store, by key.
        scores: what the finished ones measured, by key.
    """
    groups: dict[tuple[Cell, str, int], list[Cell]] = {}
    for cell in cells:
        score = scores.get(cell.key)
        # Scores of different versions of a probe do not go into one mean.
        version = (score.probe, score.probe_version) if score else ("", 0)
        groups.setdefault((cell.variant(), *version), []).append(cell)
    _adopt_unscored(groups)
    made = [_row(members, rows, scores) for members in groups.values()]
    order = list(dict.fromkeys(cell.dataset for cell in cells))
    return ranked(made, order)


def ranked(rows: Iterable[Row], order: Sequence[str]) -> list[Row]:
    """Rows with their ranks, sorted by dataset (in the given order) and rank."""
    tables: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        judged = (row.probe, row.probe_version, tuple(row.probe_options), row.metric)
        circumstances = (row.task, compared_setting(row.setting, row.labels), row.labels)
        tables.setdefault((row.dataset, *circumstances, *judged), []).append(row)
    made = []
    for table in tables.values():
        for row in table:
            better = sum(other.test_mean is not None and _badness(other) < _badness(row) for other in table)
            made.append(replace(row, rank=None if row.test_mean is None else better + 1))
    places = {name: place for place, name in enumerate(order)}

    def place(row: Row) -> tuple[int, bool, str, int]:
        return places.get(row.dataset, len(places)), row.rank is None, row.probe, row.rank or 0

    return sorted(made, key=place)


def _adopt_unscored(groups: dict[tuple[Cell, str, int], list[Cell]]) -> None:
    """Cells without a score go to the row of their configuration, if there is one."""
    for key in [key for key in groups if key[1] == ""]:
        home = next((other for other in groups if other[0] == key[0] and other != key), None)
        if home is not None:
            groups[home] += groups.pop(key)


def _row(cells: Sequence[Cell], rows: Mapping[str, CellRow], scores: Mapping[str, CellScore]) -> Row:
    found = {cell.seed: scores[cell.key] for cell in cells if cell.key in scores}
    first = next(iter(found.values()), None)
    cell = cells[0]
    return Row(
        dataset=cell.dataset,
        method=cell.method,
        encoder=first.encoder if first else cell.encoder or "",
        sampler=first.sampler if first else cell.sampler or "",
        preset=first.preset if first else cell.preset or "",
        probe=first.probe if first else cell.probe or "",
        probe_version=first.probe_version if first else 0,
        task=first.task if first else cell.task or "",
        setting=first.setting if first else cell.setting,
        labels=amount(cell.labels),
        pretrain_on=cell.pretrain_on or "",
        **aggregate(list(found.values())),
        seeds=len(found),
        statuses=dict(Counter(rows[c.key].status if c.key in rows else "pending" for c in cells)),
        split_hash={seed: score.split_hash for seed, score in sorted(found.items())},
        apart=list(cell.apart),
        probe_options=[option for option in cell.options if option.startswith("probe.")],
        messages=list(dict.fromkeys(rows[c.key].message for c in cells if c.key in rows and rows[c.key].message)),
    )


def aggregate(scores: Sequence[CellScore]) -> dict[str, Any]:
    """Means over seeds, as fields of a row."""
    test_mean, test_std = mean_and_std([score.test for score in scores])
    val_mean, val_std = mean_and_std([score.val for score in scores])
    mean = statistics.fmean
    return {
        "metric": scores[0].metric if scores else "",
        "test_mean": test_mean,
        "test_std": test_std,
        "val_mean": val_mean,
        "val_std": val_std,
        "metrics": summary_of([metrics_of(score.metrics) for score in scores]),
        "epochs": round(mean(score.epochs for score in scores)) if scores else 0,
        "pretrain_seconds": mean(score.pretrain_seconds for score in scores) if scores else 0.0,
        "probe_seconds": mean(score.probe_seconds for score in scores) if scores else 0.0,
        "peak_memory_mb": max((score.peak_memory_mb for score in scores), default=0.0),
        "config_hashes": sorted({score.config_hash for score in scores}),
    }


def _badness(row: Row) -> float:
    if row.test_mean is None:
        return float("inf")
    return row.test_mean if row.metric in ERROR_METRICS else -row.test_mean
