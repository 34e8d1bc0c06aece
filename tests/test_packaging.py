"""Packaging: pinned versions, make targets, hooks, and a wheel that is whole."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
CODE = ("gssl", "samplers", "models", "datasets", "benchmarks")


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout, so there is no list of tracked files")
    return [ROOT / name for name in listing.stdout.split("\0") if name]


def pyproject() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirements() -> list[Requirement]:
    project = pyproject()["project"]
    assert isinstance(project, dict)
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(line) for entries in lists for line in entries]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([\w.-]+)==([\w.]+)", line)
            assert match, f"constraints.txt: {line!r} is not NAME==VERSION without local suffix"
            found[canonical(match[1])] = match[2]
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_requirement_is_pinned_within_its_range() -> None:
    pinned = pins()
    for requirement in requirements():
        if requirement.name == "gssl":
            continue
        version = pinned.get(canonical(requirement.name))
        assert version, f"{requirement.name} has no line in constraints.txt"
        assert requirement.specifier.contains(version), f"{requirement} excludes the tested version {version}"


def test_the_makefile_installs_the_pinned_torch() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"torch=={pins()['torch']}\n" in text
    assert f"torch_scatter=={pins()['torch-scatter']}\n" in text


def test_hooks_run_the_tools_of_the_environment() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = {hook["id"]: hook for repo in config["repos"] for hook in repo["hooks"]}
    assert {"ruff-check", "ruff-format", "mypy"} <= set(hooks)
    for hook in hooks.values():
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")
    assert hooks["mypy"]["stages"] == ["pre-push"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for path in tracked_files():  # a copy, because a build writes into the tree
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            target.symlink_to(path.readlink())
        elif path.is_file():
            target.write_bytes(path.read_bytes())
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("gssl-*.whl")))


def test_the_wheel_holds_real_folders_and_data(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in tracked_files()
        if path.suffix in {".py", ".yaml", ".json", ".typed", ".html", ".css", ".js"}
        and not path.is_symlink()
        and path.relative_to(ROOT).parts[0] in CODE
    }
    expected = {name if name.startswith("gssl/") else f"gssl/{name}" for name in wanted}
    assert not expected - names, f"missing in the wheel: {sorted(expected - names)}"
    assert "gssl/py.typed" in names
    roots = {name.partition("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"gssl"}
    links = [info.filename for info in wheel.infolist() if (info.external_attr >> 16) & 0o170000 == 0o120000]
    assert not links


def test_the_wheel_is_found_without_the_repository(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    modules = ("gssl.registry", "gssl.graph.batch", "gssl.datasets.types", "gssl.models.gcn", "gssl.benchmarks.rows")
    code = f"import importlib.util as u; print(*(u.find_spec(name).origin for name in {modules!r}), sep='\\n')"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = done.stdout.split()
    assert found == [str(tmp_path / (name.replace(".", "/") + ".py")) for name in modules]


OPTIONAL_PEERS = {"GCL", "dig"}  # other libraries that `gssl perf` compares with where they are installed


def test_every_imported_package_is_a_declared_dependency() -> None:
    declared = {canonical(requirement.name) for requirement in requirements()}
    owners = packages_distributions()
    undeclared = set()
    for folder in CODE:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                tops = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"gssl"} - OPTIONAL_PEERS
                undeclared |= {
                    f"{path.relative_to(ROOT)} imports {top}"
                    for top in tops
                    if not declared & {canonical(owner) for owner in owners.get(top, [top])}
                }
    assert not undeclared, "\n".join(sorted(undeclared))
