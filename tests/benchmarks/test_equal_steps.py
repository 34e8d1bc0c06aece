"""Settings at equal steps: each with its best rate, against the first, seed by seed."""

from pathlib import Path

import pytest
from scipy import stats

from gssl.benchmarks import equal_steps
from gssl.common.errors import InputError
from gssl.convergence.record import Point, Trajectory, append


def training(size: int, lr: float, seed: int, vals: tuple[float, ...], **changes: object) -> Trajectory:
    """Observed after 10, 20, ... updates, with losses 1 less the scores."""
    points = tuple(Point(step=10 * k, seconds=k, loss=1 - val, val=val) for k, val in enumerate(vals, 1))
    given: dict[str, object] = {
        **{"method": "BGRL", "dataset": "CS", "sampler": "graphsage", "batch_size": size, "lr": lr, "seed": seed},
        **{"clock": "cpu", "metric": "accuracy", "seconds": 0.001, "steps": 20, "observations": 2, "points": points},
        **{"config_hash": f"{size}-{lr}", "config": {}, "environment": {}},
    }
    return Trajectory.model_validate(given | changes)


FIRST, SECOND = ((0.5, 0.4), (0.6, 0.7), (0.4, 0.5)), ((0.6, 0.5), (0.65, 0.75), (0.55, 0.5))
FOUND = [
    *(training(256, 0.01, seed, vals) for seed, vals in enumerate(FIRST)),
    *(training(512, 0.01, seed, vals) for seed, vals in enumerate(SECOND)),
    *(training(512, 0.1, seed, (0.1, 0.9)) for seed in range(3)),
]


def test_the_rate_is_the_best_at_that_step_and_scores_are_kept_as_by_early_stopping() -> None:
    first, second = equal_steps.at_step(FOUND, 10), equal_steps.at_step(FOUND, 20)
    assert first["graphsage", 512].scores == {0: 0.6, 1: 0.65, 2: 0.55}
    assert second["graphsage", 512].scores == {0: 0.9, 1: 0.9, 2: 0.9}
    assert second["graphsage", 256].scores == {0: 0.5, 1: 0.7, 2: 0.5}, "the first seed was better before"
    assert second["graphsage", 256].losses == pytest.approx({0: 0.6, 1: 0.3, 2: 0.5}), "losses are those of the moment"


def test_what_ended_early_is_left_out() -> None:
    broken = training(1024, 0.01, 0, (0.5,), error="diverged")
    assert set(equal_steps.at_step([*FOUND, broken], 10)) == {("graphsage", 256), ("graphsage", 512)}
    assert "| graphsage | 1024 | none | none |" in equal_steps.report([*FOUND, broken])


def test_differences_are_paired_by_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append(tmp_path / "found.jsonl", [*FOUND[:3], *reversed(FOUND[3:])])
    equal_steps.main([str(tmp_path / "found.jsonl")])
    text = capsys.readouterr().out
    p = stats.ttest_rel([0.6, 0.65, 0.55], [0.5, 0.6, 0.4]).pvalue
    assert "BGRL on CS, 3 seeds" in text
    assert "| graphsage | 256 | 0.5000 ± 0.1000 | 0.5667 ± 0.1155 |" in text
    assert f"| graphsage | 512 | 0.6000 ± 0.0500 (+0.1000, p {p:.3f}) |" in text
    assert text.count("| sampler | batch | 10 steps | 20 steps |") == 2


def test_a_file_of_two_problems_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="but has 2"):
        equal_steps.report([FOUND[0], training(256, 0.01, 0, (0.1,), dataset="Cora")])
    with pytest.raises(InputError, match="but has 2"):
        equal_steps.report([FOUND[0], training(256, 0.01, 0, (0.1,), task="link")])
    with pytest.raises(SystemExit) as ended:
        equal_steps.main([str(tmp_path / "missing.jsonl")])
    assert ended.value.code == 2
    assert "but has 0" in capsys.readouterr().err
