"""What the tables of samplers say together."""

from pathlib import Path

import pytest

from gssl.benchmarks import sampler_overview as so

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
