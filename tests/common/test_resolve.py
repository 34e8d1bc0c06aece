"""A name of the user's own is refused before its module runs where its source shows that it cannot be right."""

from pathlib import Path

import pytest

from gssl.common.errors import InputError
from gssl.common.resolve import load

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
