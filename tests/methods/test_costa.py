"""COSTA: random sums of embeddings, which keep their second moments, instead of nodes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.augment import sketch
from gssl.augment.sketch import gaussian_sketch
from gssl.common.errors import InputError
from gssl.graph.storage import Graph
from gssl.methods.costa import COSTA
from gssl.models.gcn import GCN
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch
from gssl.samplers.named import clustergcn, graphsage
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def make(graph: Graph, **options: object) -> COSTA:
    torch.manual_seed(0)
    return COSTA(GCN(graph.in_dim, hidden_dim=8), projector_dim=8, **options)  # type: ignore[arg-type]  # mixed values


def test_a_sketch_is_the_projection_that_is_drawn_and_so_is_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketch, "_DRAWN_AT_ONCE", 60)  # two rows of the projection at a time
    generator = rng(5)
    pieces = [torch.randn(size, 30, generator=generator, dtype=torch.float64) for size in (2, 2, 2, 2, 2, 1)]
    rows, upstream = drawn(30, 4).requires_grad_(), drawn(11, 4, seed=2)
    expected = torch.cat(pieces) @ rows / 11**0.5
    (wanted,) = torch.autograd.grad(expected, rows, upstream)
    generator = rng(5)
    found = gaussian_sketch(rows, 11, generator)
    state = generator.get_state()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, rows, upstream)[0], wanted)
    assert torch.equal(generator.get_state(), state), "the gradient drew from the generator of the views"


def test_second_moments_are_kept_and_a_weight_of_two_is_a_row_twice() -> None:
    rows = drawn(12, 3)
    weight = torch.tensor([1.0, 2.0, 1.0, 4.0] * 3)
    for weights, scale in ((None, torch.ones(12)), (weight, weight / weight.mean())):
        expected = (rows * scale[:, None]).T @ rows
        found = torch.stack(
            [made.T @ made for made in (gaussian_sketch(rows, 6, rng(s), weight=weights) for s in range(4000))]
        )
        error = found.std(0) / 4000**0.5
        assert bool(((found.mean(0) - expected).abs() < 5 * error).all())
        # One more row of the projection, less variance: that of a Wishart matrix with six degrees of freedom.
        diagonal = expected.diagonal()
        assert found.diagonal(dim1=1, dim2=2).var(0).tolist() == pytest.approx((2 / 6 * diagonal**2).tolist(), rel=0.15)


def test_loss_is_info_nce_of_two_sketches_by_one_projection() -> None:
    graph = toy_graph()
    for intra in (False, True):
        method = make(graph, ratio=0.25, temperature=0.7, intra=intra)
        method.reseed(3, CPU)
        loss = method.loss(graph.full_batch())
        method.reseed(3, CPU)
        embeddings = [method.encoder(view(graph.full_batch(), method.rng)) for view in method.views]
        projection = torch.randn(12, 48, generator=method.rng) / 12**0.5
        u, v = (F.normalize(method.head(projection @ z), dim=1).detach().double() for z in embeddings)
        terms = []
        for own, other in ((u, v), (v, u)):
            for i in range(12):
                met = [float(own[i] @ other[j]) for j in range(12)]
                met += [float(own[i] @ own[j]) for j in range(12) if j != i] if intra else []
                terms.append(torch.tensor(met).div(0.7).logsumexp(0) - float(own[i] @ other[i]) / 0.7)
        assert loss.item() == pytest.approx(float(torch.stack(terms).mean()), rel=1e-5)


def test_a_single_view_is_contrasted_with_itself() -> None:
    graph = toy_graph()
    method = make(graph, mode="single", drop_edge=(0.0, 0.9), mask_feature=(0.0, 0.9), ratio=0.5, temperature=0.5)
    assert len(method.views) == 1  # the first: the graph as it is
    method.reseed(3, CPU)
    loss = method.loss(graph.full_batch())
    method.reseed(3, CPU)
    projection = torch.randn(24, 48, generator=method.rng) / 24**0.5
    u = F.normalize(method.head(projection @ method.encoder(graph.full_batch())), dim=1)
    torch.testing.assert_close(loss, ((u @ u.T / 0.5).exp().sum(1).log() - 1 / 0.5).mean())


@pytest.mark.parametrize("mode", ["multi", "single"])
def test_training_lowers_the_loss_and_keeps_nodes_apart(mode: str) -> None:
    graph = toy_graph()
    method = make(graph, mode=mode)
    result = pretrain(method, FullBatch(graph), TrainConfig(epochs=30, lr=1e-2), seed=0)
    assert sum(r.loss for r in result.curve[-5:]) < sum(r.loss for r in result.curve[:5])
    z = F.normalize(method.embed(graph.full_batch()).detach(), dim=1)
    similar = z @ z.T
    parity = torch.arange(48) % 2
    same = parity[:, None] == parity[None]
    assert similar[same].mean() > similar[~same].mean() + 0.02


@pytest.mark.parametrize("sampler", [clustergcn, graphsage])
def test_it_trains_on_sampled_batches(sampler: Callable[..., Sampler]) -> None:
    graph = toy_graph(num_nodes=96)
    batches = sampler(graph, batch_size=32, num_layers=2, seed=0)
    losses = [r.loss for r in pretrain(make(graph), batches, TrainConfig(epochs=12, lr=1e-2), seed=0).curve]
    assert sum(losses[-3:]) < sum(losses[:3])


def test_equal_weights_change_nothing_and_others_move_the_sketch_towards_their_nodes() -> None:
    graph = toy_graph()
    method = make(graph)

    def loss(weight: Tensor | None) -> float:
        method.reseed(1, CPU)
        return method.loss(replace(graph.full_batch(), weight=weight)).item()

    assert loss(torch.full((48,), 7.0)) == pytest.approx(loss(None), rel=1e-5)
    some = torch.zeros(48)
    some[:24] = 2.0
    method.reseed(1, CPU)
    [method.views[k](graph.full_batch(), method.rng) for k in (0, 1)]
    one = gaussian_sketch(torch.eye(48), 24, method.rng, weight=some)
    assert not one[:, 24:].any()
    assert loss(some) != pytest.approx(loss(None), rel=1e-5)


def test_bad_input_says_what_to_change() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match="less than two of 48"):
        make(graph, ratio=0.03).check_sampler(FullBatch(graph))
    with pytest.raises(InputError, match="at least one row"):
        gaussian_sketch(torch.ones(3, 2), 0, rng())
