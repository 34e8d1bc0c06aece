"""Several players: two optimizers of bare torch in turn, whatever the options; who moves, and what a stop leaves."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from gssl.common.errors import InputError, TrainingError
from gssl.common.seeds import derive_seed
from gssl.graph.batch import MiniBatch
from gssl.method import MAIN, Method, ParameterGroup, Player
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import GraphBatches
from gssl.testing.toy import toy_graph, toy_graphs
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain
from gssl.training.schedule import rate_factor

BATCHES = 3


class Duel(Method):
    """A critic tells embeddings from noise, an encoder makes them alike; a third parameter belongs to nobody."""

    def __init__(
        self, *, critic_lr: float | None = 0.03, decay: float | None = None, bad: float = 1.0, norm: str = "layer"
    ) -> None:
        torch.manual_seed(0)
        super().__init__(GCN(8, hidden_dim=4, dropout=0.2, norm=norm))  # type: ignore[arg-type]  # one of its names
        self.critic = nn.Linear(4, 1)
        self.idle = nn.Parameter(torch.ones(3))
        self.critic_lr, self.decay, self.bad = critic_lr, decay, bad
        self.calls: list[str] = []
        self.asked: list[set[str]] = []

    def players(self) -> Mapping[str, Player]:
        critics = tuple(self.critic.parameters())
        return {
            "critic": Player(critics, lr=self.critic_lr, weight_decay=self.decay, loss=self.criticism),
            MAIN: Player(tuple(self.encoder.parameters())),
        }

    def criticism(self, batch: MiniBatch) -> Tensor:
        self._note("critic")
        rows = self.embed(batch)
        fakes = torch.randn(rows.shape, generator=self.rng)
        gap: Tensor = (
            nn.functional.softplus(-self.critic(rows)).mean() + nn.functional.softplus(self.critic(fakes)).mean()
        )
        return gap * self.bad

    def loss(self, batch: MiniBatch) -> Tensor:
        self._note(MAIN)
        found: Tensor = self.critic(self.embed(batch)).mean() + 0.1 * self.encoder(batch).square().mean()
        return found

    def _note(self, player: str) -> None:
        self.calls.append(player)
        self.asked.append({name.partition(".")[0] for name, p in self.named_parameters() if p.requires_grad})


@pytest.fixture
def batches() -> GraphBatches:
    """Ten graphs in three batches of at most four graphs."""
    return GraphBatches(toy_graphs(num_graphs=10, in_dim=8), batch_size=4, seed=5)


class Accumulating(GraphBatches):
    """One update for two batches and another for the third."""

    def epoch(self, epoch: int) -> Iterator[MiniBatch]:
        for number, batch in enumerate(super().epoch(epoch)):
            yield batch.planned(step=number > 0)


def by_hand(method: Duel, sampler: Sampler, config: TrainConfig) -> None:
    """The same training with two optimizers of torch; ``pretrain`` starts its streams from seed and epoch."""
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    players, optimizers = method.players(), {}
    for name, player in players.items():
        rate = config.lr if player.lr is None else player.lr
        decay = config.weight_decay if player.weight_decay is None else player.weight_decay
        optimizers[name] = kinds[config.optimizer](list(player.parameters), lr=rate, weight_decay=decay)
    total, warm = config.epochs * BATCHES, config.warmup_epochs * BATCHES

    def factor(step: int) -> float:
        if step < warm:
            return step / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm))) if config.schedule == "cosine" else 1.0

    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, factor) for optimizer in optimizers.values()]
    method.train()
    for epoch in range(config.epochs):
        method.reseed(derive_seed(0, "augment", epoch), torch.device("cpu"))
        torch.manual_seed(derive_seed(0, "epoch", epoch))
        for batch in sampler.epoch(epoch):
            for name, player in players.items():
                loss = (player.loss or method.loss)(batch)
                gradients = torch.autograd.grad(loss, player.parameters, allow_unused=True)
                for parameter, gradient in zip(player.parameters, gradients, strict=True):
                    if gradient is not None:
                        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
                if batch.plan.step:
                    if config.clip_norm is not None:
                        torch.nn.utils.clip_grad_norm_(list(player.parameters), config.clip_norm)
                    optimizers[name].step()
                    optimizers[name].zero_grad()
            for schedule in schedules:
                schedule.step()


@pytest.mark.parametrize("critic_lr", [None, 0.1])
@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(epochs=4, lr=0.02),
        TrainConfig(epochs=4, lr=0.02, weight_decay=0.1, schedule="cosine", warmup_epochs=1),
        TrainConfig(epochs=4, lr=0.3, optimizer="sgd", clip_norm=0.02, schedule="cosine"),
        TrainConfig(epochs=4, lr=0.02, optimizer="adamw", weight_decay=0.2, clip_norm=0.05),
    ],
    ids=["plain", "schedule", "clipped", "adamw"],
)
def test_equals_two_optimizers_of_bare_torch(
    config: TrainConfig, critic_lr: float | None, batches: GraphBatches
) -> None:
    decay = 0.0 if critic_lr else None
    ours, bare = Duel(critic_lr=critic_lr, decay=decay), Duel(critic_lr=critic_lr, decay=decay)
    result = pretrain(ours, batches, config, seed=0)
    by_hand(bare, batches, config)
    for (name, mine), theirs in zip(ours.named_parameters(), bare.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6, msg=name)
    assert result.curve[0].lr <= config.lr  # the rate that is recorded is that of the method, not of the critic


def test_gradients_add_up_for_each_player() -> None:
    graphs = toy_graphs(num_graphs=10, in_dim=8)
    ours, bare = Duel(), Duel()
    config = TrainConfig(epochs=3, optimizer="sgd", lr=0.1)
    sampler = Accumulating(graphs, batch_size=4, seed=5)
    pretrain(ours, sampler, config, seed=0)
    by_hand(bare, sampler, config)
    for mine, theirs in zip(ours.parameters(), bare.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_players_take_turns_and_only_the_one_whose_turn_it_is_may_move(batches: GraphBatches) -> None:
    method = Duel()
    pretrain(method, batches, TrainConfig(epochs=2), seed=0)
    assert method.calls == ["critic", MAIN] * BATCHES * 2
    assert method.asked == [{"critic", "idle"}, {"encoder", "idle"}] * BATCHES * 2
    assert all(parameter.requires_grad for parameter in method.parameters())
    assert torch.equal(method.idle, torch.ones(3))  # whom nobody updates


@pytest.mark.parametrize("still", ["critic", MAIN])
def test_each_player_moves_its_own_parameters_and_no_others(still: str, batches: GraphBatches) -> None:
    """With a rate of next to nothing for one of them, the other one moves alone."""
    tiny = 1e-30
    method = Duel(critic_lr=tiny if still == "critic" else 0.1)
    before = {name: p.detach().clone() for name, p in method.named_parameters()}
    pretrain(method, batches, TrainConfig(epochs=1, optimizer="sgd", lr=tiny if still == MAIN else 0.1), seed=0)
    moved = {
        name.partition(".")[0] for name, p in method.named_parameters() if bool((p - before[name]).abs().max() > 1e-20)
    }
    assert moved == {"encoder" if still == "critic" else "critic"}


@pytest.mark.parametrize("stop", [0, 3, 4, 9, 11])
def test_resuming_is_bit_identical_for_both(stop: int, batches: GraphBatches, tmp_path: Path) -> None:
    """Stopped in the turn of the one or the other, at the begin of an epoch or within it."""
    config = TrainConfig(epochs=3, lr=0.02, clip_norm=1.0, schedule="cosine", patience=2)
    whole = Duel(norm="batch")
    expected = pretrain(whole, batches, config, seed=0, checkpoint=tmp_path / "whole.pt")
    stopped = Duel(norm="batch")
    note = stopped._note

    def noted(player: str) -> None:
        if len(stopped.calls) == stop:
            os.kill(os.getpid(), signal.SIGINT)
        note(player)

    stopped._note = noted  # type: ignore[method-assign]
    with suppress(KeyboardInterrupt):
        pretrain(stopped, batches, config, seed=0, checkpoint=tmp_path / "parts.pt")
    assert len(stopped.calls) == stop - stop % 2 + 2  # the step under way is finished by both
    method = Duel(norm="batch")
    found = pretrain(method, batches, config, seed=0, checkpoint=tmp_path / "parts.pt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, method.state_dict()[name]), name
    assert [record.loss for record in found.curve] == [record.loss for record in expected.curve]
    one, other = (
        torch.load(tmp_path / f"{name}.pt", weights_only=True)["state"]["optimizers"] for name in ("whole", "parts")
    )
    assert list(one) == ["critic", MAIN]
    for name in one:
        for key, values in one[name]["state"].items():
            assert all(torch.equal(value, other[name]["state"][key][moment]) for moment, value in values.items())


def test_a_loss_that_is_not_finite_says_whose_it_is(batches: GraphBatches) -> None:
    method = Duel(bad=math.nan)
    before = method.critic.weight.clone()
    with pytest.raises(
        TrainingError,
        match=r"the loss of critic is nan in epoch 0, with the weights that training begins with.*an extreme option",
    ):
        pretrain(method, batches, TrainConfig(epochs=1), seed=0)
    assert torch.equal(method.critic.weight, before)
    assert all(parameter.requires_grad for parameter in method.parameters())


def test_batches_that_are_only_measured_update_nobody() -> None:
    """Minimal variance measures the gradient of the last player at its checkpoints."""
    graph = toy_graph(num_nodes=60, in_dim=8)
    options = {"num_layers": 2, "batch_size": 20, "norms": "checkpoint", "gamma": 0.5}
    sampler, other = (SAMPLERS.get("minvar+exact")(graph, **options) for _ in range(2))
    steps = []
    for batch in other.epoch(0):
        steps.append(batch.plan.step)
        other.observe(batch, torch.ones(batch.num_targets))
    method = Duel()
    pretrain(method, sampler, TrainConfig(epochs=1), seed=0)
    updates = method.calls.count("critic")
    assert updates == sum(steps)
    assert method.calls.count(MAIN) > updates


class Nobody(Duel):
    def players(self) -> Mapping[str, Player]:
        return {"critic": Player(()), MAIN: Player(())}


def test_players_without_parameters_cannot_train(batches: GraphBatches) -> None:
    with pytest.raises(InputError, match="Nobody has no parameters to train"):
        pretrain(Nobody(), batches, TrainConfig(epochs=1), seed=0)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_groups_have_rates_and_decays_of_their_own_along_the_schedule(
    batches: GraphBatches, optimizer: Literal["adam", "sgd"]
) -> None:
    """Against the optimizer of bare torch with its own groups."""

    class Grouped(Duel):
        def players(self) -> Mapping[str, Player]:
            critic = tuple(self.critic.parameters())
            group = ParameterGroup(critic, rate=0.1, weight_decay=0.3)
            return {MAIN: Player((*self.encoder.parameters(), *critic), lr=0.05, groups=(group,))}

    config = TrainConfig(epochs=3, lr=0.01, weight_decay=0.02, optimizer=optimizer, schedule="cosine", warmup_epochs=1)
    method = Grouped()
    pretrain(method, batches, config, seed=4)
    twin = Grouped()
    groups = [
        {"params": list(twin.encoder.parameters()), "weight_decay": 0.02},
        {"params": list(twin.critic.parameters()), "weight_decay": 0.3},
    ]
    bare = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer](groups, lr=0.05)
    for epoch in range(3):
        twin.train()
        twin.reseed(derive_seed(4, "augment", epoch), torch.device("cpu"))
        torch.manual_seed(derive_seed(4, "epoch", epoch))
        for number, batch in enumerate(batches.epoch(epoch)):
            factor = rate_factor(epoch + number / BATCHES, epochs=3, warmup=1, schedule="cosine")
            for group, rate in zip(bare.param_groups, (0.05, 0.005), strict=True):
                group["lr"] = rate * factor
            bare.zero_grad()
            twin.loss(batch).backward()
            bare.step()
    for (name, mine), theirs in zip(method.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, msg=name)
