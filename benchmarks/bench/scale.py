"""How long ``gssl bench`` takes to find that there is nothing to do::

python -m gssl.benchmarks.bench.scale --seeds 1000 > benchmarks/results/bench-scale.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import sqlalchemy as sa
import torch

from gssl.benchmarks.bench.expand import expand
from gssl.benchmarks.bench.suite import load_suite
from gssl.benchmarks.perf.machine import describe
from gssl.benchmarks.report.scale import synthetic_rows
from gssl.results.cells import Cells, NewCell
from gssl.results.schema import cells as cells_table
from gssl.results.schema import runs as runs_table
from gssl.results.store import Store

_SUITE = """# Ten variants of the methods on one dataset
seeds: {seeds}
groups:
  - methods: [raw, untrained, supervised, DGI, GRACE, BGRL, GAE, VGAE, GraphMAE,
      {{name: GRACE, options: {{temperature: 0.9}}}}]
    datasets: [digits]
"""


def finished_suite(folder: Path, url: str, seeds: int) -> tuple[Path, int]:
    """A suite file and a store in which each of its cells is done, with made-up results.

    Returns:
        The file, and how many cells it has.
    """
    file = folder / "large.yaml"
    file.write_text(_SUITE.format(seeds=seeds), encoding="utf-8")
    found = expand(load_suite(str(file)))
    with Store(url) as store:
        Cells(store).register([NewCell(c.key, "large", c.method, c.dataset, c.seed, c.spec_text) for c in found])
    rows = [asdict(row) | {"id": number} for number, row in enumerate(synthetic_rows(len(found), 1), 1)]
    done = [{"cell": cell.key, "run": number} for number, cell in enumerate(found, 1)]
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.insert(runs_table), [row | {"status": "done", "val": 0.5, "test": 0.5} for row in rows])
        update = sa.update(cells_table).where(cells_table.c.key == sa.bindparam("cell"))
        connection.execute(update.values(status="done", seconds=1.0, run_id=sa.bindparam("run")), done)
    engine.dispose()
    return file, len(found)


def resume_seconds(file: Path, url: str) -> float:
    """Wall time of the whole command."""
    command = [sys.executable, "-m", "gssl", "bench", str(file), "--db", url, "--resume", "--json"]
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - begin
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["counts"]["done"] == answer["cells"], answer["counts"]
    assert answer["worked"] == 0
    return seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a store, run the command, print what it took."""
    parser = argparse.ArgumentParser(prog="python -m gssl.benchmarks.bench.scale")
    parser.add_argument("--seeds", type=int, default=1000, help="of ten variants")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/results.db"
        file, count = finished_suite(Path(folder), url, options.seeds)
        seconds = sorted(resume_seconds(file, url) for _ in range(options.repeats))
    result = {"cells": count, "resume_seconds": seconds, "machine": describe(torch.get_num_threads())}
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
