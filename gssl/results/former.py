"""What results of the version before tasks, settings and further metrics leave unsaid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gssl.datasets.catalog import find_spec


def task_and_setting(method: str, dataset: str, sampler: str) -> tuple[str, str]:
    """What such a result was about: labels of items, by frozen embeddings or, for the supervised row, by labels alone.

    Example:
        >>> task_and_setting("GraphCL", "MUTAG", "graphs"), task_and_setting("supervised", "mine", "full")
        (('graph', 'frozen'), ('node', 'supervised'))
    """
    spec = find_spec(dataset.partition(":")[0])
    level = spec.level if spec is not None else "graph" if sampler == "graphs" else "node"
    return level, "supervised" if method == "supervised" else "frozen"


def completed(result: Mapping[str, Any]) -> dict[str, Any]:
    """A stored result of ``gssl run`` with the keys that it has today; one that has them is left as it is."""
    if "metrics" in result:
        return dict(result)
    metric = str(result["metric"])
    task, setting = task_and_setting(str(result["method"]), str(result["dataset"]), str(result["sampler"]))
    means = {key: result[key] for key in ("val_mean", "val_std", "test_mean", "test_std")}
    per_seed = [
        {**seed, "metrics": {metric: {"val": seed["val"], "test": seed["test"]}}} for seed in result["per_seed"]
    ]
    added = {"task": task, "setting": setting, "metrics": {metric: means}, "world_size": 1}
    return {**result, **added, "per_seed": per_seed}
