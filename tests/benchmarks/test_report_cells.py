"""What a page compares: cells and boards, what stands for a method, published numbers; commands that repeat a run."""

import argparse
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gssl.benchmarks.publications import published, read
from gssl.benchmarks.report.analysis import analyse, mark_of
from gssl.benchmarks.report.cautions import cautions
from gssl.benchmarks.report.cells import boards_of, cells_of
from gssl.benchmarks.report.command import commands
from gssl.benchmarks.report.comparable import chosen, lengths_of, seeds_of_suites, terms_of
from gssl.benchmarks.report.sample import row as make_row
from gssl.benchmarks.report.short_command import short_commands
from gssl.cli.request import request_of
from gssl.cli.run import COMMAND as RUN
from gssl.common.errors import InputError
from gssl.config.resolve import Subject, resolve
from gssl.datasets.catalog import find_spec
from gssl.results.cells import CellRow
from gssl.results.store import RunRow, Store

if TYPE_CHECKING:
    from conftest import Lab


def test_of_a_seed_the_newest_finished_row_counts() -> None:
    old = make_row(seed=0, test=0.1, date="2026-01-01", environment_hash="1")
    new = make_row(seed=0, test=0.2, date="2026-01-02", environment_hash="2")
    broken = make_row(seed=0, status="failed", test=None, date="2026-01-03", environment_hash="3")
    [cell] = cells_of([old, new, broken])
    assert cell.rows == (new,)
    assert set(cell.older) == {old, broken}
    [other] = cells_of([broken, make_row(seed=1)])
    assert other.status == "1 failed, 1 done"
    assert len(other.done) == 1


@pytest.mark.parametrize("field", ["config_hash", "dataset_checksum", "probe_version", "metric", "method", "probe"])
def test_what_makes_another_cell(field: str) -> None:
    changed = 2 if field == "probe_version" else "rmse" if field == "metric" else "other"
    assert len(cells_of([make_row(), replace(make_row(seed=1), **{field: changed})])) == 2  # type: ignore[arg-type]


def test_a_plug_in_that_was_changed_is_another_cell() -> None:
    changed = make_row(seed=1, environment_hash="f", environment='{"plugins": {"mine:M": "1234"}}')
    assert len(cells_of([make_row(), changed])) == 2


def test_only_like_is_compared_with_like() -> None:
    first = make_row("GRACE", seed=0, split_hash="one")
    same_split = make_row("BGRL", seed=0, split_hash="one")
    other_seed = make_row("DGI", seed=1, split_hash="two")  # random splits of another seed: nothing contradicts
    other_split = make_row("GAE", seed=0, split_hash="three")
    other_data = make_row("VGAE", seed=0, split_hash="one", dataset_checksum="x")
    boards = boards_of(cells_of([first, same_split, other_seed, other_split, other_data]))
    assert [[c.first.method for c in board.cells] for board in boards] == [["GRACE", "BGRL", "DGI"], ["GAE"], ["VGAE"]]
    options = make_row("GAE", config=json.dumps({"probe": {"name": "LBFGS", "l2": 1}}))
    assert len(boards_of(cells_of([first, options]))) == 2


def test_tasks_and_settings_have_boards_of_their_own() -> None:
    def finetuned(labels: float | None, **changes: object) -> RunRow:
        return make_row(setting="finetune", config=json.dumps({"setting": {"labels": labels}}), **changes)  # type: ignore[arg-type]

    rows = [
        make_row("GRACE"),
        make_row("supervised", setting="supervised"),  # a reference row stands beside the methods
        make_row("DGI", task="graph"),  # as node: of this dataset there is one kind
        finetuned(0.1, config_hash="1"),
        finetuned(0.01, config_hash="2"),
        finetuned(5, config_hash="3"),
        finetuned(None, config_hash="4"),
        make_row("supervised", setting="supervised", config=json.dumps({"setting": {"labels": 0.1}}), config_hash="5"),
        make_row("GAE", task="link", metric="roc_auc"),
        make_row("GAE", task="cluster", metric="nmi"),
    ]
    boards = {board.protocol.name: board for board in boards_of(cells_of(rows))}
    assert {name: [cell.first.method for cell in board.cells] for name, board in boards.items()} == {
        "LBFGS v1, accuracy": ["GRACE", "supervised", "DGI"],
        "LBFGS v1, accuracy, finetune, 10 % of the labels": ["GRACE", "supervised"],
        "LBFGS v1, accuracy, finetune, 1 % of the labels": ["GRACE"],
        "LBFGS v1, accuracy, finetune, 5 labels per class": ["GRACE"],
        "LBFGS v1, accuracy, finetune": ["GRACE"],
        "LBFGS v1, roc auc, link": ["GAE"],
        "LBFGS v1, nmi, cluster": ["GAE"],
    }
    other_data = make_row("GRACE", config=json.dumps({"setting": {"pretrain_on": "MOSES"}}), config_hash="6")
    assert list(standing_for([make_row("GRACE"), other_data])) == ["GRACE", "GRACE, pretrained on MOSES"]


def test_published_numbers_of_another_setting_are_not_ours(tmp_path: Path) -> None:
    block = "{method: GRACE, probe: LBFGS, metric: accuracy, status: verified, source: s, scores: {digits: [80, 1]}"
    (tmp_path / "x.yaml").write_text(f"results: [{block}, setting: finetune, labels: 0.1}}, {block}, task: link}}]")
    config = json.dumps({"setting": {"labels": 0.1}})
    rows = [make_row("GRACE"), make_row("GRACE", setting="finetune", config=config, config_hash="1")]
    frozen, finetuned = analyse(boards_of(cells_of(rows)), read(tmp_path / "x.yaml"))
    assert (frozen.entries[0].claims, frozen.unmatched) == ((), ())
    assert len(finetuned.entries[0].claims) == 1


def test_every_metric_of_a_cell_has_its_spread() -> None:
    rows = [
        make_row(seed=n, val=0.5, test=0.25 * n, metrics=json.dumps({"accuracy": [0.5, 0], "rmse": [None, 2.0 * n]}))
        for n in (1, 2)
    ]
    [cell] = cells_of(rows)
    assert [measure.title for measure in cell.metrics] == ["accuracy ↑", "rmse ↓"]
    (val, test), (no_val, error) = cell.metrics.values()
    assert val is not None
    assert test is not None
    assert error is not None
    assert (val.mean, test.mean, no_val, error.mean) == (0.5, 0.375, None, 3.0)  # the row's own score is what counts
    [mixed] = cells_of([rows[0], make_row(seed=2)])  # stored before there were several
    assert list(mixed.metrics.values())[1] == (None, None)
    [board] = boards_of([mixed])
    assert [measure.metric for measure in board.further] == ["rmse"]
    [failed] = cells_of([make_row(status="failed", test=None)])
    assert failed.metrics == {}


def test_the_test_score_does_not_choose_what_stands_for_a_method() -> None:
    lucky = make_row(config_hash="lucky", val=0.7, test=0.99)
    better = make_row(config_hash="better", val=0.8, test=0.5)
    sampled = make_row(config_hash="sampled", val=0.1, test=0.1, sampler="labor")
    assert standing_for([lucky, better, sampled]) == {"GRACE": "better", "GRACE + labor": "sampled"}
    errors = [make_row(config_hash=h, metric="rmse", val=v, test=1.0) for h, v in (("low", 0.5), ("high", 0.9))]
    assert standing_for(errors) == {"GRACE": "low"}


def standing_for(rows: list[RunRow], suite_seeds: int = 0) -> dict[str, str]:
    """Variant to the hash of the configuration that represents it on the only board."""
    [board] = boards_of(cells_of(rows))
    lengths = lengths_of(board)
    found = chosen(board, lengths, terms_of(board, lengths, suite_seeds))
    return {name: cell.first.config_hash for name, cell in found.items()}


def seeds(method: str, count: int, **changes: object) -> list[RunRow]:
    return [make_row(method, seed=n, **changes) for n in range(count)]  # type: ignore[arg-type]  # fields by name


def test_a_lucky_seed_is_no_headline() -> None:
    rows = [*seeds("GRACE", 3, val=0.8, test=0.8), make_row("GRACE", config_hash="lucky", val=0.99, test=0.99)]
    assert standing_for(rows) == {"GRACE": "a" * 16}
    [stats] = analyse(boards_of(cells_of([*rows, make_row("DGI", val=0.95, test=0.95)])), ())
    assert {(e.cell.first.config_hash, e.headline, e.lacks) for e in stats.chosen} == {
        ("a" * 16, True, ()),
        ("a" * 16, False, ("1 of 3 seeds",)),
    }
    assert stats.best is not None
    assert (stats.best.cell.first.method, stats.level_with_best) == (
        "GRACE",
        set(),
    )  # though DGI's test score is higher
    assert stats.entries[0].cell.first.config_hash == "lucky"  # it is still shown
    twenty = [*seeds("GRACE", 20), *seeds("DGI", 5)]
    [alone], [suite] = analyse(boards_of(cells_of(twenty)), ()), analyse(boards_of(cells_of(twenty)), (), {"digits": 5})
    assert [[e.cell.first.method for e in stats.headlines] for stats in (alone, suite)] == [["GRACE"], ["GRACE", "DGI"]]


def test_a_training_that_was_cut_is_no_headline_unless_the_others_were_too() -> None:
    whole, cut = make_row("GRACE", val=0.8), make_row("GRACE", config_hash="cut", epochs=5, val=0.9)
    assert standing_for([whole, cut, make_row("DGI")]) == {"GRACE": "a" * 16, "DGI": "a" * 16}
    [stats] = analyse(boards_of(cells_of([make_row("GRACE", epochs=5), make_row("DGI")])), ())
    assert {e.cell.first.method: e.lacks for e in stats.entries} == {"GRACE": ("5 of 200 epochs",), "DGI": ()}
    other = make_row("GRACE", config_hash="other")
    budget = [make_row(name, epochs=100) for name in ("GRACE", "DGI", "GAE")]
    [stats] = analyse(boards_of(cells_of([*budget, make_row("BGRL", epochs=50), make_row("VGAE"), other])), ())
    assert stats.terms.epochs == 100
    assert {(e.cell.first.method, e.lacks) for e in stats.entries if e.lacks} == {
        ("BGRL", ("50 of 300 epochs",)),
        ("VGAE", ("3000 epochs, others 100",)),
        ("GRACE", ("3000 epochs, others 100",)),
    }
    patient = json.dumps({"train": {"epochs": 900, "patience": 20}})
    [stats] = analyse(boards_of(cells_of([replace(make_row("DGI"), config=patient, epochs=300)])), ())
    assert stats.entries[0].headline  # more epochs would have changed nothing


def test_of_a_method_that_is_not_known_the_longest_training_is_whole() -> None:
    rows = [*seeds("mine:M", 2, epochs=50), *seeds("mine:M", 2, epochs=2, config_hash="short", val=0.9)]
    assert standing_for([*rows, make_row("mine:M", epochs=900, config_hash="once")]) == {"mine:M": "a" * 16}


def test_a_run_that_was_cut_is_not_off_the_published_number() -> None:
    rows = [make_row("GRACE", "Cora", n, epochs=3, probe="P1", test=0.5 + 0.001 * n) for n in range(5)]
    [stats] = analyse(boards_of(cells_of(rows)), published())
    assert (stats.entries[0].mark, stats.entries[0].length.cut) == ("short", "3 of 400 epochs")
    assert stats.entries[0].claims  # the number is still shown beside it


def test_a_result_below_untrained_rows_is_warned_of() -> None:
    rows = [make_row("raw", test=0.7), make_row("untrained", test=0.6), make_row("GRACE", test=0.65), make_row("DGI")]
    [stats] = analyse(boards_of(cells_of(rows)), ())
    warned = {e.cell.first.method: [c.kind for c in cautions(e, None)] for e in stats.entries}
    assert warned == {"DGI": [], "raw": [], "GRACE": ["below raw"], "untrained": []}
    [stats] = analyse(boards_of(cells_of([replace(row, metric="rmse") for row in rows])), ())
    assert [[c.kind for c in cautions(e, None)] for e in stats.entries if e.cell.first.method == "DGI"] == [
        ["below raw", "below untrained"]
    ]
    other_split = [make_row("raw", test=0.9, split_hash="x"), make_row("GRACE", test=0.5)]
    assert all(not e.below for stats in analyse(boards_of(cells_of(other_split)), ()) for e in stats.entries)


def test_suites_say_how_many_seeds_they_ask_for() -> None:
    base = {"spec": "", "status": "done", "message": "", "seconds": 0.0, "attempts": 1, "time_limit": None}
    rest = {"memory_limit": None, "date": "", "run_id": None}
    cells = [
        CellRow(key=f"{suite}{n}", suite=suite, method="GRACE", dataset="Cora", seed=n, **base, **rest)  # type: ignore[arg-type]
        for suite, count in (("small", 2), ("large", 4))
        for n in range(count)
    ]
    assert seeds_of_suites(cells) == {"Cora": 4}


def test_errors_are_ranked_from_the_lowest() -> None:
    rows = [make_row(name, metric="rmse", test=test) for name, test in (("DGI", 0.9), ("GRACE", 0.4), ("raw", 0.1))]
    [stats] = analyse(boards_of(cells_of(rows)), ())
    assert [entry.cell.first.method for entry in stats.entries] == ["raw", "GRACE", "DGI"]
    assert stats.best is not None
    assert stats.best.cell.first.method == "GRACE"  # a reference row is no winner


def test_a_difference_that_is_always_the_same_is_one() -> None:
    rows = [make_row(name, seed=seed, test=test) for name, test in (("DGI", 0.9), ("GRACE", 0.8)) for seed in range(10)]
    [stats] = analyse(boards_of(cells_of(rows)), ())
    assert stats.level_with_best == set()


def test_published_numbers_stand_beside_ours() -> None:
    rows = [make_row("GRACE", "Cora", seed, probe="P1", test=0.70 + 0.001 * seed) for seed in range(5)]
    rows += [make_row("DGI", "Cora", seed, probe="P1", test=0.82 + 0.002 * seed) for seed in range(5)]
    [stats] = analyse(boards_of(cells_of(rows)), published())
    marks = {entry.cell.first.method: entry.mark for entry in stats.entries}
    assert marks == {"DGI": "agrees", "GRACE": "below"}
    assert {"BGRL", "CCA-SSG"} <= {number.method for number in stats.unmatched}
    assert all(claim.published.probe == "P1" for entry in stats.entries for claim in entry.claims)
    [elsewhere] = analyse(boards_of(cells_of([make_row("GRACE", "Cora", probe="P3-GCA")])), published())
    assert elsewhere.entries[0].mark is None
    [one_seed] = analyse(boards_of(cells_of([make_row("GRACE", "Cora", probe="P2")])), published())
    assert one_seed.entries[0].mark == "unknown"  # micro-F1 of one label there is the accuracy here
    assert mark_of([]) is None


def test_published_numbers_keep_their_source_and_unit(tmp_path: Path) -> None:
    for number in published():
        assert 0.3 < number.mean < 1, number
        assert number.std is None or 0 <= number.std < 0.1
        assert number.source
    [grace] = [n for n in published() if (n.method, n.dataset, n.probe) == ("GraphMAE", "Cora", "P1")]
    assert grace.mean == pytest.approx(0.842)
    assert grace.std == pytest.approx(0.004)
    assert (grace.runs, grace.status) == (20, "verified")
    (tmp_path / "x.yaml").write_text("results: [{method: A, probe: P1, metric: accuracy, status: rumour, source: s}]")
    with pytest.raises(InputError, match=r"x\.yaml: entry 1: status"):
        read(tmp_path / "x.yaml")


def test_the_command_repeats_the_run(lab: "Lab") -> None:
    first = lab.run("--set", "noise=0.3", "--set", "train.lr=0.0123", "--seeds", "2", "--seed", "4")
    with Store(f"sqlite:///{lab.folder}/runs/results.db") as store:
        rows = store.rows()
    [line] = commands(json.loads(rows[0].config), [row.seed for row in rows])
    words = shlex.split(line)
    assert words[0] == "gssl"
    again = json.loads(lab.gssl(*words[1:], "--json")[0])
    assert again["config_hash"] == first["config_hash"]
    assert again["per_seed"] == first["per_seed"]


@pytest.mark.parametrize("how", [("--task", "cluster"), ("--setting", "finetune", "--labels", "0.5")])
def test_the_command_repeats_task_and_setting(lab: "Lab", how: tuple[str, ...]) -> None:
    first = lab.run(*how)
    with Store(f"sqlite:///{lab.folder}/runs/results.db") as store:
        [row] = store.rows()
    assert row.config_hash == first["config_hash"]
    [line] = commands(json.loads(row.config), [row.seed])
    again = json.loads(lab.gssl(*shlex.split(line)[1:], "--json")[0])
    assert (again["config_hash"], again["metrics"]) == (first["config_hash"], first["metrics"])
    assert (row.task, row.setting) == (first["task"], first["setting"])


def test_an_encoder_from_other_data_stands_beside_one_from_scratch(lab: "Lab") -> None:
    size = ("--set", "encoder.hidden_dim=4", "--epochs", "1", "--probe", "LBFGS", "--seeds", "2")
    lab.gssl("run", "tiny:Denoise", "digit-graphs", *size)
    lab.gssl("run", "tiny:Denoise", "digit-graphs", *size, "--pretrain-on", "digit-graphs")
    with Store(f"sqlite:///{lab.folder}/runs/results.db") as store:
        [stats] = analyse(boards_of(cells_of(store.rows())), ())
    assert {entry.cell.variant for entry in stats.chosen} == {
        "tiny:Denoise",
        "tiny:Denoise, pretrained on digit-graphs",
    }
    assert [comparison.pairs for comparison in stats.comparisons] == [2]


@pytest.mark.parametrize(
    ("asked", "short"),
    [
        ("GRACE Cora", "GRACE Cora"),
        ("GRACE Cora --epochs 7 --seeds 3", "GRACE Cora --epochs 7 --seeds 3"),
        ("GRACE Cora --preset Cora-P2 --seed 4", "GRACE Cora --preset Cora-P2 --seed 4"),
        ("GRACE Cora --preset none --set temperature=0.2 --seeds 2", None),
        ("GRACE Cora --set drop_edge=[0.1,0.2] --set encoder.activation=prelu", None),
        ("GRACE Cora --encoder SAGE --sampler minvar+labor --batch-size 64", None),
        ("GAE Cora --task link", "GAE Cora --task link"),
        ("GRACE Cora --setting finetune --labels 0.1", "GRACE Cora --setting finetune --labels 0.1"),
        ("GraphMAE Cora --probe LBFGS --set train.schedule=cosine --set train.patience=9", None),
        ("InfoGraph MUTAG --set encoder.num_layers=4", "InfoGraph MUTAG --set encoder.num_layers=4"),
    ],
)
def test_the_short_command_is_the_preset_and_what_differs(asked: str, short: str | None) -> None:
    row = stored(asked)
    [line] = short_commands(row, json.loads(row.config), json.loads(row.config)["seeds"])
    assert short is None or line == f"gssl run {short}"
    assert stored(line.removeprefix("gssl run ")).config_hash == row.config_hash
    assert len(shlex.split(line)) <= len(f"gssl run {asked}".split())


def test_there_is_no_short_command_of_what_cannot_be_known() -> None:
    row = stored("GRACE Cora")
    config = json.loads(row.config)
    assert short_commands(replace(row, config_hash="another version"), config, [0]) == []
    assert short_commands(replace(row, method="os:system"), config, [0]) == []
    assert short_commands(row, config | {"encoder": {"name": "os:system"}}, [0]) == []
    assert short_commands(row, {}, [0]) == []
    assert short_commands(row, config | {"train": None}, [0]) == []


def stored(line: str) -> RunRow:
    """The row that a command line of ``gssl run`` would leave."""
    args = argparse.ArgumentParser()
    RUN.add_arguments(args)
    found = args.parse_args(shlex.split(line))
    spec = find_spec(found.dataset)
    assert spec is not None
    config = resolve(request_of(found), Subject(spec.name, spec.name, spec.level, spec.probe))
    text = json.dumps(config.mapping())
    return make_row(
        config.method.name,
        config.dataset,
        config_hash=config.hash,
        preset=config.preset or "",
        config=text,
        sampler=config.sampler.name,
    )


def test_seeds_with_gaps_take_several_commands() -> None:
    config = {"dataset": "x y", **{kind: {"name": "A"} for kind in ("method", "encoder", "sampler", "probe")}}
    found = commands(config, [0, 1, 5])
    assert [shlex.split(line)[-2:] for line in found] == [["--seeds", "2"], ["--seed", "5"]]
    assert shlex.split(found[0])[3] == "x y"
    assert commands({}, [0]) == []


def test_the_short_command_of_own_data_repeats_the_run(lab: "Lab") -> None:
    first = lab.run(method="GRACE")
    with Store(f"sqlite:///{lab.folder}/runs/results.db") as store:
        [row] = store.rows()
    [line] = short_commands(row, json.loads(row.config), [row.seed])
    assert line == f"gssl run GRACE {lab.folder}/graph.npz --probe LBFGS --set encoder.hidden_dim=8 --epochs 5"
    again = json.loads(lab.gssl(*shlex.split(line)[1:], "--json")[0])
    assert (again["config_hash"], again["per_seed"]) == (first["config_hash"], first["per_seed"])
