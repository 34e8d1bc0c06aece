"""The page: what it says, and what it does with bad input."""

import csv
import json
import re
import sqlite3
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gssl.benchmarks.report.bibtex import entry_of
from gssl.benchmarks.report.extras import read_extras
from gssl.benchmarks.report.folders import projection, run_files
from gssl.benchmarks.report.labels import broken, text_width
from gssl.benchmarks.report.sample import HOSTILE, search
from gssl.benchmarks.report.sample import row as make_row
from gssl.benchmarks.report.search_page import read_search
from gssl.benchmarks.report.search_pictures import importances
from gssl.benchmarks.report.site import write_report
from gssl.benchmarks.report.svg import Scale, scale_for, tag
from gssl.benchmarks.report.text import slug
from gssl.cli.main import main
from gssl.common.errors import InputError
from gssl.convergence.record import Trajectory, append
from gssl.registry import METHODS
from gssl.results import database
from gssl.results.store import Store


class Links(HTMLParser):
    """What a page refers to and which places in it have a name."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.names: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.targets += [str(values[key]) for key in ("href", "src") if values.get(key) is not None]
        if values.get("id"):
            self.names.append(str(values["id"]))


def packed(page: Path) -> tuple[list[str], list[list[str]]]:
    """Heads and texts of the table of a page."""
    text = page.read_text()
    [rows] = re.findall(r'class="rows">(.*?)</script>', text, re.DOTALL)
    return re.findall(r'data-title="([^"]+)"', text), [[item[0] for item in items] for _, *items in json.loads(rows)]


def test_further_metrics_are_columns_of_a_board_and_rows_of_a_run(site: Path) -> None:
    [board] = [path for path in (site / "boards").iterdir() if "link" in path.name]
    heads, rows = packed(board)
    assert heads[:6] == ["method", "test roc auc ↑", "95 % interval", "validation", "average precision ↑", "hits@50 ↑"]
    assert [row[0] for row in rows] == ["GAE", "DGI"]  # by the first metric, though DGI has more hits
    assert [row[5] for row in rows] == ["50.00 ± 0.00", "60.00 ± 0.00"]
    assert "Dot v1, roc auc, link" in board.read_text()
    runs = [path.read_text() for path in (site / "runs").iterdir()]
    [run] = [text for text in runs if "<title>GAE on csbm" in text and "roc auc, link" in text]
    row = r"average precision</th><td>higher is better</td><td class=.number.>81.00 ± 1.00</td><td[^>]*>–"
    assert re.search(row, run)
    [few] = [path for path in (site / "boards").iterdir() if "finetune" in path.name]
    assert "10 % of the labels" in few.read_text()
    assert sorted(row[0] for row in packed(few)[1]) == ["GRACE", "supervised"]
    assert "test" in packed(site / "results.html")[0]


def test_the_page_gives_its_results_to_other_programs(site: Path) -> None:
    lines = json.loads((site / "results.json").read_text())
    [gae] = [line for line in lines if line["task"] == "link" and line["method"] == "GAE"]
    assert list(gae["metrics"]) == ["roc_auc", "average_precision", "hits@50"]
    assert gae["metrics"]["average_precision"]["test_mean"] == pytest.approx(0.81)
    assert gae["metrics"]["average_precision"]["val_mean"] is None
    with (site / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(lines)
    [same] = [line for line in table if line["task"] == "link" and line["method"] == "GAE"]
    assert float(same["average_precision_test_mean"]) == gae["metrics"]["average_precision"]["test_mean"]
    assert same["macro_f1_test_mean"] == ""
    assert any(HOSTILE in line["method"] for line in table)
    for name in ("results.csv", "seeds.csv"):
        with (site / name).open(newline="") as file:
            cells = [cell for line in csv.reader(file) for cell in line]
        assert "'=cmd|' /C calc'!A0" in cells
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t"))]
    with (site / "seeds.csv").open(newline="") as file:
        seeds = [line for line in csv.DictReader(file) if line["method"] == "GAE" and line["protocol"].endswith("link")]
    assert [float(line["test"]) for line in seeds] == pytest.approx([0.9, 0.91, 0.92])


def test_papers_are_given_as_bibtex(site: Path) -> None:
    text = (site / "references.bib").read_text()
    assert "@misc{zhu2020deep,\n  title = {{Deep Graph Contrastive Representation Learning}},\n" in text
    assert text.count("@misc{kipf2016variational,") == 1
    assert text.startswith("@misc{gssl,")
    assert "@misc{hou2022graphmae" in (site / "methods" / "GraphMAE.html").read_text()
    mine = entry_of("mine:My Method", "50 % better {truly} (Doe, 2030, arXiv:3001.00001).")
    assert mine.startswith("@misc{mine-My-Method,\n  note = {50 \\% better \\{truly\\} ")
    assert "eprint = {3001.00001}" in mine
    assert entry_of("raw", "The input features themselves.") == ""


def test_every_paper_that_a_method_names_is_known() -> None:
    summaries = {name: METHODS.summary(name) for name in METHODS.names()}
    unknown = [
        n for n, text in summaries.items() if ("arXiv:" in text or "doi:" in text) and "note" in entry_of(n, text)
    ]
    assert unknown == []  # add them to benchmarks/report/references.yaml


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = {path.relative_to(site).as_posix(): Links(path.read_text()) for path in site.rglob("*.html")}
    assert {"index.html", "results.html", "methods.html", "about.html", "samplers.html"} <= set(pages)
    broken = []
    for name, page in pages.items():
        embedded = re.findall(r'"((?:\.\./)?(?:runs|boards|methods)/[^"]+)"', (site / name).read_text())
        for target in [*page.targets, *embedded]:
            assert not re.match(r"https?:|//|javascript:", target), f"{name} leads out to {target}"
            file, _, anchor = target.partition("#")
            file = file.partition("?")[0]
            if target.startswith("data:"):
                continue
            where = name if not file else ((site / name).parent / file).resolve().relative_to(site.resolve()).as_posix()
            known = pages.get(where)
            if not (site / where).is_file() or (anchor and known is not None and anchor not in known.names):
                broken.append(f"{name} -> {target}")
        assert len(page.names) == len(set(page.names)), f"{name} uses an id twice"
    assert not broken, broken[:20]


def test_hostile_text_stays_text(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text()
        page = Links(text)
        assert "img" not in page.tags, path
        assert "<script>window" not in text, path
        scripts = re.findall(r"<script[^>]*>", text)
        assert all("src=" in script or "application/json" in script for script in scripts), path
    everything = json.loads(
        re.findall(r'class="rows">(.*?)</script>', (site / "results.html").read_text(), re.DOTALL)[0]
    )
    assert any("<script>window" in str(row) for row in everything)  # it is there, as data
    assert all(path.resolve().is_relative_to(site.resolve()) for path in site.rglob("*"))


def test_the_front_page_shows_references_apart_and_marks(site: Path) -> None:
    text = (site / "index.html").read_text()
    own, references = re.findall(r'<tbody class="(?:own|references)">(.*?)</tbody>', text, re.DOTALL)[:2]
    assert "GRACE" in own
    assert "supervised" not in own
    assert {"raw", "untrained", "supervised"} <= set(re.findall(r">(\w+)</a>", references))
    assert "above the published number" in text
    assert "3 seeds · 3000 epochs · GCN 64" in text
    assert "⚠ below raw, below untrained, collapsed" in text
    assert "97.00" not in text  # one lucky seed of one epoch stands for nothing
    assert "Friedman" in text
    assert "critical difference" in text


def test_the_page_of_a_run_shows_all_of_it(site: Path) -> None:
    pages = [path.read_text() for path in (site / "runs").iterdir()]
    [grace, lucky] = sorted((text for text in pages if "<title>GRACE on digits ·" in text), key=len, reverse=True)
    assert "Not comparable with the other results" in lucky
    assert "1 of 3 seeds, 1 of 200 epochs" in lucky
    assert "Not comparable" not in grace
    [collapsed] = [text for text in pages if "<title>MVGRL on digits ·" in text]
    assert "⚠ This result (30.00 ± 0.00) is below that of the raw features" in collapsed
    assert "⚠ The embeddings of seed 0 collapsed: all embeddings point the same way" in collapsed
    for wanted in ("gssl run GRACE digits", "encoder.hidden_dim = 64", "RankMe", "a remark", "Loss", "classes, which"):
        assert wanted.lower() in grace.lower(), wanted
    [bgrl] = [text for text in pages if "<title>BGRL on digits ·" in text]
    assert "Over 6 scores of seeds and splits" in bgrl
    [lost] = [text for text in pages if "<title>DGI on digits ·" in text]
    assert "is not here, so there are no curves" in lost
    [failed] = [text for text in pages if "<title>GraphMAE on digits ·" in text]
    assert "1 timeout, 1 oom, 1 skipped, 1 failed" in failed
    assert "timeout: &lt;script&gt;" in failed


def test_cells_of_suites_without_a_result_are_shown(site: Path) -> None:
    text = (site / "unfinished.html").read_text()
    [packed] = re.findall(r'class="rows">(.*?)</script>', text, re.DOTALL)
    found = [[item[0] for item in items] for _, *items in json.loads(packed)]
    assert [(row[3], row[4]) for row in found] == [("0", "out of memory"), ("1", "skipped")]  # nothing that still waits
    assert found[0][7] == "512 MiB"
    assert found[0][-1].startswith("too large: <script>")
    assert found[1][-1] == "the method needs edge features"
    assert 'href="unfinished.html"' in (site / "index.html").read_text()


def test_errors_are_not_shown_in_percent(site: Path) -> None:
    [board] = [path for path in (site / "boards").iterdir() if path.name.startswith("ESOL")]
    text = board.read_text()
    assert "0.7500" in text
    assert "lower is better" in text


def test_damaged_folders_become_remarks(tmp_path: Path) -> None:
    folder = tmp_path / "seed-0"
    folder.mkdir()
    row = make_row(run_dir=str(tmp_path))
    (folder / "curve.jsonl").write_text('{"epoch": 0')
    (folder / "metrics.json").write_text("{}")
    (folder / "embeddings.npz").write_bytes(b"PK not a zip")
    found = run_files([row])
    assert found.curves == ()
    assert len(found.faults) == 2
    with pytest.raises(InputError, match="not a whole zip"):
        projection(row)


def test_a_search_is_shown_with_its_trials_and_pictures(site: Path) -> None:
    text = (site / "searches.html").read_text()
    assert "8 complete, 4 pruned" in text
    assert "0.8500 (trial 1)" in text
    assert "0.8000 (trial 0)" in text
    for heading in ("Score of each trial", "Score over each parameter", "Importance", "Scores during pretraining"):
        assert f"<h3>{heading}" in text
    assert 'aria-label="Score over train.lr"' in text
    assert "<image" not in text
    assert "searches.html" in (site / "index.html").read_text()


def test_of_errors_the_smallest_is_the_best_trial(tmp_path: Path) -> None:
    study = json.loads(search(tmp_path).read_text()) | {"metric": "rmse", "directions": ["minimize"]}
    found = read_search(tmp_path / "study.json", study)
    assert found.best is not None
    assert found.best.number == 4  # trial 3 is lower still, but was pruned


def test_importance_finds_what_moves_the_score(tmp_path: Path) -> None:
    file = json.loads(search(tmp_path).read_text())
    trials = [
        {"number": n, "state": "complete", "values": [score], "params": {"a": n % 4, "b": ["x", "y"][n // 4 % 2]}}
        for n, score in enumerate([0.1, 0.2, 0.3, 0.4] * 4)
    ]
    found = importances(read_search(tmp_path, file | {"trials": trials}).drawing.points)
    assert list(found) == ["a", "b"]
    assert found["a"] > 0.9
    same = [{**trial, "values": [0.5]} for trial in trials]
    assert importances(read_search(tmp_path, file | {"trials": same}).drawing.points) == {}


def test_quality_against_time_of_a_search_is_drawn(tmp_path: Path) -> None:
    file = json.loads(search(tmp_path).read_text())
    trials = [{"number": n, "state": "complete", "values": [0.5 + n, 1.0 + n], "params": {}} for n in range(3)]
    study = file | {"trials": trials, "objective": ["val", "seconds"], "directions": ["maximize", "minimize"]}
    headings = [title for title, _ in read_search(tmp_path, study).drawing.pictures()]
    assert headings == ["Score of each trial, and the best so far", "Score against seconds"]
    hopeless = [
        {"number": 0, "state": "fail", "values": None, "params": {}},
        {**trials[0], "values": [float("inf"), 1]},
    ]
    assert list(read_search(tmp_path, study | {"trials": hopeless}).drawing.pictures()) == []


def test_trainings_of_other_tasks_are_other_pictures(tmp_path: Path, training: Callable[..., Trajectory]) -> None:
    """One file of ``gssl converge --out`` may hold several problems; their seeds are no repetitions of each other."""
    path = tmp_path / "kept.jsonl"
    append(path, [training(), training(task="link", metric="roc_auc"), training(seed=1)])
    groups = [group for _, group in read_extras([path]).trainings]
    assert [[line.seed for line in group] for group in groups] == [[0, 1], [0]]


@pytest.mark.parametrize(
    "content", ["nonsense", "[]", '{"study": "a"}', '{"samplers": {"a": {}}}', '{"x": 1}\n{"y": 2}', ""]
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "extra.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"extra\.json.*gssl variance"):
        read_extras([path])
    with pytest.raises(InputError, match="cannot be read"):
        read_extras([tmp_path / "none.json"])


def test_nothing_to_show_is_said_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSSL_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("GSSL_DB", raising=False)
    assert main(["report"]) == 2
    assert "gssl run METHOD DATASET" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    empty = f"sqlite:///{tmp_path}/empty.db"
    Store(empty).close()
    assert main(["report", "--db", empty, "--out", str(tmp_path / "page")]) == 2
    assert "is empty" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_a_corrupt_or_locked_store_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    corrupt, locked = tmp_path / "corrupt.db", tmp_path / "locked.db"
    corrupt.write_bytes(b"no database at all" * 100)
    assert main(["report", "--db", f"sqlite:///{corrupt}"]) == 2
    assert "cannot be used" in capsys.readouterr().err
    Store(f"sqlite:///{locked}").close()
    monkeypatch.setattr(database, "WAIT_SECONDS", 0)
    holder = sqlite3.connect(locked, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert main(["report", "--db", f"sqlite:///{locked}"]) == 2
    assert "locked" in capsys.readouterr().err
    holder.close()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/r.db"
    with Store(url) as store:
        store.record(make_row())
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    for out in (mine, mine / "thesis.tex"):
        with pytest.raises(InputError, match="choose another --out"):
            write_report(url, out)
    assert (mine / "thesis.tex").read_text() == "years of work"


def test_a_report_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    url, out = f"sqlite:///{tmp_path}/r.db", tmp_path / "page"
    with Store(url) as store:
        store.record(make_row(dataset="first"))
    assert main(["report", "--db", url, "--out", str(out), "--json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer["rows"] == answer["cells"] == 1
    assert answer["pages"] == len(list(out.rglob("*.html")))
    with Store(url) as store:
        store.record(make_row(dataset="second"))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(
            "gssl.benchmarks.report.site._copy_assets", lambda folder: (_ for _ in ()).throw(OSError(28, "full"))
        )
        with pytest.raises(InputError, match="cannot write"):
            write_report(url, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    write_report(url, out)
    assert "second" in (out / "index.html").read_text()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".page")] == []


def test_elements_are_escaped_and_scales_hold_their_values() -> None:
    assert tag("text", "<&>", class_='"') == '<text class="&#34;">&lt;&amp;&gt;</text>'
    log = scale_for([0.1, 100.0], 0, 100, log=True)
    assert log.log
    assert 0 < log(0.1) < log(1.0) < log(100.0) < 100
    assert log(0.0) == 0  # what has no logarithm sits at the edge
    assert scale_for([3.0], 0, 10)(3.0) == pytest.approx(5)
    assert Scale(0, 1, 0, 10).ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_an_axis_has_numbers_however_short_it_is() -> None:
    assert scale_for([300.0, 420.0], 0, 500, log=True).ticks() == pytest.approx([300, 350, 400])
    assert scale_for([0.1, 900.0], 0, 500, log=True).ticks() == pytest.approx([0.1, 1, 10, 100, 1000])
    for low, high in ((311.0, 311.5), (5.0, 5.0), (1e-9, 1e-9), (1.0, 1e12)):
        assert len(scale_for([low, high], 0, 500, log=True).ticks()) >= 2, (low, high)


@pytest.mark.parametrize("name", ["mine.models.graph:AVeryLongNameOfAMethod + minvar+labor", "W" * 60, "", "數" * 30])
def test_long_names_are_broken_not_cut(name: str) -> None:
    lines = broken(name, 180)
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    assert all(text_width(line) <= 180 for line in lines)
    assert broken("x" * 1000, 180)[-1].endswith("…")


@pytest.mark.parametrize("name", ["../../x", ".", "", "a/b", "\x00", "é", "x" * 300, "mine:M", "CON<>"])
def test_names_of_files_mean_nothing_in_a_path(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", slug(name))
    assert slug(name) != slug(name + "'")
