"""The command line that repeats a stored configuration."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_SECTIONS = ("method", "encoder", "sampler", "train", "probe", "task", "setting", "finetune", "declared")
_USUAL = {"task": ("node", "graph"), "setting": ("frozen", "supervised")}  # what data and method say by themselves


def commands(config: Mapping[str, Any], seeds: Iterable[int]) -> list[str]:
    """``gssl run`` with every option of the configuration, one command for each run of consecutive seeds.

    Args:
        config: in the layout of a run's ``config.yaml``.
        seeds: of the cell.

    Returns:
        Commands for a POSIX shell, or none if the configuration lacks a part. What they resolve to has the hash of
        the configuration they were made from.
    """
    names = {kind: config.get(kind, {}).get("name") for kind in ("method", "encoder", "sampler", "probe")}
    if "dataset" not in config or not all(isinstance(name, str) for name in names.values()):
        return []
    line = [str(names["method"]), str(config["dataset"]), "--preset", "none"]
    line += [word for kind in ("encoder", "sampler", "probe") for word in (f"--{kind}", str(names[kind]))]
    for kind, usual in _USUAL.items():
        name = config.get(kind, {}).get("name")
        line += [f"--{kind}", str(name)] if name is not None and name not in usual else []
    for section in _SECTIONS:
        prefix = "" if section == "method" else f"{section}."
        options = {key: value for key, value in config.get(section, {}).items() if key != "name"}
        if section in ("train", "finetune") and options.get("batch_size") is None:
            options.pop("batch_size", None)  # samplers that take everything at once refuse the option
        if section == "setting":
            options = {key: value for key, value in options.items() if value is not None}
        line += [word for key, value in options.items() for word in ("--set", f"{prefix}{key}={json.dumps(value)}")]
    return [shlex.join(["gssl", "run", *line, *flags]) for flags in seeds_flags(seeds)]


def seeds_flags(seeds: Iterable[int]) -> list[list[str]]:
    """Flags for each run of consecutive seeds; what is usual is left out.

    Example:
        >>> seeds_flags([0]), seeds_flags([4, 0, 1])
        ([[]], [['--seeds', '2'], ['--seed', '4']])
    """
    return [
        [*(["--seeds", str(len(run))] if len(run) > 1 else []), *(["--seed", str(run[0])] if run[0] else [])]
        for run in _runs(seeds)
    ]


def _runs(seeds: Iterable[int]) -> list[Sequence[int]]:
    """Maximal runs of consecutive numbers.

    Example:
        >>> _runs([4, 0, 1])
        [[0, 1], [4]]
    """
    found: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if found and seed == found[-1][-1] + 1:
            found[-1].append(seed)
        else:
            found.append([seed])
    return list(found)
