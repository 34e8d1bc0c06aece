"""Every Triton kernel compiles for an H200, by Triton's own assembler and without a GPU."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from gssl.benchmarks.device_kernels import compile_all
from gssl.graph.gpu import support

CODE = """
import json
from dataclasses import asdict
from gssl.benchmarks.device_kernels import compile_all
print(json.dumps([asdict(found) for found in compile_all(90)]))
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or find_spec("triton") is None,
    reason="Triton is not installed: pip install 'gssl[gpu]'",
)
def test_kernels_compile_without_spills() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert {row["name"].split("(")[0] for row in found} >= {"pick_edges", "all_edges", "filtered_edges", "_sum_rows"}
    assert [row["name"] for row in found if row["stack"]] == []
    assert max(row["registers"] for row in found) < 255


def test_interpreted_kernels_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "INTERPRETED", True)
    with pytest.raises(RuntimeError, match="unset TRITON_INTERPRET"):
        compile_all()
