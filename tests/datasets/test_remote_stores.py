"""PyG's remote backends: one request a batch, the results of memory, and a refusal of whatever needs all rows."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data, FeatureStore, GraphStore, HeteroData
from torch_geometric.data.feature_store import TensorAttr
from torch_geometric.data.graph_store import EdgeAttr

import gssl
from gssl.common.errors import InputError, StorageError
from gssl.config.components import sampler_factory
from gssl.datasets.types import Dataset
from gssl.graph.remote import RemoteRows
from gssl.graph.storage import Graph
from gssl.registry import PROPAGATIONS

NODES = 90


def network() -> HeteroData:
    """Papers that cite each other, with labels and a split, and authors."""
    rng = torch.Generator().manual_seed(0)
    data = HeteroData()
    data["paper"].x = torch.randn(NODES, 6, generator=rng)
    data["paper"].y = torch.randint(0, 3, (NODES,), generator=rng)
    for number, part in enumerate(("train", "val", "test")):
        data["paper"][f"{part}_mask"] = torch.arange(NODES) % 3 == number
    data["paper", "cites", "paper"].edge_index = torch.randint(0, NODES, (2, 500), generator=rng)
    data["author"].x = torch.randn(9, 4, generator=rng)
    data["author", "writes", "paper"].edge_index = torch.randint(0, 9, (2, 30), generator=rng)
    return data


def alone(data: HeteroData) -> Data:
    """The papers as a graph in memory."""
    return Data(edge_index=data["paper", "cites", "paper"].edge_index, **data["paper"].to_dict())


class SlowStore(FeatureStore, GraphStore):  # type: ignore[misc]  # PyG has no types
    """Another host: it counts what it is asked for, takes its time, and may fail."""

    def __init__(self, data: HeteroData, delay: float = 0.0) -> None:
        FeatureStore.__init__(self)
        GraphStore.__init__(self)
        self.data, self.delay, self.fails = data, delay, False
        self.rows: list[int] = []
        self.edges = 0

    def _get_tensor(self, attr: TensorAttr) -> Any:
        time.sleep(self.delay)
        if self.fails:
            raise ConnectionError("the network is down")
        values = self.data[attr.group_name][attr.attr_name]
        if attr.index is None:
            return values
        self.rows.append(len(attr.index))
        return values[attr.index].numpy()  # a tensor or an array, as PyG allows

    def _get_tensor_size(self, attr: TensorAttr) -> tuple[int, ...]:
        return tuple(self.data[attr.group_name][attr.attr_name].shape)

    def get_all_tensor_attrs(self) -> list[TensorAttr]:
        return [copy.copy(attr) for attr in self.data.get_all_tensor_attrs()]

    def _get_edge_index(self, edge_attr: EdgeAttr) -> Any:
        self.edges += 1
        return self.data.get_edge_index(edge_attr)

    def get_all_edge_attrs(self) -> list[EdgeAttr]:
        return list(self.data.get_all_edge_attrs())

    def _put_tensor(self, tensor: Any, attr: TensorAttr) -> bool:
        raise NotImplementedError

    def _remove_tensor(self, attr: TensorAttr) -> bool:
        raise NotImplementedError

    def _put_edge_index(self, edge_index: Any, edge_attr: EdgeAttr) -> bool:
        raise NotImplementedError

    def _remove_edge_index(self, edge_attr: EdgeAttr) -> bool:
        raise NotImplementedError


@pytest.fixture
def store() -> SlowStore:
    return SlowStore(network())


def opened(store: Any, **options: Any) -> Dataset:
    given = {"name": "toy", "version": "1", "node_type": "paper", **options}
    return gssl.from_stores(store, store, **given)  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSSL_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("GSSL_DB", f"sqlite:///{tmp_path}/results.db")


def test_a_dataset_holds_edges_and_labels_but_no_feature(store: SlowStore) -> None:
    data = opened(store)
    assert (store.edges, store.rows) == (1, [])
    assert (data.graph.num_nodes, data.graph.in_dim, data.num_items) == (NODES, 6, NODES)
    assert data.labels is not None
    assert data.labels.y.tolist() == store.data["paper"].y.tolist()
    assert data.splits[0].train.tolist() == list(range(0, NODES, 3))
    assert any("read row by row from SlowStore of toy" in note for note in data.notes)
    assert any("duplicate edges merged" in note for note in data.notes)


@pytest.mark.parametrize("propagation", sorted(PROPAGATIONS.names()))
def test_every_propagation_asks_at_most_twice_a_batch_and_gets_the_batches_of_memory(
    store: SlowStore, propagation: str
) -> None:
    data = opened(store)
    assert isinstance(data.graph.x, RemoteRows)
    near = Graph(data.graph.block, store.data["paper"].x)
    options: dict[str, Any] = {"num_layers": 2, "batch_size": 16, "seed": 3}
    options |= {"subgraphs": 3, "roots": 16} if propagation == "saint" else {}
    make = sampler_factory(f"uniform+{propagation}")
    batches = list(make(data.graph, **options).epoch(0))
    assert data.graph.x.requests <= 2 * len(batches)
    for here, there in zip(make(near, **options).epoch(0), batches, strict=True):
        assert torch.equal(here.node_ids, there.node_ids)
        one, other = (x if isinstance(x, Tensor) else x.to_dense() for x in (here.x, there.x))
        assert torch.equal(one, other)


def test_a_run_is_that_of_memory_with_one_request_a_batch(store: SlowStore) -> None:
    store.delay = 0.001
    settings: dict[str, Any] = {"epochs": 2, "sampler": "graphsage", "batch_size": 30, "device": "cpu"}
    far = gssl.run("BGRL", opened(store), **settings)
    near = gssl.run("BGRL", alone(store.data), **settings)
    assert torch.equal(far.embeddings, near.embeddings)
    assert (far.val, far.test) == (near.val, near.test)
    assert len(store.rows) == 2 * 3 + 1  # batches, and the nodes to embed, which are few
    assert store.edges == 1


def test_a_hetero_data_is_a_store(store: SlowStore) -> None:
    one, other = opened(store), opened(store.data)
    index = torch.tensor([4, 4, 0])
    assert torch.equal(one.graph.x.index_select(0, index), other.graph.x[index])  # type: ignore[union-attr, index]
    assert torch.equal(one.graph.block.pattern.col, other.graph.block.pattern.col)


def test_a_data_is_a_store_without_types(store: SlowStore) -> None:
    data = opened(alone(store.data), node_type=None)
    assert torch.equal(data.graph.block.pattern.col, opened(store).graph.block.pattern.col)
    assert torch.equal(data.graph.x[torch.tensor([7])], store.data["paper"].x[[7]])  # type: ignore[index]


def test_a_loop_of_ones_own(store: SlowStore) -> None:
    batch = next(gssl.sample(opened(store), "labor", batch_size=8).epoch(0))
    assert torch.equal(batch.x, store.data["paper"].x[batch.n_id])


def test_a_finished_run_embeds_it(store: SlowStore) -> None:
    run = gssl.run("BGRL", alone(store.data), epochs=1, device="cpu")
    assert torch.equal(gssl.embed(run, opened(store)), run.embeddings)


def test_versions_and_edges_tell_datasets_apart(store: SlowStore) -> None:
    first = opened(store).checksum
    assert opened(store).checksum == first
    assert opened(store, version="2").checksum != first
    assert opened(store, declared={"undirected": True}).checksum != first


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("BGRL", {}, "the whole graph cannot be a batch: use a sampler"),
        ("GCA", {"sampler": "graphsage"}, "features of all nodes at once|embeds"),
        ("raw", {"sampler": "graphsage"}, "embeds all nodes of a graph at once"),
        ("MVGRL", {"sampler": "clustergcn"}, "embeds all nodes of a graph at once"),
    ],
)
def test_what_needs_all_features_is_refused_before_anything_is_written(
    store: SlowStore, tmp_path: Path, method: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        gssl.run(method, opened(store), epochs=1, device="cpu", **options, **({"batch_size": 30} if options else {}))
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    "take",
    [
        lambda x: x @ torch.ones(6, 2),
        lambda x: torch.nn.Linear(6, 2)(x),
        lambda x: x.numpy(),
        lambda x: x[:5],
        lambda x: x[torch.ones(NODES, dtype=torch.bool)],
        lambda x: torch.cat([x, x]),
        lambda x: x.clone(),
        lambda x: x.double(),
        lambda x: x.mul_(2),
        lambda x: x.sum(),
        lambda x: x.data_ptr(),
    ],
)
def test_nothing_else_can_touch_the_rows(store: SlowStore, take: Any) -> None:
    with pytest.raises(InputError, match=r"features of all nodes at once .* use a sampler"):
        take(opened(store).graph.x)
    assert not store.rows


def test_a_store_that_fails_is_named(store: SlowStore) -> None:
    data = opened(store)
    store.fails = True
    with pytest.raises(StorageError, match=r"SlowStore of toy does not answer .*the network is down.*checkpoint"):
        gssl.run("BGRL", data, epochs=1, sampler="graphsage", batch_size=30, device="cpu")
    with pytest.raises(StorageError, match="does not answer"):
        opened(store)


def test_wrong_answers_are_refused(store: SlowStore) -> None:
    rows = opened(store).graph.x
    whole = store.data["paper"].x
    for wrong, message in (
        (whole[:, :3], "gave torch.float32 of shape"),
        (whole.long(), "gave torch.int64"),
        (torch.where(torch.arange(NODES)[:, None] == 5, torch.nan, whole), "node 5 that are not finite"),
    ):
        store.data["paper"].x = wrong
        with pytest.raises(InputError, match=message):
            rows[torch.tensor([3, 5])]  # type: ignore[index]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"node_type": None}, "several types of nodes: give node_type, one of author, paper"),
        ({"node_type": "papers"}, "did you mean 'paper'"),
        ({"node_type": "author"}, "give edge_type"),
        ({"features": "z"}, "no features called 'z'"),
        ({"features": "y"}, r"must have shape \(num_nodes, features\)"),
        ({"edge_type": ("author", "writes", "paper")}, "lead to nodes of another type"),
        ({"edge_type": ("paper", "cite", "paper")}, "did you mean 'paper cites paper'"),
        ({"name": ""}, "must not be empty"),
        ({"version": ""}, "must not be empty"),
        ({"declared": {"normalize": "row"}}, "cannot be declared"),
        ({"declared": {"metrik": "mae"}}, "metric"),
    ],
)
def test_what_the_stores_do_not_have(store: SlowStore, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        opened(store, **options)


def test_edges_beyond_the_nodes_are_refused(store: SlowStore) -> None:
    store.data["paper", "cites", "paper"].edge_index[0, 3] = NODES
    with pytest.raises(InputError, match=f"node {NODES} at edge 3"):
        opened(store)
