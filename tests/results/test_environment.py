from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch

from gssl.results import environment


def test_versions_device_and_threads_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    found = environment.current("cpu", {"mine:Method": "ab"})
    assert found.libraries["torch"] == torch.__version__
    assert found.libraries["numpy"] == numpy.__version__
    assert (found.threads, found.device, found.plugins) == (7, "cpu", {"mine:Method": "ab"})


@pytest.mark.parametrize("change", [{"threads": 3}, {"git_dirty": True}, {"libraries": {}}, {"plugins": {"a": "b"}}])
def test_hash_changes_with_every_part(change: dict[str, object]) -> None:
    base = replace(environment.current("cpu", {}), threads=2, git_dirty=False)
    assert replace(base, **change).hash != base.hash  # type: ignore[arg-type]
    assert base.mapping()["hash"] == base.hash == replace(base).hash


def test_package_outside_a_repository_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "site" / "gssl" / "results" / "environment.py"))
    assert environment.git_state() == ("", False)


def test_missing_git_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert environment.git_state() == ("", False)
