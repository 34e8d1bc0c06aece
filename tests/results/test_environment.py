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


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 3},
        {"git_dirty": True},
        {"libraries": {}},
        {"plugins": {"a": "b"}},
        {"tf32": True},
        {"world_size": 2},
        {"world_size": 2, "tf32": True},
    ],
)
def test_hash_changes_with_every_part(change: dict[str, object]) -> None:
    base = replace(environment.current("cpu", {}), threads=2, git_dirty=False)
    changed = replace(base, **change)  # type: ignore[arg-type]
    assert changed.hash != base.hash
    assert changed.mapping().items() >= change.items()
    assert base.mapping()["hash"] == base.hash == replace(base).hash


def test_hash_of_one_process_without_tf32_is_that_of_records_from_before_they_were_told() -> None:
    base = replace(environment.current("cpu", {}), threads=2)
    assert {"tf32", "world_size"}.isdisjoint(base.mapping())
    hashes = {replace(base, tf32=tf32, world_size=world).hash for tf32 in (False, True) for world in (1, 2, 4)}
    assert len(hashes) == 6


def test_tf32_is_that_of_the_training_or_of_the_program_around_and_of_a_gpu_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    assert not environment.current("cpu", {}, tf32=True).tf32
    plain, rounded = environment.current("cuda", {}), environment.current("cuda", {}, tf32=True, world_size=3)
    assert (plain.tf32, rounded.tf32, rounded.world_size, rounded.device) == (False, True, 3, "a card")
    assert plain.hash != rounded.hash
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    assert environment.current("cuda", {}).tf32
    assert not environment.current("cpu", {}).tf32


def test_package_outside_a_repository_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "site" / "gssl" / "results" / "environment.py"))
    assert environment.git_state() == ("", False)


def test_missing_git_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert environment.git_state() == ("", False)
