"""The table of ``gssl perf methods``."""

import json
from pathlib import Path

from gssl.benchmarks.speed import speed_table


def test_every_peer_has_a_row_and_slower_ones_are_named(tmp_path: Path) -> None:
    file = tmp_path / "perf-methods.json"
    assert "no committed result" in speed_table(file)
    peers = [{"name": "PyG", "ratio": 2.04, "memory_ratio": 1.5}, {"name": "DIG", "ratio": 0.5, "memory_ratio": 3}]
    table = {
        "results": [{"name": "DGI", "ours": 0.0123, "peers": peers, "absent": {"PyGCL": "no memory"}}],
        "compared": 2,
        "slower": ["DGI against DIG"],
        "config": {"repeats": 9, "threads": 1},
    }
    file.write_text(json.dumps(table))
    lines = speed_table(file).splitlines()
    assert lines[0].startswith("2 peers in 1 cases, medians of 9 steps on 1 thread")
    assert lines[0].endswith("slower than a peer: DGI against DIG; not to be run here: DGI against PyGCL.")
    assert lines[-2:] == ["| DGI | 12.3 | PyG | 2.0 | 1.5 |", "| DGI | 12.3 | DIG | 0.5 | 3.0 |"]
