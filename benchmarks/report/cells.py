"""Stored rows as cells (a configuration on a dataset, with its seeds) and boards (cells that may be compared)."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gssl.benchmarks.rows import REFERENCE_METHODS, amount, circumstances, compared_setting
from gssl.benchmarks.stats.spread import Spread, spread
from gssl.evaluate.metrics import ERRORS
from gssl.results.columns import json_object, metrics_of, part_option, probe_options
from gssl.results.store import RunRow

_OF_LABELS = ("", "node", "graph")  # tasks that need no word: the data say which
_WHOLE = ("full", "graphs")  # samplers that leave nothing out: a method trained so goes by its own name


@dataclass(frozen=True)
class Measure:
    """A metric, as pages speak of it."""

    metric: str

    @property
    def name(self) -> str:
        return self.metric.replace("_", " ")

    @property
    def higher_is_better(self) -> bool:
        return self.metric not in ERRORS  # a name that nobody knows is taken for a score

    @property
    def direction(self) -> str:
        return "higher is better" if self.higher_is_better else "lower is better"

    @property
    def title(self) -> str:
        """The name with an arrow that points to better values."""
        return f"{self.name} {'↑' if self.higher_is_better else '↓'}"


@dataclass(frozen=True)
class Protocol:
    """What judges, and how a method was put to it: scores under two protocols are never compared.

    Attributes:
        probe, version: of the probe.
        options: its options, as canonical JSON.
        metric: what the scores are, on which choices are made.
        task: what is judged; empty for labels of nodes or graphs.
        setting: among whose results one stands; supervised rows stand among those that they are a reference for.
        labels: that methods were given, in words; empty for all, or none.
    """

    probe: str
    version: int
    options: str
    metric: str
    task: str = ""
    setting: str = "frozen"
    labels: str = ""

    @property
    def name(self) -> str:
        return ", ".join([f"{self.probe} v{self.version}", self.measure.name, *self.circumstances])

    @property
    def circumstances(self) -> list[str]:
        """Task, setting and labels, where they are not the usual ones."""
        return circumstances(self.task, self.setting, self.labels)

    @property
    def measure(self) -> Measure:
        return Measure(self.metric)

    @property
    def higher_is_better(self) -> bool:
        return self.measure.higher_is_better


@dataclass(frozen=True, eq=False)
class Cell:
    """One configuration on one dataset under one protocol.

    Attributes:
        id: short and unique, from what makes the cell.
        protocol: what judged it.
        rows: the row that counts for each seed, by seed: the newest finished one, else the newest.
        older: rows of the same seeds that these took the place of, from other environments.
    """

    id: str
    protocol: Protocol
    rows: tuple[RunRow, ...]
    older: tuple[RunRow, ...]

    @property
    def first(self) -> RunRow:
        return self.rows[0]

    @cached_property
    def done(self) -> tuple[RunRow, ...]:
        """Finished rows with a test score."""
        return tuple(row for row in self.rows if row.status == "done" and row.test is not None)

    @cached_property
    def scores(self) -> dict[tuple[int, str], float]:
        """Test score of each (seed, hash of its splits)."""
        return {(row.seed, row.split_hash): row.test for row in self.done if row.test is not None}

    @cached_property
    def val(self) -> float | None:
        """Mean validation score; None if a seed has none."""
        known = [row.val for row in self.done if row.val is not None]
        return sum(known) / len(known) if known and len(known) == len(self.done) else None

    @cached_property
    def metrics(self) -> dict[Measure, tuple[Spread | None, Spread | None]]:
        """Validation and test values of every metric, the protocol's own first; None where a finished seed has none."""
        seeds = [metrics_of(row.metrics) for row in self.done]
        names = dict.fromkeys([self.protocol.metric, *(name for seed in seeds for name in seed)] if seeds else ())
        found = {name: [seed.get(name, (None, None)) for seed in seeds] for name in names}
        found[self.protocol.metric] = [(row.val, row.test) for row in self.done]
        return {
            Measure(name): (_spread([val for val, _ in pairs]), _spread([test for _, test in pairs]))
            for name, pairs in found.items()
            if pairs
        }

    @property
    def is_reference(self) -> bool:
        return self.first.method in REFERENCE_METHODS

    @property
    def width(self) -> str:
        """Dimensions of the encoder: ``512``, or ``512/256`` where its last layer is of another width."""
        hidden, out = (part_option(self.config, "encoder", name) for name in ("hidden_dim", "out_dim"))
        return "/".join(dict.fromkeys(str(dim) for dim in (hidden, out) if isinstance(dim, int)))

    @property
    def variant(self) -> str:
        """What it goes by in tables across datasets: the method, with its sampler if that leaves anything out, and with
        other data that it was pretrained on.
        """
        sampler, source = self.first.sampler, part_option(self.config, "setting", "pretrain_on")
        name = self.first.method if sampler in _WHOLE else f"{self.first.method} + {sampler}"
        return f"{name}, pretrained on {source}" if source else name

    @cached_property
    def status(self) -> str:
        """``done``, or what happened to its seeds: ``2 done, 1 timeout``."""
        counts: dict[str, int] = defaultdict(int)
        for row in self.rows:
            counts[row.status] += 1
        return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{n} {name}" for name, n in counts.items())

    @cached_property
    def config(self) -> dict[str, Any]:
        """The full configuration; empty if what is stored is not JSON."""
        return json_object(self.first.config)

    def mean(self, column: str) -> float | None:
        """Mean of a column of cost over the finished seeds; None without one, and where one does not know."""
        values = [getattr(row, column) for row in self.done]
        return sum(values) / len(values) if values and None not in values else None


@dataclass(frozen=True, eq=False)
class Board:
    """Cells on one dataset that were judged alike: same data, protocol (with task and setting) and splits.

    Attributes:
        protocol, dataset: of all of them.
        checksum: of the data.
        part: 1, or higher where the same dataset and protocol were judged on other splits or other data too.
        cells: in order of their first result.
    """

    protocol: Protocol
    dataset: str
    checksum: str
    part: int
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        return self.dataset if self.part == 1 else f"{self.dataset} (set {self.part})"

    @cached_property
    def further(self) -> list[Measure]:
        """Metrics beside the one that choices are made on, in the order of the cells that have most of them."""
        names = dict.fromkeys(m for cell in sorted(self.cells, key=lambda c: -len(c.metrics)) for m in cell.metrics)
        return [measure for measure in names if measure != self.protocol.measure]


def cells_of(rows: Iterable[RunRow]) -> list[Cell]:
    """Rows grouped into cells, in order of their first result.

    The code of a plug-in is part of what makes a cell: the same configuration of a class that was changed is another.
    """
    groups: dict[tuple[object, ...], list[RunRow]] = defaultdict(list)
    plugins: dict[str, str] = {}
    configs: dict[str, tuple[str, str]] = {}
    for row in rows:
        if row.environment_hash not in plugins:
            plugins[row.environment_hash] = json.dumps(
                json_object(row.environment).get("plugins") or {}, sort_keys=True
            )
        if row.config not in configs:
            labels = amount(part_option(json_object(row.config), "setting", "labels"))
            configs[row.config] = (probe_options(row.config), labels)
        options, labels = configs[row.config]
        task, setting = "" if row.task in _OF_LABELS else row.task, compared_setting(row.setting, labels)
        protocol = Protocol(row.probe, row.probe_version, options, row.metric, task, setting, labels)
        key = (row.method, row.config_hash, row.dataset, row.dataset_checksum, protocol, plugins[row.environment_hash])
        groups[key].append(row)
    return [_cell(key, group) for key, group in groups.items()]


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return spread(known) if known and len(known) == len(values) else None


def _cell(key: tuple[object, ...], group: Sequence[RunRow]) -> Cell:
    by_seed: dict[int, RunRow] = {}
    for row in group:  # oldest first
        known = by_seed.get(row.seed)
        if known is None or row.status == "done" or known.status != "done":
            by_seed[row.seed] = row
    kept = {id(row) for row in by_seed.values()}
    protocol = key[4]
    assert isinstance(protocol, Protocol)
    return Cell(
        hashlib.sha256(repr(key).encode()).hexdigest()[:12],
        protocol,
        tuple(by_seed[seed] for seed in sorted(by_seed)),
        tuple(row for row in group if id(row) not in kept),
    )


def boards_of(cells: Iterable[Cell]) -> list[Board]:
    """Cells grouped by what may be compared, in order of their first cell.

    Two cells share a board if they have the same dataset, checksum and protocol, and the same splits wherever they have
    the same seed. A cell without a finished seed goes to the first board that fits.
    """
    groups: dict[tuple[str, Protocol], list[tuple[str, dict[int, str], list[Cell]]]] = defaultdict(list)
    for cell in cells:
        parts = groups[cell.first.dataset, cell.protocol]
        splits = {row.seed: row.split_hash for row in cell.done}
        for checksum, known, members in parts:
            same = all(known.get(seed, split) == split for seed, split in splits.items())
            if same and checksum == cell.first.dataset_checksum:
                known.update(splits)
                members.append(cell)
                break
        else:
            parts.append((cell.first.dataset_checksum, splits, [cell]))
    return [
        Board(protocol, dataset, checksum, part, tuple(members))
        for (dataset, protocol), parts in groups.items()
        for part, (checksum, _, members) in enumerate(parts, 1)
    ]
