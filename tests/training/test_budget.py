"""What a training needs at least on a device, and what is said where there is less."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from gssl.common.errors import InputError
from gssl.graph.history import Place
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch
from gssl.samplers.pair import PairSampler
from gssl.testing.compare import tensors_of
from gssl.testing.toy import toy_graph
from gssl.training.budget import MemoryEstimate, bytes_of, estimate, require_memory
from gssl.training.config import TrainConfig

GRAPH = toy_graph(num_nodes=40, in_dim=8)
CONFIG = TrainConfig()


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
    assert estimate(method(), sampler("graphsage"), CONFIG).activations == full / 4


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
        (MemoryEstimate(1, 9, 1, 0), sampler("graphsage"), "lower --batch-size"),
        (MemoryEstimate(1, 1, 9, 0), sampler("graphsage"), "encoder.hidden_dim"),
        (MemoryEstimate(9, 1, 1, 0), FullBatch(GRAPH), "train.optimizer=sgd"),
        (MemoryEstimate(1, 1, 1, 9), sampler("gas"), "history_storage=pinned"),
    ],
)
def test_what_is_largest_is_to_be_lowered(needed: MemoryEstimate, source: Sampler, advice: str) -> None:
    gib = MemoryEstimate(*(2**30 * part for part in (needed.weights, needed.batch, needed.activations, needed.history)))
    require_memory(gib, gib.total, source)
    with pytest.raises(InputError, match=r"needs at least 1[12]\.00 GiB, 9\.00 of it for") as error:
        require_memory(gib, gib.total - 1, source)
    assert advice in str(error.value)
