"""What the shell is offered, and that nobody pays for it who does not ask."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gssl.cli.completion import ASKED
from gssl.registry import METHODS


def offered(line: str) -> set[str]:
    """What argcomplete writes for the shell on descriptor 8."""
    pytest.importorskip("argcomplete")
    read, write = os.pipe()
    code = f"import os; os.dup2({write}, 8); from gssl.cli.main import main; main()"
    environment = {
        **os.environ,
        ASKED: "1",
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
    }
    subprocess.run([sys.executable, "-c", code], env=environment, pass_fds=(write,), check=True, capture_output=True)
    os.close(write)
    with os.fdopen(read) as answer:
        return {word.strip() for word in answer.read().split("\n") if word.strip()}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("gssl li", {"list"}),
        ("gssl run GRAC", {"GRACE"}),
        ("gssl run GRACE Cit", {"CiteSeer", "CitationFull-CiteSeer"}),
        ("gssl run GRACE Cora --encoder GI", {"GIN", "GINE"}),
        ("gssl run GRACE Cora --device c", {"cpu", "cuda"}),
        ("gssl run GRACE Cora --epo", {"--epochs"}),
        ("gssl tune GRACE Cora --setting fi", {"finetune"}),
        ("gssl list enc", {"encoders"}),
        ("gssl bench dem", {"demo"}),
        ("gssl show barlow", {"barlow_twins"}),
        ("gssl run GRACE Cora --track tens", {"tensorboard"}),
    ],
)
def test_names_are_offered(line: str, names: set[str]) -> None:
    found = offered(line)
    assert found
    assert found <= names or names <= found


def test_every_method_is_offered() -> None:
    assert set(METHODS.names()) <= offered("gssl run ")


def test_nothing_is_imported_where_nobody_asks() -> None:
    code = (
        "import sys, contextlib\nfrom gssl.cli.main import main\n"
        "with contextlib.suppress(SystemExit):\n    main(['--version'])\n"
        "print([name for name in ('argcomplete', 'gssl.cli.completion') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
