"""Committed results are read as they stand: seeds of one configuration together, what failed left out."""

import csv
import json
from pathlib import Path

import pytest

from gssl.benchmarks.measured import FOLDER, measured, measured_of
from gssl.common.errors import InputError

COLUMNS = {
    "method": "M", "dataset": "D", "probe": "P1", "metric": "accuracy", "encoder": "GCN", "preset": "D",
    "config_hash": "a", "status": "done", "epochs": "3", "pretrain_seconds": "2.0", "test": "0.5",
    "cell_spec": json.dumps({"task": "link", "setting": "frozen"}),
}  # fmt: skip


def write(folder: Path, *lines: dict[str, str]) -> None:
    path = folder / "catalogue" / "suite.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(COLUMNS | line for line in lines)


def test_seeds_of_one_configuration_are_one_line(tmp_path: Path) -> None:
    write(tmp_path, {"test": "0.5"}, {"test": "0.7"}, {"config_hash": "b", "test": "0.9"}, {"status": "failed"})
    both, alone = measured(tmp_path)
    assert (both.seeds, both.task, both.file) == (2, "link", "catalogue/suite.csv")
    assert both.mean == pytest.approx(0.6)
    assert both.std == pytest.approx(0.02**0.5)
    assert (alone.seeds, alone.mean, alone.std) == (1, 0.9, None)


def test_a_line_that_is_no_result_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"test": "0.5"}, {"test": "much"})
    with pytest.raises(InputError, match=r"suite\.csv:3: test"):
        measured(tmp_path)


def test_what_is_committed_is_read() -> None:
    rows = measured_of("GRACE")
    (cora,) = [row for row in rows if row["dataset"] == "Cora" and row["file"] == "cora.jsonl"]
    assert cora["seeds"] == 5
    assert 0.8 < cora["mean"] < 0.84
    assert not [one for one in measured(FOLDER) if "samplers" in one.file or "short" in one.file]
