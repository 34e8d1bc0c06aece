"""Weights that are made of those of several modules, and layers in which every node has weights of its own."""

import copy

import pytest
import torch
from torch import nn

from gssl.common.errors import InputError
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.models.merging import MergedEncoder, Router, merged_state, routed_encoder
from gssl.models.sage import SAGE
from gssl.models.stack import StackedEncoder
from gssl.samplers.named import graphsage
from gssl.testing.toy import KINDS, Kind, toy_batch, toy_graph


def family(kind: type[StackedEncoder], in_dim: int, count: int = 3, **options: object) -> list[StackedEncoder]:
    """An encoder, and others that began as it and went their own ways."""
    torch.manual_seed(0)
    encoders = [kind(in_dim, hidden_dim=6, **options)]  # type: ignore[arg-type]
    for _ in range(count):
        other = copy.deepcopy(encoders[0])
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.5)
        encoders.append(other)
    return encoders


def by_hand(encoders: list[StackedEncoder], shares: list[float]) -> StackedEncoder:
    """An encoder of its own with the weights ``initial + sum of share (other - initial)``, entry by entry."""
    found = copy.deepcopy(encoders[0])
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            for other, share in zip(encoders[1:], shares, strict=True):
                parameter.add_(other.get_parameter(name) - encoders[0].get_parameter(name), alpha=share)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1 / 3, 0.8])
def test_a_merged_encoder_is_an_encoder_with_these_weights(kind: Kind, scale: float) -> None:
    batch = toy_batch(kind)
    encoders = family(GIN, batch.in_dim, activation="prelu")
    merged = MergedEncoder(encoders[0], encoders[1:], scale=scale)
    torch.testing.assert_close(merged(batch), by_hand(encoders, [scale] * 3)(batch), rtol=1e-4, atol=1e-5)
    merged(batch).square().sum().backward()
    for other in encoders[1:]:
        assert all(p.grad is not None and bool(p.grad.any()) for p in other.parameters())
    assert not any(p.requires_grad for p in encoders[0].parameters())


def test_the_average_of_one_and_of_equals_is_it() -> None:
    batch = toy_batch("node")
    first, other = family(GCN, batch.in_dim, 1)
    for others in ([other], [other, other, other]):
        merged = MergedEncoder(first, others, scale=1 / len(others))
        torch.testing.assert_close(merged(batch), other(batch))


def test_running_statistics_are_averaged_whatever_the_scale() -> None:
    norms = [nn.BatchNorm1d(2) for _ in range(3)]
    for number, norm in enumerate(norms):
        assert norm.running_var is not None
        norm.running_var.fill_(1.0 + number)
    state = merged_state(norms[0], norms[1:], 5.0)
    assert state["running_var"].tolist() == [2.5, 2.5]
    assert state["num_batches_tracked"].dtype == torch.int64


def test_using_a_merged_encoder_changes_nothing_of_the_others() -> None:
    batch = toy_batch("node")
    encoders = family(GCN, batch.in_dim, norm="batch")
    before = [{name: value.clone() for name, value in e.state_dict().items()} for e in encoders]
    MergedEncoder(encoders[0], encoders[1:], scale=0.3).train()(batch)
    for encoder, state in zip(encoders, before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize("encoder", [GCN, SAGE])
@pytest.mark.parametrize("kind", KINDS)
def test_equal_shares_are_task_arithmetic(encoder: type[StackedEncoder], kind: Kind) -> None:
    batch = toy_batch(kind)
    encoders = family(encoder, batch.in_dim, num_layers=2)
    routed = routed_encoder(encoders[0], encoders[1:], hidden_dim=4, start=0.3)
    for module in routed.modules():
        if isinstance(module, Router):
            module.last.data.zero_()
    torch.testing.assert_close(routed(batch), by_hand(encoders, [0.3] * 3)(batch), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", [GCN, SAGE])
def test_every_node_has_the_weights_that_its_own_row_chooses(encoder: type[StackedEncoder]) -> None:
    """A loop over nodes, each with an encoder of its own; on a sampled batch, where destinations are fewer."""
    graph = toy_graph()
    sampled = next(iter(graphsage(graph, batch_size=8, num_layers=1, seed=0).epoch(0)))
    encoders = family(encoder, graph.in_dim, num_layers=1, activation="tanh")
    routed = routed_encoder(encoders[0], encoders[1:], hidden_dim=4, start=0.2)
    (router,) = (module for module in routed.modules() if isinstance(module, Router))
    with torch.no_grad():
        for parameter in router.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
        for batch in (graph.full_batch(), sampled):
            rows = graph.x.to_dense() if not isinstance(graph.x, torch.Tensor) else graph.x
            shares = router(rows[batch.node_ids[: batch.num_targets]])
            assert float(shares.std(0).min()) > 0.01
            found = routed(batch)
            for node in range(0, batch.num_targets, 3):
                alone = by_hand(encoders, shares[node].tolist())(batch)[node]
                torch.testing.assert_close(found[node], alone, rtol=1e-4, atol=1e-5)


def test_layers_that_are_not_linear_in_their_weights_are_refused() -> None:
    encoders = family(GIN, 5)
    with pytest.raises(InputError, match="linear in their weights, which those of GIN are not; use --encoder GCN"):
        routed_encoder(encoders[0], encoders[1:], hidden_dim=4, start=0.3)
