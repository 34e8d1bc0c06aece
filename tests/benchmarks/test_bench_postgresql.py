"""A suite whose store is a server that is started again in the middle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gssl.results.cells import Cells
from gssl.results.store import Store

if TYPE_CHECKING:
    from conftest import Lab, PostgreSQL

SUITE = """\
seeds: 4
budget: {epochs: 20}
groups:
  - methods: ['tiny:Denoise']
    datasets: [graph.npz]
"""


def test_a_restart_in_the_middle_stops_no_runner_and_repeats_nothing(
    lab: Lab, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab.folder / "mine.yaml").write_text(SUITE)
    monkeypatch.setenv("GSSL_RUNS", str(lab.folder / "runs"))
    monkeypatch.setenv("TINY_PAUSE", "0.1")
    monkeypatch.setenv("TINY_LOG", str(lab.folder / "log"))
    monkeypatch.setattr("gssl.benchmarks.bench.work._BEAT_SECONDS", 0.3)
    url = postgresql.database("suite")
    away = postgresql.restart((lab.folder / "log").exists, seconds=3.0)
    out, _ = lab.gssl("bench", "mine.yaml", "--workers", "2", "--db", url, "--json")
    away.join()
    assert json.loads(out)["counts"]["done"] == 4
    with Store(url) as store:
        assert [row.attempts for row in Cells(store).rows().values()] == [1] * 4
        assert sorted(row.seed for row in store.rows()) == [0, 1, 2, 3]
    assert len((lab.folder / "log").read_text().splitlines()) == 4 * 20, "no cell was begun again"
