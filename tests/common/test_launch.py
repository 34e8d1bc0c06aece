"""Several processes of one launcher."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import gssl
from gssl.common.errors import InputError

if TYPE_CHECKING:
    from conftest import Lab


@pytest.fixture
def second_of_two(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The laboratory in a process as torchrun starts it."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    return lab


@pytest.mark.parametrize(
    "words",
    [
        ("tune", "tiny:Denoise", "graph.npz", "--trials", "1"),
        ("converge", "tiny:Denoise", "graph.npz", "--samplers", "full", "--seconds", "1", "--steps", "1"),
        ("variance", "tiny:Denoise", "graph.npz", "--samplers", "neighbor"),
        ("bench", "demo"),
        ("report",),
    ],
)
def test_commands_that_work_are_refused_before_anything_is_written(second_of_two: Lab, words: tuple[str, ...]) -> None:
    before = sorted(second_of_two.folder.rglob("*"))
    _, err = second_of_two.gssl(*words, code=2)
    assert "WORLD_SIZE=2" in err
    assert "`gssl run` alone trains in several processes" in err
    assert sorted(second_of_two.folder.rglob("*")) == before


def test_a_training_in_parallel_needs_all_that_a_launcher_says(second_of_two: Lab) -> None:
    _, err = second_of_two.gssl("run", "tiny:Denoise", "graph.npz", code=2)
    assert "but not LOCAL_RANK and LOCAL_WORLD_SIZE and MASTER_ADDR and MASTER_PORT" in err
    assert "torchrun --nproc-per-node" in err
    assert not (second_of_two.folder / "runs").exists()


def test_so_is_the_python_entry(second_of_two: Lab) -> None:
    with pytest.raises(InputError, match="WORLD_SIZE=2"):
        gssl.run("tiny:Denoise", "graph.npz")
    assert not (second_of_two.folder / "runs").exists()


def test_who_only_looks_and_who_is_alone_may(second_of_two: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    second_of_two.gssl("list", "suites")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert second_of_two.run()["seeds"] == 1
