"""How long the page of many results takes to make and to open::

python -m gssl.benchmarks.report.scale --cells 10000 --seeds 3 > benchmarks/results/report-scale.json
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import sqlalchemy as sa
import torch

from gssl.benchmarks.perf.machine import describe
from gssl.benchmarks.report.site import write_report
from gssl.results.store import RunRow, Store

_METHODS, _DATASETS = 20, 25


def synthetic_rows(cells: int, seeds: int) -> Iterator[RunRow]:
    """Rows of made-up methods, whose run folders do not exist.

    Args:
        cells: configurations on datasets: 20 methods on 25 datasets, each with as many configurations as it takes.
        seeds: rows of each cell.
    """
    rng = np.random.default_rng(0)
    for cell in range(cells):
        method, rest = cell % _METHODS, cell // _METHODS
        dataset, variation = rest % _DATASETS, rest // _DATASETS
        config = {
            "dataset": f"set{dataset:02}",
            "method": {"name": f"Method{method:02}", "temperature": 0.1 * variation, "drop_edge": [0.2, 0.4]},
            "encoder": {"name": "GCN", "hidden_dim": 256, "out_dim": 128, "num_layers": 2, "activation": "relu"},
            "sampler": {"name": "full"},
            "train": {"epochs": 200, "lr": 0.001, "weight_decay": 0.0, "optimizer": "adam", "batch_size": None},
            "probe": {"name": "P1", "steps": 300},
            "seeds": list(range(seeds)),
        }
        text = json.dumps(config)
        for seed in range(seeds):
            score = 0.7 + 0.005 * method + 0.03 * rng.normal()
            failed = cell % 50 == 7
            yield RunRow(
                method=f"Method{method:02}",
                config_hash=f"{cell:016x}",
                dataset=f"set{dataset:02}",
                dataset_checksum=f"{dataset:016x}",
                split_hash=f"{dataset:015x}s",
                probe="P1",
                probe_version=1,
                seed=seed,
                environment_hash=f"{cell % 5:016x}",
                status="failed" if failed else "done",
                metric="accuracy",
                val=None if failed else score,
                test=None if failed else score + 0.01 * rng.normal(),
                epochs=200,
                pretrain_seconds=float(rng.lognormal(2, 1)),
                probe_seconds=1.0,
                peak_memory_mb=float(rng.lognormal(6, 1)),
                encoder="GCN",
                sampler="full",
                preset="",
                run_dir=f"/nowhere/{cell}",
                date="2026-01-01T00:00:00+00:00",
                git_hash="0" * 40,
                config=text,
                environment='{"gssl": "0.1.0", "plugins": {}}',
                message="made to fail" if failed else "",
            )


def fill(url: str, cells: int, seeds: int) -> None:
    """A new store with such rows, all in one transaction."""
    Store(url).close()
    engine = sa.create_engine(url)
    table = sa.Table("runs", sa.MetaData(), autoload_with=engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(table), [asdict(row) for row in synthetic_rows(cells, seeds)])
    engine.dispose()


def load_times(out: Path, pages: Sequence[str], browser: str) -> dict[str, float]:
    """Seconds from the navigation to the end of the load event of each page, in a fresh headless browser."""
    from playwright.sync_api import sync_playwright

    found = {}
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for page in pages:
            tab = chromium.new_page()
            tab.goto((out / page).as_uri())
            found[page] = tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000
            tab.close()
        chromium.close()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a store, the page, open it, and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m gssl.benchmarks.report.scale")
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--browser", default="", help="path of Chromium; empty opens nothing")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        url, out = f"sqlite:///{folder}/results.db", Path(folder) / "report"
        fill(url, options.cells, options.seeds)
        seconds: list[float] = []
        computing: list[float] = []
        opened: list[dict[str, float]] = []
        summary: dict[str, object] = {}
        for _ in range(options.repeats):
            started, computed = time.perf_counter(), time.process_time()
            summary = write_report(url, out)
            seconds.append(time.perf_counter() - started)
            computing.append(time.process_time() - computed)
        if options.browser:
            board = next((out / "boards").iterdir()).relative_to(out).as_posix()
            pages = ("index.html", "results.html", board)
            opened = [load_times(out, pages, options.browser) for _ in range(options.repeats)]
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    result = {
        "cells": options.cells,
        "seeds": options.seeds,
        "pages": summary["pages"],
        "megabytes": round(size / 1e6, 1),
        "report_seconds": sorted(seconds),
        "report_cpu_seconds": sorted(computing),  # what it would take on a machine that does nothing else
        "load_seconds": {page: sorted(times[page] for times in opened) for page in (opened[0] if opened else ())},
        "machine": describe(torch.get_num_threads()),
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
