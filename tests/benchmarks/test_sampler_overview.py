"""What the tables of samplers say together."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gssl.benchmarks import sampler_overview as so
from gssl.common.errors import InputError
from gssl.convergence.record import Point, Trajectory, append

MINVAR = "norms=online draw=fixed mix=0 floor=0.5"


def table(method: str, rows: dict[str, str]) -> str:
    """A file as ``time_to_accuracy`` writes it, the same at equal seconds and at equal steps."""
    parts = []
    for limit in ("8 s of processor time", "200 steps"):
        lines = [f"Best validation roc_auc within {limit}: {method} on Cora, 3 seeds", ""]
        lines += ["| sampler | batch | rate | validation | steps/s |", "| --- | --- | --- | --- | --- |"]
        lines += [f"| {sampler} | 256 | 0.001 | {score} | 7 |" for sampler, score in rows.items()]
        parts += [*lines, "| no training | | | 0.9900 ± 0.0000 | |", "", "Best by gradient norm less best without", ""]
    return "\n".join(parts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    first = {"graphsage fanouts=[5,5]": "0.8000 ± 0.0100", f"minvar+neighbor {MINVAR} fanouts=[5,5]": "0.8300 ± 0.0200"}
    mine = {**first, "mvs gamma=0.1": "0.7000 ± 0.0000", "lmc": "none", "labor": "0.9000 ± 0.0000"}
    other = {**first, "mvs gamma=0.3": "0.8500 ± 0.0000", "lmc": "0.8500 ± 0.0000"}
    (tmp_path / "GRACE-Cora.md").write_text(table("GRACE", mine), encoding="utf-8")
    (tmp_path / "BGRL-Cora.md").write_text(table("BGRL", other), encoding="utf-8")
    (tmp_path / "README.md").write_text("# Not a table\n", encoding="utf-8")
    return tmp_path


def test_a_file_is_read_as_it_is_written(folder: Path) -> None:
    read = so.read_tables((folder / "GRACE-Cora.md").read_text(encoding="utf-8"))
    assert set(read) == {"seconds", "steps"}
    name, scores = read["steps"]
    assert name == "GRACE, Cora"
    assert scores["mvs"] == 0.7, "options that differ from table to table are left out"
    assert scores["lmc"] is None
    assert len(scores) == 5, "what was not trained is no sampler"


def test_distances_are_to_the_best_of_each_table(folder: Path) -> None:
    tables = [so.read_tables(path.read_text(encoding="utf-8"))["seconds"][1] for path in sorted(folder.glob("*-*.md"))]
    found = so.distances(tables)
    assert "labor" not in found, "it is missing in one table"
    assert found["mvs"] == pytest.approx([0.0, -0.2])
    assert next(iter(found)).startswith("minvar+neighbor")
    assert list(found)[-1] == "lmc", "a gap comes last, however good the rest is"


def test_gains_are_of_one_propagation_with_its_options(folder: Path) -> None:
    tables = [so.read_tables(path.read_text(encoding="utf-8"))["seconds"][1] for path in sorted(folder.glob("*-*.md"))]
    (propagation, values), *rest = so.gains(tables).items()
    assert propagation == "neighbor fanouts=[5,5]"
    assert values == pytest.approx([0.03, 0.03])
    assert not rest


def test_draws_with_a_cost_are_compared_with_uniform_ones_too() -> None:
    scores = {f"minvar+exact {MINVAR}": 0.75, f"minvar+exact {MINVAR} cost=0.5 precompute=true": 0.8}
    found = so.gains([scores | {"uniform+exact": 0.7, "uniform+exact precompute=true": 0.5}])
    assert found == {
        "exact cost=0.5 precompute=true": [pytest.approx(0.3)],
        "exact": [pytest.approx(0.05)],
    }


def test_the_overview_stands_beside_the_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    so.main([str(folder)])
    text = (folder / "overview.md").read_text(encoding="utf-8")
    assert text == capsys.readouterr().out
    assert text.count("| lmc | +0.0000 | +0.0000 | none |") == 2
    so.main([str(folder)])
    assert (folder / "overview.md").read_text(encoding="utf-8") == text, "it does not read itself"


def test_a_folder_without_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        so.main([str(tmp_path)])
    assert end.value.code == 2
    assert "has no tables" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def training(sampler: str, seed: int, val: float, dataset: str = "Cora") -> Trajectory:
    points = (Point(step=3, seconds=6.0, loss=1.0, val=val), Point(step=9, seconds=7.0, loss=1.0, val=0.99))
    given = {"method": "GRACE", "dataset": dataset, "batch_size": 256, "lr": 0.01, "clock": "cpu", "metric": "accuracy"}
    plan = {"seconds": 6.0, "steps": 3, "config_hash": sampler, "config": {}, "environment": {}}
    return Trajectory.model_validate({**given, **plan, "sampler": sampler, "seed": seed, "points": points})


def test_leaders_are_tested_in_pairs_on_further_seeds(folder: Path) -> None:
    """Seeds differ by far more than samplers do, so only differences within a seed can tell."""
    assert so.confirmations(folder) == ""
    ours, theirs = f"minvar+neighbor {MINVAR} fanouts=[5,5]", "graphsaint"
    gains = [0.01, 0.012, 0.008, 0.0112]
    both = [training(theirs, seed, 0.1 * seed) for seed in (4, 5, 6, 7, 8)]  # the last has no partner
    both += [training(ours, seed, 0.1 * seed + gain) for seed, gain in enumerate(gains, 4)]
    append(folder / "GRACE-Cora-confirm.jsonl", both)
    header, _, row = so.confirmations(folder).splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["GRACE, Cora, 6 s", "minvar+neighbor fanouts=[5,5]", "graphsaint", "+0.0103"]
    low, _, high = cells[4].partition(" to ")
    interval = stats.t.interval(0.95, 3, np.mean(gains), stats.sem(gains))
    assert [float(low), float(high)] == pytest.approx(interval, abs=6e-5)
    assert cells[5] == "4 of 4"
    assert float(cells[6]) == pytest.approx(stats.ttest_1samp(gains, 0).pvalue, abs=6e-4)
    assert header.count("|") == row.count("|")
    assert row in so.overview(folder)


def test_a_method_is_tested_in_the_mean_over_its_graphs_too(folder: Path) -> None:
    """By seed: a seed that one of the graphs does not have is left out."""
    gains = {"Cora": [0.01, -0.004, 0.02], "CS": [0.03, 0.02, 0.05, 0.9]}
    for dataset, values in gains.items():
        ours = [training("mvs", seed, 0.1 * seed + gain, dataset) for seed, gain in enumerate(values, 4)]
        theirs = [training("labor", seed, 0.1 * seed, dataset) for seed in range(4, 4 + len(values))]
        append(folder / f"GRACE-{dataset}-confirm.jsonl", [*ours, *theirs])
    row = so.confirmations(folder).splitlines()[-1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    means = [0.02, 0.008, 0.035]
    assert cells[:2] == ["GRACE, 6 s: CS, Cora", "+0.0210"]
    assert cells[3] == "3 of 3"
    assert float(cells[4]) == pytest.approx(stats.ttest_1samp(means, 0).pvalue, abs=6e-4)


def test_a_test_is_of_one_sampler_of_each_kind(folder: Path) -> None:
    append(folder / "GRACE-Cora-confirm.jsonl", [training("graphsaint", 4, 0.5), training("labor", 4, 0.5)])
    with pytest.raises(InputError, match=r"GRACE-Cora-confirm\.jsonl must hold one"):
        so.confirmations(folder)


def test_one_seed_is_no_test(folder: Path) -> None:
    append(folder / "GRACE-Cora-confirm.jsonl", [training("graphsaint", 4, 0.5), training("mvs", 4, 0.5)])
    with pytest.raises(InputError, match="fewer than two seeds"):
        so.confirmations(folder)
