from __future__ import annotations

import shutil
import sys
from functools import partial
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from gssl.datasets.load import load_dataset
from gssl.graph.batch import MiniBatch
from gssl.method import Method
from gssl.models.gcn import GCN
from gssl.models.inference import embed_layerwise
from gssl.training.embed import embed_dataset

if TYPE_CHECKING:
    from conftest import Lab


@pytest.mark.parametrize("data", ["graph.npz", "unlabelled.npz", "digit-graphs"])
def test_embeddings_of_a_run_are_computed_again_exactly(lab: Lab, data: str, embeddings: Any) -> None:
    run = Path(lab.run("--seeds", "2", data=data)["run_dir"])
    before = [embeddings(run, seed) for seed in (0, 1)]
    for seed in (0, 1):
        (run / f"seed-{seed}" / "embeddings.npz").unlink()
    out, _ = lab.gssl("embed", str(run))
    assert out.count("embeddings.npz") == 2
    for seed in (0, 1):
        np.testing.assert_array_equal(embeddings(run, seed), before[seed])


def test_supervised_run_with_several_splits(lab: Lab) -> None:
    run = Path(lab.run("--probe", "P2", method="supervised")["run_dir"])
    parts = sorted(part.name for part in (run / "seed-0").iterdir() if part.is_dir())
    assert parts == ["split-0", "split-1", "split-2"]
    before = np.load(run / "seed-0" / "split-1" / "embeddings.npz")["embeddings"]
    lab.gssl("embed", str(run))
    np.testing.assert_array_equal(np.load(run / "seed-0" / "split-1" / "embeddings.npz")["embeddings"], before)


def test_best_epoch_is_what_comes_back(lab: Lab, embeddings: Any) -> None:
    """With patience the weights of the best epoch count, not those of the last."""
    run = Path(lab.run("--epochs", "20", "--set", "train.patience=3", "--set", "train.lr=3")["run_dir"])
    before = embeddings(run)
    lab.gssl("embed", str(run))
    np.testing.assert_array_equal(embeddings(run), before)


def test_formats_hold_the_same_numbers(lab: Lab, embeddings: Any) -> None:
    from pyarrow import parquet
    from safetensors.numpy import load_file

    run = Path(lab.run()["run_dir"])
    lab.gssl("embed", str(run), "--format", "parquet")
    lab.gssl("embed", str(run), "--format", "safetensors")
    table = parquet.read_table(run / "seed-0" / "embeddings.parquet")
    assert table.column_names == ["id", *(f"dim_{index}" for index in range(8))]
    assert table["id"].to_pylist() == list(range(120))
    columns = np.stack([table[f"dim_{index}"].to_numpy() for index in range(8)], axis=1)
    np.testing.assert_array_equal(columns, embeddings(run))
    np.testing.assert_array_equal(load_file(run / "seed-0" / "embeddings.safetensors")["embeddings"], embeddings(run))


class Without(MetaPathFinder):
    """As if a package were not installed; None in ``sys.modules`` would not be the same to those who look there."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(("kind", "package"), [("parquet", "pyarrow"), ("safetensors", "safetensors.torch")])
def test_missing_package_is_named_with_the_command_that_installs_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, kind: str, package: str
) -> None:
    run = lab.run()["run_dir"]
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Without(package), *sys.meta_path])
    _, err = lab.gssl("embed", run, "--format", kind, code=2)
    assert "pip install 'gssl[embed]'" in err


def test_what_cannot_be_embedded_is_explained(lab: Lab) -> None:
    run = Path(lab.run()["run_dir"])
    _, err = lab.gssl("embed", str(lab.folder), code=2)
    assert "not the folder of a run" in err
    shutil.copytree(run, lab.folder / "unfinished")
    (lab.folder / "unfinished" / "seed-0" / "metrics.json").unlink()
    _, err = lab.gssl("embed", "unfinished", code=2)
    assert "no seed" in err
    arrays = dict(np.load("graph.npz"))
    np.savez("graph.npz", **{**arrays, "x": arrays["x"] + 1})
    _, err = lab.gssl("embed", str(run), code=2)
    assert "no longer those" in err


class _Plain(Method):
    def loss(self, batch: MiniBatch) -> torch.Tensor:
        return self.embed(batch).sum()


@pytest.mark.parametrize("norm", ["batch", "graph"])
def test_large_graphs_are_embedded_layer_by_layer_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch, norm: Any
) -> None:
    dataset = load_dataset("digits")
    torch.manual_seed(0)
    method = _Plain(GCN(dataset.graph.in_dim, hidden_dim=8, norm=norm)).eval()
    whole = embed_dataset(method, dataset)
    layerwise = MagicMock(side_effect=partial(embed_layerwise, rows=100))
    monkeypatch.setattr("gssl.training.embed._NODES_AT_ONCE", 10)
    monkeypatch.setattr("gssl.training.embed.embed_layerwise", layerwise)
    torch.testing.assert_close(embed_dataset(method, dataset), whole)
    assert layerwise.called is (norm == "batch")  # graph norm needs all nodes of a graph at once


def test_embedding_leaves_the_graph_fit_for_training() -> None:
    """What is cached while gradients are off must not be unusable when they are on."""
    dataset = load_dataset("digits")
    method = _Plain(GCN(dataset.graph.in_dim, hidden_dim=8))
    embed_dataset(method.eval(), dataset)
    method.loss(dataset.graph.full_batch()).backward()
    assert all(parameter.grad is not None for parameter in method.parameters())
