"""The catalog is light, complete and open to plug-ins."""

import subprocess
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path

import networkx
import pytest
import torch
from torch_geometric.data import Data

from gssl.common.errors import InputError
from gssl.common.resolve import Resolver, load
from gssl.datasets import catalog
from gssl.datasets.catalog import DATASETS, SPECS, DatasetSpec, find_spec, unlisted_names
from gssl.datasets.load import load_dataset
from gssl.datasets.types import Dataset
from gssl.registry import PROBES


def test_it_imports_no_tensor_library() -> None:
    code = (
        "import sys, gssl.datasets.catalog, gssl.datasets.store; "
        "print([m for m in ('torch', 'torch_geometric', 'sklearn', 'numpy', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_are_unique_in_any_case() -> None:
    assert len({spec.name.lower() for spec in SPECS}) == len(SPECS)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_entry_leads_somewhere(spec: DatasetSpec) -> None:
    assert callable(load(spec.loader, "dataset"))
    assert spec.probe in PROBES.names()
    assert spec.summary
    assert (spec.metric in ("rmse", "mae")) == (spec.kind == "regression")


@pytest.mark.parametrize(
    ("name", "probe", "normalize"),
    [
        ("CORA", "P1", "row"),
        ("dblp", "P2", "row"),
        ("photo", "P3-BGRL", "row"),
        ("physics", "P3-BGRL", "row"),
        ("wikics", "P4", "standard"),
        ("mutag", "P5-RBF", None),
        ("OGBN-ARXIV", "OGB", None),
        ("esol", "LBFGS", None),
        ("tolokers", "LBFGS", None),
    ],
)
def test_conventions_and_lookup_in_any_case(name: str, probe: str, normalize: str | None) -> None:
    spec = find_spec(name)
    assert spec is not None
    assert (spec.probe, spec.normalize) == (probe, normalize)


def test_unknown_names_get_the_nearest_one(root: Path) -> None:
    with pytest.raises(InputError, match="unknown dataset 'Coraa'; did you mean 'Cora'"):
        load_dataset("Coraa")


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """An installed package ``their_data`` that announces ``theirs``."""
    module = types.ModuleType("their_data")
    code = (
        "from gssl.datasets.load import load_dataset\ndef theirs():\n    return load_dataset('digits')\nno_set = dict\n"
    )
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, "their_data", module)
    return module


def _announce(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    point = EntryPoint(name, "their_data:theirs", "gssl.datasets")
    monkeypatch.setattr("gssl.common.resolve.entry_points", lambda group: [point] if group == point.group else [])
    fresh = Resolver[object]("dataset", {spec.name: spec.loader for spec in SPECS}, group="gssl.datasets")
    monkeypatch.setattr(catalog, "DATASETS", fresh)
    monkeypatch.setattr("gssl.datasets.load.DATASETS", fresh)


def test_plug_in_by_import_path(root: Path, plug_in: types.ModuleType) -> None:
    assert load_dataset("their_data:theirs").num_items == 1797


def test_plug_in_by_entry_point(root: Path, plug_in: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    _announce(monkeypatch, "theirs")
    assert load_dataset("Theirs").num_items == 1797


def test_plug_in_may_not_take_a_known_name(
    root: Path, plug_in: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    _announce(monkeypatch, "cora")
    with pytest.raises(InputError, match="two datasets are called 'cora'"):
        load_dataset("nowhere-to-be-found")


def test_plug_in_must_return_a_dataset(root: Path, plug_in: types.ModuleType) -> None:
    with pytest.raises(InputError, match="dataset 'their_data:no_set': there is no edge_index"):
        load_dataset("their_data:no_set")


@pytest.mark.parametrize("kind", ["networkx", "data", "list", "dataset"])
def test_plug_in_may_return_a_graph(root: Path, plug_in: types.ModuleType, kind: str) -> None:
    made = {
        "networkx": networkx.path_graph(3),
        "data": Data(x=torch.eye(3), edge_index=torch.tensor([[0, 1], [1, 2]])),
        "list": [Data(x=torch.eye(3), edge_index=torch.tensor([[0], [1]]))] * 2,
        "dataset": load_dataset("csbm:nodes=30"),
    }[kind]
    plug_in.__dict__["mine"] = lambda: made
    data = load_dataset("their_data:mine")
    assert data.name == (made.name if isinstance(made, Dataset) else "mine")
    assert data.num_items == {"list": 2, "dataset": 30}.get(kind, 3)


def test_plug_in_that_does_not_exist(root: Path, plug_in: types.ModuleType) -> None:
    with pytest.raises(InputError, match="did you mean 'theirs'"):
        load_dataset("their_data:their")


def test_resolver_knows_every_name() -> None:
    assert set(DATASETS.names()) >= {spec.name for spec in SPECS}


def test_every_set_of_the_tu_collection_is_known_but_not_listed(plug_in: types.ModuleType) -> None:
    names = unlisted_names()
    assert len(names) == len({name.lower() for name in (*names, *DATASETS.names())}) - len(DATASETS.names())
    assert {"PTC_FM", "ENZYMES", "QM9", "Tox21_PPAR-gamma_testing"} <= set(names)
    assert not set(names) & set(DATASETS.names())
    for name in names:
        spec = find_spec(name.upper())
        assert spec is not None
        assert (spec.name, spec.family, spec.level) == (name, "TUDataset", "graph")


def test_a_plug_in_with_the_name_of_a_set_that_is_not_listed_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("Enzymes", "their_data:theirs", "gssl.datasets")
    monkeypatch.setattr("gssl.common.resolve.entry_points", lambda group: [point] if group == point.group else [])
    fresh = Resolver[object]("dataset", {spec.name: spec.loader for spec in SPECS}, group="gssl.datasets")
    monkeypatch.setattr(catalog, "DATASETS", fresh)
    assert find_spec("ENZYMES") is None
    assert find_spec("PTC_FM") is not None
