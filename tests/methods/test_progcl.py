"""ProGCL: the mixture that tells true negatives from false ones, and what it does to InfoNCE."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from gssl.common.errors import InputError, TrainingError
from gssl.graph.storage import Graph
from gssl.methods.gca import GCA
from gssl.methods.progcl import ProGCL
from gssl.models.gcn import GCN
from gssl.objectives.beta_mixture import BetaMixture
from gssl.objectives.hardness import Hardness, mixed_info_nce, reweighted_info_nce
from gssl.objectives.info_nce import info_nce
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch
from gssl.samplers.named import clustergcn, graphsage
from gssl.testing.objectives import Inputs, ObjectiveContract
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig
from gssl.training.embed import over_items
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def of_products(first: Tensor, second: Tensor) -> Hardness:
    """A hardness that is positive and not symmetric."""
    return lambda rows: (first[rows].detach() @ second.detach().T).sigmoid()


def equally(n: int) -> Hardness:
    return lambda rows: torch.full((rows.stop - rows.start, n), 0.3)


def pair(n: int, dim: int = 5, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    first = torch.randn(n, dim, generator=rng, dtype=torch.float64)
    return first, first + torch.randn(n, dim, generator=rng, dtype=torch.float64)


class TestReweightedInfoNCE(ObjectiveContract):
    objective = reweighted_info_nce

    def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
        first, second = inputs
        return reweighted_info_nce(first, second, of_products(first, second), weight=weight, chunk=4)

    def test_gradient_is_that_of_finite_differences(self) -> None:
        """With a hardness that stands still, as it does in training."""
        first, second = self.inputs()
        weight = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.5], dtype=torch.float64)

        def value(one: Tensor, two: Tensor) -> Tensor:
            return reweighted_info_nce(one, two, of_products(first, second), weight=weight, chunk=4)

        assert torch.autograd.gradcheck(value, (first.clone().requires_grad_(), second.clone().requires_grad_()))


def e(a: Tensor, b: Tensor, t: float = 0.5) -> float:
    return math.exp(float(cosine_similarity(a, b, dim=0)) / t)


def test_negatives_count_by_their_hardness_over_the_anchors_mean() -> None:
    first, second = pair(7)
    hard = of_products(first, second)(slice(0, 7)).tolist()
    terms = []
    for own, other in ((first, second), (second, first)):
        for i in range(7):
            rest = [j for j in range(7) if j != i]
            mean = sum(hard[i][j] for j in rest) / 6
            met = sum(hard[i][j] / mean * (e(own[i], other[j]) + e(own[i], own[j])) for j in rest)
            terms.append(-math.log(e(own[i], other[i]) / (e(own[i], other[i]) + met)))
    loss = reweighted_info_nce(first, second, of_products(first, second), chunk=3)
    assert loss.item() == pytest.approx(sum(terms) / 14)


def test_equal_hardness_is_info_nce_and_a_single_hard_negative_stands_for_all() -> None:
    views = pair(9)
    torch.testing.assert_close(reweighted_info_nce(*views, equally(9), chunk=4), info_nce(*views))
    apart = torch.eye(6, dtype=torch.float64)
    apart[1] = apart[0]  # items 0 and 1 are the same, and each is the only hard negative of the other
    twins = torch.zeros(6, 6)
    twins[0, 1] = twins[1, 0] = 1
    loss = reweighted_info_nce(apart, apart, lambda rows: twins[rows], temperature=0.5)
    # Twice five negatives, all as near as the positive; the other anchors have none that is hard, and no loss.
    assert loss.item() == pytest.approx(2 * math.log(11) / 6)


def test_mixed_negatives_are_those_of_the_loop() -> None:
    first, second = pair(8)
    hard, order = of_products(first, second)(slice(0, 8)), torch.tensor([2, 0, 3, 1])
    terms = []
    for own, other in ((first, second), (second, first)):
        for i in range(8):
            rest = sorted((j for j in range(8) if j != i), key=lambda j: -float(hard[i, j]))
            mixed = []
            for n in range(4):
                j, k = rest[n], rest[order[n]]
                a, b = float(hard[i, j]), float(hard[i, k])
                similarity = [float(cosine_similarity(own[i], other[x], dim=0)) for x in (j, k)]
                mixed.append(math.exp((a * similarity[0] + b * similarity[1]) / (a + b) / 0.5))
            nodes = sum(e(own[i], other[j]) + (e(own[i], own[j]) if j != i else 0) for j in range(8))
            terms.append(-math.log(e(own[i], other[i]) / (nodes + sum(mixed))))
    loss = mixed_info_nce(first, second, of_products(first, second), order, chunk=3)
    assert loss.item() == pytest.approx(sum(terms) / 16)
    ones = torch.ones(8, dtype=torch.float64)
    torch.testing.assert_close(mixed_info_nce(first, second, of_products(first, second), order, weight=ones), loss)
    none = mixed_info_nce(first, second, equally(8), order[:0])
    torch.testing.assert_close(none, info_nce(first, second))


def test_the_mixture_finds_the_distributions_that_values_are_drawn_from() -> None:
    """By moments it does so only roughly; the densities are scipy's."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.beta(3, 12, 6000), rng.beta(6, 4, 2000)])
    mixture = BetaMixture.start(0.3).fitted(torch.from_numpy(values), steps=200)
    mean = mixture.alpha / (mixture.alpha + mixture.beta)
    assert mean.tolist() == pytest.approx([3 / 15, 6 / 10], abs=0.02)
    assert mixture.share.tolist() == pytest.approx([0.75, 0.25], abs=0.02)
    points = np.linspace(0.01, 0.99, 50)
    joint = [
        float(share) * stats.beta.pdf(points, float(a), float(b))
        for a, b, share in zip(mixture.alpha, mixture.beta, mixture.share, strict=True)
    ]
    lower = mixture.lower(torch.from_numpy(points))
    np.testing.assert_allclose(lower, joint[0] / (joint[0] + joint[1] + 1e-12), rtol=1e-9)
    assert lower[5] > 0.99
    assert lower[45] < 0.01


def test_one_step_of_the_fit_is_that_of_moments() -> None:
    values = torch.rand(40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    density = [torch.from_numpy(stats.beta.pdf(values.numpy(), a, b)) for a, b in ((1, 2), (2, 1))]
    one, two = 0.9 * density[0], 0.1 * density[1]
    found = BetaMixture.start(0.1).fitted(values, steps=1)
    for k, own in enumerate((one / (one + two), two / (one + two))):
        mean = (own * values).sum() / own.sum()
        variance = (own * (values - mean) ** 2).sum() / own.sum()
        total = mean * (1 - mean) / variance - 1
        assert found.alpha[k].item() == pytest.approx(float(mean * total))
        assert found.beta[k].item() == pytest.approx(max(float((1 - mean) * total), 1.01 if k else 0))
        assert found.share[k].item() == pytest.approx(float(own.mean()))


def test_values_that_are_all_the_same_are_refused() -> None:
    with pytest.raises(TrainingError, match="collapsed"):
        BetaMixture.start(0.1).fitted(torch.full((9,), 0.7), steps=3)


def make(graph: Graph, **options: object) -> ProGCL:
    torch.manual_seed(0)
    small = {"projector_dim": 8, "start": 0.5, "synthetic": 10, "fit_columns": 30, **options}
    method = ProGCL(GCN(graph.in_dim, hidden_dim=8), **small)  # type: ignore[arg-type]  # mixed values
    method.prepare(graph, 7)
    return method


def begin(method: ProGCL, graph: Graph, epoch: int) -> None:
    method.eval()
    method.reseed(epoch, CPU)
    method.begin_epoch(epoch, lambda function: over_items(function, graph))
    method.train()


def test_it_is_gca_for_a_share_of_the_training_and_hard_from_then_on() -> None:
    graph = toy_graph()
    method = make(graph)
    torch.manual_seed(0)
    plain = GCA(GCN(graph.in_dim, hidden_dim=8), projector_dim=8, centrality="eigenvector", drop_edge=(0.3, 0.4))
    plain.prepare(graph, 7)
    losses = []
    for epoch in (0, 1, 2, 3):
        begin(method, graph, epoch)
        method.after_step((epoch + 1) / 4)
        for each in (method, plain):
            each.reseed(9, CPU)
            losses.append(each.loss(graph.full_batch()).item())
    assert losses[0] == losses[1] == losses[2] == losses[3]
    assert losses[4] != losses[5]
    assert losses[4] == losses[6]  # fitted once, whatever the embeddings become


def test_hardness_is_similarity_times_the_probability_of_a_true_negative_by_global_id() -> None:
    graph = toy_graph(num_nodes=60)
    method = make(graph, start=0.0)
    begin(method, graph, 0)
    mixture = BetaMixture(*method.mixture)
    similarity = (method.first @ method.second.T + 1) / 2
    hard = mixture.lower(similarity) * similarity
    assert not torch.allclose(method.first, method.second)  # two views
    batch = next(iter(graphsage(graph, batch_size=16, num_layers=2, seed=0).epoch(0)))
    ids = batch.node_ids[: batch.num_targets]
    one, two = torch.randn(2, len(ids), 8, generator=torch.Generator().manual_seed(0))
    expected = reweighted_info_nce(one, two, lambda rows: hard[ids[rows]][:, ids], temperature=0.4, weight=batch.weight)
    torch.testing.assert_close(method.contrast(batch, one, two), expected)


def test_an_interrupted_training_knows_its_mixture() -> None:
    graph = toy_graph()
    method, other = make(graph), make(graph)
    method.after_step(0.5)
    begin(method, graph, 2)
    other.load_state_dict(method.state_dict())
    one, two = torch.randn(2, 48, 8)
    assert torch.equal(method.contrast(graph.full_batch(), one, two), other.contrast(graph.full_batch(), one, two))
    assert bool(other.started)
    assert float(other.progress) == 0.5


@pytest.mark.parametrize("mode", ["weight", "mix"])
def test_training_raises_the_agreement_of_positives(mode: str) -> None:
    graph = toy_graph()
    method = make(graph, mode=mode, start=0.0)

    @torch.no_grad()
    def margin() -> float:
        method.reseed(5, CPU)
        views = [view(graph.full_batch(), method.rng) for view in method.views]
        u, v = (normalize(method.project(method.embed(view)), dim=1) for view in views)
        return float((u * v).sum(1).mean() - (u @ v.T).mean())

    before = margin()
    pretrain(method, FullBatch(graph), TrainConfig(epochs=10, lr=1e-2), seed=0)
    assert margin() > before + 0.05


@pytest.mark.parametrize("mode", ["weight", "mix"])
@pytest.mark.parametrize("sampler", [clustergcn, graphsage])
def test_it_trains_on_sampled_batches(sampler: Callable[..., Sampler], mode: str) -> None:
    graph = toy_graph(num_nodes=96)
    method = make(graph, mode=mode, start=0.0)
    batches = sampler(graph, batch_size=32, num_layers=2, seed=0)
    losses = [record.loss for record in pretrain(method, batches, TrainConfig(epochs=12, lr=1e-2), seed=0).curve]
    assert sum(losses[-3:]) < sum(losses[:3])
    assert bool(method.started)


def test_bad_input_says_what_to_change() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match="above 0 and below 1"):
        make(graph, upper_share=1.0)
    with pytest.raises(InputError, match=r"48 hardest of the 47 negatives.*at most 47"):
        make(graph, mode="mix", synthetic=48).check_sampler(FullBatch(graph))
    make(graph, mode="weight", synthetic=48).check_sampler(FullBatch(graph))
    with pytest.raises(InputError, match="prepare"):
        ProGCL(GCN(24, hidden_dim=8)).loss(graph.full_batch())
