"""The repository itself: links, layers and house rules."""

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx
import pytest

from gssl.cli.main import main
from gssl.common.resolve import Resolver
from gssl.registry import AUGMENTERS, ENCODERS, METHODS, OBJECTIVES, PARTS, PROBES

ROOT = Path(__file__).resolve().parents[1]
LINKED = ("samplers", "models", "datasets", "benchmarks")
CODE = ("gssl", *LINKED)

# Which layers a layer may import, from the ground up; ARCHITECTURE.md shows the same table.
LAYERS = {
    "common": {"common"},
    "graph": {"common", "graph"},
    "samplers": {"common", "graph", "samplers"},
    "datasets": {"common", "graph", "datasets"},
    "models": {"common", "graph", "models"},
    "gssl": {"common", "graph", "samplers", "datasets", "models", "gssl"},
    "benchmarks": {"common", "graph", "samplers", "datasets", "models", "gssl", "benchmarks"},
}
# Packages from outside that a layer may import; a layer that is not listed may import any.
PACKAGES = {
    "common": {"pydantic", "yaml"},
    "graph": {"numpy", "torch", "numba", "triton"},
    "samplers": {"numpy", "torch", "numba", "pymetis"},
}
# Samplers as objects of PyG, for its users; nothing else imports the file.
MAY_IMPORT_PYG = ("samplers/pyg.py",)
# `gssl perf` and `gssl bench` hand over to the benchmarks, inside the function that does it.
MAY_REACH_UP = ("gssl/cli/",)
# Rooms from the ground up; one imports those of the lines above it, never its neighbours on its own line.
ROOMS = (
    ("common",),
    ("graph",),
    ("samplers", "datasets", "models"),
    ("augment", "objectives", "evaluate"),
    ("method", "tasks"),
    ("registry", "training"),
    ("methods",),
    ("config", "generate"),
    ("settings", "results", "cards", "testing"),
    ("experiment", "variance"),
    ("api", "convergence", "search"),
    ("benchmarks",),
    ("cli",),
    ("__main__",),
)
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))  # does not descend into links


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout, so there is no list of tracked files")
    return [ROOT / name for name in listing.stdout.split("\0") if name]


@pytest.mark.parametrize("name", LINKED)
def test_links_of_the_package_folders(name: str) -> None:
    link = ROOT / "gssl" / name
    repair = (
        "The clone lost its symbolic links (git without core.symlinks, or a downloaded zip). "
        "Repair: git config core.symlinks true && git checkout -- gssl/ ; "
        "on Windows turn on developer mode first, or install the wheel; a zip must be replaced by a clone."
    )
    assert link.is_symlink(), f"gssl/{name} is not a symbolic link. {repair}"
    assert str(link.readlink()) == f"../{name}", f"gssl/{name} must point to ../{name}, relative and inside the clone."
    assert (link / ("types.py" if name == "datasets" else "__init__.py")).is_file(), f"gssl/{name} is broken. {repair}"


def test_datasets_does_not_shadow_another_package() -> None:
    assert not (ROOT / "datasets" / "__init__.py").exists(), "it would shadow `import datasets` in the working folder"


def imported_modules(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def layer_of(path: Path) -> str:
    name = path.relative_to(ROOT).as_posix()
    inner = name.removeprefix("gssl/").partition("/")[0]
    return inner if name.startswith("gssl/") and inner in ("common", "graph") else name.partition("/")[0]


def violates_layers(layer: str, module: str, *, file: str = "") -> bool:
    top, _, rest = module.partition(".")
    if top in LINKED:
        return True  # a bare `import samplers` works in the repository root only
    if top != "gssl":
        if top == "torch_geometric" and file in MAY_IMPORT_PYG:
            return False
        return layer in PACKAGES and top not in PACKAGES[layer] | sys.stdlib_module_names
    target = rest.partition(".")[0]
    target = target if target in LAYERS else "gssl"
    return target not in LAYERS[layer] and not (target == "benchmarks" and file.startswith(MAY_REACH_UP))


def test_imports_point_down() -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sources(*CODE)
        for module, line in imported_modules(path)
        if violates_layers(layer_of(path), module, file=path.relative_to(ROOT).as_posix())
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        ("samplers", "gssl.models.gcn"),
        ("samplers", "gssl.method"),
        ("samplers", "torch_geometric.utils"),
        ("models", "gssl.datasets.types"),
        ("models", "gssl.registry"),
        ("datasets", "gssl.models.encoder"),
        ("common", "torch.nn"),
        ("common", "gssl.registry"),
        ("gssl", "gssl.benchmarks.rows"),
        ("gssl", "samplers.batch"),
        ("benchmarks", "models.gcn"),
    ],
)
def test_the_layer_rule_sees_a_violation(layer: str, module: str) -> None:
    assert violates_layers(layer, module)


def test_the_layer_rule_lets_downward_imports_pass() -> None:
    assert not violates_layers("models", "gssl.graph.batch.MiniBatch")
    assert not violates_layers("models", "torch_geometric.utils")
    assert not violates_layers("gssl", "gssl.benchmarks.perf", file="gssl/cli/perf.py")
    assert not violates_layers("samplers", "gssl.common.seeds.derive_seed")
    assert not violates_layers("samplers", "collections.abc")
    assert not violates_layers("samplers", "torch_geometric.sampler", file="samplers/pyg.py")


def test_layers_are_those_of_the_architecture_document() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = {row[1]: row for row in (re.split(r"\s*\|\s*", line) for line in text.splitlines() if line.startswith("|"))}
    for layer, allowed in LAYERS.items():
        folder = f"`gssl/{layer}/`" if layer in ("common", "graph") else f"`{layer}/`"
        assert folder in rows, f"ARCHITECTURE.md has no row for {folder}"
        stated = set(re.findall(r"\w+", rows[folder][3])) & set(LAYERS)
        assert stated == allowed - {layer}, f"ARCHITECTURE.md lets {folder} import {sorted(stated)}"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts if parts[0] == "gssl" else ("gssl", *parts))
    return name.removesuffix(".__init__")


def imports_between_modules() -> list[tuple[str, str]]:
    """Every import of the project's own modules, also inside functions and for type checkers alone."""
    paths = {module_name(path): path for path in sources(*CODE)}
    found = []
    for name, path in paths.items():
        for imported, _ in imported_modules(path):
            target = imported if imported in paths else imported.rpartition(".")[0]
            if target in paths and target not in (name, "gssl"):
                found.append((name, target))
    return found


def test_no_import_circle_anywhere() -> None:
    graph = networkx.DiGraph(imports_between_modules())
    circles = [sorted(part) for part in networkx.strongly_connected_components(graph) if len(part) > 1]
    assert not circles


def test_rooms_import_what_is_below_them() -> None:
    height = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}
    pairs = [(a, b, a.split(".")[1], b.split(".")[1]) for a, b in imports_between_modules()]
    assert {room for *_, one, two in pairs for room in (one, two)} <= height.keys()
    upward = [f"{a} imports {b}" for a, b, one, two in pairs if one != two and height[one] <= height[two]]
    assert not upward, "\n".join(upward)


def test_nothing_below_imports_the_command_line() -> None:
    found = [(a, b) for a, b in imports_between_modules() if b.startswith("gssl.cli") and not a.startswith("gssl.cli")]
    assert found == [("gssl.__main__", "gssl.cli.main")]


def test_files_and_functions_are_short() -> None:
    long = []
    for path in sources(*CODE, "tests"):
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > MAX_FILE_LINES:
            long.append(f"{path.relative_to(ROOT)} has {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                code = _code_lines(node)
                if code > MAX_FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {code} lines")
    assert not long, "\n".join(long)


def _code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    documented = ast.get_docstring(node) is not None
    first = node.body[1] if documented and len(node.body) > 1 else node.body[0]
    return (node.end_lineno or 0) - first.lineno + 1


def test_package_init_files_hold_a_docstring_only() -> None:
    for path in sources(*CODE):
        if path.name != "__init__.py" or path == ROOT / "gssl" / "__init__.py":
            continue
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert all(isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) for n in body), path


def test_library_code_does_not_print() -> None:
    printing = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("samplers", "models", "datasets", "gssl")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not printing, printing


_PRIVATE = re.compile(r"file://|/(?:root|home|Users|work|opt|mnt)/\w|\b(?:\d{1,3}\.){3}\d{1,3}\b(?!\.)|index-url")


def test_tracked_files_name_no_machine() -> None:
    found = []
    for path in tracked_files():
        if path.is_symlink() or not path.is_file() or path.suffix in {".npz", ".png", ".pdf"}:
            continue
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if _PRIVATE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("script", [".ci/run"])
def test_scripts_are_executable_and_strict(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in path.read_text(encoding="utf-8")
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0


def test_make_says_what_to_do_when_links_are_lost(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "gssl").mkdir()
    for name in LINKED:
        (tmp_path / "gssl" / name).write_text(f"../{name}")  # what git leaves without core.symlinks
    done = subprocess.run(["make", "links"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "lost its symbolic links" in done.stderr


REFERENCE_ROWS = {"raw", "untrained", "supervised"}


@pytest.mark.parametrize("name", sorted(set(METHODS.paths) - REFERENCE_ROWS))
def test_a_method_cites_its_paper(name: str) -> None:
    assert re.search(r"arXiv:\d{4}\.\d{4,5}|doi:10\.\d{4,}/|openreview:\w+", METHODS.get(name).__doc__ or ""), (
        f"{name} does not say which paper it is"
    )


@pytest.mark.parametrize(
    ("family", "name"),
    [(family, name) for family in (METHODS, ENCODERS, AUGMENTERS, OBJECTIVES, PARTS, PROBES) for name in family.paths],
    ids=lambda value: getattr(value, "family", value),
)
def test_a_component_says_what_it_is_in_one_line(family: Resolver[object], name: str) -> None:
    assert 10 < len(family.summary(name)) <= 120, f"{name}: {family.summary(name)!r}"


def test_four_frames_from_the_command_line_to_the_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[str] = []

    def loss(self: object, batch: object) -> None:
        callers = [(frame.function, Path(frame.filename).parents) for frame in inspect.stack()[1:]]
        frames.extend(name for name, parents in callers if any(ROOT / folder in parents for folder in CODE))
        raise EOFError

    monkeypatch.setattr(METHODS.get("GRACE"), "loss", loss)
    monkeypatch.setenv("GSSL_RUNS", str(tmp_path))
    with pytest.raises(EOFError):
        main(["run", "GRACE", "digits", "--epochs", "1"])
    assert frames[-1] == "main"
    assert len(frames) - 1 <= 4, " <- ".join(frames)
