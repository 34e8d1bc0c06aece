"""Our own training step, as the training loop does it, without its bookkeeping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gssl.benchmarks.perf.peers.peer import Update
from gssl.graph.storage import Graph
from gssl.method import Method, Player
from gssl.training.embed import over_items

_CPU = torch.device("cpu")


class OurStep:
    """One step of a method on a whole graph, or on a collection as one batch.

    On a graph a step is an epoch, so that what a method makes anew before each epoch belongs to it. On graphs it is one
    of several in an epoch, and does not. The optimizer is that of the peers, Adam as PyTorch has it; the training loop
    takes the fused one, which is faster.

    Args:
        method: not prepared yet.
        graph: that it learns from.
    """

    def __init__(self, method: Method, graph: Graph) -> None:
        method.prepare(graph, 0)
        method.reseed(0, _CPU)
        self.method, self.graph, self.batch = method, graph, graph.full_batch()
        self.epoch = 0
        self.renews = graph.ptr is None and type(method).begin_epoch is not Method.begin_epoch
        players = list(method.players().values())
        self.updates = [self._update(player, [p for p in players if p is not player]) for player in players]
        method.train()

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        return sum(update.parameters for update in self.updates)

    def __call__(self) -> float:
        """The loss of the last player, before the step."""
        if self.renews:
            self._renew()
        losses = [update() for update in self.updates]
        self.method.after_step(0.5)  # the share of the training that is over, which decides a momentum
        return losses[-1]

    def _update(self, player: Player, others: Sequence[Player]) -> Update:
        compute = player.loss or self.method.loss

        def loss() -> Tensor:
            return compute(self.batch)

        return Update(loss, *player.parameters, around=lambda: _still(others))

    def _renew(self) -> None:
        self.method.eval()
        self.method.begin_epoch(self.epoch, lambda function: over_items(function, self.graph))
        self.method.train()
        self.epoch += 1


@contextmanager
def _still(players: Sequence[Player]) -> Iterator[None]:
    """While entered, these players get no gradients."""
    held: list[nn.Parameter] = [parameter for player in players for parameter in player.parameters]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)
