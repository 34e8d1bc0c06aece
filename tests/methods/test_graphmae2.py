"""GraphMAE2: codes masked anew for each decoding, and the embedding that a moving average gives of all features."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import GCNConv

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.methods.graphmae import GraphMAE
from gssl.methods.graphmae2 import GraphMAE2
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.testing.toy import toy_batch, toy_graph

CPU = torch.device("cpu")


def method_of(**options: Any) -> GraphMAE2:
    torch.manual_seed(0)
    method = GraphMAE2(GCN(24, hidden_dim=8), **validate(GraphMAE2, {"decoder": "GCN", **options}, what="GraphMAE2"))
    with torch.no_grad():
        for parameter in method.parameters():  # no token and no bias is zero, so that none can be left out
            parameter.add_(0.3 * torch.rand(parameter.shape))
    return method.double()


def double(batch: MiniBatch) -> MiniBatch:
    return batch.with_x(dense_features(batch.x).double())


def convolved(layer: Any, x: Tensor, edge_index: Tensor) -> Tensor:
    """PyG's layer with the same weights."""
    convolution = GCNConv(*layer.weight.shape).double()
    convolution.lin.weight.data, convolution.bias.data = layer.weight.data.T, layer.bias.data
    out: Tensor = convolution(x, edge_index)
    return out


def encoded(encoder: Any, x: Tensor, edge_index: Tensor) -> Tensor:
    for layer in encoder.layers:
        x = F.relu(convolved(layer, x, edge_index))
    return x


def average_of(method: GraphMAE2) -> nn.Module:
    """The moving average of the encoder."""
    return next(method.target.encoder.children())


def far(x: Tensor, y: Tensor, gamma: float) -> Tensor:
    """The scaled cosine error of one row."""
    error: Tensor = (1 - x @ y / (x.norm() * y.norm())) ** gamma
    return error


def drawn(method: GraphMAE2, batch: MiniBatch) -> tuple[MiniBatch, Tensor, list[Tensor]]:
    """What a step draws: the masked view, the hidden rows, and the nodes whose codes each decoding masks."""
    method.reseed(3, CPU)
    view, target = method.hide(batch)
    size = batch.num_nodes
    count = round(method.remask_rate * size)
    return view, target.rows, [torch.randperm(size, generator=method.rng)[:count] for _ in range(method.remasks)]


def test_loss_is_the_papers() -> None:
    """The sum over the decodings of the mean error of hidden nodes, and the latent error of all nodes."""
    method = method_of(gamma=3.0, remasks=2, remask_rate=0.4, latent_weight=0.7, mask_rate=0.3).eval()
    with torch.no_grad():
        for parameter in method.target.parameters():
            parameter.mul_(1.1)  # else the average is the encoder itself
    batch = double(toy_batch("node"))
    view, hidden, masks = drawn(method, batch)
    method.reseed(3, CPU)
    loss = method.loss(batch)

    edges, x = batch.blocks[0].edge_index, dense_features(batch.x)
    embedding = encoded(method.encoder, dense_features(view.x), edges)
    expected = torch.zeros((), dtype=torch.float64)
    for masked in masks:
        codes = embedding @ method.encoder_to_decoder.weight.T
        codes = torch.stack([method.code_token if i in masked.tolist() else code for i, code in enumerate(codes)])
        decoded = convolved(method.decoder, codes, edges)
        expected = expected + torch.stack([far(decoded[i], x[i], 3.0) for i in hidden.tolist()]).mean()
    average, projector = method.target.encoder.children()
    goal = projector(encoded(average, x, edges))
    told = method.predictor(method.projector(embedding))
    latent = torch.stack([far(told[i], goal[i], 1.0) for i in range(batch.num_nodes)]).mean()
    torch.testing.assert_close(loss, expected + 0.7 * latent)


def test_every_draw_masks_other_codes_and_hidden_nodes_are_not_the_only_ones() -> None:
    _, hidden, masks = drawn(method_of(remasks=3), toy_batch("node"))
    sets = [set(mask.tolist()) for mask in masks]
    assert len({frozenset(one) for one in sets}) == 3
    assert all(one - set(hidden.tolist()) and set(hidden.tolist()) - one for one in sets)


def test_fixed_masks_of_codes_without_a_latent_target_are_graphmae() -> None:
    batch = toy_batch("node")
    options: dict[str, Any] = {"decoder": "GCN", "gamma": 2.0, "replace_rate": 0.1}
    only: dict[str, Any] = {"remask": "fixed", "latent_weight": 0.0}
    kinds: list[tuple[type[GraphMAE], dict[str, Any]]] = [(GraphMAE, {}), (GraphMAE2, only)]
    losses = []
    for kind, more in kinds:
        torch.manual_seed(0)
        method = kind(GCN(24, hidden_dim=8), **options, **more)
        method.reseed(1, CPU)
        losses.append(method.loss(batch))
    torch.testing.assert_close(*losses)


def test_the_latent_target_sees_all_features_and_gets_no_gradient() -> None:
    """Of two tasks that differ in what is hidden, the targets are the same; the average gets no gradient."""
    method, batch = method_of(), double(toy_batch("node"))
    seen: list[Tensor] = []
    average_of(method).register_forward_pre_hook(lambda _, given: seen.append(dense_features(given[0].x)))
    method.loss(batch).backward()
    (features,) = seen
    assert torch.equal(features, dense_features(batch.x))
    assert all(parameter.grad is None for parameter in method.target.parameters())


def test_the_latent_error_alone_trains_encoder_projector_and_predictor() -> None:
    method, batch = method_of(), double(toy_batch("node"))
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=0.01)
    errors = []
    for _ in range(10):
        optimizer.zero_grad()
        view, _ = method.hide(batch)
        error = method.latent_error(method.encoder(view), batch)
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < errors[0]
    for part in (method.encoder, method.projector, method.predictor):
        assert any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())


@pytest.mark.parametrize("momentum", [0.0, 0.25, 1.0])
def test_the_average_moves_as_the_momentum_says_after_the_delay(momentum: float) -> None:
    method = method_of(momentum=momentum, delay=0.5)
    before = [p.clone() for p in method.target.parameters()]
    with torch.no_grad():
        for parameter in (*method.encoder.parameters(), *method.projector.parameters()):
            parameter.add_(1.0)
    online = [p.detach().clone() for p in (*method.encoder.parameters(), *method.projector.parameters())]
    method.after_step(0.5)
    assert all(torch.equal(a, b) for a, b in zip(before, method.target.parameters(), strict=True))
    method.after_step(0.75)
    for old, new, moved in zip(before, online, method.target.parameters(), strict=True):
        torch.testing.assert_close(moved.data, momentum * old + (1 - momentum) * new)


def test_edges_are_dropped_for_the_encoders_and_not_for_the_decoder() -> None:
    """Each encoder has its own draw."""
    method, batch = method_of(drop_edge=0.5), double(toy_batch("node"))
    edges: dict[str, int] = {}
    kept: list[list[list[int]]] = []

    def watch(name: str, module: nn.Module) -> None:
        module.register_forward_pre_hook(lambda _, given: edges.update({name: given[0].num_edges}))

    watch("decoder", method.decoder)
    for encoder in (method.encoder, average_of(method)):
        encoder.register_forward_pre_hook(lambda _, given: kept.append(given[0].blocks[0].edge_index.tolist()))
    hidden = drawn(method, batch)[1]
    method.reseed(3, CPU)
    method.loss(batch)
    assert edges["decoder"] == int(batch.blocks[0].pattern.counts[hidden].sum())
    assert len(kept) == 2
    assert kept[0] != kept[1]
    assert all(len(one[0]) < 0.7 * batch.blocks[0].num_edges for one in kept)


def test_codes_are_masked_among_all_nodes_that_the_decoder_sees_in_a_sampled_batch() -> None:
    graph = toy_graph(num_nodes=60)
    method = method_of().float()
    sampler = SAMPLERS.get("graphsage")(graph, num_layers=method.num_layers, batch_size=20)
    batch = next(iter(sampler.epoch(0)))
    sizes = []
    masked = method.remasked
    method.remasked = lambda codes: sizes.append(len(codes)) or masked(codes)  # type: ignore[func-returns-value,method-assign]
    method.reseed(0, CPU)
    assert bool(method.loss(batch).isfinite())
    assert sizes == [batch.blocks[-1].num_src] * 3
    assert sizes[0] > batch.num_targets == 20


def test_what_no_loss_reads_is_not_there() -> None:
    def names(**options: Any) -> set[str]:
        return {name.partition(".")[0] for name, _ in method_of(**options).named_parameters()}

    least = {"encoder", "token", "encoder_to_decoder", "decoder"}
    latent = {"projector", "predictor", "target"}
    assert names() == least | latent | {"code_token"}
    assert names(latent_weight=0.0) == least | {"code_token"}
    assert names(remask="fixed") == names(decoder="linear") == least | latent


@pytest.mark.parametrize(
    ("option", "value"),
    [("remasks", 0), ("remask_rate", 1.5), ("momentum", 1.01), ("latent_weight", -1), ("remask", "often")],
)
def test_options_out_of_range_are_refused(option: str, value: Any) -> None:
    with pytest.raises(InputError, match=option):
        method_of(**{option: value})
