"""Suites: what is refused and how it is said, and the cells that a suite stands for."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gssl.benchmarks.bench import expand as expanding
from gssl.benchmarks.bench.check import _subject, require_possible
from gssl.benchmarks.bench.expand import SuitePart, expand, guests_of
from gssl.benchmarks.bench.shipped import names
from gssl.benchmarks.bench.suite import load_suite
from gssl.common.errors import InputError
from gssl.config.resolve import Request, Subject, resolve
from gssl.registry import METHODS

SMALL = """\
# Two methods.
seeds: 2
budget: {epochs: 5, seconds: 60}
groups:
  - methods: [raw, {name: grace, options: {temperature: 0.5}}]
    datasets: [digits]
"""


def suite(folder: Path, text: str = SMALL, *, replacing: tuple[str, str] | None = None) -> str:
    if replacing is not None:
        assert replacing[0] in text
        text = text.replace(*replacing)
    file = folder / "mine.yaml"
    file.write_text(text)
    return str(file)


def test_a_suite_stands_for_every_pair_and_seed(tmp_path: Path) -> None:
    cells = expand(load_suite(suite(tmp_path)))
    assert [(cell.method, cell.seed) for cell in cells] == [("raw", 0), ("GRACE", 0), ("raw", 1), ("GRACE", 1)]
    assert {(cell.dataset, cell.epochs, cell.probe, cell.budget.seconds) for cell in cells} == {
        ("digits", 5, "LBFGS", 60.0)
    }
    assert cells[1].options == ("temperature=0.5",)
    assert cells[1].preset == "default"
    assert len({cell.key for cell in cells}) == 4


@pytest.mark.parametrize(
    ("replacing", "message"),
    [
        (("grace", "GRACEE"), r"mine.yaml: groups.0.methods.1: unknown method 'GRACEE'; did you mean 'GRACE'"),
        (("[digits]", "[digit]"), r"groups.0.datasets.0: unknown dataset 'digit'; did you mean 'digits'"),
        (("[digits]", "[nothere.npz]"), r"groups.0.datasets.0: there is no file nothere.npz"),
        (("[digits]", "[sets/mine]"), r"groups.0.datasets.0: there is no file sets/mine"),
        (("[digits]", "[ogbn-arxv]"), r"unknown dataset 'ogbn-arxv'; did you mean 'ogbn-arxiv'"),
        (("datasets:", "datsets:"), r"groups.0.datsets'; did you mean 'groups.0.datasets'|groups.0.datasets: this key"),
        (("seeds: 2", "seeds: 2\nsettings: [x]"), r"unknown key 'settings'"),
        (
            ("[digits]", "[digits]\n    settings: [frosen]"),
            r"groups.0.settings.0: unknown setting 'frosen'; .*'frozen'",
        ),
        (("[digits]", "[digits]\n    setting: frosen"), r"groups.0.setting: unknown setting 'frosen'; .*'frozen'"),
        (
            ("[digits]", "[digits]\n    setting: frozen\n    settings: [finetune]"),
            r"groups.0: .*same; keep one",
        ),
        (("[digits]", "[digits]\n    setting: {name: finetune, label: 1}"), r"did you mean 'groups.0.setting.labels'"),
        (("[digits]", "[digits]\n    setting: {name: finetune, labels: 1.5}"), r"groups.0.setting.labels.*1.5"),
        (("[digits]", "[digits]\n    setting: {name: finetune, labels: 2.0}"), r"groups.0.setting.labels.*share.*2.0"),
        (("[digits]", "[digits]\n    setting: {name: finetune, labels: true}"), r"groups.0.setting.labels.*share"),
        (("[digits]", "[digits]\n    task: links"), r"groups.0.task: unknown task 'links'; did you mean 'link'"),
        (("[digits]", "[digits]\n    probes: [P9]"), r"groups.0.probes.0: unknown probe 'P9'; .*P1"),
        (("[digits]", "[digits]\n    presets: [Coora]"), r"groups.0.presets.0: unknown preset of"),
        (("[digits]", "[digits]\n    samplers: [labr]"), r"groups.0.samplers.0: unknown sampler 'labr'; .*'labor'"),
        (("seconds: 60", "second: 60"), r"unknown key 'budget.second'; did you mean 'budget.seconds'"),
        (("seconds: 60", "seconds: -1"), r"budget.seconds: .*greater than 0 \(got -1\)"),
        (("seconds: 60", "seconds: .inf"), r"budget.seconds: .*finite"),
        (("temperature", "name: x, 0"), r"mine.yaml"),
        (("seeds: 2\n", ""), r"seeds: there are no seeds"),
        (("seeds: 2", "seeds: 0"), r"seeds: there are no seeds"),
        (("seeds: 2", "seeds: []"), r"seeds: there are no seeds"),
        (("seeds: 2", "seeds: [1, 1]"), r"seeds: a seed stands there twice"),
        (("seeds: 2", "seeds: [0, -1]"), r"seeds: .*every seed must be a whole number of at least 0 \(got \[0, -1\]\)"),
        (("[digits]", "[]"), r"groups.0.datasets: .*at least 1"),
        (("[digits]", "[digits, Digits]"), r"groups.0.methods.0 with digits: raw on digits, seed 0 stands .* already"),
        (("[digits]", "[digits]\n  - {methods: [Raw], datasets: [digits]}"), r"groups.1.* already, at .*groups.0"),
        ((SMALL, "- a list"), r"must hold a mapping"),
        ((SMALL, "a: [1"), r"not valid YAML"),
        ((SMALL, ""), r"groups: this key is missing"),
    ],
)
def test_a_wrong_suite_is_refused_with_the_key(tmp_path: Path, replacing: tuple[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        expand(load_suite(suite(tmp_path, replacing=replacing)))


def test_unknown_suites_are_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown suite 'demoo'; did you mean 'demo'"):
        load_suite("demoo")
    with pytest.raises(InputError, match="no suite file"):
        load_suite(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("method", "dataset", "message"),
    [
        ("GraphCL", "digits", r"groups.0.methods.0 with digits: method GraphCL works on graph-level data"),
        ("GRACE", "digit-graphs", r"method GRACE works on node-level data, but the dataset is graph-level"),
        ("{name: GRACE, options: {temprature: 1}}", "digits", r"did you mean 'temperature'"),
        ("{name: GRACE, options: {temperature: -1}}", "digits", r"temperature"),
    ],
)
def test_impossible_cells_are_refused_before_anything_starts(
    tmp_path: Path, method: str, dataset: str, message: str
) -> None:
    text = f"seeds: 1\ngroups: [{{methods: [{method}], datasets: [{dataset}]}}]"
    cells = expand(load_suite(suite(tmp_path, text)))
    with pytest.raises(InputError, match=message):
        require_possible(cells, "cpu")


TASKS = """\
seeds: 1
groups:
  - methods: [GAE]
    datasets: [digits]
    task: Link
    options: {task.test: 0.2}
  - methods: [GraphCL]
    datasets: [digit-graphs]
    settings:
      - frozen
      - {name: finetune, labels: 0.1, options: {dropout: 0.5}}
      - {name: finetune, labels: 1}
      - {name: finetune, labels: 1.0, pretrain_on: Digit-Graphs}
  - {methods: [GRACE, supervised], datasets: [Cora], setting: frozen}
  - {methods: [GRACE], datasets: [Cora], setting: {name: auxiliary, options: {weight: 0.5}}}
"""


def test_a_suite_names_tasks_and_settings_with_their_options(tmp_path: Path) -> None:
    cells = expand(load_suite(suite(tmp_path, TASKS)))
    assert [(cell.task, cell.setting, cell.labels, cell.pretrain_on) for cell in cells] == [
        ("link", "frozen", None, None),
        (None, "frozen", None, None),
        (None, "finetune", 0.1, None),
        (None, "finetune", 1, None),
        (None, "finetune", 1.0, "digit-graphs"),
        (None, "frozen", None, None),
        (None, "frozen", None, None),
        (None, "auxiliary", None, None),
    ]
    assert [type(cell.labels) for cell in cells[2:5]] == [float, int, float]  # a share, a number, a share
    assert cells[0].options == ("task.test=0.2",)
    assert cells[2].options == ("setting.dropout=0.5",)
    assert [cell.probe for cell in cells] == [None, "LBFGS", None, None, None, "P1", "P1", None]
    assert cells[2].title == "GraphCL on digit-graphs, finetune, 10 % of the labels, seed 0"
    assert cells[3].title == "GraphCL on digit-graphs, finetune, 1 labels per class, seed 0"
    assert len({cell.key for cell in cells}) == len(cells)
    require_possible(cells, "cpu")


def test_what_a_cell_asks_for_is_what_the_command_line_asks_for(tmp_path: Path) -> None:
    """Preset and probe are chosen as ``gssl run`` chooses them for the task and the setting."""
    for cell in expand(load_suite(suite(tmp_path, TASKS))):
        subject = _subject(cell.dataset)
        assert subject is not None
        asked = Request(
            cell.method,
            assignments=cell.options,
            task=cell.task,
            setting=cell.setting,
            labels=cell.labels,
            pretrain_on=cell.pretrain_on,
            seed=0,
        )
        assert resolve(cell.request(), subject) == resolve(asked, subject), cell.title


def test_keys_of_cells_without_a_task_know_nothing_of_tasks(tmp_path: Path) -> None:
    [first, *_] = expand(load_suite(suite(tmp_path)))
    assert first.spec.keys() == {
        *("method", "dataset", "seed", "probe", "encoder", "sampler", "preset", "setting", "epochs", "batch_size"),
        *("options", "origin"),
    }
    assert replace(first, task="link").spec["task"] == "link"
    assert replace(first, labels=5).key != replace(first, labels=5.0).key != first.key


@pytest.mark.parametrize("name", names())
def test_the_suites_that_ship_are_possible(name: str) -> None:
    found = load_suite(name)
    assert len(found.summary) > 20
    cells = expand(found, SuitePart(seeds=1))
    require_possible([cell for cell in cells if not cell.dataset.startswith("ogbn-wordnet")], "cpu")


def test_the_demo_holds_both_levels_with_their_reference_rows() -> None:
    cells = expand(load_suite("demo"), SuitePart(seeds=1))
    for dataset, level in (("csbm", "node"), ("digits", "node"), ("digit-graphs", "graph")):
        methods = {cell.method for cell in cells if cell.dataset.partition(":")[0] == dataset}
        assert {"raw", "untrained", "supervised"} < methods
        assert all(level in METHODS.get(name).levels for name in methods)


def test_a_set_that_only_some_machines_have_is_no_error() -> None:
    datasets = {cell.dataset for cell in expand(load_suite("node-large"))}
    assert datasets == {"ogbn-wordnet", "ogbn-arxiv"}


def test_a_selection_takes_a_part_and_says_what_it_does_not_find(tmp_path: Path) -> None:
    found = load_suite(suite(tmp_path))
    cells = expand(found, SuitePart(methods=("grace",), seeds=3, epochs=7))
    assert [(cell.method, cell.seed, cell.epochs) for cell in cells] == [("GRACE", seed, 7) for seed in range(3)]
    with pytest.raises(InputError, match="unknown dataset of this suite 'Cora'"):
        expand(found, SuitePart(datasets=("Cora",)))
    with pytest.raises(InputError, match="unknown method 'GRACEE'; did you mean 'GRACE'"):
        expand(found, SuitePart(methods=("GRACEE",)))
    assert guests_of(found, ["DGI", "raw", "my:Method"]) == ["DGI", "my:Method"]
    joined = expand(found, SuitePart(methods=("DGI",)), [("DGI", 0)])
    assert {(cell.method, cell.epochs) for cell in joined} == {("DGI", 5)}


def test_spelling_limits_and_places_do_not_make_another_cell(tmp_path: Path) -> None:
    first = expand(load_suite(suite(tmp_path)))
    other = SMALL.replace("grace", "GRACE").replace("[digits]", "[DIGITS]\n    probes: [lbfgs]").replace("60", "7")
    assert [cell.key for cell in expand(load_suite(suite(tmp_path, other)))] == [cell.key for cell in first]


@pytest.mark.parametrize("replacing", [("0.5", "0.6"), ("epochs: 5", "epochs: 6"), ("[digits]", "[Cora]")])
def test_whatever_decides_the_result_makes_another_cell(tmp_path: Path, replacing: tuple[str, str]) -> None:
    first = {cell.key for cell in expand(load_suite(suite(tmp_path))) if cell.method == "GRACE"}
    found = expand(load_suite(suite(tmp_path, replacing=replacing)))
    assert not first & {cell.key for cell in found if cell.method == "GRACE"}


def test_another_content_behind_the_same_name_makes_another_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    plugin, data = tmp_path / "my_own_method.py", tmp_path / "mine.npz"
    plugin.write_text("class Mine: ...")
    data.write_bytes(b"one")
    text = "seeds: 1\ngroups: [{methods: ['my_own_method:Mine'], datasets: [./mine.npz]}]"

    def key() -> str:
        return expand(load_suite(suite(tmp_path, text)))[0].key

    keys = [key()]
    plugin.write_text("class Mine: 'better'")
    keys.append(key())
    data.write_bytes(b"two")
    keys.append(key())
    plugin.write_text("def loss(first, second, *, weight=None): ...")
    text = text.replace("'my_own_method:Mine'", "{name: GRACE, options: {objective: 'my_own_method:loss'}}")
    keys.append(key())
    plugin.write_text("def loss(first, second, *, weight=None): 'better'")
    keys.append(key())
    assert len(set(keys)) == 5


def test_the_version_of_a_probe_is_read_from_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "probe_of_mine.py").write_text("class Own:\n    version: int = 3\nclass Plain:\n    pass\n")
    assert expanding._stated_version("probe_of_mine", "Own") == "3"
    assert expanding._stated_version("probe_of_mine", "Plain") == ""


@pytest.mark.parametrize(
    ("words", "request_", "preset"),
    [
        ("", Request("MaskGAE"), "Cora"),
        ("    task: link\n", Request("MaskGAE", task="link"), "Cora-link"),
        ("    task: link\n    probes: [Decoder]\n", Request("MaskGAE", task="link", probe="Decoder"), "Cora-Decoder"),
        ("    probes: [P2]\n", Request("MaskGAE", probe="P2"), "Cora"),
    ],
)
def test_a_cell_has_the_preset_of_the_same_run(words: str, request_: Request, preset: str, tmp_path: Path) -> None:
    text = f"seeds: 1\ngroups:\n  - methods: [MaskGAE]\n    datasets: [Cora]\n{words}"
    (cell,) = expand(load_suite(suite(tmp_path, text)))
    assert cell.preset == preset
    assert resolve(request_, Subject("Cora", "Cora", "node", "P1")).preset == preset


def test_cells_of_the_same_names_are_told_apart(tmp_path: Path) -> None:
    text = """\
seeds: 1
budget: {epochs: 5}
groups:
  - methods: [raw, GRACE, {name: GRACE, epochs: 3}, {name: GRACE, options: {temperature: 0.2}}]
    datasets: [digits]
    options: {probe.max_iter: 100}
"""
    cells = expand(load_suite(suite(tmp_path, text)))
    assert [cell.apart for cell in cells] == [
        (),
        ("epochs=5",),
        ("epochs=3",),
        ("epochs=5", "temperature=0.2"),
    ]
    assert cells[3].title == "GRACE (epochs=5, temperature=0.2) on digits, seed 0"
    alone = expand(load_suite(suite(tmp_path, text.replace("GRACE, {name: GRACE, epochs: 3}, ", ""))))
    assert [cell.apart for cell in alone] == [(), ()]
    assert alone[1].key == cells[3].key, "what tells cells apart is no part of what they are"
