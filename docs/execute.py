"""Runs the notebooks and stores their output in them: ``python docs/execute.py``, or ``make notebooks``.

Each runs in an empty folder of its own. What differs from machine to machine (folders, warnings of libraries) is left
out, so that a second run changes what it measures and nothing else.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent / "notebooks"


def execute(path: Path) -> None:
    """Run one notebook and write it anew."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=900,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
            kernel_name="python3",
        )
        client.execute()
        text = nbformat.writes(notebook, indent=1, ensure_ascii=False)
        for name in {str(Path(folder).resolve()), folder}:
            text = text.replace(f"{name}/", "")
    cleaned = nbformat.reads(text, as_version=4)
    cleaned.metadata = {"kernelspec": cleaned.metadata.kernelspec, "language_info": {"name": "python"}}
    path.write_text(nbformat.writes(cleaned, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Run all of them."""
    for key in ("GSSL_RUNS", "GSSL_DB"):
        os.environ.pop(key, None)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ |= {"NO_COLOR": "1", "COLUMNS": "110", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "OMP_NUM_THREADS": "1"}
    os.environ["PYTHONWARNINGS"] = "ignore"
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        execute(path)


if __name__ == "__main__":
    main()
