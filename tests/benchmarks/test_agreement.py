"""Own results against print: which figures are compared, and that every large gap says what was tried."""

from pathlib import Path

import pytest

from gssl.benchmarks.agreement import Agreement, Tried, agreements, attempts, committed
from gssl.benchmarks.measured import Measured
from gssl.benchmarks.publications import Published
from gssl.common.errors import InputError

ROW = Measured(
    method="M", dataset="D", probe="P1", metric="accuracy", task="node", setting="frozen", encoder="GCN", preset="D",
    mean=0.8, std=0.01, seeds=3, epochs=1, seconds=1.0, file="cora.jsonl",
)  # fmt: skip
PRINT = Published(
    method="M", dataset="D", probe="P1", metric="accuracy", mean=0.805, std=None, runs=None, status="verified",
    source="paper", note="", task="", setting="frozen", labels=None,
)  # fmt: skip


def key(cell: Agreement | Tried) -> tuple[str, ...]:
    return cell.method, cell.dataset, cell.probe, cell.task, cell.setting


def test_every_gap_of_more_than_a_point_says_what_was_tried() -> None:
    off = {key(cell) for cell in committed() if not cell.within}
    said = {key(one) for one in attempts()}
    assert not off - said, "say in benchmarks/results/gaps.yaml what was tried about these"
    assert not said - off, "these are within a point, or not measured"


def test_the_same_protocol_is_compared() -> None:
    (cell,) = agreements([ROW], [PRINT])
    assert (cell.gap, cell.within, cell.task) == (pytest.approx(-0.005), True, "")
    for change in ({"probe": "P2"}, {"task": "link"}, {"setting": "finetune"}, {"labels": 0.1}, {"metric": "micro_f1"}):
        assert not agreements([ROW], [PRINT.model_copy(update=change)])


def test_figures_read_at_their_source_go_before_higher_ones() -> None:
    prints = [PRINT.model_copy(update={"mean": m, "status": s}) for m, s in ((0.9, "second-hand"), (0.79, "verified"))]
    assert agreements([ROW], [*prints, PRINT])[0].print == 0.805
    assert agreements([ROW], prints[:1])[0].print == 0.9


def test_the_catalogue_goes_before_more_seeds_and_defaults_do_not_count() -> None:
    def row(**change: object) -> Measured:
        return ROW.model_copy(update=change)

    others = [row(mean=0.7, seeds=9), row(mean=0.6, seeds=2), row(mean=0.5, seeds=99, preset="default")]
    assert agreements([*others, row(mean=0.81, file="catalogue/a.csv")], [PRINT])[0].mean == 0.81
    assert agreements(others, [PRINT])[0].mean == 0.7


def test_a_gap_without_words_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "gaps.yaml"
    file.write_text("gaps: [{method: M, dataset: D, probe: P1, tried: no}]")
    with pytest.raises(InputError, match=r"gaps\.yaml: tried"):
        attempts(file)
