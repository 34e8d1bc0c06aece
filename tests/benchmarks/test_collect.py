"""Committed results: rows, tables, the runner of command lists."""

import json
from pathlib import Path

import numpy as np
import pytest

from gssl.benchmarks import collect as collecting
from gssl.benchmarks.collect import collect, read_commands, run_command
from gssl.benchmarks.readme import ROOT, results_table
from gssl.benchmarks.rows import ResultRow, parse_row, read_rows, table_cells
from gssl.common.errors import InputError, TrainingError

ROW = {
    "method": "DGI",
    "dataset": "Cora",
    "probe": "P1",
    "metric": "accuracy",
    "val_mean": 0.8,
    "val_std": 0.01,
    "test_mean": 0.82,
    "test_std": 0.005,
    "seeds": 5,
    "epochs": 200,
    "pretrain_seconds": 12.3,
    "peak_memory_mb": 512.0,
    "split_hash": "abc",
}


def row(**changes: object) -> ResultRow:
    return ResultRow.model_validate({**ROW, **changes})


def test_a_row_keeps_what_tables_do_not_show() -> None:
    parsed = parse_row(json.dumps(ROW), where="here")
    assert json.loads(parsed.model_dump_json())["split_hash"] == "abc"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "here: Invalid JSON"),
        (json.dumps({k: v for k, v in ROW.items() if k != "test_mean"}), "here: test_mean: Field required"),
        (json.dumps({**ROW, "seeds": "five"}), "here: seeds: .*integer"),
    ],
)
def test_a_broken_row_is_refused(line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_row(line, where="here")


def test_a_broken_file_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text(json.dumps(ROW) + "\n\n{}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"some\.jsonl:3: "):
        read_rows(path)


def test_tables_put_the_best_first_within_a_dataset() -> None:
    cells = table_cells(
        [
            row(method="raw", test_mean=0.5),
            row(method="A", dataset="ZINC", metric="mae", test_mean=0.7),
            row(method="DGI", test_mean=0.82),
            row(method="B", dataset="ZINC", metric="mae", test_mean=0.4),
        ]
    )
    assert [(line[0], line[1]) for line in cells] == [("Cora", "DGI"), ("Cora", "*raw*"), ("ZINC", "B"), ("ZINC", "A")]
    assert cells[0][3] == "82.0 ± 0.5"
    assert cells[2][3] == "0.400 ± 0.005"


def test_command_lists_hold_run_commands_only(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# a comment\n\ngssl run DGI Cora --seeds 5  # five\n", encoding="utf-8")
    assert read_commands(path) == ["gssl run DGI Cora --seeds 5"]
    path.write_text("gssl run DGI Cora\nrm -rf x\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"list\.txt:2: expected"):
        read_commands(path)


def test_collecting_continues_where_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def pretend(command: str, *, folder: Path, threads: int | None = None) -> ResultRow:
        asked.append(command)
        if "BROKEN" in command and len(asked) < 4:
            raise TrainingError(f"{command} ended with exit code 1: the loss is nan")
        return row(method=command.split()[2], command=command)

    monkeypatch.setattr(collecting, "run_command", pretend)
    commands = ["gssl run A Cora", "gssl run BROKEN Cora", "gssl run B Cora"]
    results = tmp_path / "results.jsonl"
    with pytest.raises(TrainingError, match="BROKEN Cora ended with exit code 1: the loss is nan"):
        collect(commands, results, folder=tmp_path)
    assert {r.method for r in read_rows(results)} == {"A", "B"}, "the rows of the others are kept"
    rows = collect(commands, results, folder=tmp_path)
    assert [r.method for r in rows] == ["A", "BROKEN", "B"], "in the order of the commands"
    assert asked[3:] == ["gssl run BROKEN Cora"], "only what is missing runs again"


def test_a_real_command(tmp_path: Path) -> None:
    command = "gssl run untrained digits --set encoder.hidden_dim=16 --seeds 1"
    found = run_command(command, folder=tmp_path, threads=1)
    assert (found.method, found.dataset, found.command) == ("untrained", "digits", command)
    assert 0.5 < found.test_mean <= 1
    assert (tmp_path / found.run_dir / "result.json").is_file(), "the run is in the folder, and its name is kept"
    assert "/" not in found.run_dir
    extra = found.model_extra or {}
    assert extra["config"]["method"]["name"] == found.method
    assert extra["environment"]["libraries"]["torch"], "the versions stand in the row"


def test_no_row_says_where_a_file_was(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    file = tmp_path / "own.npz"
    np.savez(file, edge_index=rng.integers(0, 40, (2, 99)), x=rng.normal(size=(40, 3)), y=np.arange(40) % 2)
    found = run_command(f"gssl run raw {file} --seeds 1", folder=tmp_path, threads=1)
    assert (found.model_extra or {})["config"]["dataset"] == "own.npz"


def test_a_real_failure_says_why(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"exit code 2: .*did you mean 'GRACE'"):
        run_command("gssl run GRACEE digits", folder=tmp_path)


def test_committed_results_are_whole_and_made_by_their_commands() -> None:
    folder = ROOT / "benchmarks" / "results"
    for path in folder.glob("*.jsonl"):
        commands = read_commands(path.with_suffix(".txt"))
        made_by = [r.command for r in read_rows(path)]
        assert sorted(made_by) == sorted(commands), f"{path.name} and its list of commands disagree"


def test_results_appear_in_the_readme(tmp_path: Path) -> None:
    assert results_table(tmp_path) == "No results are committed yet."
    (tmp_path / "small.jsonl").write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    table = results_table(tmp_path)
    assert "| Cora | DGI | accuracy | 82.0 ± 0.5 |" in table
    assert "benchmarks/results/small.txt" in table
