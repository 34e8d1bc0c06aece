"""Facts that a user declares about their own data."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets.declared import NOTHING, Declared, beside, declared, split_off
from gssl.datasets.load import load_dataset


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GSSL_DATA", str(tmp_path / "data"))
    return tmp_path


def save(path: Path, **more: object) -> Path:
    """Ten nodes in a path whose edges stand there once, with whole numbers as labels."""
    arrays = {
        "edge_index": np.array([range(9), range(1, 10)]),
        "x": np.eye(10, dtype=np.float32),
        "y": np.arange(10) % 2,
    }
    np.savez(path, **{**arrays, **more})  # type: ignore[arg-type]  # arrays by name
    return path


def test_a_stronger_source_wins_fact_by_fact() -> None:
    strong, weak = Declared(metric="mae"), Declared(metric="rmse", task="regression")
    assert strong.over(weak) == Declared(metric="mae", task="regression")
    assert NOTHING.over(weak) == weak
    assert strong.mapping() == {"metric": "mae"}


def test_scalars_among_arrays_are_facts() -> None:
    arrays, facts = split_off(
        {"task": np.array("regression"), "undirected": torch.tensor(1), "x": 1, "metric": [1]}, "a"
    )
    assert facts == Declared(task="regression", undirected=True)
    assert arrays == {"x": 1, "metric": [1]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"task": "regresion"}, "'task' of a.json"),
        ({"undirected": "perhaps"}, "'undirected' of a.json"),
        ({"metrics": "mae"}, "did you mean 'metric'"),
        ({"normalize": 3}, "'normalize' of a.json"),
    ],
)
def test_wrong_facts(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        declared(values, "a.json")


@pytest.mark.parametrize("name", ["graph.npz.json", "graph.json"])
def test_a_json_beside_the_file_says_it_and_the_caller_knows_better(root: Path, name: str) -> None:
    path = save(root / "graph.npz", metric=np.array("macro_f1"), task=np.array("multiclass"))
    (root / name).write_text(json.dumps({"metric": "micro_f1", "undirected": True}))
    found = load_dataset(path)
    assert found.declared == {"task": "multiclass", "metric": "micro_f1", "undirected": True}
    assert (found.metric, found.graph.num_edges) == ("micro_f1", 18)
    assert load_dataset(path, declared=Declared(undirected=False)).graph.num_edges == 9


def test_a_json_that_says_nothing_of_the_data_is_something_else(root: Path) -> None:
    path = save(root / "graph.npz")
    for text in ("{}", "[1, 2]", '{"nodes": []}', "no json"):
        (root / "graph.json").write_text(text)
        assert beside(path)[0] == NOTHING
    (root / "graph.npz.json").write_text("no json")
    with pytest.raises(InputError, match="is not JSON"):
        load_dataset(path)
    (root / "graph.npz.json").write_text("[1]")
    with pytest.raises(InputError, match="must be an object"):
        load_dataset(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"task": "regression",}', r"graph\.json is not JSON"),
        ('{"task": "regression"', r"graph\.json is not JSON"),
        ('{"tasks": "regression"}', "did you mean 'task'"),
        ('{"task": "regression", "task": "multiclass"}', "the key 'task' twice"),
        ('{"task": "regression", "nodes": 3}', r"unknown option of .*'nodes'"),
    ],
)
def test_a_json_that_means_to_declare_is_not_passed_over(root: Path, text: str, message: str) -> None:
    path = save(root / "graph.npz")
    (root / "graph.json").write_text(text)
    with pytest.raises(InputError, match=message):
        load_dataset(path)


@pytest.mark.parametrize(
    ("text", "why"), [("no json", "is not JSON"), ('{"nodes": [], "links": []}', "declares no fact")]
)
def test_a_json_that_is_not_read_is_named(root: Path, text: str, why: str) -> None:
    path = save(root / "graph.npz")
    (root / "graph.json").write_text(text)
    assert load_dataset(path).notes[0].startswith(f"graph.json beside the data {why}")


def test_direction_and_normalisation_are_declared_or_said(root: Path) -> None:
    path = save(root / "graph.npz", x=np.arange(1, 31, dtype=np.float32).reshape(10, 3))
    found = load_dataset(path)
    assert any("no edge has its reverse" in note for note in found.notes)
    assert not any("reverse" in note for note in load_dataset(path, declared=Declared(undirected=False)).notes)
    scaled = load_dataset(path, declared=Declared(normalize="row"))
    assert isinstance(scaled.graph.x, torch.Tensor)
    assert torch.allclose(scaled.graph.x.sum(dim=1), torch.ones(10))
    assert scaled.checksum != found.checksum


def test_some_edges_without_reverse_are_counted(root: Path) -> None:
    path = save(root / "graph.npz", edge_index=np.array([[0, 1, 1, 2], [1, 0, 2, 3]]))
    assert any("2 of 4 edges have no reverse" in note for note in load_dataset(path).notes)


def test_known_data_are_not_declared(root: Path) -> None:
    with pytest.raises(InputError, match="digits is known, so metric cannot be declared"):
        load_dataset("digits", declared=Declared(metric="roc_auc"))
