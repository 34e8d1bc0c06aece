"""The notebooks hold the output of their code, and the code runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "notebooks"
NOTEBOOKS = ("leaderboard", "own-method")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_were_run_from_top_to_bottom(name: str) -> None:
    cells = [cell for cell in notebook(name) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1)), "run `make notebooks`"
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert "error" not in kinds
    assert not re.search(r"/tmp/|/home/|/root/|/work/", json.dumps(cells)), "a folder of one machine is in it"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_code_of_notebooks_runs(name: str, tmp_path: Path) -> None:
    """With tiny budgets, and without Jupyter: its ``%%bash`` and ``%%writefile`` are written out in Python."""
    code = "import subprocess\n" + "\n".join(
        as_python("".join(cell["source"])) for cell in notebook(name) if cell["cell_type"] == "code"
    )
    code = re.sub(r"(epochs\W+|seeds\W+)\d+", r"\g<1>1", code)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for key in ("GSSL_RUNS", "GSSL_DB"):
        environment.pop(key, None)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def notebook(name: str) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return cells


def as_python(source: str) -> str:
    head, _, rest = source.partition("\n")
    if head.startswith("%%writefile "):
        return f"open({head.split()[1]!r}, 'w').write({rest!r})"
    if head == "%%bash":
        lines = "\n".join(line for line in rest.splitlines() if "pytest" not in line)
        return f"subprocess.run({lines!r}, shell=True, check=True)"
    return source


def test_there_are_no_other_notebooks() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NOTEBOOKS)
