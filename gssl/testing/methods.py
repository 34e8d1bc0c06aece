"""Contract of methods: inherit :class:`MethodContract`, set ``method``, and run pytest.

Example::

    from gssl.testing.methods import MethodContract
    from my_method import MyMethod


    class TestMyMethod(MethodContract):
        method = MyMethod
        options = {"projector_dim": 16}
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from gssl.common.options import validate
from gssl.evaluate.collapse import signs_of_collapse
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.spec import GraphSpec
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.encoder import Encoder
from gssl.registry import ENCODERS
from gssl.testing.compare import DEVICES, assert_unchanged, in_other_process, parameters_of, permuted, snapshot
from gssl.testing.options import check_options, check_search_space
from gssl.testing.toy import HETERO_KINDS, KINDS, Kind, toy_batch, with_weight, without_edges


def seeded_loss(method: Method, batch: MiniBatch, seed: int) -> Tensor:
    """The loss of one training step, with every random stream started as the training loop does it."""
    method.train()
    torch.manual_seed(seed)
    method.reseed(seed, batch.device)
    return method.loss(batch)


def loss_values(method: Method, batch: MiniBatch, seeds: Sequence[int]) -> list[float]:
    """Losses at several seeds with the weights as they are."""
    with torch.no_grad():
        return [seeded_loss(method, batch, seed).item() for seed in seeds]


def train(method: Method, batch: MiniBatch, *, steps: int, lr: float) -> None:
    """Some steps of Adam, as the training loop takes them."""
    optimizer = torch.optim.Adam(parameters_of(method).values(), lr=lr)
    for step in range(steps):
        optimizer.zero_grad()
        seeded_loss(method, batch, step).backward()
        optimizer.step()
        method.after_step((step + 1) / steps)


class EmbeddingContract:
    """What holds for every method, for reference rows that do not train too.

    Attributes:
        method: the class under test; it must be importable by another process.
        options: its options in these tests; small widths keep them quick.
        encoder: name of the encoder in these tests; empty for the method's default.
        encoder_options: its options in these tests.
        tolerance: relative and absolute tolerance of comparisons in float32.
    """

    method: ClassVar[type[Method]]
    options: ClassVar[Mapping[str, object]] = {}
    encoder: ClassVar[str] = ""
    encoder_options: ClassVar[Mapping[str, object]] = {"hidden_dim": 16}
    tolerance: ClassVar[float] = 1e-4

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        usual = [kind for kind in KINDS if kind.partition("-")[0] in self.method.levels]
        forms = HETERO_KINDS if self._encoder().needs_types else usual
        # One form of features for each level is enough where it makes no difference how they are stored.
        kinds = {form.partition("-")[0]: form for form in reversed(forms)}
        for name, values in (("form", forms), ("kind", list(reversed(kinds.values())))):
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, values)
        if "device" in metafunc.fixturenames:
            metafunc.parametrize("device", DEVICES)

    def build(self, kind: Kind, *, seed: int = 0) -> Method:
        """A new method whose weights come from ``seed``, prepared for the graph of the toy batches.

        Override it where options alone do not make one.
        """
        torch.manual_seed(seed)
        encoder_class, batch = self._encoder(), toy_batch(kind)
        x = batch.x if isinstance(batch.x, SparseMatrix) else dense_features(batch.x)
        graph = Graph(batch.blocks[0], x, batch.graph_ptr, batch.hetero)
        options = validate(encoder_class, self.encoder_options, what="encoder")
        encoder = (
            encoder_class.for_graph(GraphSpec.of(graph), **options)
            if encoder_class.needs_types
            else encoder_class(batch.in_dim, **options)
        )
        method = self.method(encoder, **validate(self.method, self.options, what=self.method.__name__))
        method.prepare(graph, seed)
        return method

    def _encoder(self) -> type[Encoder]:
        return ENCODERS.get(self.encoder or self.method.default_encoder)

    def close(self, actual: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(actual, expected, rtol=self.tolerance, atol=self.tolerance)

    def test_options_are_a_configuration(self) -> None:
        check_options(self.method, first="encoder")

    def test_search_space_fits_the_options(self) -> None:
        check_search_space(self.method.search_space, self.method, self._encoder())

    def test_levels_and_encoder_exist(self) -> None:
        assert self.method.levels, "a method trains on nodes, graphs or both"
        assert set(self.method.levels) <= {"node", "graph"}
        assert self.method.default_encoder in ENCODERS.names()

    def test_same_seed_same_weights(self, kind: Kind) -> None:
        first, second = self.build(kind).state_dict(), self.build(kind).state_dict()
        assert first.keys() == second.keys()
        for name, value in first.items():
            assert torch.equal(value, second[name]), f"{name} differs between two methods built with one seed"

    def test_embedding_has_one_finite_row_an_item(self, form: Kind, device: str) -> None:
        method, batch = self.build(form).to(device).eval(), toy_batch(form).to(torch.device(device))
        embedding = method.embed(batch)
        assert embedding.shape[0] == batch.num_items
        assert embedding.dim() == 2
        assert embedding.dtype == torch.float32
        assert embedding.device.type == device
        assert bool(embedding.isfinite().all())

    def test_embedding_is_repeatable_and_leaves_the_batch_alone(self, form: Kind) -> None:
        method, batch = self.build(form).eval(), toy_batch(form, attributes=True)
        before = snapshot(batch)
        first = method.embed(batch)
        assert torch.equal(first, method.embed(batch)), "embed draws random numbers in evaluation mode"
        assert_unchanged(batch, before)

    def test_embedding_follows_a_permutation(self, form: Kind) -> None:
        method, batch = self.build(form).eval(), toy_batch(form)
        moved, items = permuted(batch, torch.Generator().manual_seed(1))
        self.close(method.embed(moved), method.embed(batch)[items])

    def test_embedding_of_odd_graphs_is_finite(self, kind: Kind) -> None:
        method = self.build(kind).eval()
        for batch in odd_batches(kind):
            assert bool(method.embed(batch).isfinite().all())

    def test_state_dict_holds_everything(self, kind: Kind) -> None:
        source, copied, batch = self.build(kind), self.build(kind, seed=1), toy_batch(kind)
        self.disturb(source, batch)
        copied.load_state_dict(source.state_dict())
        assert torch.equal(source.eval().embed(batch), copied.eval().embed(batch))

    def disturb(self, method: Method, batch: MiniBatch) -> None:
        """Move the weights away from where they were initialised."""


class MethodContract(EmbeddingContract):
    """What holds for every method that trains.

    Attributes:
        steps, lr: training that must lower the loss.
        repeats: seeds over which random losses are averaged.
    """

    steps: ClassVar[int] = 20
    lr: ClassVar[float] = 1e-2
    repeats: ClassVar[int] = 16

    def disturb(self, method: Method, batch: MiniBatch) -> None:
        train(method, batch, steps=3, lr=self.lr)

    def test_loss_is_a_finite_scalar(self, form: Kind, device: str) -> None:
        method, batch = self.build(form).to(device), toy_batch(form).to(torch.device(device))
        loss = seeded_loss(method, batch, 0)
        assert loss.shape == ()
        assert loss.is_floating_point()
        assert loss.device.type == device
        assert math.isfinite(loss.item())

    def test_every_parameter_gets_a_finite_gradient(self, form: Kind, device: str) -> None:
        method, batch = self.build(form).to(device), toy_batch(form).to(torch.device(device))
        seeded_loss(method, batch, 0).backward()
        total = 0.0
        for name, parameter in parameters_of(method).items():
            assert parameter.grad is not None, f"{name} gets no gradient: freeze it or leave it out"
            assert bool(parameter.grad.isfinite().all()), f"the gradient of {name} is not finite"
            total += float(parameter.grad.abs().sum())
        assert total > 0, "the gradient is zero everywhere"

    def test_training_lowers_the_loss(self, kind: Kind) -> None:
        """And leaves embeddings apart: a warning says where they collapsed, for a low loss may mean just that."""
        method, batch = self.build(kind), toy_batch(kind)
        seeds = range(1000, 1008)
        before = sum(loss_values(method, batch, seeds))
        train(method, batch, steps=self.steps, lr=self.lr)
        assert sum(loss_values(method, batch, seeds)) < before
        with torch.no_grad():
            told = signs_of_collapse(method.eval().embed(batch))
        if told:
            warnings.warn(f"after {self.steps} steps of {type(method).__name__} {told}", stacklevel=1)

    def test_same_seed_same_loss(self, kind: Kind) -> None:
        first, second, batch = self.build(kind), self.build(kind), toy_batch(kind)
        seeds = (3, 4, 3)
        values = loss_values(first, batch, seeds)
        assert values == loss_values(second, batch, seeds), "two equal methods drew different numbers"
        assert values[0] == pytest.approx(values[2], rel=1e-6), "reseed does not start the random stream anew"

    def test_same_loss_in_another_process(self, kind: Kind) -> None:
        method, batch = self.build(kind), toy_batch(kind)
        theirs = in_other_process(loss_values, copy.deepcopy(method), batch, (0, 1))
        assert theirs == pytest.approx(loss_values(method, batch, (0, 1)), rel=1e-6)

    def test_loss_leaves_the_batch_alone(self, form: Kind) -> None:
        method, batch = self.build(form), with_weight(toy_batch(form, attributes=True), 1.0)
        before = snapshot(batch)
        loss = seeded_loss(method, batch, 0)
        assert_unchanged(batch, before)
        loss.backward()
        assert_unchanged(batch, before)

    def test_loss_does_not_depend_on_the_order_of_nodes(self, kind: Kind) -> None:
        """In distribution: draws differ, so means over seeds are compared, within 5 standard errors."""
        method, batch = self.build(kind), toy_batch(kind)
        moved, _ = permuted(batch, torch.Generator().manual_seed(1))
        here = torch.tensor(loss_values(method, batch, range(self.repeats)), dtype=torch.float64)
        there = torch.tensor(loss_values(method, moved, range(self.repeats)), dtype=torch.float64)
        error = float(((here.var() + there.var()) / self.repeats).sqrt())
        gap = float((here.mean() - there.mean()).abs())
        assert gap <= 5 * error + self.tolerance * float(here.mean().abs()), f"{gap:.3g} apart, error {error:.3g}"

    def test_weights_of_one_are_no_weights(self, kind: Kind) -> None:
        batch = toy_batch(kind)
        weighted = seeded_loss(self.build(kind), with_weight(batch, 1.0), 0)
        self.close(weighted, seeded_loss(self.build(kind), batch, 0))

    def test_weights_matter(self, kind: Kind) -> None:
        batch = toy_batch(kind)
        weight = torch.ones(batch.num_items)
        weight[::3] = 4.0
        weighted = seeded_loss(self.build(kind), replace(batch, weight=weight), 0).item()
        assert weighted != seeded_loss(self.build(kind), batch, 0).item(), "the loss ignores batch.weight"

    def test_state_dict_continues_with_the_same_loss(self, kind: Kind) -> None:
        source, copied, batch = self.build(kind), self.build(kind, seed=1), toy_batch(kind)
        self.disturb(source, batch)
        copied.load_state_dict(source.state_dict())
        assert loss_values(source, batch, (7,)) == loss_values(copied, batch, (7,))

    def test_a_deep_copy_is_equal_and_apart(self, kind: Kind) -> None:
        method, batch = self.build(kind), toy_batch(kind)
        twin = copy.deepcopy(method)
        expected = loss_values(method, batch, (5,))
        self.disturb(twin, batch)
        assert loss_values(method, batch, (5,)) == pytest.approx(expected), "training a copy changed the original"
        assert loss_values(twin, batch, (5,)) != pytest.approx(expected)

    def test_loss_of_odd_graphs_is_finite(self, kind: Kind) -> None:
        for batch in odd_batches(kind):
            method = self.build(kind)
            loss = seeded_loss(method, batch, 0)
            loss.backward()
            assert math.isfinite(loss.item())
            gradients: list[Any] = [p.grad for p in method.parameters() if p.grad is not None]
            assert all(bool(g.isfinite().all()) for g in gradients)


def odd_batches(kind: Kind) -> list[MiniBatch]:
    """The toy batch with isolated nodes, without any edge, and with words that no node has."""
    batch = toy_batch(kind, isolated=2)
    x = batch.x.filter(batch.x.value < 0) if isinstance(batch.x, SparseMatrix) else dense_features(batch.x) * 0
    return [batch, without_edges(batch), batch.with_x(x)]
