"""Files of trainings: what a kill leaves behind, and what is not repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gssl.common.errors import InputError
from gssl.convergence.record import Trajectory, append, read

Make = Callable[..., Trajectory]


def test_what_is_written_is_read(tmp_path: Path, training: Make) -> None:
    path = tmp_path / "new" / "trainings.jsonl"
    assert read(path) == []
    append(path, [training(), training(seed=1, error="diverged", points=())])
    append(path, [training(seed=2)])
    assert [t.seed for t in read(path)] == [0, 1, 2]
    assert read(path)[0] == training()


@pytest.mark.parametrize("cut", [1, 30, 10**6])
def test_a_line_that_was_cut_off_does_not_count_and_is_removed(tmp_path: Path, training: Make, cut: int) -> None:
    """A process that is killed while it writes leaves a part of a line."""
    path = tmp_path / "trainings.jsonl"
    append(path, [training()])
    line = json.dumps(training(seed=1).model_dump(mode="json"))
    with path.open("a") as file:
        file.write(line[:cut])
    assert [t.seed for t in read(path)] == [0]
    append(path, [training(seed=2)])
    assert [t.seed for t in read(path)] == [0, 2]
    assert path.read_text().count("\n") == 2


def test_nothing_but_a_cut_off_line(tmp_path: Path) -> None:
    path = tmp_path / "trainings.jsonl"
    path.write_text('{"method": "GR')
    append(path, [])
    assert path.read_text() == ""


def test_foreign_lines_are_refused_with_their_place(tmp_path: Path, training: Make) -> None:
    path = tmp_path / "trainings.jsonl"
    append(path, [training()])
    with path.open("a") as file:
        file.write('{"method": "GRACE"}\n')
    with pytest.raises(InputError, match=r"trainings.jsonl:2 is not the record of a training"):
        read(path)


def test_places_that_are_no_files(tmp_path: Path, training: Make) -> None:
    with pytest.raises(InputError, match="name another file with --out"):
        read(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="name another file with --out"):
        append(tmp_path / "file" / "below", [training()])


@pytest.mark.parametrize(
    "change",
    [
        {"config_hash": "xyz"},
        {"seed": 1},
        {"clock": "cpu"},
        {"seconds": 6.0},
        {"steps": 11},
        {"observations": 3},
        {"measured": True},
    ],
    ids=str,
)
def test_another_plan_is_another_experiment(change: dict[str, Any], training: Make) -> None:
    assert training(**change).key != training().key
    assert training(points=(), environment={"host": 1}).key == training().key


def test_best_scores_are_of_the_points_within_the_plan(training: Make) -> None:
    assert training().best(by="steps") == pytest.approx(0.2)
    assert training().best(by="seconds") == pytest.approx(0.4)  # seconds 0, 2 and 4 of 5
    assert training(seconds=3.9).best(by="seconds") == pytest.approx(0.4)  # 4.0 is the update during which it came
    assert training(points=()).best(by="steps") is None
