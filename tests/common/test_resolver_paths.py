"""A name of the user's own is refused before its module runs where its source shows that it cannot be right."""

from pathlib import Path

import pytest

from gssl.common.errors import InputError
from gssl.common.resolve import load
from gssl.registry import METHODS

SOURCE = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
from os.path import join as joined
def function(): ...
class Class: ...
other = Class
if True:
    class Nested: ...
"""


@pytest.mark.parametrize(
    ("name", "family", "message"),
    [
        ("function", "method", "is a function, but must be a class"),
        ("Class", "dataset", "is a class, but must be a function"),
        ("Clas", "method", "unknown method in .*'Clas'; did you mean 'Class'"),
        ("join", "dataset", "unknown dataset in"),
    ],
)
def test_what_cannot_be_right_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, family: str, message: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "never_imported.py").write_text(SOURCE)
    with pytest.raises(InputError, match=message):
        load(f"never_imported:{name}", family)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["function", "Class", "other", "Nested", "joined"])
def test_whatever_may_be_right_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = f"imported_for_{name.lower()}"
    (tmp_path / f"{module}.py").write_text(SOURCE)
    assert load(f"{module}:{name}", "encoder") is not None
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["mine.Class", "mine.py:Class", "./mine.py:Class", "mine.py.Class"])
def test_a_dot_for_the_colon_is_answered_with_the_colon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SOURCE)
    with pytest.raises(InputError, match=r" mine:Class$"):
        METHODS.get(name)
    assert not (tmp_path / "ran").exists()


def test_a_dot_in_no_name_of_a_module_stays_an_unknown_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"unknown method 'GRACE\.2'; did you mean 'GRACE'"):
        METHODS.get("GRACE.2")
    with pytest.raises(InputError, match=r"unknown method 'absent\.Class'; "):
        METHODS.get("absent.Class")


@pytest.mark.parametrize(
    ("source", "message"),
    [("class X(:\n    pass\n", r"SyntaxError: .* line 1\)"), ("class X: ...\nabsent\n", r"NameError: .* line 2\)")],
    ids=["syntax", "name"],
)
def test_a_module_that_cannot_run_is_one_line_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_module.py").write_text(source)
    with pytest.raises(InputError, match=rf"importing broken_module .*{message}") as caught:
        load("broken_module:X", "method")
    assert "\n" not in str(caught.value)
