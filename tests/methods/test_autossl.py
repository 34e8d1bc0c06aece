"""AutoSSL: the weighted losses of several methods over one encoder, and how their weights are learned."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from gssl.augment.clusters import k_means
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.graph.spec import GraphSpec
from gssl.graph.storage import Graph
from gssl.method import Method, OverItems, Player
from gssl.methods.autossl import AutoSSL, adam_step
from gssl.methods.bgrl import BGRL
from gssl.methods.dgi import DGI
from gssl.methods.gae import GAE
from gssl.methods.joint import Joint
from gssl.methods.paretognn import ParetoGNN
from gssl.models.encoder import Encoder
from gssl.models.gcn import GCN
from gssl.objectives.homophily import soft_clusters, soft_heterophily
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch
from gssl.samplers.named import clustergcn, graphsage
from gssl.testing.toy import toy_graph, without_edges
from gssl.training.config import TrainConfig
from gssl.training.embed import over_items
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


class Spy(Method):
    """Notes what it is told; its loss is the mean of one column of the embedding."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.told: list[str] = []

    def loss(self, batch: MiniBatch) -> Tensor:
        embedding: Tensor = self.encoder(batch)
        return embedding[:, 0].mean()

    def mass(self, batch: MiniBatch) -> float:
        return 5.0

    def check_sampler(self, sampler: Sampler) -> None:
        self.told.append("sampler")

    def prepare(self, graph: Graph, seed: int) -> None:
        self.told.append("graph")

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        self.told.append(f"epoch {epoch}")

    def after_step(self, progress: float) -> None:
        self.told.append(f"step {progress}")


class Opposed(Spy):
    def players(self) -> Mapping[str, Player]:
        return {"attacker": Player(()), "defender": Player(tuple(self.parameters()))}


class Hasty(Spy):
    def players(self) -> Mapping[str, Player]:
        return {"only": Player(tuple(self.parameters()), lr=0.5)}


class OfGraphs(Spy):
    levels: ClassVar = ("graph",)


class NoMethod:
    pass


SPY, OPPOSED, HASTY, OF_GRAPHS, NO_METHOD = (
    f"{__name__}:{kind.__name__}" for kind in (Spy, Opposed, Hasty, OfGraphs, NoMethod)
)


def make(graph: Graph, **options: object) -> AutoSSL:
    torch.manual_seed(0)
    method = AutoSSL(GCN(graph.in_dim, hidden_dim=8), **options)  # type: ignore[arg-type]
    method.prepare(graph, 3)
    method.reseed(5, CPU)
    return method


def begin(method: AutoSSL, graph: Graph, epoch: int = 0) -> None:
    method.eval()
    method.begin_epoch(epoch, lambda function: over_items(function, graph))
    method.train()


def test_the_loss_is_the_weighted_sum_over_one_encoder() -> None:
    graph = toy_graph()
    method = make(graph, methods=("dgi", "BGRL", "GAE"), weights=(0.5, 0.0, 2.0), options={"bgrl": {"momentum": 0.5}})
    assert method.names == ("DGI", "BGRL", "GAE")
    dgi, bgrl, gae = method.parts
    assert isinstance(dgi, DGI)
    assert isinstance(bgrl, BGRL)
    assert isinstance(gae, GAE)
    assert dgi.encoder is bgrl.encoder is gae.encoder is method.encoder
    assert bgrl.target.momentum == 0.5
    batch = graph.full_batch()
    loss = method.loss(batch)
    method.reseed(5, CPU)
    terms = [part.loss(batch) for part in (dgi, bgrl, gae)]  # in turn from one stream
    torch.testing.assert_close(loss, 0.5 * terms[0] + 2 * terms[2])
    assert torch.equal(method.embed(batch), method.encoder(batch))


def test_every_part_has_its_own_mass() -> None:
    graph = toy_graph()
    method = make(graph, methods=("DGI", SPY), weights=(1.0, 0.1))
    weight = torch.linspace(0.5, 2, 48)
    batch = replace(graph.full_batch().planned(population=60), weight=weight)
    loss = method.loss(batch) * method.mass(batch)
    method.reseed(5, CPU)
    dgi, spy = (part.loss(batch) for part in method.parts)  # type: ignore[operator]
    torch.testing.assert_close(loss, dgi * weight.sum() / 60 + 0.1 * 5 * spy)


def test_parameters_are_updated_once_and_no_target_is() -> None:
    method = make(toy_graph(), methods=("DGI", "BGRL"))
    (player,) = method.players().values()
    wanted = {id(p) for p in method.parameters() if p.requires_grad}
    assert len(player.parameters) == len({id(p) for p in player.parameters}) == len(wanted)
    assert {id(p) for p in player.parameters} == wanted


def test_parts_live_through_what_a_method_lives_through() -> None:
    graph = toy_graph()
    method = make(graph, methods=(SPY, "DGI"))
    sampler = FullBatch(graph)
    pretrain(method, sampler, TrainConfig(epochs=2), seed=0)
    spy = method.parts[0]
    assert isinstance(spy, Spy)
    assert spy.told == ["graph", "sampler", "epoch 0", "step 0.5", "epoch 1", "step 1.0"]


def test_one_random_stream_serves_all_parts() -> None:
    """The training loop stores that of the method itself in a checkpoint within an epoch."""
    graph = toy_graph()
    method = make(graph)
    batch = graph.full_batch()
    method.loss(batch)
    state = method.rng.get_state()
    expected = method.loss(batch).item()
    method.loss(batch)
    method.rng.set_state(state)
    assert method.loss(batch).item() == expected


def heterophily_after(method: AutoSSL, batch: MiniBatch, centers: Tensor, way: list[Tensor], size: float) -> float:
    """What is lowered after a move of the encoder against a gradient."""
    parameters = list(method.encoder.parameters())
    with torch.no_grad():
        for parameter, step in zip(parameters, way, strict=True):
            parameter.sub_(step, alpha=size)
        soft = soft_clusters(method.encoder(batch), centers, temperature=method.temperature)
        value = soft_heterophily(soft, batch.blocks[0].pattern).item()
        for parameter, step in zip(parameters, way, strict=True):
            parameter.add_(step, alpha=size)
    return value


def test_the_slope_of_a_weight_is_what_a_step_along_its_loss_does_to_homophily() -> None:
    graph = toy_graph()
    graph = Graph(graph.block, dense_features(graph.x).double())
    method = make(graph, clusters=3, temperature=0.5).double().eval()
    batch = graph.full_batch()
    found = k_means(method.encoder(batch), 3, steps=300, seed=3, starts=1)
    slopes = []
    for part in method.parts:
        gradient = torch.autograd.grad(part.loss(batch), list(method.encoder.parameters()))  # type: ignore[operator]
        there, back = (heterophily_after(method, batch, found.centers, list(gradient), e) for e in (1e-5, -1e-5))
        slopes.append((there - back) / 2e-5)
    method.reseed(5, CPU)
    begin(method, graph)
    expected = torch.tensor(slopes, dtype=torch.float64)
    torch.testing.assert_close(method.moments[0] / 0.1, expected, rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(method.weight, 0.5 - 0.05 * expected.sign())  # the first step of Adam
    pattern = batch.blocks[0].pattern
    same = found.labels[pattern.row.long()] == found.labels[pattern.col.long()]
    torch.testing.assert_close(method.homophily, same.double().mean())


def test_the_step_is_adams() -> None:
    gradients = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([theirs], lr=0.1, eps=1e-30)
    ours, moments = torch.zeros(3, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64)
    for count, gradient in enumerate(gradients, start=1):
        theirs.grad = gradient.clone()
        optimizer.step()
        ours = adam_step(ours, 1e-12 * gradient, moments, count, lr=0.1)
        torch.testing.assert_close(ours, theirs.detach())
    still = adam_step(ours, torch.zeros(3), torch.zeros(2, 3, dtype=torch.float64), 1, lr=0.1)
    assert torch.equal(still, ours)


def test_weights_are_renewed_when_asked_and_kept_in_the_unit_interval() -> None:
    graph = toy_graph()
    method = make(graph, weights_lr=0.4, weights_epochs=2)
    assert method.weight.tolist() == [0.5, 0.5]
    begin(method, graph, 0)
    first = method.weight.clone()
    assert first.min() >= 0.1
    assert first.max() <= 0.9
    begin(method, graph, 1)
    assert torch.equal(method.weight, first)
    for epoch in range(2, 12, 2):
        begin(method, graph, epoch)
        assert method.weight.min() >= 0
        assert method.weight.max() <= 1
        assert method.weight.any()
    fixed = make(graph, weights=(3.0, 1.0))
    begin(fixed, graph)
    assert fixed.weight.tolist() == [3.0, 1.0]
    assert fixed.homophily == 0


def test_weights_are_part_of_what_is_stored_and_of_what_is_printed() -> None:
    graph = toy_graph()
    method, other = make(graph), make(graph)
    begin(method, graph)
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.weight, method.weight)
    assert not torch.equal(other.weight, make(graph).weight)
    assert f"GAE: {float(other.weight[1]):.3g}" in repr(other)
    assert int(other.renewals) == 1


def test_training_lowers_both_losses_also_on_sampled_batches() -> None:
    graph = toy_graph(num_nodes=96)
    for sampler in (FullBatch(graph), clustergcn(graph, batch_size=48, num_layers=2, seed=0)):
        method = make(graph)
        batch = graph.full_batch()
        before = [part.loss(batch).item() for part in method.parts]  # type: ignore[operator]
        pretrain(method, sampler, TrainConfig(epochs=30, lr=1e-2), seed=0)
        after = [part.loss(batch).item() for part in method.parts]  # type: ignore[operator]
        assert all(new < old for new, old in zip(after, before, strict=True)), (before, after)


def test_a_part_may_refuse_a_sampler() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match="GAE tells edges from non-edges"):
        make(graph).check_sampler(graphsage(graph, batch_size=16, num_layers=2, seed=0))


def test_graphs_without_edges() -> None:
    bare = Graph(without_edges(toy_graph().full_batch()).blocks[0], toy_graph().x)
    method = make(bare)
    begin(method, bare)
    assert method.weight.tolist() == [0.5, 0.5]  # nothing to learn from
    assert method.loss(bare.full_batch()).isfinite()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ("DGI",)}, r"two methods or more \(got \['DGI'\]\)"),
        ({"methods": ("DGI", "dgi")}, "may be named once"),
        ({"methods": ("DGI", "GREACE")}, "GRACE"),
        ({"methods": ("DGI", "supervised")}, "supervised does not have"),
        ({"methods": ("raw", "DGI")}, "raw does not have"),
        ({"methods": ("DGI", "InfoGraph")}, "InfoGraph is one for graphs only"),
        ({"methods": ("DGI", OF_GRAPHS)}, "OfGraphs is one for graphs only"),
        ({"methods": ("DGI", NO_METHOD)}, "NoMethod is not a method"),
        ({"methods": ("DGI", "AutoSSL")}, "cannot be a part of itself"),
        ({"methods": ("DGI", OPPOSED)}, "has players that are updated in turn: attacker, defender"),
        ({"methods": ("DGI", HASTY)}, "has a learning rate or weight decay of its own"),
        ({"weights": (1.0,)}, "one number for each of the 2 methods"),
        ({"weights": (0.0, 0.0)}, "not all zero"),
        ({"options": {"BGRL": {}}}, "method in the options of AutoSSL"),
        ({"options": {"GAE": {"negatives": 2}}}, "negatives_per_edge"),
        ({"clusters": 49}, "49 clusters of 48 nodes"),
    ],
)
def test_bad_input(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(toy_graph(), **options).check_sampler(FullBatch(toy_graph()))


@pytest.mark.parametrize("kind", [AutoSSL, ParetoGNN])
def test_a_method_that_trains_an_encoder_of_its_own_is_refused(kind: type[Joint]) -> None:
    """Its loss would weigh, and the shared encoder would learn nothing from it."""
    encoder = GCN.for_graph(GraphSpec(24), hidden_dim=8)
    with pytest.raises(InputError, match=rf"GCC trains another encoder .* {kind.__name__} would learn nothing from it"):
        kind(encoder, methods=("DGI", "GCC"))
