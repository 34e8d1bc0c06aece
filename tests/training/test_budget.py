"""What a training needs at least on a device, and what is said where there is less."""

from dataclasses import astuple, replace
from typing import Any

import pytest
import torch

from gssl.common.errors import InputError
from gssl.graph.history import Place
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.registry import PROPAGATIONS, SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.samplers.pair import PairSampler
from gssl.samplers.placement import feature_bytes, graph_bytes
from gssl.testing.compare import tensors_of
from gssl.testing.toy import toy_graph, toy_graphs
from gssl.training.budget import MemoryEstimate, bytes_of, estimate, require_memory, typical_batch
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

GRAPH = toy_graph(num_nodes=40, in_dim=8)
CONFIG = TrainConfig()
AMPLE = 2**30
OPTIONS: dict[str, dict[str, Any]] = {
    "graphsage": {"fanouts": (4, 3)},
    "ladies": {"nodes_per_layer": 8},
    "mvs": {"gamma": 0.5, "checkpoint_every": 2},
    "degree+neighbor": {"fanouts": 2},
    "uniform+saint": {"roots": 5, "subgraphs": 3},
}


def method() -> BGRL:
    return BGRL(GCN(8, hidden_dim=16), predictor_dim=8)


def sampler(name: str, **options: Any) -> PairSampler:
    made = SAMPLERS.get(name)(GRAPH, num_layers=2, batch_size=10, **options)
    assert isinstance(made, PairSampler)
    return made


@pytest.mark.parametrize("sparse", [False, True])
def test_bytes_of_a_batch_are_those_of_its_tensors(sparse: bool) -> None:
    batch = toy_graph(num_nodes=40, in_dim=8, sparse=sparse, attributes=True).full_batch()
    own = sum(tensor.numel() * tensor.element_size() for _, tensor in tensors_of(batch))
    turned, order = batch.blocks[0].pattern.transposed
    own += sum(tensor.numel() * tensor.element_size() for tensor in (turned.rowptr, turned.col, order))
    assert bytes_of(batch) == pytest.approx(own, rel=0.1)
    assert bytes_of(batch) <= own, "a lower bound"


def test_weights_count_with_gradients_and_moments() -> None:
    made = method()
    plain = estimate(made, FullBatch(GRAPH), replace(CONFIG, optimizer="sgd")).weights
    trained = sum(p.numel() for p in made.parameters() if p.requires_grad)
    assert estimate(made, FullBatch(GRAPH), CONFIG).weights - plain == 2 * 4 * trained
    assert plain >= 2 * 4 * trained


def test_activations_follow_rows_widths_and_precision() -> None:
    full = estimate(method(), FullBatch(GRAPH), CONFIG).activations
    assert full == 40 * 32 * 4
    assert estimate(method(), FullBatch(GRAPH), replace(CONFIG, precision="bf16-mixed")).activations == full / 2


@pytest.mark.parametrize("name", ["graphsage", "uniform+exact", "clustergcn", "vrgcn"])
def test_a_batch_counts_with_its_neighbors(name: str) -> None:
    found, first = estimate(method(), sampler(name), CONFIG), next(iter(sampler(name).epoch(0)))
    rows = [first.block(layer).num_dst for layer in range(2)]
    assert found.activations == 4 * 16 * sum(rows)
    assert found.batch == bytes_of(first)
    assert rows[0] > 10 or name == "clustergcn", "its targets and their neighbors"


def test_features_that_are_read_where_they_lie_are_no_part_of_a_batch() -> None:
    made = sampler("graphsage")
    here, there = estimate(method(), made, CONFIG), estimate(method(), made, CONFIG, free=AMPLE)
    first = next(iter(sampler("graphsage").epoch(0)))
    assert here.batch - there.batch == 4 * 8 * first.num_nodes
    on_host = sampler("graphsage", features_on="host")
    assert estimate(method(), on_host, CONFIG, free=AMPLE).batch == here.batch


def test_a_batch_of_graphs_counts_their_nodes() -> None:
    graphs = toy_graphs(num_graphs=12)
    made = BGRL(GCN(graphs.in_dim, hidden_dim=16), predictor_dim=8)
    found, first = (
        estimate(made, GraphBatches(graphs, batch_size=4), CONFIG),
        next(GraphBatches(graphs, batch_size=4).epoch(0)),
    )
    assert found.activations == first.num_nodes * 32 * 4 > 2 * 4 * 32 * 4
    assert found.batch == bytes_of(first)


def test_targets_that_depend_on_norms_are_taken_at_equal_distances() -> None:
    batch = typical_batch(sampler("mvs", **OPTIONS["mvs"]))
    assert batch is not None
    assert batch.node_ids[:10].tolist() == list(range(0, 40, 4))
    assert typical_batch(sampler("uniform+saint", **OPTIONS["uniform+saint"])) is None, "it counts subgraphs first"


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({}, (1, 1)),
        ({"features_on": "host"}, (1, 0)),
        ({"backend": "numba"}, (0, 0)),
    ],
)
def test_what_of_a_graph_lies_on_the_device_counts(options: dict[str, Any], parts: tuple[int, int]) -> None:
    graph, features = parts
    needed = estimate(method(), sampler("graphsage", **options), CONFIG, free=AMPLE)
    assert needed.graph == graph * graph_bytes(GRAPH) + features * feature_bytes(GRAPH)
    assert needed.total == needed.weights + needed.batch + needed.activations + needed.graph
    assert estimate(method(), sampler("graphsage", **options), CONFIG, free=1000).graph == 0
    assert estimate(method(), FullBatch(GRAPH), CONFIG, free=AMPLE).graph == 0, "it is the batch"


SAMPLED = ("mvs", "clustergcn", "degree+neighbor", *(f"uniform+{name}" for name in PROPAGATIONS.names()))


@pytest.mark.parametrize("name", SAMPLED)
def test_an_estimate_changes_no_training(name: str) -> None:
    """Losses, the state of samplers that remember and counts of empty draws are the same, bit by bit."""
    ended = []
    for asked in (False, True):
        torch.manual_seed(0)
        trained, made = method(), sampler(name, seed=3, **OPTIONS.get(name, {}))
        if asked:
            estimate(trained, made, CONFIG, free=AMPLE)
        losses = [record.loss for record in pretrain(trained, made, TrainConfig(epochs=2), seed=0).curve]
        ended.append((losses, made.empty_draws, [values for _, values in tensors_of(made.state_dict())]))
    assert ended[0][:2] == ended[1][:2]
    for before, after in zip(ended[0][2], ended[1][2], strict=True):
        torch.testing.assert_close(before, after, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "options", "rows"),
    [
        ("gas", {}, 1),
        ("lmc", {}, 2),
        ("gas", {"history_precision": "bfloat16"}, 0.5),
        ("gas", {"history_storage": "pinned"}, 0),
        ("graphsage", {}, 0),
    ],
)
def test_a_history_counts_where_it_lies_on_the_device(name: str, options: dict[str, Any], rows: float) -> None:
    made = sampler(name, **options)
    assert estimate(method(), made, CONFIG).history == rows * 40 * 16 * 4
    if name == "gas" and made.store is not None and made.store.storage == "device":
        made.store.push(Place("embedding", 0, 0), torch.arange(3), torch.zeros(3, 16))
        assert made.store.nbytes == rows * 40 * 16 * 4, "it is what one view of it takes"


@pytest.mark.parametrize(
    ("needed", "source", "advice"),
    [
        (MemoryEstimate(1, 9, 1, 0), FullBatch(GRAPH), "--sampler graphsage"),
        (MemoryEstimate(1, 9, 1, 0), sampler("graphsage"), "lower --batch-size or sampler.fanouts"),
        (MemoryEstimate(1, 1, 9, 0), sampler("graphsage"), "--batch-size, sampler.fanouts or encoder.hidden_dim"),
        (MemoryEstimate(1, 9, 1, 0), sampler("uniform+exact"), "or draw neighbors (--sampler graphsage)"),
        (MemoryEstimate(1, 0, 1, 0, 9), sampler("graphsage"), "sampler.features_on=host"),
        (MemoryEstimate(9, 1, 1, 0), FullBatch(GRAPH), "train.optimizer=sgd"),
        (MemoryEstimate(1, 1, 1, 9), sampler("gas"), "history_storage=pinned"),
    ],
)
def test_what_is_largest_is_to_be_lowered(needed: MemoryEstimate, source: Sampler, advice: str) -> None:
    gib = MemoryEstimate(*(2**30 * part for part in astuple(needed)))
    require_memory(gib, gib.total, source)
    with pytest.raises(InputError, match=r"needs at least 1[12]\.00 GiB, 9\.00 of it for") as error:
        require_memory(gib, gib.total - 1, source)
    assert advice in str(error.value)
