"""Settings that were damaged at random: command lines, configuration files, suites and search spaces."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from gssl.benchmarks.bench.check import require_possible
from gssl.benchmarks.bench.expand import expand
from gssl.benchmarks.bench.suite import load_suite
from gssl.cli.main import COMMANDS
from gssl.cli.parser import parse
from gssl.cli.request import request_of
from gssl.common import yaml_io
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject, declared_in, resolve
from gssl.search.space import search_space
from gssl.testing.damage import damaged, must_answer, numbers

NODES, GRAPHS = Subject("Cora", "Cora", "node", "P1"), Subject("MUTAG", "MUTAG", "graph", "P5-linear")
LINES: dict[str, tuple[str, Subject, tuple[tuple[str, ...], ...]]] = {
    "GRACE": ("GRACE", NODES, (
        ("--set", "temperature=0.4"), ("--set", "drop_edge=[0.2, 0.3]"), ("--set", "drop_edge.0=0.3"),
        ("--set", "encoder.hidden_dim=64"), ("--set", "train.lr=1e-3"), ("--set", "objective=nt_xent"),
        ("--set", "probe.restarts=2"), ("--task", "link", "--set", "task.test=0.2"),
        ("--setting", "finetune", "--labels", "0.1"), ("--setting", "finetune", "--set", "finetune.lr=0.01"),
        ("--sampler", "labor", "--batch-size", "64", "--set", "sampler.prefetch=2"),
    )),
    "Contrast": ("Contrast", NODES, (
        ("--set", "views=[[drop_edge], [{mask_feature: {p: 0.2}}]]"), ("--set", "objective=vicreg"),
        ("--data", "task=multiclass,undirected=true"), ("--data", "metric=roc_auc"), ("--epochs", "5"),
    )),
    "GraphCL": ("GraphCL", GRAPHS, (
        ("--set", "ratio=0.2"), ("--set", "encoder.num_layers=3"), ("--labels", "8", "--setting", "auxiliary"),
        ("--encoder", "GIN"), ("--probe", "P5-linear"), ("--preset", "none"), ("--seeds", "3"), ("--seed", "7"),
    )),
    "GraphMAE": ("GraphMAE", NODES, (
        ("--set", "mask_rate=0.5"), ("--set", "encoder.heads=4"), ("--encoder", "GAT"), ("--preset", "none"),
        ("--set", "train.weight_decay=1e-5"), ("--set", "train.checkpoint_seconds=60"),
    )),
}  # fmt: skip
CONFIG = b"""\
method: {name: GRACE, temperature: 0.4, drop_edge: [0.2, 0.4]}
encoder: {name: GCN, hidden_dim: 64, num_layers: 2}
sampler: {name: labor, prefetch: 1}
train: &t {epochs: 5, lr: 1e-3, batch_size: 64}
probe: {name: LBFGS}
setting: {name: finetune, labels: 0.1}
finetune: {epochs: 3}
declared: {task: multiclass}
seeds: [0, 1]
"""
SUITE = b"""\
# Two methods
seeds: 2
budget: {epochs: 3, seconds: 60, memory_mb: 512}
groups:
  - methods: [raw, {name: GRACE, epochs: 3, options: {temperature: 0.3}}]
    datasets: [digits, Cora]
    samplers: [default, {name: labor, batch_size: 64, options: {prefetch: 1}}]
  - {methods: [GraphCL], datasets: [MUTAG], settings: [{name: finetune, labels: 0.1}], seeds: [3, 4]}
  - {methods: [GAE], datasets: [Cora], task: link, options: {task.test: 0.2}, presets: [none], probes: [default]}
"""
SPACE = b"""\
temperature: {type: float, low: 0.1, high: 0.9}
encoder.num_layers: {type: int, low: 1, high: 3}
train.lr: {type: float, low: 1e-4, high: 1e-2, log: true}
encoder.norm: {type: choice, values: [none, batch]}
drop_edge.0: null
"""


def _record(config: RunConfig) -> None:
    """What a run writes before it trains."""
    yaml_io.parse(yaml_io.dump(config.mapping()))
    json.dumps(config.mapping())
    assert config.hash


@pytest.mark.parametrize("kind", LINES)
def test_command_lines(kind: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    method, subject, options = LINES[kind]
    record_property("inputs", len(numbers(40)))
    for number in numbers(40):
        rng = random.Random(number)
        words = [word for chosen in rng.sample(options, 2) for word in chosen]
        place = rng.randrange(1, len(words))
        while words[place].startswith("--"):
            place += 1
        words[place] = os.fsdecode(damaged(words[place].encode(), rng).replace(b"\0", b""))

        def work(words: list[str] = words) -> None:
            request = request_of(parse(["run", method, subject.name, *words], COMMANDS)[1])
            declared_in(request)
            _record(resolve(request, subject))

        must_answer(work, f"input {number} of {kind}: {words}")


def test_configuration_files(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("inputs", len(numbers(80)))
    file = tmp_path / "mine.yaml"
    for number in numbers(80):
        file.write_bytes(damaged(CONFIG, random.Random(number)))
        must_answer(lambda: _record(resolve(Request("GRACE", file=file), NODES)), f"input {number} of --config")


def test_suites(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    record_property("inputs", len(numbers(60)))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    file = tmp_path / "mine.yaml"

    def work() -> None:
        require_possible(expand(load_suite(str(file))), "cpu")

    for number in numbers(60):
        file.write_bytes(damaged(SUITE, random.Random(number)))
        must_answer(work, f"input {number} of suites")


def test_spaces(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("inputs", len(numbers(40)))
    file = tmp_path / "space.yaml"
    for number in numbers(40):
        file.write_bytes(damaged(SPACE, random.Random(number)))
        must_answer(
            lambda: search_space(Request("GRACE"), NODES, file, lambda message: None), f"input {number} of --space"
        )


def test_yaml(record_property: Callable[[str, object], None]) -> None:
    record_property("inputs", 3 * len(numbers(40)))
    for kind, text in (("settings", CONFIG), ("suite", SUITE), ("space", SPACE)):
        for number in numbers(40):
            given = damaged(text, random.Random(number)).decode("utf-8", "replace")
            must_answer(lambda given=given: yaml_io.parse(given), f"input {number} of {kind}")  # type: ignore[misc]


def test_what_is_whole_is_taken(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise everything would be refused, and no fault would be found."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("config", CONFIG), ("suite", SUITE), ("space", SPACE)):
        (tmp_path / f"{name}.yaml").write_bytes(text)
    resolve(Request("GRACE", file=tmp_path / "config.yaml"), NODES)
    require_possible(expand(load_suite(str(tmp_path / "suite.yaml"))), "cpu")
    assert len(search_space(Request("GRACE"), NODES, tmp_path / "space.yaml", lambda message: None)) > 3
    for method, subject, options in LINES.values():
        for words in options:
            resolve(request_of(parse(["run", method, subject.name, *words], COMMANDS)[1]), subject)
