"""``gssl doctor``: what this installation has and what is wrong with it."""

from __future__ import annotations

import os
import platform
import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path

from gssl import __version__
from gssl.cards.answer import Answer, Table
from gssl.cli.command import Command
from gssl.cli.doctor_full import add_full, refuse_without_full, run_full
from gssl.cli.parser import add_json
from gssl.common.errors import InputError
from gssl.common.links import REPAIR, broken_links

_EXAMPLES = (
    "gssl doctor",
    "gssl doctor --json                    to attach to a report",
    "gssl doctor --full --device cuda      whether a GPU computes what the CPU does, and how fast (8 minutes)",
)
_OPTIONAL = {
    "torch_scatter": "scatter",
    "rdkit": "chem",
    "pyarrow": "embed",
    "safetensors": "embed",
}


def run(args: Namespace) -> Answer:
    """Examine the installation."""
    broken = broken_links()
    if broken:
        raise InputError(f"gssl/{', gssl/'.join(broken)}: {REPAIR}")
    if args.full:
        return run_full(args)
    refuse_without_full(args)
    report = {**_versions(), **_devices(), **_folders()}
    problems = _problems(report)
    extras = _extras()
    rows = [(key.replace("_", " "), _text(value)) for key, value in report.items()]
    optional = [(name, version or f"absent: pip install 'gssl[{_OPTIONAL[name]}]'") for name, version in extras.items()]
    blocks: list[Table | str] = [Table("", ("", ""), rows), Table("optional packages", ("", ""), optional)]
    blocks.append("\n".join(f"problem: {problem}" for problem in problems) or "no problems found")
    return Answer({**report, "optional": extras, "links": "intact", "problems": problems}, blocks)


def _versions() -> dict[str, object]:
    from gssl.results.environment import git_state, installed

    commit, dirty = git_state()
    names = ("torch", "torch_geometric", "lightning-fabric", "numpy", "scipy", "scikit-learn", "numba", "ogb")
    versions = installed((*names, "sqlalchemy", "pydantic"))
    return {
        "gssl": __version__,
        "commit": commit + (" with changes" if dirty else "") or None,
        "python": platform.python_version(),
        **versions,
    }


def _devices() -> dict[str, object]:
    import psutil
    import torch

    from gssl.results.environment import processor

    cuda = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "cuda": cuda or None,
    }


def _folders() -> dict[str, object]:
    from gssl.datasets.store import Store
    from gssl.results.places import runs_root, store_url
    from gssl.results.store import shown

    try:
        store = Store.locate()
        data, mirror = store.root, store.mirror
        mirror_text = str(mirror) if mirror else None
    except InputError as error:
        data, mirror_text = Path(os.environ.get("GSSL_DATA") or "."), str(error)
    return {
        "data_root": str(data),
        "data_root_writable": writable(data),
        "data_root_free_gib": _free_gib(data),
        "mirror": mirror_text,
        "runs": str(runs_root().absolute()),
        "runs_writable": writable(runs_root().absolute()),
        "results": shown(store_url()),
    }


def _extras() -> dict[str, str | None]:
    from gssl.results.environment import installed

    found = installed(tuple(_OPTIONAL))
    return {name: found.get(name) for name in _OPTIONAL}


def _problems(report: dict[str, object]) -> list[str]:
    problems = []
    if not report["data_root_writable"]:
        problems.append(f"{report['data_root']} cannot be written: set GSSL_DATA to a folder of yours")
    if not report["runs_writable"]:
        problems.append(f"{report['runs']} cannot be written: set GSSL_RUNS, or pass --out")
    mirror = report["mirror"]
    if isinstance(mirror, str) and not Path(mirror).is_dir():
        problems.append(mirror)
    return problems


def writable(folder: Path) -> bool:
    """Whether files can be written in the folder, or it could be made."""
    there = _nearest(folder)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _free_gib(folder: Path) -> float:
    return round(shutil.disk_usage(_nearest(folder)).free / 2**30, 1)


def _nearest(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _arguments(parser: ArgumentParser) -> None:
    add_full(parser)
    add_json(parser)


COMMAND = Command(
    "doctor",
    "show versions, devices and folders, and what is wrong with them",
    _EXAMPLES,
    _arguments,
    run,
    reads_only=True,
)
