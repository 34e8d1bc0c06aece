"""The documents say what is so: generated parts are fresh, commands parse, links resolve, examples run."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gssl.benchmarks.readme import DOCUMENTS as WITH_PARTS
from gssl.benchmarks.readme import all_parts, renew
from gssl.benchmarks.readme import main as readme
from gssl.cli.main import COMMANDS, main
from gssl.cli.parser import parse
from gssl.common.errors import InputError
from gssl.datasets.array_names import NAMES
from gssl.datasets.declared import FACTS
from gssl.datasets.user import SUFFIXES
from gssl.registry import METHODS, PROPAGATIONS, SAMPLERS, SELECTIONS

ROOT = Path(__file__).resolve().parents[1]
PAGES = tuple(sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")))
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", *PAGES)
TINY = ["--seeds", "1", "--epochs", "3", "--json"]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def shell_lines(text: str) -> list[str]:
    """Commands of ``sh`` blocks, and those after a prompt in ``console`` blocks, without comments and refused ones."""
    text = re.sub(r"^\$ .*\ngssl: error: .*$", "", text, flags=re.MULTILINE)
    found = re.findall(r"```(sh|console)\n(.*?)```", text, re.DOTALL)
    lines = [line for kind, block in found for line in block.splitlines() if kind == "sh" or line.startswith("$ ")]
    return [line.removeprefix("$ ").split("  #")[0].strip() for line in lines]


def blocks(name: str) -> dict[str, str]:
    """Files that a document shows: name to content."""
    return dict(re.findall(r"```\w+ (\S+)\n(.*?)```", text_of(name), re.DOTALL))


def test_generated_parts_are_fresh() -> None:
    assert readme(["--check"]) == 0, "run `make docs` and commit the result"


def test_a_stale_part_is_seen() -> None:
    text = "<!-- generated: methods -->\nold\n<!-- end -->\n"
    assert renew(text, {"methods": all_parts()["methods"]}) != text


def test_every_part_has_one_place() -> None:
    assert sorted(name for names in WITH_PARTS.values() for name in names) == sorted(all_parts())


@pytest.mark.parametrize(
    ("text", "message"),
    [("<!-- generated: metods -->\n<!-- end -->", "did you mean 'methods'"), ("", "no place for methods")],
)
def test_markers_and_parts_must_agree(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        renew(text, {"methods": lambda: "list"})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_resolve(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", text_of(name)):
        found = target.startswith("https://") or (ROOT / name).parent.joinpath(target).exists()
        assert found, f"{name} links to {target}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_exist(name: str) -> None:
    pattern = r"`((?:gssl|samplers|models|datasets|benchmarks|tests)/[\w./-]*)`"
    missing = [path for path in re.findall(pattern, text_of(name)) if not (ROOT / path).exists()]
    assert not missing, f"{name} names {missing}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_parse(name: str) -> None:
    for line in shell_lines(text_of(name)):
        words = shlex.split(line)
        if words[:1] == ["gssl"]:
            parse(words[1:], COMMANDS)
        elif words[:1] == ["make"]:
            target = next(word for word in words[1:] if "=" not in word)
            assert re.search(rf"^{target}:", text_of("Makefile"), re.MULTILINE), f"there is no make {target}"


def test_refusals_are_as_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"^\$ (gssl .*)\n(gssl: error: .*)$", text_of("docs/errors.md"), re.MULTILINE)
    assert len(shown) > 5
    for command, answer in shown:
        assert main(shlex.split(command)[1:]) == 2
        assert capsys.readouterr().err.strip() == answer


def test_python_of_the_documents_runs(tmp_path: Path) -> None:
    """Every example by itself, all in one process for the sake of its imports."""
    found = [
        (name, code)
        for name in ("README.md", *PAGES)
        for code in re.findall(r"```python\n(.*?)```", text_of(name), re.DOTALL)
    ]
    assert {"README.md", "docs/python.md", "docs/own-data.md", "docs/edge-attributes.md"} <= {name for name, _ in found}
    program = "import json, sys\nfor name, code in json.load(sys.stdin):\n    exec(compile(code, name, 'exec'), {})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(found),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_comparison_counts_what_there_is() -> None:
    row = re.search(r"\| methods \| (\d+), and (\d+) reference rows", text_of("README.md"))
    assert row
    assert sum(map(int, row.groups())) == len(METHODS.paths)
    row = re.search(r"(\d+) samplers by name, any of (\d+) selections with any of (\d+) prop", text_of("README.md"))
    assert row
    whole = {"full", "graphs"}  # no batches of nodes
    numbers = [len(SAMPLERS.paths.keys() - whole), len(SELECTIONS.paths), len(PROPAGATIONS.paths)]
    assert list(map(int, row.groups())) == numbers


def test_the_page_of_own_data_has_every_format_fact_and_name() -> None:
    text = text_of("docs/own-data.md")
    words = (*SUFFIXES, *FACTS, *NAMES, *(other for others in NAMES.values() for other in others))
    missing = [word for word in words if f"`{word}`" not in text]
    assert not missing


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A folder with the files of CONTRIBUTING.md and of the pages."""
    for document in ("CONTRIBUTING.md", *PAGES):
        for name, body in blocks(document).items():
            (tmp_path / name).write_text(body, encoding="utf-8")
    return tmp_path


def gssl(*words: str, folder: Path, path: Path | None = None) -> str:
    """Standard output of a ``gssl`` command in a folder, with its own results and data."""
    return _output([sys.executable, "-m", "gssl", *words], folder, path)


def gssl_in_turn(commands: list[list[str]], *, folder: Path) -> str:
    """Standard output of several."""
    program = f"import sys; from gssl.cli.main import main; sys.exit(max(map(main, {commands!r})))"
    return _output([sys.executable, "-c", program], folder)


def _output(command: list[str], folder: Path, path: Path | None = None) -> str:
    environment = {**os.environ, "GSSL_DATA": str(folder / "data"), "GSSL_RUNS": str(folder / "runs")}
    environment.pop("GSSL_DB", None)
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_is_short(example: Path) -> None:
    assert len((example / "my_method.py").read_text(encoding="utf-8").splitlines()) <= 40


def test_the_examples_run(example: Path) -> None:
    """Each as a command of the documents has it, on data that are there; in one process for the sake of its imports."""
    mine, rival, mask = "my_method:MyMethod", "my_rival:MyRival", "my_mask:MyMask"
    sampled, links = ["--sampler", "graphsage", "--batch-size", "256"], ["--task", "link"]
    shown = [[mine], [rival, *sampled], [rival, *links], [mask, "--sampler", "clustergcn"]]
    text = text_of("CONTRIBUTING.md") + text_of("docs/own-method.md")
    for method, *words in shown:
        assert " ".join(["gssl run", method, "Cora", *words]) in text
    commands = [["run", method, "digits", *words, *TINY] for method, *words in shown]
    rows = [json.loads(line) for line in gssl_in_turn(commands, folder=example).splitlines()]
    assert [row["method"] for row in rows] == [method for method, *_ in shown]
    for row in rows:
        assert row["test_mean"] > 0.5  # ten classes; pairs without an edge


def test_the_example_runs_on_cora(example: Path, mirror: Path) -> None:
    row = json.loads(gssl("run", "my_method:MyMethod", "Cora", *TINY, folder=example).splitlines()[-1])
    assert row["probe"] == "P1"
    assert row["test_mean"] > 0.4  # seven classes


def test_the_suite_of_the_documents_is_one(example: Path) -> None:
    shown = json.loads(gssl("show", "board.yaml", "--json", folder=example))
    assert shown["cells"] == 8
    assert shown["summary"] == "GRACE against the reference rows on the digits"


def test_the_example_is_tuned(example: Path) -> None:
    assert "gssl tune my_method:MyMethod Cora --trials 20 --workers 2" in text_of("CONTRIBUTING.md")
    words = ("tune", "my_method:MyMethod", "digits", "--trials", "2", *TINY)
    found = json.loads(gssl(*words, folder=example).splitlines()[-1])
    assert found["trials"]["total"] == 2
    assert (example / "runs" / "tune-MyMethod-digits" / "preset.yaml").is_file()


def test_the_example_keeps_the_contract(example: Path) -> None:
    tests = ("test_my_method.py", "test_my_method_on_cuda.py")  # in this order, which is that of their names
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests],
        cwd=example,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_example_is_found_as_an_installed_plugin(example: Path) -> None:
    site = example / "site"
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(site)]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "."], cwd=example, check=True, capture_output=True
    )
    (example / "my_method.py").unlink()
    elsewhere = example / "elsewhere"
    elsewhere.mkdir()
    listed = json.loads(gssl("list", "methods", "--json", folder=elsewhere, path=site))
    assert {"name": "MyMethod"}.items() <= listed["methods"][-1].items()
    assert "Graph Barlow Twins" in listed["methods"][-1]["summary"]
    row = json.loads(gssl("run", "mymethod", "digits", *TINY, folder=elsewhere, path=site).splitlines()[-1])
    assert row["method"] == "MyMethod"
