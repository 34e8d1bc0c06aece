"""Gather what ``check.sh`` needs on a machine without network: ``python gpu/pack.py FOLDER [--complete]``.

The pack has the program, and wheels of what it imports in the versions of ``constraints.txt``, for Linux on x86-64. It
never has torch and what comes with it. What machines with torch_geometric have anyway, and what is large, comes with
``--complete`` alone; ``check.sh`` says what is missing.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT_MIB = 64  # what may be sent to many a borrowed machine
CODE = ("gssl", "samplers", "models", "datasets", "benchmarks")
NOT_NEEDED = ("benchmarks/results/", "benchmarks/published/", "gssl/cards/index.json")
SUFFIXES = {".py", ".yaml", ".json", ".typed"}
# What the check imports, by distribution, with the oldest version that will do; empty: any.
SMALL = {
    "alembic": "", "annotated-types": "", "cloudpickle": "", "colorlog": "", "filelock": "", "joblib": "",
    "lightning-fabric": "2.6", "lightning-utilities": "", "littleutils": "", "mako": "", "markdown-it-py": "",
    "mdurl": "", "ogb": "1.3.6", "optuna": "5.0", "outdated": "", "packaging": "", "platformdirs": "", "psutil": "",
    "pydantic": "2.14", "pydantic-core": "", "pygments": "", "pymetis": "2025.2.2", "pyyaml": "", "rich": "",
    "sqlalchemy": "2.1", "threadpoolctl": "", "torch-geometric": "2.8", "tqdm": "", "typing-inspection": "",
}  # fmt: skip
LARGE = {"numba": "0.61", "numpy": "2.0", "scipy": "", "scikit-learn": "", "pandas": "", "networkx": ""}
# What those need in turn; whoever has them has these, or does without.
BENEATH = {
    "llvmlite": "", "python-dateutil": "", "six": "", "requests": "", "urllib3": "", "idna": "", "certifi": "",
    "charset-normalizer": "", "aiohttp": "", "aiosignal": "", "aiohappyeyeballs": "", "attrs": "", "frozenlist": "",
    "multidict": "", "propcache": "", "yarl": "", "xxhash": "", "pyparsing": "", "narwhals": "", "tzdata": "",
}  # fmt: skip
# Of these each version goes with one version of the other.
TOGETHER = (("pydantic", "pydantic-core"), ("numba", "llvmlite"))
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (39, 34, 31, 28, 27, 26, 24, 17, 12, 5)] + [
    f"manylinux{year}_x86_64" for year in ("2014", "2010", "1")
]


def main() -> int:
    """Write the folder anew and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--complete", action="store_true")
    parser.add_argument("--python-version", default="3.12")
    args = parser.parse_args()
    wanted = {**SMALL, **LARGE, **BENEATH} if args.complete else SMALL
    shutil.rmtree(args.folder, ignore_errors=True)
    (args.folder / "wheels").mkdir(parents=True)
    copy_program(args.folder / "project")
    for name in ("check.sh", "missing.py"):
        shutil.copy2(ROOT / "gpu" / name, args.folder / name)
    wheels = download(args.folder / "wheels", list(wanted), args.python_version)
    pack = {
        "python": args.python_version,
        "commit": git("rev-parse", "HEAD"),
        "changed": bool(git("status", "--porcelain", "--untracked-files=no")),
        "complete": args.complete,
        "oldest": {**SMALL, **LARGE},
        "beneath": list(BENEATH),
        "together": [list(names) for names in TOGETHER],
        "wheels": wheels,
    }
    (args.folder / "pack.json").write_text(json.dumps(pack, indent=1) + "\n", encoding="utf-8")
    size = sum(path.lstat().st_size for path in args.folder.rglob("*")) / 2**20
    sys.stdout.write(f"{args.folder}: {size:.1f} MiB, {len(wheels)} wheels for Python {args.python_version}\n")
    if size > LIMIT_MIB:
        sys.stdout.write(f"that is more than the {LIMIT_MIB} MiB that many machines take\n")
    return 0


def copy_program(folder: Path) -> None:
    """The code without committed results; the links between its folders stay links."""
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", *CODE).split("\0")
    for name in filter(None, listed):
        source = ROOT / name
        if name.startswith(NOT_NEEDED) or not (source.is_symlink() or source.suffix in SUFFIXES):
            continue
        if source.is_symlink() or source.is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def download(folder: Path, names: list[str], python: str) -> dict[str, str]:
    """Wheels of distributions in the tested versions; name to file."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", python, "--implementation", "cp", "--dest", str(folder)]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    subprocess.run([*command, *(f"{name}=={tested(name)}" for name in names)], check=True)
    found = {canonical(file.name.split("-")[0]): file.name for file in folder.glob("*.whl")}
    return {name: found[canonical(name)] for name in names}


def tested(name: str) -> str:
    """The version of ``constraints.txt``."""
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        left, equals, right = line.partition("==")
        if equals and canonical(left) == canonical(name):
            return right.strip()
    raise SystemExit(f"constraints.txt has no {name}")


def canonical(name: str) -> str:
    """The name of a distribution as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def git(*arguments: str) -> str:
    """What git says."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
