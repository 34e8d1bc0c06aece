"""What ``make gpu-pack`` gathers fits the project, and what is missing on a machine is found."""

import json
import runpy
import subprocess
import sys
import tomllib
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PACK: dict[str, Any] = runpy.run_path(str(ROOT / "gpu" / "pack.py"))
PACKED = {**PACK["SMALL"], **PACK["LARGE"], **PACK["BENEATH"]}
# torch brings these, or the check works without them.
WITH_TORCH = {"torch", "jinja2", "markupsafe", "typing-extensions", "fsspec", "setuptools", "greenlet"}


def needs(name: str) -> set[str]:
    """Distributions that one needs here, without extras."""
    found = map(Requirement, requires(name) or [])
    return {PACK["canonical"](r.name) for r in found if r.marker is None or r.marker.evaluate({"extra": ""})}


def test_versions_are_the_tested_ones_and_new_enough() -> None:
    for name, oldest in PACKED.items():
        tested = PACK["tested"](name)
        assert not oldest or Version(oldest) <= Version(tested), name


def test_all_that_the_project_needs_is_packed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {PACK["canonical"](Requirement(text).name) for text in project["dependencies"]}
    assert wanted <= set(PACKED) | WITH_TORCH
    beneath = {name for packed in PACKED for name in needs(packed)}
    assert beneath <= set(PACKED) | WITH_TORCH, "what the packed wheels need"


def test_torch_is_not_packed() -> None:
    assert "torch" not in PACKED


@pytest.mark.parametrize(
    ("oldest", "missing"),
    [
        ({"no-such-distribution": ""}, True),
        ({"no-such-distribution": "1.0"}, True),
        ({"pydantic": ""}, False),
        ({"pydantic": version("pydantic")}, False),
        ({"pydantic": "999"}, True),
    ],
)
def test_what_a_machine_lacks(oldest: dict[str, str], missing: bool, tmp_path: Path) -> None:
    (name,) = oldest
    pack = {
        "python": "3.12",
        "oldest": oldest,
        "beneath": ["pip"],
        "together": [["pydantic", "pydantic-core"]],
        "wheels": {name: "one.whl", "pydantic-core": "other.whl"},
    }
    (tmp_path / "pack.json").write_text(json.dumps(pack))
    command = [sys.executable, str(ROOT / "gpu" / "missing.py"), str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    names = ["one.whl"] if missing else []
    if missing and name == "pydantic":
        names.append("other.whl")  # the one goes with one version of the other
    assert [Path(path).name for path in found] == names
    strict = subprocess.run([*command, "--strict"], capture_output=True, text=True, check=False)
    assert strict.returncode == (2 if missing else 0)
    assert ("GPU_COMPLETE=1" in strict.stderr) is missing


def test_the_script_is_valid_and_says_what_it_lacks(tmp_path: Path) -> None:
    script = ROOT / "gpu" / "check.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", str(script)],
        env={"PYTHON": str(python), "OUT": str(tmp_path / "out"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "has no torch" in done.stderr


def test_the_program_is_packed_without_results(tmp_path: Path) -> None:
    PACK["copy_program"](tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"gssl/registry.py", "benchmarks/gpu/check.py", "gssl/methods/grace.py"} <= names
    assert not [name for name in names if name.startswith("benchmarks/results/")]
    assert (tmp_path / "gssl" / "samplers").is_symlink()
    done = subprocess.run(
        [sys.executable, "-m", "gssl", "--help"],
        env={"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
