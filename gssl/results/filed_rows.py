"""The rows of a finished run from the files in its folder alone, as its own process had stored them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from gssl.common import yaml_io
from gssl.common.errors import InputError
from gssl.common.files import read_json
from gssl.config.layer import RECORDS
from gssl.results.columns import metrics_text
from gssl.results.former import completed
from gssl.results.seed import SeedMetrics
from gssl.results.store import RunRow

_ROW = TypeAdapter(RunRow)


def filed_rows(folder: Path, run_dir: Path) -> list[RunRow]:
    """One row for each seed.

    Args:
        folder: of the run.
        run_dir: where the rows are to say that it is.

    Raises:
        InputError: the folder holds no finished run, or a file in it is not as gssl writes it.
    """
    if not (folder / "result.json").is_file() or not (folder / "config.yaml").is_file():
        raise InputError(f"{folder} holds no finished run (config.yaml and result.json)")
    record, result = yaml_io.read(folder / "config.yaml"), completed(read_json(folder / "result.json"))
    try:
        return [_row(folder, run_dir, record, result, int(entry["seed"])) for entry in result["per_seed"]]
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = " ".join(str(error).split())[:300]
        raise InputError(f"the run in {folder} is damaged, or of a version that cannot be read: {why}") from error


def _row(folder: Path, run_dir: Path, record: dict[str, Any], result: dict[str, Any], number: int) -> RunRow:
    file = folder / f"seed-{number}" / "metrics.json"
    seed = SeedMetrics.read(read_json(file), str(file))
    environment = seed.environment
    values = {
        "method": result["method"],
        "config_hash": record["config_hash"],
        "dataset": result["dataset"],
        "dataset_checksum": record["dataset_checksum"],
        "split_hash": seed.split_hash,
        "probe": result["probe"],
        "probe_version": result["probe_version"],
        "seed": seed.seed,
        "environment_hash": environment["hash"],
        "status": "done",
        "metric": result["metric"],
        "val": seed.val,
        "test": seed.test,
        "epochs": seed.epochs,
        "pretrain_seconds": seed.pretrain_seconds,
        "probe_seconds": seed.probe_seconds,
        "peak_memory_mb": seed.peak_memory_mb,
        "encoder": result["encoder"],
        "sampler": result["sampler"],
        "preset": result["preset"] or "",
        "run_dir": str(run_dir),
        "date": seed.date,
        "git_hash": environment["git_hash"] + ("+" if environment["git_dirty"] else ""),
        "config": json.dumps({key: value for key, value in record.items() if key not in RECORDS}),
        "environment": json.dumps(environment),
        "message": "",
        "task": result["task"],
        "setting": result["setting"],
        "metrics": metrics_text(seed.metrics(result["metric"])),
        "pretrain_cpu_seconds": seed.pretrain_cpu_seconds,
        "load": seed.load,
    }
    if not all(math.isfinite(value) for value in values.values() if isinstance(value, float)):
        raise ValueError(f"{file} holds a number that is not finite")
    return _ROW.validate_json(json.dumps(values), strict=True)  # as JSON a mapping is taken, and no text for a number
