"""Merged encoders: experts that are trained as by themselves, and what is judged."""

import copy
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import Method, Player
from gssl.methods.merged import Merged
from gssl.models.encoder import Encoder
from gssl.models.gcn import GCN
from gssl.models.merging import Router
from gssl.objectives.weights import weighted_mean
from gssl.samplers.full import FullBatch
from gssl.samplers.named import clustergcn, mvs
from gssl.settings.base import Training
from gssl.testing.toy import toy_dataset, toy_graph
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain


class Squares(Method):
    """Draws nothing: the mean square of what a head makes of the embedding, apart from 1."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.head = torch.nn.Parameter(torch.linspace(-1, 1, encoder.out_dim))

    def loss(self, batch: MiniBatch) -> Tensor:
        embedding: Tensor = self.encoder(batch)
        return weighted_mean((embedding @ self.head - 1).square(), batch.weight)


class Fourth(Squares):
    def loss(self, batch: MiniBatch) -> Tensor:
        return super().loss(batch) ** 2


class Reinitialised(Squares):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        with torch.no_grad():
            next(iter(encoder.parameters())).add_(1)


class Opposed(Squares):
    def players(self) -> Mapping[str, Player]:
        return {"attacker": Player(()), "defender": Player(tuple(self.parameters()))}


SQUARES, FOURTH, REINITIALISED, OPPOSED = (
    f"{__name__}:{kind.__name__}" for kind in (Squares, Fourth, Reinitialised, Opposed)
)


def make(graph: Graph, **options: object) -> Merged:
    torch.manual_seed(0)
    method = Merged(GCN(graph.in_dim, hidden_dim=8, activation="tanh"), **options)  # type: ignore[arg-type]
    method.prepare(graph, 3)
    method.reseed(5, torch.device("cpu"))
    return method


@pytest.mark.parametrize("merge", ["average", "arithmetic", "experts"])
def test_experts_are_trained_as_by_themselves(merge: str) -> None:
    """From one initialisation, whatever is made of them, and the router leaves them and their heads alone."""
    graph = toy_graph()
    method = make(graph, methods=(SQUARES, FOURTH), merge=merge)
    alone = [kind(copy.deepcopy(method.members[0].encoder)) for kind in (Squares, Fourth)]
    config = TrainConfig(epochs=12, lr=1e-2, weight_decay=1e-3)
    for each in (method, *alone):
        pretrain(each, FullBatch(graph), config, seed=0)
    for part, own in zip(method.members, alone, strict=True):
        for name, value in own.state_dict().items():
            torch.testing.assert_close(part.state_dict()[name], value)
    assert not torch.allclose(alone[0].head, alone[1].head)


def test_what_is_judged_has_the_merged_weights() -> None:
    graph = toy_graph()
    for merge, scale in (("average", 0.5), ("arithmetic", 0.3)):
        method = make(graph, methods=(SQUARES, FOURTH), merge=merge)
        start = copy.deepcopy(method.members[0].encoder)
        pretrain(method, FullBatch(graph), TrainConfig(epochs=5, lr=1e-2), seed=0)
        expected = copy.deepcopy(start)
        with torch.no_grad():
            for name, parameter in expected.named_parameters():
                ways = [part.encoder.get_parameter(name) - parameter for part in method.members]
                parameter.add_(torch.stack(ways).sum(0), alpha=scale)
        batch = graph.full_batch()
        torch.testing.assert_close(method.embed(batch), expected(batch))
        assert not torch.allclose(method.embed(batch), start(batch))


def test_the_router_lowers_the_sum_of_the_losses_at_the_mixture() -> None:
    """With experts as they are: shares move away from where they began, and differ from node to node."""
    graph = toy_graph()
    method = make(graph, methods=(SQUARES, FOURTH), merge="experts", router_dim=0)
    batch = graph.full_batch()
    pretrain(method, FullBatch(graph), TrainConfig(epochs=30, lr=1e-2), seed=0)
    routers = [module for module in method.encoder.modules() if isinstance(module, Router)]
    untaught = copy.deepcopy(method)
    for router in untaught.encoder.modules():
        if isinstance(router, Router):
            router.last.data.zero_()
            router.last_bias.data.fill_(0.3)

    def at_the_mixture(of: Merged) -> float:
        with torch.no_grad(), of._routed():
            return float(of.terms(batch).sum())

    assert at_the_mixture(method) < at_the_mixture(untaught)
    with torch.no_grad():
        rows = graph.x if isinstance(graph.x, Tensor) else graph.x.to_dense()
        assert float(routers[0](rows).std(0).min()) > 1e-3


def test_the_loss_is_the_sum_and_for_a_router_that_of_the_mixture_too() -> None:
    graph = toy_graph()
    batch = graph.full_batch()
    average, experts = (make(graph, methods=(SQUARES, FOURTH), merge=merge) for merge in ("average", "experts"))
    own = sum(part.loss(batch) for part in average.members)
    torch.testing.assert_close(average.loss(batch), own)
    mixed = experts.encoder(batch) @ experts.members[0].head
    square = (mixed - 1).square().mean()
    torch.testing.assert_close(experts.loss(batch), own + square + square**2)
    experts.loss(batch).backward()
    assert all(part.encoder is not experts.encoder for part in experts.members)
    assert all(p.requires_grad for p in experts.parts.parameters())


def test_every_parameter_belongs_to_the_player_once() -> None:
    method = make(toy_graph(), methods=("DGI", "BGRL"), merge="experts")
    (player,) = method.players().values()
    wanted = {id(p) for p in method.parameters() if p.requires_grad}
    assert len(player.parameters) == len({id(p) for p in player.parameters}) == len(wanted)
    assert {id(p) for p in player.parameters} == wanted


@pytest.mark.parametrize("merge", ["average", "experts"])
def test_it_trains_on_sampled_batches_and_continues_from_its_state(merge: str) -> None:
    graph = toy_graph(num_nodes=96)
    method = make(graph, methods=("DGI", "BGRL", "GraphMAE"), merge=merge)
    sampler = clustergcn(graph, batch_size=48, num_layers=method.num_layers, seed=0)
    result = pretrain(method, sampler, TrainConfig(epochs=8, lr=1e-2), seed=0)
    assert result.curve[-1].loss < result.curve[0].loss
    other = make(graph, methods=("DGI", "BGRL", "GraphMAE"), merge=merge)
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.eval().embed(graph.full_batch()), method.embed(graph.full_batch()))


@pytest.mark.parametrize("setting", ["auxiliary", "finetune"])
@pytest.mark.parametrize("merge", ["arithmetic", "experts"])
def test_labels_train_the_experts_through_the_merged_weights(setting: str, merge: str) -> None:
    from gssl.config.resolve import Request, Subject, resolve
    from gssl.settings.problem import make_problem

    given = ("encoder.hidden_dim=8", "train.epochs=2", "methods=[DGI, GRACE]", f"merge={merge}")
    request = Request("Merged", preset="none", setting=setting, assignments=given)
    problem = make_problem(resolve(request, Subject("toy", "toy", "node", "LBFGS")), toy_dataset("node"))
    methods = dict[Training | None, Method | None]({None: None})
    for training in problem.trainings(0):
        method = training.method(methods[training.source])
        before = {name: value.clone() for name, value in method.state_dict().items()}
        pretrain(method, training.sampler(method), training.train, seed=0)
        methods[training] = method
    changed = {name for name, value in method.state_dict().items() if not torch.equal(value, before[name])}
    assert {f".parts.{part}.encoder.layers.0.weight" for part in (0, 1)} <= {f".{n.partition('.')[2]}" for n in changed}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ("DGI",)}, "Merged is made of two methods or more"),
        ({"methods": (SQUARES, REINITIALISED)}, "Reinitialised trains another encoder .* or from other weights"),
        ({"methods": (SQUARES, OPPOSED)}, "has players that are updated in turn"),
        ({"methods": ("DGI", "ParetoGNN")}, "cannot be a part of itself or of Merged"),
        ({"methods": ("DGI", "GraphCL")}, "Merged is a method for nodes"),
    ],
)
def test_bad_input(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(toy_graph(), **options)


def test_samplers_that_know_of_one_encoder_are_refused() -> None:
    graph = toy_graph()
    with pytest.raises(InputError, match="Merged trains several encoders"):
        make(graph, methods=("DGI", "GRACE")).check_sampler(mvs(graph, batch_size=16, gamma=0.5, num_layers=2, seed=0))
