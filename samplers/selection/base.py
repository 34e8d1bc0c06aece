"""The protocol of target selection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.storage import Graph
from gssl.samplers.population import Population
from gssl.samplers.rng import Key


@dataclass(frozen=True, eq=False)
class Draw:
    """The targets of one batch.

    Attributes:
        ids: distinct global node ids, shape (n,), int64; never empty.
        probability: probability with which each was to be in this batch, shape (n,), float64, in (0, 1].
        key: names the random numbers of this batch.
        step: whether the optimizer steps after it.
        measure: whether the selection wants to be told the gradient norms of its targets.
        exact: whether its embeddings must be computed exactly, as at the checkpoints of MVS.
        piece: how many targets of an exact draw are embedded at once; None for all.
        decides: whether the next draw waits for what is observed of this one; None means that it does where this one
            is measured. Where it does not, the next draws are made ahead of training.
        time: draws before this one in the whole training, as the selection counts them.
        host: ``ids`` on the CPU, where :meth:`to` took them from.
    """

    ids: Tensor
    probability: Tensor
    key: Key
    step: bool = True
    measure: bool = False
    exact: bool = False
    piece: int | None = None
    decides: bool | None = None
    time: int = 0
    host: Tensor | None = None

    @property
    def here(self) -> Tensor | None:
        """The targets on the CPU, if they are there (too)."""
        return self.ids if self.ids.device.type == "cpu" else self.host

    @property
    def is_awaited(self) -> bool:
        """Whether the next draw must not be made before what there is to observe of this one was observed."""
        return self.measure if self.decides is None else self.decides

    @property
    def divided(self) -> bool:
        """Whether it is too large to be one batch."""
        return self.exact and self.piece is not None and len(self.ids) > self.piece

    def to(self, device: torch.device) -> Draw:
        """The draw with its targets on a device."""
        ids, probability = _sent(self.ids, device), _sent(self.probability, device)
        return replace(self, ids=ids, probability=probability, host=self.here)

    def parts(self) -> Iterator[Draw]:
        """Its pieces, which together are the draw: the optimizer steps after the last, if it does."""
        if self.piece is None or not self.divided:
            yield self
            return
        for start in range(0, len(self.ids), self.piece):
            part = slice(start, start + self.piece)
            last = start + self.piece >= len(self.ids)
            yield replace(
                self,
                ids=self.ids[part],
                probability=self.probability[part],
                step=self.step and last,
                piece=None,
                host=None if self.host is None else self.host[part],
            )


def _sent(values: Tensor, device: torch.device) -> Tensor:
    """The values on a device, through pinned memory where the host need not wait for them then."""
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


class Selection(ABC):
    """A source of targets; the same seed, epoch and observations give the same draws in every process.

    A subclass adds its own options by keyword.

    Attributes:
        population: what is drawn.
        empty_draws: random draws that came out empty so far; they are skipped.

    Args:
        graph: where the nodes are.
        items: the population, distinct node ids, shape (N,), int64; None means all nodes.
        batch_size: expected number of targets in a batch.
        seed: of the draws.

    Raises:
        InputError: the batch is larger than the population, or the population is empty.
    """

    def __init__(self, graph: Graph, *, items: Tensor | None = None, batch_size: int, seed: int = 0) -> None:
        self.graph = graph
        self.population = Population(graph.num_nodes) if items is None else Population.of(items)
        self.batch_size = batch_size
        self.seed = seed
        self.empty_draws = 0
        if not 1 <= batch_size <= len(self.population):
            raise InputError(
                f"a batch of {batch_size} cannot be drawn from a population of {len(self.population)} nodes; "
                f"choose --batch-size between 1 and {len(self.population)}"
            )

    @property
    def items(self) -> Tensor:
        """Ids of the population, shape (N,), int64."""
        return self.population.ids

    @property
    def batches_per_epoch(self) -> int:
        """Batches in an epoch (the expected number, where it is random): as many as show each item once."""
        return -(-len(self.population) // self.batch_size)

    def prepare(self) -> None:  # noqa: B027  most have nothing to prepare
        """Compute what belongs to the graph alone; see :meth:`gssl.samplers.base.Sampler.prepare`."""

    @abstractmethod
    def epoch(self, epoch: int) -> Iterator[Draw]:
        """The draws of epoch number ``epoch`` (from 0); lazily, so that what is observed reaches the next one.

        Draws may be taken ahead of observations, also by another thread, up to one that ``is_awaited``.
        """

    def observe(self, ids: Tensor, norms: Tensor, *, time: int = 0) -> None:  # noqa: B027  static selections ignore it
        """Told the gradient norms of the targets of a batch whose draw asked to be measured.

        Args:
            ids: global node ids, shape (n,), int64.
            norms: gradient norm of each one's own loss term, unweighted, shape (n,), float, not negative.
            time: of the draw.
        """

    @property
    def embeds_exactly(self) -> bool:
        """Whether some draws are embedded layer by layer with all neighbors, whatever the propagation."""
        return False

    @property
    def stateful(self) -> bool:
        """Whether draws depend on what was observed before; if so, :meth:`state_dict` is of use between epochs only."""
        return False

    def state_dict(self) -> dict[str, Tensor]:
        """What was learnt from observations; empty for static selections."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:  # noqa: B027  static selections have none
        """Continue with the next epoch from what :meth:`state_dict` gave after the last.

        Raises:
            InputError: the state is that of another population.
        """
