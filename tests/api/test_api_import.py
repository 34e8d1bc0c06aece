"""``import gssl`` alone: quick, light, and everything that it offers is there when it is asked for."""

import os
import subprocess
import sys
import time
from importlib import import_module

import pytest

import gssl

HEAVY = ("torch", "torch_geometric", "numpy", "pandas", "scipy", "sklearn", "pydantic", "networkx", "ogb", "rdkit")


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_nothing_heavy_is_imported() -> None:
    code = f"import gssl, sys\ndir(gssl)\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    assert python(code) == "[]"


def test_it_takes_less_than_half_a_second() -> None:
    """The best of three processor times, the interpreter's own start included."""
    times = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-c", "import gssl"], check=True)
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
        time.sleep(0.01)
    assert min(times) < 0.5


@pytest.mark.parametrize("name", gssl.__all__)
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    found = getattr(gssl, name)
    assert name in dir(gssl)
    if name != "__version__":
        assert found.__doc__
        assert found is getattr(import_module(found.__module__), name)


def test_all_names_come_with_a_star() -> None:
    assert python("from gssl import *\nprint(run.__name__, load.__name__, info_nce.__name__)") == "run load info_nce"


def test_a_name_that_is_not_offered() -> None:
    with pytest.raises(AttributeError, match="module 'gssl' has no attribute 'train'"):
        gssl.train  # noqa: B018
