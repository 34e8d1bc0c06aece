"""Minimal-variance target selection."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import Fraction, NonNegative, NonNegativeInt, PositiveInt, Probability, validate
from gssl.graph.storage import Graph
from gssl.samplers.draws import Lottery, PoissonLottery, Scheme, keyed_order, smallest_hashes
from gssl.samplers.population import Population
from gssl.samplers.probability import PIECE, collected, held, inclusion_rule, priced
from gssl.samplers.rng import Key, Slot
from gssl.samplers.selection.base import Draw, Selection
from gssl.samplers.selection.norms import NormTable


class MinimalVariance(Selection):
    """Items by their gradient norms, so that the gradient varies least (MVS; Cong et al., 2020, arXiv:2006.13866).

    The probability is ``min(1, norm / mu)`` (Theorem 4.1, see :mod:`gssl.samplers.probability`). ``checkpoint`` is the
    paper's Algorithm 1: at the start of an epoch and every K batches, a uniform fraction gamma of the items, V_S, is
    embedded exactly and its norms are measured; the next K batches come from V_S, and an item of it is in such a batch
    with probability ``p * |V_S| / N``, V_S being random too. (As printed, the algorithm divides by the batch size
    instead, which is off by the size of V_S over it.) ``online`` needs no such pass: the norms are those that the
    batches themselves showed, of all items, and all equal at first.

    The official code differs from the paper: it neither steps at checkpoints nor refreshes norms from batches, and
    its probabilities are wrong where norms tie. Norms that are all zero, or were not observed, give uniform draws.
    A batch that comes out empty is skipped; batches go on until one after each renewal is not.

    With a ``cost``, an item is drawn in proportion to its norm over the root of ``1 + cost * neighbors`` instead,
    which minimises variance times cost: for exact propagation, where a hub costs as much as many other targets.
    Norms that say nothing then count as equal, and draws are uniform but for the cost.

    Args:
        graph: where the nodes are.
        items: the population, distinct node ids, shape (N,), int64; None means all nodes.
        batch_size: expected number of targets in a batch; fewer where fewer norms are positive and ``mix`` is 0.
        seed: of the draws.
        norms: where gradient norms come from, ``checkpoint`` or ``online``.
        gamma: size of V_S as a fraction of the items; it must not be smaller than a batch.
        checkpoint_every: batches between two checkpoints, K.
        growth: what each checkpoint adds to K.
        checkpoint_batch: how many nodes of V_S are embedded at once, and with a history how many of their neighbors,
            fewer where these would read more than 8 times as many rows (a node with more neighbors comes alone);
            None for all. The history and the norms are the same up to rounding (for objectives that are sums over
            nodes), the memory is that of so many nodes.
        step_at_checkpoint: whether the optimizer steps on V_S too (as the algorithm is printed).
        refresh: whether the norms of V_S are measured again in its batches, which changes the probabilities of the
            next one; ``online`` always measures.
        renew_every: batches between two renewals of the probabilities of ``online``; each epoch begins with one.
        staleness: share of its distance to the mean norm that a norm loses in each batch since it was measured.
        floor: norms below ``floor`` times the mean count as that much.
        mix: share of uniform draws, so that no item is out of reach; the paper has none (0).
        cost: what each neighbor of a target adds to the cost of drawing it, relative to the target itself; 0, as in
            the paper, for targets that cost the same.
        draw: ``poisson`` draws each item for itself (the paper); ``fixed`` has ``batch_size`` items in every batch.

    Raises:
        InputError: the batch is larger than the population or V_S, or an option is out of range.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        items: Tensor | None = None,
        batch_size: int,
        seed: int = 0,
        norms: Literal["checkpoint", "online"] = "checkpoint",
        gamma: Fraction = 0.1,
        checkpoint_every: PositiveInt = 20,
        growth: NonNegativeInt = 0,
        checkpoint_batch: PositiveInt | None = None,
        step_at_checkpoint: bool = False,
        refresh: bool = True,
        renew_every: PositiveInt = 20,
        staleness: Probability = 0.0,
        floor: NonNegative = 0.0,
        mix: Fraction = 0.1,
        cost: NonNegative = 0.0,
        draw: Scheme = "poisson",
    ) -> None:
        super().__init__(graph, items=items, batch_size=batch_size, seed=seed)
        self.norms, self.gamma, self.draw = norms, gamma, draw
        self.checkpoint_every, self.growth, self.renew_every = checkpoint_every, growth, renew_every
        self.checkpoint_batch, self.step_at_checkpoint, self.refresh = checkpoint_batch, step_at_checkpoint, refresh
        self.staleness, self.floor, self.mix, self.cost = staleness, floor, mix, cost
        names = (
            *("norms", "gamma", "checkpoint_every", "growth", "checkpoint_batch", "step_at_checkpoint", "refresh"),
            *("renew_every", "staleness", "floor", "mix", "cost", "draw"),
        )
        options = {name: getattr(self, name) for name in names}
        validate(type(self), options, what="selection minvar")
        self._everyone = self.population.in_order()
        self._table = NormTable(self._everyone, staleness=staleness)
        self._pool: Population = self._everyone
        self._positions: Tensor | None = None  # of V_S; None means all
        self._order: Tensor | None = None  # of the pool, for draws of a fixed size; a new one in each epoch
        self._lottery: Lottery | PoissonLottery | None = None
        if norms == "checkpoint" and self.pool_size < batch_size:
            nodes = len(self.population)
            least = math.ceil(1000 * batch_size / nodes) / 1000
            raise InputError(
                f"gamma={gamma:g} of {nodes} nodes is {self.pool_size}, fewer than a batch of {batch_size}: "
                f"raise gamma to {least:g} or more, or lower --batch-size"
            )

    @property
    def pool_size(self) -> int:
        """Number of items that the inner batches are drawn from, V_S at checkpoints."""
        population = len(self.population)
        return population if self.norms == "online" else int(self.gamma * population + 1e-9)

    @property
    def batches_per_epoch(self) -> int:
        """Batches that the optimizer steps after (in the first epoch, if K grows); checkpoints count if it does."""
        return self._inner + (self._renewals(0) if self.step_at_checkpoint and self.norms == "checkpoint" else 0)

    @property
    def embeds_exactly(self) -> bool:
        return self.norms == "checkpoint"

    @property
    def stateful(self) -> bool:
        return True

    def epoch(self, epoch: int) -> Iterator[Draw]:
        renewed, self._order = self._renewals_before(epoch), None
        keys = (Key(self.seed, epoch, step) for step in count())
        now, end = epoch * self._inner, (epoch + 1) * self._inner
        while now < end:
            self._lottery = None
            if self.norms == "checkpoint":
                yield self._checkpoint(next(keys), now)
            draws = self._until_renewal(keys, now, min(now + self._interval(renewed), end))
            for draw in draws if self.norms == "checkpoint" else _last_decides(draws):
                yield draw
                last = draw.time
            now, renewed = max(min(now + self._interval(renewed), end), last + 1), renewed + 1

    def observe(self, ids: Tensor, norms: Tensor, *, time: int = 0) -> None:
        self._table.record(ids, norms, now=time)
        if self.norms == "checkpoint":
            self._lottery = None  # the next batch is drawn with what was learnt now

    def state_dict(self) -> dict[str, Tensor]:
        return self._table.state_dict() | {"empty_draws": torch.tensor(self.empty_draws)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        if state["norm"].shape != self._table.norm.shape:
            raise InputError(
                f"the stored gradient norms are of {len(state['norm'])} nodes, but there are {len(self.population)}"
            )
        self._table.load_state_dict(state)
        self.empty_draws = int(state["empty_draws"])

    def _until_renewal(self, keys: Iterator[Key], start: int, end: int) -> Iterator[Draw]:
        """Batches from time ``start`` on that are not empty: to ``end``, and further until there was one."""
        empty = True
        for now in count(start):
            if now >= end and not empty:
                return
            draw = self._batch(next(keys), now)
            if draw is None:
                self.empty_draws += 1
                continue
            empty = False
            yield draw

    def _checkpoint(self, key: Key, now: int) -> Draw:
        self._positions = smallest_hashes(self._everyone, self.pool_size, key.stream(Slot.CHECKPOINT))
        self._pool, self._order = Population.of(self._everyone.at(self._positions)), None
        share = torch.full((self.pool_size,), self.pool_size / len(self.population), dtype=torch.float64)
        return Draw(
            self._pool.ids,
            share,
            key,
            step=self.step_at_checkpoint,
            measure=True,
            exact=True,
            piece=self.checkpoint_batch,
            time=now,
        )

    def _batch(self, key: Key, now: int) -> Draw | None:
        """A batch from V_S (or from all items), None if it is empty."""
        stream = key.stream(Slot.TARGETS)
        if self._lottery is None:
            self._lottery = self._lots(now, stream)
        drawn, probability = self._lottery.sample(stream)
        if drawn.numel() == 0:
            return None
        probability *= self.pool_size / len(self.population)
        ids = self._pool.at(drawn)
        if self.norms == "online":
            return Draw(ids, probability, key, measure=True, decides=False, time=now)
        return Draw(ids, probability, key, measure=self.refresh, time=now)

    def _lots(self, now: int, stream: int) -> Lottery | PoissonLottery:
        """By the norms as they are known now."""
        size, floor, norms = self.pool_size, self.floor, self._table.estimate(self._positions, now=now)
        if self.cost:
            norms, floor = held(priced(norms, self._costs, size, floor=floor), size), 0.0
        rule = inclusion_rule(norms, size, self.batch_size, floor=floor, mix=self.mix)
        if self.draw == "poisson":
            return PoissonLottery(self._pool, held(rule.each(norms), size))
        if self._order is None:
            self._order = keyed_order(self._pool.run(0, size), stream)
        return Lottery(collected(rule.each(norms), size), self._order)

    def _costs(self) -> Iterator[np.ndarray]:
        """What each item of the pool costs, float64, in pieces."""
        offsets = self.graph.block.pattern.rowptr
        for start in range(0, self.pool_size, PIECE):
            ids = self._pool.at(torch.arange(start, min(start + PIECE, self.pool_size))).to(offsets.device)
            neighbors = (offsets[ids + 1] - offsets[ids]).cpu().numpy()
            yield 1 + self.cost * neighbors.astype(np.float64)

    @property
    def _inner(self) -> int:
        return super().batches_per_epoch

    def _interval(self, renewed: int) -> int:
        return self.renew_every if self.norms == "online" else self.checkpoint_every + self.growth * renewed

    def _renewals(self, before: int) -> int:
        """Renewals in an epoch, if there were ``before`` in all epochs before it."""
        done = found = 0
        while done < self._inner:
            done += self._interval(before + found)
            found += 1
        return found

    def _renewals_before(self, epoch: int) -> int:
        found = 0
        for _ in range(epoch if self.growth else 0):  # otherwise every interval is the same
            found += self._renewals(found)
        return found


def _last_decides(draws: Iterator[Draw]) -> Iterator[Draw]:
    """The draws; the last one, after which norms are looked at again, decides the next."""
    before = next(draws)
    for draw in draws:
        yield before
        before = draw
    yield replace(before, decides=True)
