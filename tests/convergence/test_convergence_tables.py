"""Which settings are shown, how failures look, and what the curves are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gssl.common.errors import InputError
from gssl.convergence.plot import check, draw, mean_curve
from gssl.convergence.record import Point, Trajectory
from gssl.convergence.summary import candidates, chosen

Make = Callable[..., Trajectory]


def curve(*values: tuple[int, float, float]) -> tuple[Point, ...]:
    """Points from steps, seconds and scores."""
    return tuple(Point(step=step, seconds=seconds, loss=1.0, val=val) for step, seconds, val in values)


def test_each_sampler_is_judged_at_its_own_best_setting(training: Make) -> None:
    found = candidates(
        [
            training(sampler="a", lr=0.1, points=curve((0, 0, 0.5), (10, 4, 0.6))),
            training(sampler="a", lr=0.2, points=curve((0, 0, 0.1), (10, 9, 0.9))),  # late, but good
            training(sampler="b", lr=0.1, points=curve((0, 0, 0.7), (20, 4, 0.8))),  # good after the planned steps
        ]
    )
    assert [(s.sampler, s.lr, s.score("seconds").mean) for s in chosen(found, "seconds")] == [  # type: ignore[union-attr]
        ("b", 0.1, 0.8),
        ("a", 0.1, 0.6),
    ]
    assert [(s.sampler, s.lr, s.score("steps").mean) for s in chosen(found, "steps")] == [  # type: ignore[union-attr]
        ("a", 0.2, 0.9),
        ("b", 0.1, 0.7),
    ]


def test_seeds_are_averaged(training: Make) -> None:
    (setting,) = candidates([training(seed=i, points=curve((0, 0, v), (8, 4, 0.0))) for i, v in enumerate((0.2, 0.4))])
    assert setting.at_steps is not None
    assert setting.at_steps.seeds == 2
    assert setting.at_steps.mean == pytest.approx(0.3)
    assert setting.at_steps.std == pytest.approx(np.std([0.2, 0.4], ddof=1))
    assert setting.steps_per_second == pytest.approx(2.0)
    assert str(setting.at_steps) == "0.3000 ± 0.1414"


def test_a_setting_that_fails_gives_way_to_one_that_does_not(training: Make) -> None:
    good_until_it_failed = training(lr=1.0, error="diverged", points=curve((0, 0, 0.9)))
    found = candidates([good_until_it_failed, training(lr=0.01, points=curve((0, 0, 0.3)))])
    assert [s.failed for s in found] == [1, 0]
    assert [s.lr for s in chosen(found, "seconds")] == [0.01]
    assert [s.lr for s in chosen(found[:1], "seconds")] == [1.0], "better than nothing"


def test_a_sampler_without_any_score_is_shown_last(training: Make) -> None:
    lost = training(sampler="lost", error="diverged", points=())
    half = [training(sampler="half", seed=0), training(sampler="half", seed=1, points=())]
    found = candidates([lost, *half, training(sampler="bad", points=curve((0, 0, -3.0)))])
    assert [s.sampler for s in chosen(found, "seconds")] == ["bad", "lost", "half"]
    assert all(s.score("seconds") is None for s in chosen(found, "seconds")[1:])


def test_mean_curves_are_straight_between_observations() -> None:
    first = curve((0, 0, 0.0), (10, 1, 1.0))
    second = curve((0, 0.5, 0.0), (5, 1, 0.0), (20, 3, 0.6))
    at, mean = mean_curve([first, second], "steps", "val")
    assert at.tolist() == [0, 5, 10]
    assert mean.tolist() == pytest.approx([0, (0.5 + 0.0) / 2, (1.0 + 0.2) / 2])
    at, _ = mean_curve([first, second], "seconds", "val")
    assert at.tolist() == [0.5, 1]
    assert len(mean_curve([first, ()], "steps", "val")[0]) == 0
    assert len(mean_curve([first], "steps", "gradient_error")[0]) == 0


def test_the_picture_has_a_row_for_all_that_was_observed(training: Make, tmp_path: Path) -> None:
    points = tuple(p.model_copy(update={"gradient_error": 0.5}) for p in curve((0, 0, 0.2), (10, 5, 0.4)))
    lost = training(sampler="lost", error="diverged", points=())
    for name, group, titles in (
        ("three.svg", [training(points=points), lost], ("loss of a batch", "validation score", "gradient error")),
        ("two.svg", [training(sampler="one", points=curve((0, 0, 0.2)))], ("loss of a batch", "validation score")),
    ):
        draw(group, tmp_path / name, title="a title")
        text = (tmp_path / name).read_text(encoding="utf-8")
        for title in ("a title", "steps", "seconds (wall)", *titles):
            assert f"<!-- {title} -->" in text
        assert ("<!-- gradient error -->" in text) == (len(titles) == 3)


def test_the_picture_shows_the_settings_that_were_kept(training: Make, tmp_path: Path) -> None:
    points = curve((0, 0, 0.2), (10, 5, 0.4))
    group = [training(sampler=name, lr=lr, points=points) for name in ("one", "two") for lr in (0.5, 0.25)]
    size = group[0].batch_size
    draw(group, tmp_path / "kept.svg", title="", kept={"steps": {("one", size, 0.25)}, "seconds": {("two", size, 0.5)}})
    text = (tmp_path / "kept.svg").read_text(encoding="utf-8")
    shown = [f"<!-- {name}, {size}, {lr} -->" in text for name, lr in (("one", 0.25), ("one", 0.5), ("two", 0.5))]
    assert shown == [True, False, True]


def test_pictures_that_cannot_be_drawn_are_known_before_the_work(tmp_path: Path) -> None:
    check(tmp_path / "fine.png")
    with pytest.raises(InputError, match=r"must end with one of .*png.*svg"):
        check(tmp_path / "curves.xyz")
    with pytest.raises(InputError, match="there is no folder"):
        check(tmp_path / "nowhere" / "curves.svg")
