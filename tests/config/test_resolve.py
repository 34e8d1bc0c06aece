import json
from pathlib import Path

import pytest

from gssl.common.errors import InputError
from gssl.config.layer import from_mapping
from gssl.config.options import settled
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject, resolve
from gssl.registry import METHODS

NODES = Subject("Cora", "Cora", "node", "P1")
GRAPHS = Subject("MUTAG", "MUTAG", "graph", "P5-RBF")


@pytest.fixture(autouse=True)
def presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """GRACE has two presets of known content, whatever the repository says."""
    file = tmp_path / "grace.yaml"
    file.write_text(
        """
Cora:
  source: somewhere
  method: {temperature: 0.7, drop_edge: [0.1, 0.2]}
  encoder: {name: GCN, hidden_dim: 32}
  train: {lr: 5e-4, epochs: 7}
default:
  encoder: {name: GAT, hidden_dim: 8}
"""
    )
    monkeypatch.setattr("gssl.config.presets.preset_file", lambda method: file if method == "GRACE" else None)
    return file


def ask(subject: Subject = NODES, *sets: str, **asked: object) -> RunConfig:
    return resolve(Request(method=str(asked.pop("method", "GRACE")), assignments=sets, **asked), subject)  # type: ignore[arg-type]


def test_defaults_then_preset_then_file_then_flags(tmp_path: Path) -> None:
    assert ask(preset="none").method.options["temperature"] == 0.4
    assert ask().method.options["temperature"] == 0.7
    file = tmp_path / "mine.yaml"
    file.write_text("method: {temperature: 0.8}\ntrain: {epochs: 9}")
    from_file = ask(file=file)
    assert (from_file.method.options["temperature"], from_file.train.epochs, from_file.train.lr) == (0.8, 9, 5e-4)
    from_line = ask(NODES, "temperature=0.9", "encoder.hidden_dim=64", file=file, epochs=11)
    assert from_line.method.options["temperature"] == 0.9
    assert (from_line.train.epochs, from_line.encoder.options["hidden_dim"]) == (11, 64)
    assert from_line.method.options["drop_edge"] == (0.1, 0.2)  # untouched by the stronger sources


def test_preset_is_that_of_the_dataset_else_the_default_one() -> None:
    assert (ask().preset, ask().encoder.name) == ("Cora", "GCN")
    other = ask(Subject("Photo", "Photo", "node", "P1"))
    assert (other.preset, other.encoder.name, other.encoder.options["hidden_dim"]) == ("default", "GAT", 8)
    assert ask(preset="none").preset is None
    assert ask(preset="DEFAULT").preset == "default"
    with pytest.raises(InputError, match="unknown preset of GRACE 'cara'; did you mean 'Cora'"):
        ask(preset="cara")


def test_options_of_another_encoder_do_not_leak() -> None:
    config = ask(encoder="sage")
    assert config.encoder.name == "SAGE"
    assert config.encoder.options["hidden_dim"] == ask(preset="none").encoder.options["hidden_dim"]


def test_one_item_of_a_list(tmp_path: Path) -> None:
    assert ask(NODES, "drop_edge.1=0.6").method.options["drop_edge"] == (0.1, 0.6)
    assert ask(NODES, "drop_edge=[0.5, 0.5]", "drop_edge.0=0").method.options["drop_edge"] == (0.0, 0.5)
    for wrong in ("drop_edge.2=0.1", "drop_edge.x=0.1", "temperature.0=0.1"):
        with pytest.raises(InputError, match=r"item"):
            ask(NODES, wrong)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("temprature=1", "unknown option of method GRACE 'temprature'; did you mean 'temperature'"),
        ("temperature=-1", "greater than 0"),
        ("temperature=hot", "temperature"),
        ("lr=0.1", "did you mean 'train.lr'"),
        ("hidden_dim=3", "did you mean 'encoder.hidden_dim'"),
        ("train.epoch=3", "did you mean 'epochs'"),
        ("encoder.hiden_dim=3", "did you mean 'hidden_dim'"),
        ("encoder.num_layers=0", "greater than or equal to 1"),
        ("sampler.batch_size=3", "unknown option of sampler full 'batch_size'"),
        ("temperature", "must look like KEY=VALUE"),
        ("=3", "must look like KEY=VALUE"),
        ("temperature=[1", "not valid YAML"),
        ("drop_edge=0.3", "drop_edge"),
        ("drop_edge=[0.1]", "drop_edge"),
        ("temperature=.nan", "temperature"),
    ],
)
def test_wrong_assignments_say_what_to_change(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(NODES, text)


def test_an_option_that_another_one_makes_idle_is_said() -> None:
    told = ask(NODES, "t=3", "encoder.norm_momentum=0.3", method="MVGRL").notes
    assert any("option 't' changes nothing here: it is used with diffusion=heat" in note for note in told)
    assert any("encoder GCN: option 'norm_momentum'" in note for note in told)
    used = ask(NODES, "t=3", "diffusion=heat", "encoder.norm=batch", "encoder.norm_momentum=0.3", method="MVGRL")
    assert not any("changes nothing" in note for note in used.notes)
    # A preset may set it without a word: nobody asked for it here.
    assert not any("changes nothing" in note for note in ask(NODES, method="MVGRL").notes)


def test_options_of_methods_that_a_stronger_source_does_not_name_are_those_of_no_one() -> None:
    """The preset has options for its own methods, and whoever names others must not have to take them away."""

    def options(*sources: dict[str, object]) -> dict[str, object]:
        preset: dict[str, object] = {
            "methods": ["GraphMAE", "GRACE"],
            "options": {"GraphMAE": {"gamma": 3}, "GRACE": {"temperature": 0.1}},
        }
        found = settled(METHODS.get("ParetoGNN"), [preset, *sources], what="method ParetoGNN")
        return dict(found["options"])

    assert options({"methods": ["grace", "GAE"]}) == {"GRACE": {"temperature": 0.1}}
    assert options({"normalize": "losses"}).keys() == {"GraphMAE", "GRACE"}
    own: dict[str, object] = {"methods": ["DGI", "GAE"], "options": {"BGRL": {"momentum": 0.9}}}
    assert options(own) == {"BGRL": {"momentum": 0.9}}, "what a source says beside its own names is left to be refused"


def test_the_same_key_twice_or_against_its_flag() -> None:
    with pytest.raises(InputError, match="twice"):
        ask(NODES, "temperature=1", "temperature=2")
    with pytest.raises(InputError, match=r"--epochs 3 and --set train\.epochs=4 disagree"):
        ask(NODES, "train.epochs=4", epochs=3)
    assert ask(NODES, "train.epochs=3", epochs=3).train.epochs == 3


@pytest.mark.parametrize(
    ("asked", "subject", "message"),
    [
        ({"method": "GRACE"}, GRAPHS, r"GRACE works on node-level data.*methods that fit: .*InfoGraph"),
        ({"method": "InfoGraph"}, NODES, r"InfoGraph works on graph-level data.*methods that fit: .*DGI"),
        ({"method": "GRACEE"}, NODES, "did you mean 'GRACE'"),
        ({"sampler": "mvsx"}, NODES, "unknown sampler 'mvsx'"),
        ({"sampler": "graphs"}, NODES, "needs a set of graphs"),
        ({"encoder": "GCNN"}, NODES, "did you mean 'GCN'"),
        ({"batch_size": 64}, NODES, "has no batch size.*leave out --batch-size"),
        ({"method": "E2Neg", "sampler": "graphsage"}, NODES, "whole graphs only.*leave out --sampler graphsage"),
        ({"method": "gssl.method:Nothing"}, NODES, "Nothing"),
        ({"method": "gssl.registry:METHODS"}, NODES, "is not a method"),
        ({"method": "no.such.module:X"}, NODES, "no module"),
    ],
)
def test_parts_that_do_not_fit(asked: dict[str, object], subject: Subject, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(subject, **asked)


def test_sets_of_graphs_are_batched_by_themselves() -> None:
    config = ask(GRAPHS, method="InfoGraph", preset="none")
    assert (config.sampler.name, config.train.batch_size) == ("graphs", 128)
    assert config.hash == ask(GRAPHS, method="InfoGraph", preset="none", batch_size=128).hash
    assert ask(GRAPHS, method="InfoGraph", sampler="full").train.batch_size is None
    assert ask(NODES).sampler.name == "full"


def test_seeds_come_from_flags_else_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("seeds: [3, 5]")
    assert ask().seeds == (0,)
    assert ask(seeds=3, seed=2).seeds == (2, 3, 4)
    assert ask(file=file).seeds == (3, 5)
    assert ask(file=file, seed=1).seeds == (1,)


def test_record_of_a_run_is_a_valid_file(tmp_path: Path) -> None:
    config = ask(NODES, "temperature=0.33", "train.weight_decay=1e-5", seeds=2)
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({**config.mapping(), "config_hash": config.hash}))  # JSON is YAML
    again = ask(file=file, preset="none")
    assert again.hash == config.hash
    assert again.mapping() == config.mapping()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("methods: {}", "unknown section of .*did you mean 'method'"),
        ("method: {temprature: 1}", "did you mean 'temperature'"),
        ("method: [1]", "method must be a mapping"),
        ("train: {name: x}", "train has no name"),
        ("seeds: 3", "list of different whole numbers"),
        ("seeds: [1, 1]", "list of different whole numbers"),
        ("method: {name: BGRL}", "is for method BGRL, not GRACE"),
        ("dataset: CiteSeer", "is for dataset CiteSeer, not Cora"),
        ("- 1", "must hold a mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_wrong_files_say_what_to_change(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        ask(file=file)
    with pytest.raises(InputError, match="cannot read"):
        ask(file=tmp_path / "absent.yaml")


def test_hash_depends_on_values_alone(tmp_path: Path) -> None:
    config = ask(NODES, "temperature=0.5", "encoder.hidden_dim=16")
    assert config.hash == ask(NODES, "encoder.hidden_dim=16", "temperature=5e-1").hash
    assert config.hash == ask(NODES, "temperature=0.5", "encoder.hidden_dim=16", "train.checkpoint_seconds=1").hash
    assert config.hash == ask(NODES, "temperature=0.5", "encoder.hidden_dim=16", seeds=5).hash
    for change in ("temperature=0.51", "encoder.num_layers=3", "train.lr=1", "train.epochs=1"):
        assert ask(NODES, "encoder.hidden_dim=16", change).hash != config.hash


def test_layer_ignores_only_what_a_run_records() -> None:
    layer = from_mapping({"config_hash": "x", "dataset_checksum": "y", "plugins": {}, "source": "z"}, "here")
    assert (layer.sections, layer.source) == ({}, "z")
