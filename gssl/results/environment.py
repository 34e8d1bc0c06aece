"""What a result was computed with: versions, commit, device and threads."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from gssl import __version__

_LIBRARIES = (
    "torch",
    "torch_geometric",
    "lightning-fabric",
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "ogb",
    "rdkit",
    "torch_scatter",
)


@dataclass(frozen=True)
class Environment:
    """Everything outside the configuration that can change a number.

    Attributes:
        gssl: version of the program.
        git_hash: commit of the working tree; empty for an installed package.
        git_dirty: whether tracked files differ from the commit.
        python: version.
        libraries: distribution name to version, of those that are installed.
        platform: operating system and machine.
        processor: model of the CPU.
        device: model of the accelerator, or ``cpu``.
        threads: threads of one operation.
        plugins: import path of each component from outside the package to the SHA-256 (first 16 hexadecimal
            digits) of its source file.
        tf32: whether products of float32 matrices rounded their factors on the accelerator.
        world_size: processes that trained together; where it is 1, it is neither in a record nor in the hash.
    """

    gssl: str
    git_hash: str
    git_dirty: bool
    python: str
    libraries: dict[str, str]
    platform: str
    processor: str
    device: str
    threads: int
    plugins: dict[str, str]
    tf32: bool = False
    world_size: int = 1

    def content(self) -> dict[str, object]:
        """All of the above as plain data; without what records of before say nothing of, where it is as it was then."""
        usual = {"tf32": False, "world_size": 1}
        return {name: value for name, value in asdict(self).items() if name not in usual or value != usual[name]}

    def mapping(self) -> dict[str, object]:
        return {**self.content(), "hash": self.hash}

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of all of the above."""
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True).encode()).hexdigest()[:16]


def current(device: str, plugins: dict[str, str], *, tf32: bool = False, world_size: int = 1) -> Environment:
    """The environment of this process.

    Args:
        device: ``cpu`` or ``cuda``.
        plugins: see :class:`Environment`.
        tf32: whether training was told to; the program around may have told PyTorch, too.
        world_size: likewise.
    """
    commit, dirty = git_state()
    return Environment(
        gssl=__version__,
        git_hash=commit,
        git_dirty=dirty,
        python=platform.python_version(),
        libraries=installed(_LIBRARIES),
        platform=f"{platform.system()}-{platform.machine()}",
        processor=processor(),
        device=torch.cuda.get_device_name() if device == "cuda" else "cpu",
        threads=torch.get_num_threads(),
        plugins=plugins,
        tf32=device == "cuda" and (tf32 or torch.get_float32_matmul_precision() != "highest"),
        world_size=world_size,
    )


def installed(names: tuple[str, ...]) -> dict[str, str]:
    """Versions of those distributions that are there."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_state() -> tuple[str, bool]:
    """Commit of the tree that this package lies in, and whether tracked files were changed; empty outside one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return "", False
    commit = _git(root, "rev-parse", "HEAD")
    return commit, bool(commit and _git(root, "status", "--porcelain", "--untracked-files=no"))


def source_digest(file: str) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a source file."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]


def program_files() -> list[Path]:
    """All Python files of this package, sorted."""
    root = Path(__file__).resolve().parents[1]
    walk = os.walk(root, followlinks=True)
    return sorted(Path(folder, name) for folder, _, names in walk for name in names if name.endswith(".py"))


@lru_cache(maxsize=1)
def program_digest() -> str:
    """First 16 hexadecimal digits of the SHA-256 of the files of this package, committed or not."""
    root, found = Path(__file__).resolve().parents[1], hashlib.sha256()
    for file in program_files():
        found.update(f"{file.relative_to(root)} {source_digest(str(file))}\n".encode())
    return found.hexdigest()[:16]


def processor() -> str:
    """Model of the CPU, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
