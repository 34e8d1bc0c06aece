"""A guest among stored results: which of them were judged in the same way, and what differs where they were not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from gssl.benchmarks.bench.table import Row, aggregate
from gssl.benchmarks.rows import amount, compared_setting
from gssl.results.cells import CellScore
from gssl.results.columns import json_object, part_option, probe_options
from gssl.results.store import RunRow


@dataclass(frozen=True)
class Difference:
    """A stored result that cannot be ranked beside the guest.

    Attributes:
        dataset, method: what it is.
        reason: what differs.
    """

    dataset: str
    method: str
    reason: str


def beside(
    guest: Row, checksum: str, stored: Sequence[RunRow], shown: Iterable[str]
) -> tuple[list[Row], list[Difference]]:
    """Stored results on the dataset of a guest, those that can be compared as rows.

    A result is compared if it has every seed of the guest, on the same split, and only on these. Of several rows of a
    seed (of several environments) the newest counts.

    Args:
        guest: the row to compare with; it has finished seeds.
        checksum: of its data.
        stored: finished rows on the dataset.
        shown: configurations that stand in the table already.
    """
    known = set(shown)
    options = next((probe_options(row.config) for row in stored if row.config_hash in guest.config_hashes), None)
    configurations: dict[tuple[str, str, str, str, int], dict[int, RunRow]] = {}
    for row in stored:  # oldest first
        if row.config_hash not in known:
            key = (row.method, row.config_hash, row.dataset_checksum, row.probe, row.probe_version)
            configurations.setdefault(key, {})[row.seed] = row
    rows, differences = [], []
    for seeds in configurations.values():
        reason, shared = _difference(guest, checksum, seeds, options)
        if reason:
            first = next(iter(seeds.values()))
            differences.append(Difference(first.dataset, _named(first), reason))
        else:
            rows.append(_row(guest, shared))
    return rows, differences


def _difference(
    guest: Row, checksum: str, seeds: Mapping[int, RunRow], options: str | None
) -> tuple[str, list[RunRow]]:
    """What differs (empty if nothing does), and the rows that can be compared."""
    first = next(iter(seeds.values()))
    if first.dataset_checksum != checksum:
        return f"the data differ (checksum {first.dataset_checksum}, here {checksum})", []
    own = (guest.task, compared_setting(guest.setting, guest.labels), guest.labels or "all of the labels")
    for name, found, here in zip(("task", "setting", "supervision"), _circumstances(first), own, strict=True):
        if found != here:
            return f"the {name} is {found}, here {here}", []
    if first.probe != guest.probe:
        return f"the probe is {first.probe}, here {guest.probe}", []
    if first.probe_version != guest.probe_version:
        return f"the probe {first.probe} has version {first.probe_version}, here {guest.probe_version}", []
    if first.metric != guest.metric:
        return f"the metric is {first.metric}, here {guest.metric}", []
    if options is not None and probe_options(first.config) != options:
        return f"the options of the probe are {probe_options(first.config)}, here {options}", []
    wanted = guest.split_hash
    shared = [row for seed, row in sorted(seeds.items()) if wanted.get(seed) == row.split_hash]
    other = [seed for seed, row in seeds.items() if seed in wanted and wanted[seed] != row.split_hash]
    missing = [seed for seed in wanted if seed not in seeds]
    parts = []
    if other:
        parts.append(f"the split of seed {_listed(other)} differs")
    if missing:
        parts.append(f"seed {_listed(missing)} is missing")
    return "; ".join(parts), shared


def _row(guest: Row, rows: Sequence[RunRow]) -> Row:
    first = rows[0]
    return Row(
        dataset=guest.dataset,
        method=first.method,
        encoder=first.encoder,
        sampler=first.sampler,
        preset=first.preset,
        probe=first.probe,
        probe_version=first.probe_version,
        task=first.task,
        setting=first.setting,
        labels=guest.labels,
        pretrain_on=str(part_option(json_object(first.config), "setting", "pretrain_on") or ""),
        **aggregate([_score(row) for row in rows]),
        seeds=len(rows),
        statuses={"done": len(rows)},
        split_hash={row.seed: row.split_hash for row in rows},
        probe_options=guest.probe_options,
        stored=True,
        messages=_versions(rows),
    )


def _circumstances(row: RunRow) -> tuple[str, str, str]:
    """Task, setting among whose results it stands, and the labels that it was given."""
    labels = amount(part_option(json_object(row.config), "setting", "labels"))
    return row.task, compared_setting(row.setting, labels), labels or "all of the labels"


def _score(row: RunRow) -> CellScore:
    names = {field.name for field in fields(CellScore)} - {"key", "run_id"}
    return CellScore(key="", run_id=0, **{name: getattr(row, name) for name in names})


def _versions(rows: Sequence[RunRow]) -> list[str]:
    """Which version of the program made stored rows, because that is not part of the comparison."""
    versions = {str(json_object(row.environment).get("gssl", "unknown")) for row in rows}
    return [f"stored by gssl {', '.join(sorted(versions))}"]


def _named(row: RunRow) -> str:
    return f"{row.method} ({row.config_hash})"


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))
