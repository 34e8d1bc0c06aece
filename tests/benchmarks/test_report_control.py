"""What can be told from the untrained encoder, against SciPy's paired test."""

import pytest
from scipy.stats import ttest_rel

from gssl.benchmarks.report.analysis import analyse
from gssl.benchmarks.report.cells import boards_of, cells_of
from gssl.benchmarks.report.control import by_finding
from gssl.benchmarks.report.sample import row
from gssl.results.store import RunRow

FLOOR = (0.70, 0.72, 0.69, 0.71, 0.73)
SCORES = {
    "GRACE": (0.81, 0.82, 0.80, 0.81, 0.84),
    "DGI": (0.60, 0.61, 0.60, 0.60, 0.63),
    "GAE": (0.69, 0.74, 0.68, 0.72, 0.73),
    "untrained": FLOOR,
    "raw": (0.5,) * 5,
}


def rows(metric: str = "accuracy") -> list[RunRow]:
    return [
        row(method, seed=seed, test=score, val=score, metric=metric)
        for method, scores in SCORES.items()
        for seed, score in enumerate(scores)
    ]


def test_each_method_has_its_finding_and_references_have_none() -> None:
    (stats,) = analyse(boards_of(cells_of(rows())), ())
    found = {one.cell.first.method: one for one in stats.told}
    assert list(found) == ["GRACE", "GAE", "DGI"]  # best first
    assert {name: one.finding for name, one in found.items()} == {
        "GRACE": "better",
        "DGI": "worse",
        "GAE": "not told apart",
    }
    p = {name: ttest_rel(SCORES[name], FLOOR).pvalue for name in found}
    assert found["GAE"].p == pytest.approx(p["GAE"])  # the largest is not multiplied
    smallest = min(("GRACE", "DGI"), key=p.__getitem__)
    assert found[smallest].p == pytest.approx(3 * p[smallest])
    assert by_finding(stats.told)["worse"] == [found["DGI"].cell.variant]


def test_lower_errors_are_better() -> None:
    (stats,) = analyse(boards_of(cells_of(rows("rmse"))), ())
    assert next((one.cell.first.method, one.finding) for one in stats.told) == ("DGI", "better")


def test_one_seed_is_no_test() -> None:
    (stats,) = analyse(boards_of(cells_of([one for one in rows() if one.seed == 0])), ())
    assert {one.finding for one in stats.told} == {"no test"}
    assert not any(by_finding(stats.told).values())


def test_without_the_untrained_encoder_nothing_is_said() -> None:
    (stats,) = analyse(boards_of(cells_of([one for one in rows() if one.method != "untrained"])), ())
    assert stats.told == ()
