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


def test_what_was_varied_is_no_other_problem_and_everything_else_is(training: Make) -> None:
    config = {"sampler": {"name": "mvs"}, "train": {"lr": 0.1, "optimizer": "adam"}, "encoder": {"hidden_dim": 8}}
    first = training(config=config)
    varied = {**config, "sampler": {"name": "gas"}, "train": {"lr": 0.2, "optimizer": "adam"}, "seeds": [3]}
    assert training(config=varied, seed=3, lr=0.2, sampler="gas").problem == first.problem
    others = [
        training(config=config, task="link"),
        training(config=config, setting="auxiliary"),
        training(config={**config, "encoder": {"hidden_dim": 16}}),
        training(config={**config, "train": {"lr": 0.1, "optimizer": "sgd"}}),
        training(config=config, probe_items=9),
    ]
    assert len({first.problem, *(other.problem for other in others)}) == 6


@pytest.mark.parametrize(("method", "setting"), [("GRACE", "frozen"), ("supervised", "supervised")])
def test_lines_of_before_have_the_task_and_the_setting_of_then(
    tmp_path: Path, training: Make, method: str, setting: str
) -> None:
    path = tmp_path / "trainings.jsonl"
    line = training(method=method).model_dump(mode="json", exclude={"task", "setting"})
    path.write_text(json.dumps(line) + "\n")
    assert (read(path)[0].task, read(path)[0].setting) == ("node", setting)
