"""The documents say what is so: generated parts are fresh, commands parse, links resolve, examples run."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gssl.benchmarks.readme import main as readme
from gssl.benchmarks.readme import readme_parts, renew
from gssl.cli.main import COMMANDS, main
from gssl.cli.parser import parse
from gssl.common.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
TINY = ["--seeds", "1", "--epochs", "3", "--json"]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def shell_lines(text: str) -> list[str]:
    """Commands of ``sh`` blocks, and those after a prompt in ``console`` blocks, without comments."""
    blocks = re.findall(r"```(sh|console)\n(.*?)```", text, re.DOTALL)
    lines = [line for kind, block in blocks for line in block.splitlines() if kind == "sh" or line.startswith("$ ")]
    return [line.removeprefix("$ ").split("  #")[0].strip() for line in lines]


def test_generated_parts_of_the_readme_are_fresh() -> None:
    assert readme(["--check"]) == 0, "run `make docs` and commit README.md"


def test_a_stale_part_is_seen() -> None:
    text = "<!-- generated: methods -->\nold\n<!-- end -->\n"
    assert renew(text, {"methods": readme_parts()["methods"]}) != text


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
        assert target.startswith("https://") or (ROOT / target).exists(), f"{name} links to {target}"


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


def test_refusals_are_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown = re.findall(r"^\$ (gssl .*)\n(gssl: error: .*)$", text_of("README.md"), re.MULTILINE)
    assert shown
    for command, answer in shown:
        assert main(shlex.split(command)[1:]) == 2
        assert capsys.readouterr().err.strip() == answer


def test_python_of_the_readme_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", text_of("README.md"), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A folder with the files of CONTRIBUTING.md."""
    for name, body in re.findall(r"```\w+ (\S+)\n(.*?)```", text_of("CONTRIBUTING.md"), re.DOTALL):
        (tmp_path / name).write_text(body, encoding="utf-8")
    return tmp_path


def gssl(*words: str, folder: Path, path: Path | None = None) -> str:
    """Standard output of a ``gssl`` command in a folder, with its own results and data."""
    environment = {**os.environ, "GSSL_DATA": str(folder / "data"), "GSSL_RUNS": str(folder / "runs")}
    environment.pop("GSSL_DB", None)
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, "-m", "gssl", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_is_short(example: Path) -> None:
    assert len((example / "my_method.py").read_text(encoding="utf-8").splitlines()) <= 40


def test_the_example_runs(example: Path) -> None:
    assert "gssl run my_method:MyMethod Cora" in text_of("CONTRIBUTING.md")
    row = json.loads(gssl("run", "my_method:MyMethod", "digits", *TINY, folder=example).splitlines()[-1])
    assert row["method"] == "my_method:MyMethod"
    assert row["test_mean"] > 0.5  # ten classes


def test_the_example_runs_on_cora(example: Path, mirror: Path) -> None:
    row = json.loads(gssl("run", "my_method:MyMethod", "Cora", *TINY, folder=example).splitlines()[-1])
    assert row["probe"] == "P1"
    assert row["test_mean"] > 0.4  # seven classes


def test_the_example_of_every_hook_runs_on_sampled_batches_and_on_links(example: Path) -> None:
    for words in (["--sampler", "graphsage", "--batch-size", "256"], ["--task", "link"]):
        assert " ".join(["gssl run my_rival:MyRival Cora", *words]) in text_of("CONTRIBUTING.md")
        row = json.loads(gssl("run", "my_rival:MyRival", "digits", *words, *TINY, folder=example).splitlines()[-1])
        assert row["test_mean"] > 0.5  # ten classes; pairs without an edge


def test_the_example_is_tuned(example: Path) -> None:
    assert "gssl tune my_method:MyMethod Cora --trials 20 --workers 2" in text_of("CONTRIBUTING.md")
    words = ("tune", "my_method:MyMethod", "digits", "--trials", "2", *TINY)
    found = json.loads(gssl(*words, folder=example).splitlines()[-1])
    assert found["trials"]["total"] == 2
    assert (example / "runs" / "tune-MyMethod-digits" / "preset.yaml").is_file()


def test_the_example_keeps_the_contract(example: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_my_method.py"],
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
