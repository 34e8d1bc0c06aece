"""``gssl.run``: every kind of data, what comes back, and that it is what the command does."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

import gssl
from gssl.common.errors import InputError, TrainingError
from gssl.graph.batch import MiniBatch
from gssl.method import Method
from gssl.testing.toy import toy_dataset

if TYPE_CHECKING:
    from conftest import Lab

pytestmark = pytest.mark.usefixtures("runs")

SMALL: dict[str, Any] = {"epochs": 2, "preset": "none", "set": {"encoder.hidden_dim": 8}}


def graph(nodes: int = 40, dim: int = 6, seed: int = 0) -> Data:
    rng = torch.Generator().manual_seed(seed)
    edges = torch.randint(0, nodes, (2, 5 * nodes), generator=rng)
    y = torch.arange(nodes) % 2
    return Data(x=torch.randn(nodes, dim, generator=rng) + y[:, None], edge_index=edges, y=y)


@pytest.mark.parametrize(
    ("method", "options"),
    [("GCA", {}), ("GRACE", {"sampler": "minvar+adjoint", "batch_size": 16}), ("VGAE", {"task": "link"})],
)
def test_a_run_does_not_depend_on_the_default_dtype(method: str, options: dict[str, Any], tmp_path: Path) -> None:
    usual = gssl.run(method, graph(), out=tmp_path / "usual", **options, **SMALL)
    torch.set_default_dtype(torch.float64)
    try:
        # Data are made as before: it is the program around that has another default.
        other = gssl.run(method, graph_of(torch.float32), out=tmp_path / "other", **options, **SMALL)
        assert torch.get_default_dtype() == torch.float64
        again = gssl.load(tmp_path / "other").encoder(graph_of(torch.float32))
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(usual.embeddings, other.embeddings)
    assert usual.data["metrics"] == other.data["metrics"]
    assert torch.equal(again, gssl.load(tmp_path / "usual").encoder(graph()))


def graph_of(dtype: torch.dtype) -> Data:
    """The graph as it is made where the default is ``dtype``."""
    former = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return graph()
    finally:
        torch.set_default_dtype(former)


class Spread(Method):
    """Embeddings should have no mean and a spread."""

    def __init__(self, encoder: Any, *, goal: float = 1.0, explode: bool = False) -> None:
        super().__init__(encoder)
        self.goal, self.explode = goal, explode

    def loss(self, batch: MiniBatch) -> Tensor:
        rows = self.embed(batch)
        found = rows.mean(0).square().mean() + (rows.std(0) - self.goal).square().mean()
        return found / 0.0 if self.explode else found


def test_a_pyg_graph_comes_back_with_embeddings_scores_and_a_table(runs: Path) -> None:
    result = gssl.run("GRACE", graph(), seeds=3, **SMALL)
    assert result.embeddings.shape == (40, 8)
    assert result.embeddings.dtype == torch.float32
    assert result.run_dir.parent == runs
    table = result.table()
    assert list(table.index) == [0, 1, 2]
    assert list(table.columns[:2]) == ["val_accuracy", "test_accuracy"]
    assert result.test == pytest.approx(table["test_accuracy"].mean())
    assert result.val == pytest.approx(table["val_accuracy"].mean())
    assert result.metrics["accuracy"]["test_std"] == pytest.approx(table["test_accuracy"].std())
    assert set(result.metrics) == {name.removeprefix("test_") for name in table.columns if name.startswith("test_")}
    assert not torch.equal(result.embeddings_of(0), result.embeddings_of(2))
    with pytest.raises(InputError, match="has no seed 3"):
        result.embeddings_of(3)


def test_it_is_what_the_command_does(lab: Lab) -> None:
    """From a path, and from the same arrays in memory: the same embeddings and the same numbers."""
    command = lab.run(method="GRACE")
    words: dict[str, Any] = {"epochs": 5, "set": {"encoder.hidden_dim": 8}}
    path = gssl.run("GRACE", "graph.npz", **words)
    with np.load(lab.folder / "graph.npz") as archive:
        arrays = {name: torch.from_numpy(values) for name, values in archive.items()}
    memory = gssl.run("GRACE", Data(**arrays), **words)
    assert path.data["config_hash"] == command["config_hash"]
    for result in (path, memory):
        assert result.metrics == command["metrics"]
        stored = np.load(Path(command["run_dir"]) / "seed-0" / "embeddings.npz")["embeddings"]
        assert torch.equal(result.embeddings, torch.from_numpy(stored))


def test_networkx_graphs_of_any_kind() -> None:
    karate = gssl.run("DGI", nx.karate_club_graph(), **SMALL)
    assert karate.embeddings.shape == (34, 8)
    assert karate.test is None
    assert math.isnan(float(karate.table()["test_accuracy"].astype(float).iloc[0]))
    assert any("club" in note for note in karate.notes)
    labelled = nx.gnp_random_graph(40, 0.2, seed=1)
    for node in labelled:
        labelled.nodes[node].update(x=[float(node % 2), 1.0], y="odd" if node % 2 else "even")
    assert gssl.run("raw", labelled, preset="none").test == 1.0


def test_a_list_of_graphs_is_a_set_of_graphs() -> None:
    ring = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    graphs = [Data(x=torch.eye(3)[[i % 3] * 4], edge_index=ring, y=torch.tensor([i % 3])) for i in range(30)]
    result = gssl.run("GraphCL", graphs, batch_size=8, **SMALL)
    assert result.embeddings.shape[0] == 30
    assert result.test is not None


def test_types_of_nodes_and_edges_become_one_graph() -> None:
    data = HeteroData()
    data["paper"].x, data["author"].x = torch.randn(10, 4), torch.randn(6, 4)
    data["author", "writes", "paper"].edge_index = torch.stack([torch.arange(6), torch.arange(6)])
    data["paper", "cites", "paper"].edge_index = torch.tensor([[0, 1, 2], [3, 4, 5]])
    result = gssl.run("DGI", data, **SMALL)
    assert result.embeddings.shape == (16, 8)
    assert any("2 node types and 2 edge types as one graph" in note for note in result.notes)


def test_a_dataset_by_name_or_as_an_object() -> None:
    named = gssl.run("untrained", "digits", set={"encoder.hidden_dim": 8}, preset="none")
    assert named.data["dataset"] == "digits"
    assert gssl.run("untrained", toy_dataset("node"), **SMALL).embeddings.shape == (120, 8)


def test_other_content_under_the_same_name_is_another_run(tmp_path: Path) -> None:
    """A dataset that was made by hand has no checksum; it gets one, so that no finished run is taken for it."""
    first = gssl.run("untrained", toy_dataset("node"), out=tmp_path / "one", **SMALL)
    assert gssl.run("untrained", toy_dataset("node"), out=tmp_path / "one", **SMALL).data == first.data
    with pytest.raises(InputError, match="holds another run"):
        gssl.run("untrained", toy_dataset("graph"), out=tmp_path / "one", preset="none")
    gssl.run("untrained", graph(), out=tmp_path / "two", **SMALL)
    with pytest.raises(InputError, match="holds another run"):
        gssl.run("untrained", graph(seed=1), out=tmp_path / "two", **SMALL)


def test_a_class_is_a_method_and_its_keywords_are_options() -> None:
    results = [gssl.run(Spread, graph(), goal=goal, **SMALL) for goal in (1.0, np.float32(3.0))]
    assert results[0].data["method"].endswith(":Spread")
    assert results[0].data["config_hash"] != results[1].data["config_hash"]
    assert results[1].embeddings.std() > results[0].embeddings.std()


def test_a_class_that_cannot_be_found_again_is_refused() -> None:
    class Inner(Spread):
        pass

    with pytest.raises(InputError, match="define it at the top of a module"):
        gssl.run(Inner, graph(), **SMALL)


def test_settings_and_tasks_have_their_keywords() -> None:
    tuned = gssl.run(
        "GRACE", graph(), setting="finetune", labels=0.9, epochs=2, preset="none", set={"finetune.epochs": 2}
    )
    assert (tuned.data["setting"], tuned.data["task"]) == ("finetune", "node")
    linked = gssl.run("GAE", graph(), task="link", epochs=2, preset="none")
    assert {"roc_auc", "average_precision"} <= set(linked.metrics)
    clusters = gssl.run("DGI", graph(), task="cluster", **SMALL)
    assert clusters.val is None
    assert "test_nmi" in clusters.table().columns


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"temprature": 0.2}, "did you mean 'temperature'"),
        ({"temperature": object()}, "option 'temperature' is <object"),
        ({"set": {"train.lr": torch.rand(3)}}, "give a text, a number"),
        ({"set": {"train.lr": -1}}, "option 'lr' of train"),
        ({"task": "graph"}, "--task graph judges graphs"),
        ({"labels": 0.5}, "--labels does not go with --setting frozen"),
        ({"sampler": "nosuch"}, "unknown sampler 'nosuch'"),
        ({"device": "cuda:9x"}, "cuda:9x"),
        ({"seeds": 0}, "seeds is 0: give a whole number of at least 1"),
        ({"seed": -1}, "seed is -1: give a whole number of at least 0"),
        ({"epochs": 2.5}, "epochs is 2.5: give a whole number"),
        ({"batch_size": True, "sampler": "graphsage"}, "batch_size is True: give a whole number"),
        ({"threads": 0}, "threads is 0: give a whole number of at least 1"),
        ({"setting": "finetune", "labels": True}, "must be a share above 0 and at most 1, or a whole number"),
        ({"setting": "finetune", "labels": "2.0"}, "must be a share above 0 and at most 1, or a whole number"),
    ],
)
def test_bad_input_says_what_to_change_and_begins_nothing(given: dict[str, Any], message: str, runs: Path) -> None:
    with pytest.raises(InputError, match=message):
        gssl.run("GRACE", graph(), **{"epochs": 1, "preset": "none", **given})
    assert not runs.exists()


def test_data_that_are_none() -> None:
    with pytest.raises(InputError, match="a int is no graph"):
        gssl.run("GRACE", 3)
    with pytest.raises(InputError, match="no edge_index"):
        gssl.run("GRACE", Data(x=torch.rand(3, 2)))
    with pytest.raises(InputError, match="method GRACE works on node-level data"):
        gssl.run("GRACE", [graph(), graph()])


def test_a_training_that_fails_says_so() -> None:
    with pytest.raises(TrainingError, match="the loss is inf in epoch 0"):
        gssl.run(Spread, graph(), explode=True, **SMALL)


def test_an_unfinished_run_of_the_same_data_goes_on(runs: Path) -> None:
    first = gssl.run("GRACE", graph(), **SMALL)
    (first.run_dir / "result.json").unlink()
    again = gssl.run("GRACE", graph(), **SMALL)
    assert again.run_dir == first.run_dir
    assert again.metrics == first.metrics
    assert len(list(runs.glob("GRACE-*"))) == 1
    assert json.loads((again.run_dir / "result.json").read_text())["metrics"] == first.metrics
