"""ParetoGNN: weights of losses from their gradients, and what a step with them does to every loss."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.paretognn import ParetoGNN
from gssl.models.encoder import Encoder
from gssl.models.gcn import GCN
from gssl.samplers.full import FullBatch
from gssl.samplers.named import clustergcn, mvs
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain


class Column(Method):
    """Lowers the weighted mean of one column of the embedding, times a scale."""

    column, scale = 0, 1.0

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.head = torch.nn.Parameter(torch.zeros(()))

    def loss(self, batch: MiniBatch) -> Tensor:
        embedding: Tensor = self.encoder(batch)
        return self.scale * (embedding[:, self.column].mean() + 1) + self.head.square()


class Loud(Column):
    column, scale = 1, 100.0


class Opposite(Column):
    scale = -0.01


class Deaf(Column):
    """Its loss does not depend on the encoder."""

    def loss(self, batch: MiniBatch) -> Tensor:
        return (self.head - 1).square()


COLUMN, LOUD, OPPOSITE, DEAF = (f"{__name__}:{kind.__name__}" for kind in (Column, Loud, Opposite, Deaf))


def make(graph: Graph, **options: object) -> ParetoGNN:
    torch.manual_seed(0)
    encoder = GCN(graph.in_dim, hidden_dim=8, activation="tanh")
    method = ParetoGNN(encoder, **options)  # type: ignore[arg-type]
    method.prepare(graph, 3)
    method.reseed(5, torch.device("cpu"))
    return method


def double_graph() -> Graph:
    graph = toy_graph()
    return Graph(graph.block, dense_features(graph.x).double())


def test_the_loss_and_its_gradient_are_the_weighted_ones() -> None:
    """Weights from a loop over parameters and a closed form for two; the loss is made of losses as they are."""
    graph = double_graph()
    method = make(graph, methods=("DGI", "GAE")).double()
    batch = graph.full_batch()
    loss = method.loss(batch)
    loss.backward()
    method.reseed(5, torch.device("cpu"))
    terms = [part.loss(batch) for part in method.members]
    shared = list(method.encoder.parameters())
    slopes = [torch.autograd.grad(term, shared, retain_graph=True, allow_unused=True) for term in terms]
    inner = [[0.0, 0.0], [0.0, 0.0]]
    for i, first in enumerate(slopes):
        for j, second in enumerate(slopes):
            for a, b in zip(first, second, strict=True):
                inner[i][j] += 0.0 if a is None or b is None else float((a * b).sum())
    cosine = inner[0][1] / (inner[0][0] * inner[1][1]) ** 0.5
    assert abs(cosine) < 1
    assert method.weight.tolist() == pytest.approx([0.5, 0.5])  # of two vectors of one length, whatever their angle
    torch.testing.assert_close(loss, 0.5 * (terms[0] + terms[1]))
    for parameter, a, b in zip(shared, *slopes, strict=True):
        expected = sum((0.5 * s for s in (a, b) if s is not None), torch.zeros_like(parameter))
        torch.testing.assert_close(parameter.grad, expected)
    for term, part in zip(terms, method.members, strict=True):
        for name, parameter in part.named_parameters():
            if not name.startswith("encoder."):
                (alone,) = torch.autograd.grad(term, [parameter], retain_graph=True)
                torch.testing.assert_close(parameter.grad, 0.5 * alone)


def test_without_scaling_the_weak_gradient_has_the_weight() -> None:
    graph = toy_graph()
    scaled, plain = (make(graph, methods=(COLUMN, LOUD), normalize=how) for how in ("weights", "none"))
    for method in (scaled, plain):
        method.loss(graph.full_batch())
    assert scaled.weight.tolist() == pytest.approx([0.5, 0.5])
    assert float(plain.weight[0]) > 0.99


def test_a_small_step_lowers_every_loss_where_the_sum_would_not() -> None:
    """The sum follows the loud one of two losses that are at odds."""
    graph = double_graph()
    batch = graph.full_batch()

    class Against(Loud):
        """The loud column, against most of what the quiet one asks for."""

        def loss(self, batch: MiniBatch) -> Tensor:
            embedding: Tensor = self.encoder(batch)
            return 100 * (embedding[:, 1].mean() - 0.9 * embedding[:, 0].mean())

    method = make(graph, methods=(COLUMN, LOUD), normalize="losses").double()
    method.parts[1] = Against(method.encoder)
    before = [part.loss(batch).item() for part in method.members]
    gradients = [method.gradient(term) for term in method.each(batch)]
    assert float(gradients[0] @ sum(gradients)) < 0, "the sum raises the quiet loss"
    method.loss(batch).backward()
    with torch.no_grad():
        for parameter in method.encoder.parameters():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad, alpha=1e-5)
    after = [part.loss(batch).item() for part in method.members]
    assert all(new < old for new, old in zip(after, before, strict=True)), (before, after)


def test_losses_that_oppose_each_other_leave_the_encoder_alone() -> None:
    """Neither can fall without the other's rising."""
    graph = double_graph()
    method = make(graph, methods=(COLUMN, OPPOSITE), normalize="none").double()
    method.loss(graph.full_batch()).backward()
    assert method.weight.tolist() == pytest.approx([0.01 / 1.01, 1 / 1.01])
    for parameter in method.encoder.parameters():
        assert parameter.grad is not None
        assert float(parameter.grad.abs().max()) < 1e-9


def test_a_loss_that_says_nothing_of_the_encoder_does_not_stop_the_others() -> None:
    graph = toy_graph()
    method = make(graph, methods=(COLUMN, DEAF))
    method.loss(graph.full_batch()).backward()
    assert method.weight.tolist() == [1, 0]
    only = make(graph, methods=(DEAF, COLUMN))
    for part in only.members:
        part.encoder.requires_grad_(False)
    assert only.loss(graph.full_batch()).isfinite()


def test_weights_are_those_of_the_step_and_need_nobody_to_ask_for_gradients() -> None:
    graph = toy_graph()
    method, other = make(graph, methods=("DGI", "GRACE", "GAE")), make(graph, methods=("DGI", "GRACE", "GAE"))
    assert method.weight.tolist() == pytest.approx([1 / 3] * 3)
    with torch.no_grad():
        value = method.loss(graph.full_batch())
    assert value.item() == pytest.approx(other.loss(graph.full_batch()).item())
    torch.testing.assert_close(method.weight, other.weight)
    assert not torch.allclose(method.weight, torch.full((3,), 1 / 3))
    assert f"GAE: {float(method.weight[2]):.3g}" in repr(method)


def test_training_lowers_all_losses_also_on_sampled_batches() -> None:
    graph = toy_graph(num_nodes=96)
    for sampler in (FullBatch(graph), clustergcn(graph, batch_size=48, num_layers=2, seed=0)):
        method = make(graph, methods=("DGI", "GAE"))
        batch = graph.full_batch()
        before = [part.loss(batch).item() for part in method.members]
        pretrain(method, sampler, TrainConfig(epochs=40, lr=1e-2), seed=0)
        after = [part.loss(batch).item() for part in method.members]
        assert all(new < old for new, old in zip(after, before, strict=True)), (before, after)


def test_every_part_has_its_own_mass() -> None:
    graph = toy_graph()
    method = make(graph, methods=("DGI", "GRACE"))
    weight = torch.linspace(0.5, 2, 48)
    batch = replace(graph.full_batch().planned(population=60), weight=weight)
    loss = method.loss(batch) * method.mass(batch)
    method.reseed(5, torch.device("cpu"))
    terms = torch.stack([part.loss(batch) for part in method.members]) * weight.sum() / 60
    torch.testing.assert_close(loss, terms @ method.weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ("DGI",)}, "methods"),
        ({"methods": ("DGI", "dgi")}, "ParetoGNN: a method may be named once"),
        ({"methods": ("DGI", "AutoSSL")}, "AutoSSL is made of methods, and cannot be a part of itself or of ParetoGNN"),
        ({"methods": ("DGI", "ARGA")}, "ParetoGNN updates everything together, but ARGA has players"),
        ({"methods": ("DGI", "InfoGraph")}, "ParetoGNN is a method for nodes"),
        ({"normalize": "rows"}, "normalize"),
        ({"options": {"BGRL": {}}}, "method in the options of ParetoGNN"),
    ],
)
def test_bad_input(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(toy_graph(), **validate(ParetoGNN, options, what="method ParetoGNN"))


def test_samplers_that_observe_gradients_are_refused() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match="takes a gradient of each of its methods"):
        make(graph, methods=("DGI", "GRACE")).check_sampler(mvs(graph, batch_size=16, gamma=0.5, num_layers=2, seed=0))
