"""Search spaces: declared, changed by a file, without what is fixed."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from gssl.common.errors import InputError
from gssl.common.space import Choice, Float, Int, Space
from gssl.config.resolve import Request, Subject, resolve
from gssl.registry import ENCODERS, METHODS
from gssl.search.space import nearest, read_space, search_space, space_data, value_of, with_values
from gssl.search.translate import suggest

SUBJECT = Subject("Cora", "Cora", "node", "P1")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    return path


def test_the_declaration_and_the_epochs_are_the_space() -> None:
    space = search_space(Request("GRACE"), SUBJECT)
    assert space.pop("train.epochs") == Int(40, 400, log=True)  # the preset has 400
    assert space == METHODS.get("GRACE").search_space


@pytest.mark.parametrize(
    "request_",
    [
        Request("GRACE", epochs=300),
        Request("GRACE", assignments=("train.patience=20",)),
        Request("supervised"),  # keeps the best epoch anyway
    ],
)
def test_epochs_are_not_searched_where_they_are_settled(request_: Request) -> None:
    assert "train.epochs" not in search_space(request_, SUBJECT)


def test_a_declared_range_of_epochs_stands() -> None:
    subject = Subject("MUTAG", "MUTAG", "graph", "P5-RBF")
    assert search_space(Request("GraphCL"), subject)["train.epochs"] == Int(10, 100, log=True)


def test_a_file_adds_changes_and_leaves_out(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "temperature: {type: float, low: 0.2, high: 0.3}\n"
        "encoder.activation: {type: choice, values: [relu, prelu]}\n"
        "train.weight_decay: null\n",
    )
    space = search_space(Request("GRACE"), SUBJECT, file)
    assert space["temperature"] == Float(0.2, 0.3)
    assert space["encoder.activation"] == Choice(("relu", "prelu"))
    assert "train.weight_decay" not in space
    assert space["projector_dim"] == METHODS.get("GRACE").search_space["projector_dim"]


def test_what_the_user_sets_is_not_searched() -> None:
    said: list[str] = []
    request = Request("GRACE", assignments=("drop_edge=[0.1,0.1]", "mask_feature.0=0.2", "train.lr=0.01"))
    space = search_space(request, SUBJECT, say=said.append)
    assert set(space) == {"mask_feature.1", "temperature", "projector_dim", "train.weight_decay", "train.epochs"}
    assert "train.lr is not searched, it was given a value" in said


def test_epochs_of_the_command_are_not_searched() -> None:
    subject = Subject("MUTAG", "MUTAG", "graph", "P5-RBF")
    assert "train.epochs" in search_space(Request("InfoGraph"), subject)
    assert "train.epochs" not in search_space(Request("InfoGraph", epochs=3), subject)


def test_an_option_that_the_encoder_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = {"encoder.heads": Int(1, 8), "encoder.hidden_dim": Int(8, 16)}
    monkeypatch.setattr(METHODS.get("DGI"), "search_space", declared)
    said: list[str] = []
    request = Request("DGI", epochs=10)
    assert list(search_space(request, SUBJECT, say=said.append)) == ["encoder.hidden_dim"]
    assert said == ["encoder.heads is not searched, the encoder GCN does not have it"]
    assert list(search_space(Request("DGI", encoder="GAT", epochs=10), SUBJECT)) == list(declared)


def test_what_an_encoder_declares_is_searched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ENCODERS.get("GCN"), "search_space", {"dropout": Float(0.0, 0.5)})
    assert search_space(Request("GRACE"), SUBJECT)["encoder.dropout"] == Float(0.0, 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("temprature: {type: float, low: 0.1, high: 1}", "did you mean 'temperature'"),
        ("lr: {type: float, low: 0.1, high: 1}", "did you mean 'train.lr'"),
        ("train.lrr: {type: float, low: 0.1, high: 1}", "did you mean 'lr'"),
        ("encoder.hiden_dim: {type: int, low: 1, high: 8}", "did you mean 'hidden_dim'"),
        ("temperature: {type: float, low: 1.0, high: 0.1}", "low (1.0) must be below high (0.1)"),
        ("temperature: {type: float, low: 0.5, high: 0.5}", "must be below"),
        ("temperature: {type: float, low: -1.0, high: 0.1}", "greater than 0 (got -1.0)"),
        ("temperature: {type: float, low: 0.0, high: 1.0, log: true}", "above zero on a logarithmic scale"),
        ("temperature: {type: float, low: .nan, high: 1.0}", "finite"),
        ("temperature: {type: float, low: a, high: 1.0}", "valid number"),
        ("temperature: {type: float, low: 0.1}", "high: field required"),
        ("temperature: {type: float, low: 0.1, high: 1, step: 2}", "step: extra inputs"),
        ("projector_dim: {type: int, low: 1.5, high: 8}", "valid integer"),
        ("projector_dim: {type: float, low: 32.5, high: 64.0}", "valid integer"),
        ("drop_edge.0: {type: float, low: 0.0, high: 1.0}", "less than 1 (got"),
        ("drop_edge.2: {type: float, low: 0.0, high: 0.5}", "the item must be a number from 0 to 1"),
        ("train.optimizer: {type: choice, values: []}", "at least 1"),
        ("train.optimizer: {type: choice, values: [adam, adam]}", "twice"),
        ("train.optimizer: {type: choice, values: [adam, adamx]}", "adamx"),
        ("temperature: {type: flaot, low: 0.1, high: 1.0}", "did you mean 'float'"),
        ("temperature: {low: 0.1, high: 1.0}", "must look like"),
        ("temperature: 0.3", "must look like"),
        ("tmperature: null", "did you mean 'temperature'"),
        ("probe.steps: {type: int, low: 1, high: 9}", "the judge of the trials is not searched"),
        ("- 1", "must hold a mapping"),
        ("{", "not valid YAML"),
    ],
)
def test_wrong_space_is_answered(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        search_space(Request("GRACE"), SUBJECT, written(tmp_path, text))
    assert message in str(error.value)
    assert str(tmp_path) in str(error.value) or "search space, " in str(error.value)


def test_searched_and_set_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "temperature: {type: float, low: 0.1, high: 1.0}")
    with pytest.raises(InputError, match="keep one"):
        search_space(Request("GRACE", assignments=("temperature=0.3",)), SUBJECT, file)


@pytest.mark.parametrize("name", ["raw", "untrained"])
def test_a_reference_row_has_nothing_to_search(name: str) -> None:
    with pytest.raises(InputError, match="nothing to search"):
        search_space(Request(name), SUBJECT)


def test_plain_form_reads_back(tmp_path: Path) -> None:
    from gssl.common import yaml_io

    space: dict[str, Space] = {"a": Float(0.1, 1.0, log=True), "b": Int(2, 5), "c": Choice(("x", None, True, 1.5))}
    assert read_space(written(tmp_path, yaml_io.dump(space_data(space)))) == space


def test_every_kind_becomes_a_suggestion() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space: dict[str, Space] = {
        "a": Float(1e-4, 1e-1, log=True),
        "b": Float(0.0, 1.0),
        "c": Int(1, 64, log=True),
        "d": Choice((1, "x")),
    }
    trial = study.ask()
    values = {key: suggest(trial, key, entry) for key, entry in space.items()}
    kinds = optuna.distributions
    assert trial.distributions == {
        "a": kinds.FloatDistribution(1e-4, 1e-1, log=True),
        "b": kinds.FloatDistribution(0.0, 1.0),
        "c": kinds.IntDistribution(1, 64, log=True),
        "d": kinds.CategoricalDistribution((1, "x")),
    }
    assert values == trial.params
    with pytest.raises(TypeError, match="unknown kind"):
        suggest(trial, "e", (0, 1))  # type: ignore[arg-type]


def test_values_reach_the_configuration_with_their_types() -> None:
    space = search_space(Request("GRACE"), SUBJECT)
    values: dict[str, bool | int | float | str | None] = {
        "drop_edge.1": 0.125,
        "projector_dim": 77,
        "train.lr": 1e-05,
        "train.optimizer": "adamw",
    }
    config = resolve(with_values(Request("GRACE"), values), SUBJECT)
    assert {key: value_of(config, key) for key in values} == values
    default = resolve(Request("GRACE"), SUBJECT)
    assert value_of(default, "drop_edge.1") == 0.4
    assert nearest(space["train.weight_decay"], 0.0) == 1e-6
    with pytest.raises(LookupError):
        nearest(Choice(("a", "b")), "c")
