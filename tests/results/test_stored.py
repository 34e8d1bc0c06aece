"""Rows that another program changed: nothing is computed from a value of the wrong type."""

import sqlite3
from pathlib import Path

import pytest

from gssl.benchmarks.report.sample import row, unfinished
from gssl.common.errors import StorageError
from gssl.results.cells import Cells
from gssl.results.store import Store


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("runs SET test = 'high'", "test is 'high' in the row with method 'GRACE', dataset 'digits', seed '0'"),
        ("runs SET val = 9e999", "val is 'inf'"),
        ("runs SET seed = 'x'", "seed is 'x'"),
        ("runs SET config = CAST(x'ff' AS BLOB)", "config is"),
        ("cells SET attempts = 'x'", "attempts is 'x'"),
    ],
)
def test_values_of_the_wrong_type(tmp_path: Path, change: str, message: str) -> None:
    with Store(f"sqlite:///{tmp_path}/r.db") as store:
        store.record(row())
        unfinished(Cells(store))
        assert len(store.rows()) == 1
        with sqlite3.connect(tmp_path / "r.db") as connection:
            connection.execute(f"UPDATE {change}")
        with pytest.raises(StorageError, match=f"damaged: {message}"):
            (store.rows(), Cells(store).rows())
