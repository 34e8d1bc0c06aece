"""Contract of encoders: inherit :class:`EncoderContract`, set ``encoder``, and run pytest."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.graph.cut import restrict_rows
from gssl.graph.sparse import dense_features, select_features
from gssl.graph.spec import GraphSpec
from gssl.models.encoder import Encoder
from gssl.testing.compare import DEVICES, assert_unchanged, in_other_process, parameters_of, permuted, snapshot
from gssl.testing.options import check_options
from gssl.testing.toy import (
    HETERO_KINDS,
    KINDS,
    Kind,
    toy_batch,
    toy_graph,
    toy_graphs,
    toy_hetero_graph,
    without_edges,
)


def embedding_sum(encoder: Encoder, batch: MiniBatch) -> float:
    """A number that depends on every entry of the embedding."""
    with torch.no_grad():
        out = encoder.eval()(batch)
        return float((out * torch.linspace(0.5, 1.5, out.numel()).view_as(out)).sum())


class EncoderContract:
    """What holds for every encoder.

    Attributes:
        encoder: the class under test; it must be importable by another process.
        options: its options in these tests.
        uses_edges: false for encoders that ignore the graph.
        sampled: whether it takes one smaller block per layer.
        tolerance: relative and absolute tolerance of comparisons in float32.
    """

    encoder: ClassVar[type[Encoder]]
    options: ClassVar[Mapping[str, object]] = {}
    uses_edges: ClassVar[bool] = True
    sampled: ClassVar[bool] = True
    tolerance: ClassVar[float] = 1e-4

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "kind" in metafunc.fixturenames:
            metafunc.parametrize("kind", HETERO_KINDS if self.encoder.needs_types else KINDS)
        if "other" in metafunc.fixturenames:
            others = ("hetero-sparse",) if self.encoder.needs_types else ("node-sparse", "node-gathered")
            metafunc.parametrize("other", others)
        if "device" in metafunc.fixturenames:
            metafunc.parametrize("device", DEVICES)

    def build(self, in_dim: int, *, seed: int = 0) -> Encoder:
        """A new encoder whose weights come from ``seed``."""
        torch.manual_seed(seed)
        options = validate(self.encoder, self.options, what=self.encoder.__name__)
        if not self.encoder.needs_types:
            return self.encoder(in_dim, **options)
        parts = toy_hetero_graph().hetero
        assert parts is not None
        return self.encoder.for_graph(GraphSpec(in_dim, hetero=parts.spec(in_dim)), **options)

    @property
    def usual(self) -> Kind:
        """The kind of batches of which all encoders of its sort take all."""
        return "hetero" if self.encoder.needs_types else "node"

    def close(self, actual: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(actual, expected, rtol=self.tolerance, atol=self.tolerance)

    def test_options_are_a_configuration(self) -> None:
        check_options(self.encoder, first=("in_dim", "types") if self.encoder.needs_types else "in_dim")

    def test_shape_is_what_the_attributes_say(self, kind: Kind, device: str) -> None:
        batch = toy_batch(kind).to(torch.device(device))
        encoder = self.build(batch.in_dim).to(device)
        out = encoder(batch)
        assert out.shape == (batch.num_targets, encoder.out_dim)
        assert out.dtype == torch.float32
        assert out.device.type == device
        assert bool(out.isfinite().all())
        assert encoder.in_dim == batch.in_dim
        assert encoder.num_layers >= 0
        if batch.graph_ptr is not None:
            assert encoder.pool(out, batch).shape == (batch.num_graphs, encoder.out_dim)

    def test_same_seed_same_weights(self) -> None:
        first, second = self.build(6).state_dict(), self.build(6).state_dict()
        assert all(torch.equal(value, second[name]) for name, value in first.items())

    def test_same_embedding_in_another_process(self) -> None:
        batch = toy_batch(self.usual)
        encoder = self.build(batch.in_dim)
        theirs = in_other_process(embedding_sum, copy.deepcopy(encoder), batch)
        assert theirs == pytest.approx(embedding_sum(encoder, batch), rel=1e-5)

    def test_evaluation_is_repeatable_and_leaves_the_batch_alone(self, kind: Kind) -> None:
        batch = toy_batch(kind, attributes=True)
        encoder = self.build(batch.in_dim).eval()
        before = snapshot(batch)
        first = encoder(batch)
        assert torch.equal(first, encoder(batch)), "the encoder draws random numbers in evaluation mode"
        assert_unchanged(batch, before)

    def test_embedding_follows_a_permutation(self, kind: Kind) -> None:
        batch = toy_batch(kind, attributes=True)
        encoder = self.build(batch.in_dim).eval()
        moved, items = permuted(batch, torch.Generator().manual_seed(1))
        here, there = encoder(batch), encoder(moved)
        if batch.graph_ptr is None:
            self.close(there, here[items])
        else:
            self.close(encoder.pool(there, moved), encoder.pool(here, batch)[items])

    def test_other_features_are_dense_features(self, other: Kind) -> None:
        features = toy_batch(other)
        gradients = []
        for batch in (features, features.with_x(dense_features(features.x))):
            encoder = self.build(batch.in_dim).eval()
            out = encoder(batch)
            (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
            gradients.append([out.detach(), *(p.grad for p in parameters_of(encoder).values())])
        for first, second in zip(*gradients, strict=True):
            assert first is not None
            assert second is not None
            self.close(first, second)

    def test_graphs_of_a_batch_do_not_see_each_other(self) -> None:
        if self.encoder.needs_types:
            return
        graphs = toy_graphs()
        together = graphs.full_batch()
        encoder = self.build(together.in_dim).eval()
        out = encoder.pool(encoder(together), together)
        for number in range(together.num_graphs):
            alone = graphs.graph_batch(torch.tensor([number]))
            self.close(encoder.pool(encoder(alone), alone), out[number : number + 1])

    def test_blocks_cut_for_some_targets_give_their_embeddings(self) -> None:
        if not self.sampled or self.encoder.needs_types:
            return
        full = toy_graph().full_batch()
        encoder = self.build(full.in_dim).eval()
        targets = torch.tensor([5, 0, 17, 30])
        self.close(encoder(exact_blocks(full, targets, encoder.num_layers)), encoder(full)[targets])

    def test_edges_matter_as_declared(self) -> None:
        batch = toy_batch(self.usual)
        encoder = self.build(batch.in_dim).eval()
        same = torch.allclose(encoder(batch), encoder(without_edges(batch)))
        assert same != self.uses_edges

    def test_edge_weights_of_one_are_no_weights(self) -> None:
        if self.encoder.needs_types:
            return
        batch = toy_batch(self.usual)
        ones = batch.map_blocks(lambda block: replace(block, weight=torch.ones(block.num_edges)))
        encoder = self.build(batch.in_dim).eval()
        self.close(encoder(ones), encoder(batch))

    def test_edge_weights_get_a_gradient_as_declared(self) -> None:
        if self.encoder.needs_types:
            return
        batch = toy_batch(self.usual)
        weight = torch.linspace(0.5, 1.5, batch.blocks[0].num_edges, requires_grad=True)
        encoder = self.build(batch.in_dim).eval()
        out = encoder(batch.map_blocks(lambda block: replace(block, weight=weight)))
        (gradient,) = torch.autograd.grad(out.square().sum(), weight, allow_unused=True)
        gets = gradient is not None and bool(gradient.any())
        assert gets == encoder.takes_edge_weight, "takes_edge_weight does not say what the encoder does"

    def test_outputs_are_those_of_each_layer(self, kind: Kind) -> None:
        batch = toy_batch(kind)
        encoder = self.build(batch.in_dim).eval()
        try:
            dims = encoder.layer_dims
        except InputError:
            return
        assert len(dims) == encoder.num_layers
        outputs = encoder.outputs(batch)
        assert [tuple(h.shape) for h in outputs] == [(batch.num_targets, dim) for dim in dims]
        if not self.sampled or kind != "node":
            return
        targets = torch.tensor([5, 0, 17, 30])
        sampled = encoder.outputs(exact_blocks(batch, targets, encoder.num_layers))
        for some, every in zip(sampled, outputs, strict=True):
            self.close(some, every[targets])

    def test_every_parameter_gets_a_finite_gradient(self, kind: Kind, device: str) -> None:
        batch = toy_batch(kind).to(torch.device(device))
        encoder = self.build(batch.in_dim).to(device)
        encoder(batch).square().sum().backward()
        for name, parameter in parameters_of(encoder).items():
            assert parameter.grad is not None, f"{name} gets no gradient"
            assert bool(parameter.grad.isfinite().all()), f"the gradient of {name} is not finite"

    def test_odd_graphs_give_finite_embeddings(self, kind: Kind) -> None:
        batch = toy_batch(kind, isolated=2)
        for odd in (batch, without_edges(batch)):
            encoder = self.build(odd.in_dim)
            out = encoder(odd)
            out.sum().backward()
            assert bool(out.isfinite().all())
            assert all(bool(p.grad.isfinite().all()) for p in encoder.parameters() if p.grad is not None)

    def test_double_precision_agrees(self) -> None:
        batch = toy_batch(self.usual)
        encoder = self.build(batch.in_dim).eval()
        single = encoder(batch)
        assert isinstance(batch.x, Tensor)
        batch = batch.with_x(batch.x.double())
        if batch.hetero is not None:
            parts = batch.hetero.map(lambda values: values.double() if values.is_floating_point() else values)
            batch = replace(batch, hetero=parts)
        double = encoder.double()(batch)
        assert double.dtype == torch.float64
        self.close(double.float(), single)

    def test_state_dict_holds_everything(self) -> None:
        batch = toy_batch(self.usual)
        source, copied = self.build(batch.in_dim), self.build(batch.in_dim, seed=1)
        source.train()(batch)  # moves running statistics, where there are any
        copied.load_state_dict(source.state_dict())
        assert torch.equal(source.eval()(batch), copied.eval()(batch))


def exact_blocks(full: MiniBatch, targets: Tensor, num_layers: int) -> MiniBatch:
    """The batch that holds just what ``num_layers`` layers need for some targets of a full graph."""
    rows, blocks = targets, []
    for _ in range(num_layers):
        block, rows = restrict_rows(full.blocks[0], rows)
        blocks.append(block)
    return MiniBatch(
        x=select_features(full.x, rows),
        blocks=tuple(reversed(blocks)),
        node_ids=full.node_ids[rows],
        num_targets=targets.numel(),
    )
