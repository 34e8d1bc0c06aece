"""Sampled training against training on the whole graph."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gssl.common.errors import InputError
from gssl.methods.bgrl import BGRL
from gssl.methods.supervised import Supervised
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch
from gssl.testing.toy import toy_dataset
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

DATASET = toy_dataset("node")


def supervised() -> Supervised:
    torch.manual_seed(0)
    method = Supervised(GCN(DATASET.graph.in_dim, hidden_dim=8), dropout=0.0)
    assert DATASET.labels is not None
    method.fit_labels(DATASET.labels, DATASET.splits[0])
    return method


def sampler(name: str, **options: object) -> Sampler:
    given = {"num_layers": 2, "batch_size": 16, **options}
    return SAMPLERS.get(name)(DATASET.graph, **given)


def test_exact_propagation_of_all_nodes_is_full_batch_training() -> None:
    config = TrainConfig(epochs=10, lr=0.05)
    full, sampled = supervised(), supervised()
    expected = pretrain(full, FullBatch(DATASET.graph), config, seed=0)
    found = pretrain(sampled, sampler("uniform+exact", batch_size=120), config, seed=0)
    torch.testing.assert_close(
        torch.tensor([r.loss for r in found.curve]),
        torch.tensor([r.loss for r in expected.curve]),
        rtol=1e-4,
        atol=1e-5,
    )
    for mine, theirs in zip(sampled.parameters(), full.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["mvs", "graphsage", "vrgcn", "lmc", "minvar+adjoint", "minvar+exact"])
def test_sampled_training_learns(name: str) -> None:
    """Every family of estimators lowers the loss on the whole graph."""
    method = supervised()
    options: dict[str, object] = {"gamma": 0.5} if name in ("mvs", "minvar+exact") else {}
    if name == "minvar+adjoint":
        options["norms"] = "online"
    items = None if name == "minvar+adjoint" else DATASET.splits[0].train
    before = method.loss(DATASET.graph.full_batch()).item()
    pretrain(method, sampler(name, items=items, batch_size=8, **options), TrainConfig(epochs=10, lr=0.02), seed=0)
    assert method.loss(DATASET.graph.full_batch()).item() < 0.7 * before


@pytest.mark.parametrize("name", ["mvs", "minvar+adjoint"])
def test_resumed_training_is_uninterrupted_training(name: str, tmp_path: Path) -> None:
    """History and learnt probabilities are part of the checkpoint."""

    def train(epochs: int, checkpoint: Path) -> BGRL:
        torch.manual_seed(0)
        method = BGRL(GCN(DATASET.graph.in_dim, hidden_dim=8))
        config = TrainConfig(epochs=epochs, lr=0.01, checkpoint_seconds=1e-9)
        pretrain(method, sampler(name, gamma=0.5), config, seed=0, checkpoint=checkpoint)
        return method

    whole = train(4, tmp_path / "whole.pt")
    first = tmp_path / "first.pt"
    # The learning rate does not depend on the number of epochs; the momentum of BGRL's target does.
    torch.manual_seed(0)
    method = BGRL(GCN(DATASET.graph.in_dim, hidden_dim=8))
    interrupted = sampler(name, gamma=0.5)
    original, calls = interrupted.epoch, []

    def epoch(number: int) -> object:
        calls.append(number)
        if number == 2:
            raise KeyboardInterrupt
        return original(number)

    interrupted.epoch = epoch  # type: ignore[method-assign, assignment]
    config = TrainConfig(epochs=4, lr=0.01, checkpoint_seconds=1e-9)
    with pytest.raises(KeyboardInterrupt):
        pretrain(method, interrupted, config, seed=0, checkpoint=first)
    resumed = train(4, first)
    for mine, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_history_of_another_graph_is_refused() -> None:
    one, other = sampler("mvs", gamma=0.5), sampler("mvs", gamma=0.5)
    state = one.state_dict()
    assert isinstance(state["history"], dict)
    state["history"] = {**state["history"], "num_nodes": 7}
    with pytest.raises(InputError, match="another graph"):
        other.load_state_dict(state)


def test_unlabelled_targets_do_not_count_in_the_mean() -> None:
    """Horvitz-Thompson over all nodes: the expected loss is that of the labelled ones."""
    method = supervised().eval()
    full = method.loss(DATASET.graph.full_batch())
    source = sampler("uniform+exact", batch_size=30)
    losses = [method.loss(batch) * method.mass(batch) for batch in source.epoch(0)]
    torch.testing.assert_close(torch.stack(losses).mean(), full, rtol=1e-4, atol=1e-5)
