"""Runs whose losses and scores were kept before the interface was rebuilt; ``python -m tests.golden.cases`` is not a
command, see ``record`` for how the file is written anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gssl.cli.main import main
from gssl.results.environment import processor

FILE = Path(__file__).with_name("golden.json")

_FULL = ("DGI", "GRACE", "BGRL", "GAE", "VGAE", "GraphMAE", "supervised", "untrained", "raw")
_SAMPLERS = (
    "mvs",
    "graphsage",
    "vrgcn",
    "gas",
    "lmc",
    "labor",
    "fastgcn",
    "ladies",
    "clustergcn",
    "graphsaint",
    "shadow",
    "minvar+adjoint",
    "degree+exact",
    "walk+neighbor",
)
_GRAPH = ("GraphCL", "InfoGraph", "GraphMAE", "supervised")


def cases() -> dict[str, list[str]]:
    """Name to the arguments of ``gssl``; the data ship with scikit-learn."""
    small = ["--epochs", "3", "--set", "encoder.hidden_dim=32"]
    found = {f"{m} digits": ["run", m, "digits", *small] for m in _FULL}
    for sampler in _SAMPLERS:
        for method, size in (("BGRL", "128"), ("supervised", "64")):
            extra = ["--set", "sampler.gamma=0.5"] if sampler == "mvs" else []
            found[f"{method} digits {sampler}"] = [
                *("run", method, "digits", "--sampler", sampler, "--batch-size", size, *small, *extra)
            ]
    for method in ("DGI", "GRACE", "GAE", "GraphMAE"):
        for sampler in ("clustergcn", "minvar+exact") if method == "GRACE" else ("clustergcn",):
            found[f"{method} digits {sampler}"] = [
                *("run", method, "digits", "--sampler", sampler, "--batch-size", "128", *small)
            ]
    for method in _GRAPH:
        found[f"{method} digit-graphs"] = ["run", method, "digit-graphs", "--epochs", "2", "--probe", "LBFGS"]
    found["GRACE digits two seeds"] = ["run", "GRACE", "digits", "--seeds", "2", *small]
    return found


def carry_out(arguments: list[str], folder: Path) -> dict[str, Any]:
    """Run on one thread; losses of each training, scores and hashes."""
    code = main([*arguments, "--threads", "1", "--json", "--out", str(folder), "--db", f"sqlite:///{folder}.db"])
    if code:
        raise RuntimeError(f"{' '.join(arguments)} ended with {code}")
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    losses = {
        str(file.parent.relative_to(folder)): [json.loads(line)["loss"] for line in file.read_text().splitlines()]
        for file in sorted(folder.rglob("curve.jsonl"))
    }
    kept = ("val_mean", "val_std", "test_mean", "test_std", "metric", "config_hash", "split_hash")
    return {"losses": losses, **{key: result[key] for key in kept}}


def machine() -> dict[str, str]:
    """What decides how sums are rounded: the name of a processor does not tell which instructions it has."""
    capability = torch.backends.cpu.get_cpu_capability()
    return {"processor": processor(), "capability": capability, "torch": str(torch.__version__)}


def record(folder: Path) -> Mapping[str, Any]:
    """Carry out every case and write the file."""
    found = {name: carry_out(arguments, folder / str(i)) for i, (name, arguments) in enumerate(cases().items())}
    content = {**machine(), "cases": found}
    FILE.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return content
