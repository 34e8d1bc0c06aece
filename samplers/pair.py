"""Samplers on two decoupled axes (Cong et al., 2020, arXiv:2006.13866): which targets, and how they are embedded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Annotated, Any, Literal, cast

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import Neutral, NonNegativeInt, Option, PositiveInt, options_of
from gssl.graph.batch import MiniBatch
from gssl.graph.history import History
from gssl.graph.storage import Graph
from gssl.samplers.base import Sampler
from gssl.samplers.delivery import CudaLane, Delivery, Lane, Sent
from gssl.samplers.placement import FeaturesOn, placed
from gssl.samplers.prefetch import prefetched
from gssl.samplers.propagation.base import Propagation
from gssl.samplers.propagation.stored import StoredPropagation
from gssl.samplers.ranks import Ranks
from gssl.samplers.selection.base import Selection

Estimator = Literal["ht", "hajek"]
SELECTION_GIVEN = ("items", "batch_size", "seed")
PROPAGATION_GIVEN = ("num_layers",)


class PairSampler(Sampler):
    """A target selection and a propagation.

    Args:
        selection: draws the targets.
        propagation: makes the batch of a draw.
        estimator: how weighted terms become a loss: ``ht`` (Horvitz-Thompson) divides by the size of the
            population and is unbiased; ``hajek`` divides by the sum of the weights in the batch.
        prefetch: batches that a thread makes ahead; 0 makes each when it is asked for. The batches are the same. No
            draw is made before what decides it was observed, so there is nothing to gain where every draw learns
            from the one before (``minvar`` with ``checkpoint`` norms and ``refresh``).
        features_on: where the features of a graph live whose batches are made on a CUDA device: ``auto`` keeps them
            there if they fit. Those in host memory, or in a file, are gathered for each batch and copied beside the
            training.
        ranks: which of several processes this is, where they share the draws.

    Raises:
        InputError: several processes and a history, which each would fill for itself.
    """

    def __init__(
        self,
        selection: Selection,
        propagation: Propagation,
        *,
        estimator: Estimator = "ht",
        prefetch: int = 0,
        features_on: FeaturesOn = "auto",
        ranks: Ranks = Ranks(),  # noqa: B008  frozen
    ) -> None:
        self.selection = selection
        self.propagation = propagation
        self.graph = propagation.graph
        self.estimator = estimator
        self.prefetch = prefetch
        self.features_on: FeaturesOn = features_on
        self.ranks = ranks
        self._device: torch.device | None = None  # where batches are made, if not on the CPU
        self._delivery: Delivery | None = None
        self._notes: tuple[str, ...] = ()
        if ranks.world > 1 and self.store is not None:
            raise InputError(
                "a history is kept by one process, but the draws are shared by several: choose a propagation without "
                "history, such as neighbor"
            )

    @property
    def batches_per_epoch(self) -> int:
        return self.selection.batches_per_epoch

    @property
    def targets(self) -> int:
        return self.selection.batch_size

    @property
    def separate(self) -> bool:
        return self.propagation.separate

    def prepare(self) -> None:
        self.selection.prepare()
        self.propagation.prepare()

    @property
    def stateful(self) -> bool:
        return self.store is not None or self.selection.stateful

    @property
    def stores_gradients(self) -> bool:
        way = self.propagation
        return isinstance(way, StoredPropagation) and way.mode in ("adjoint", "compensated")

    @property
    def empty_draws(self) -> int:
        return self.selection.empty_draws

    @property
    def store(self) -> History | None:
        """The history, if the propagation has one."""
        return self.propagation.store if isinstance(self.propagation, StoredPropagation) else None

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.propagation.notes, *self._notes)

    def place(self, device: torch.device) -> None:
        super().place(device)
        self._notes = ()
        if self._device is not None:  # back, for another device may have other room
            self.propagation.place(self.graph)
            self._device = None
        if isinstance(self.lane, CudaLane):
            self.deliver(None)
        if device.type != "cuda":
            return
        self.deliver(CudaLane(device))
        if not self.propagation.can_move:
            return
        found = placed(self.graph, torch.cuda.mem_get_info(device)[0], self.features_on)
        self._notes = (found.note,) if found.note else ()
        if found.graph:
            self.propagation.place(self.graph.to(device, features=found.features))
            self._device = device

    @property
    def lane(self) -> Lane | None:
        """What batches are sent over."""
        return None if self._delivery is None else self._delivery.lane

    def deliver(self, lane: Lane | None) -> None:
        """Send later batches over a lane, or leave them where they are made."""
        self._delivery = None if lane is None else Delivery(lane)

    def epoch(self, epoch: int) -> Iterator[MiniBatch]:
        if self._delivery is not None:
            return self._delivered(epoch, self._delivery)
        if not self.prefetch:
            return (batch for batch, _ in self._made(epoch))
        return prefetched(lambda: self._made(epoch), self.prefetch)

    def _delivered(self, epoch: int, delivery: Delivery) -> Iterator[MiniBatch]:
        if not self.prefetch:
            yield from (sent.taken() for sent, _ in self._sent(epoch, delivery))
            return
        with closing(prefetched(lambda: self._sent(epoch, delivery), self.prefetch)) as ahead:
            for sent in ahead:
                yield sent.taken()

    def _sent(self, epoch: int, delivery: Delivery) -> Iterator[tuple[Sent, bool]]:
        with closing(self._made(epoch)) as made:
            while True:
                with delivery.lane.beside():  # and not between two batches, when the thread may be somebody else's
                    item = next(made, None)
                if item is None:
                    return
                yield delivery.send(item[0]), item[1]

    def of_rank(self, rank: int, world: int) -> PairSampler:
        """The same sampler as rank ``rank`` of ``world`` processes has it (see :class:`~gssl.samplers.ranks.Ranks`).

        Selection and propagation are shared with this one, which should not be used any more.

        Raises:
            InputError: no such rank, or the propagation has a history.
        """
        ranks = Ranks(rank, world)
        return PairSampler(
            self.selection,
            self.propagation,
            estimator=self.estimator,
            prefetch=self.prefetch,
            features_on=self.features_on,
            ranks=ranks,
        )

    def observe(self, batch: MiniBatch, gradient_norms: Tensor) -> None:
        ids, norms = batch.plan.targets, gradient_norms
        if ids is None:
            ids = batch.node_ids[: batch.num_targets].cpu()
        if self.ranks.world > 1:
            ids, norms = self.ranks.gathered(ids, norms.cpu())
        self.selection.observe(ids, norms, time=batch.plan.time)

    def _made(self, epoch: int) -> Generator[tuple[MiniBatch, bool], None, None]:
        """Each batch, and whether the next draw waits for what is observed of it."""
        size = len(self.selection.population)
        for draw in self.selection.epoch(epoch):
            # Pieces of a draw add up to it: the weights of a whole checkpoint sum to the population.
            population = size if self.estimator == "ht" or draw.divided else None
            own = self.ranks.part(draw)
            if self._device is not None:
                own = own.to(self._device)
            left = len(own.ids)
            for part, made in self.propagation.batches(own):
                batch = made.planned(population=population, step=part.step, measure=part.measure, time=part.time)
                batch = self.ranks.fitted(batch, draw)
                if part.measure:
                    ids = batch.node_ids if part.here is None else part.here  # norms are on the CPU
                    batch = batch.planned(targets=ids[: batch.num_targets])
                left -= 0 if batch.plan.refresh else len(part.ids)
                pinned = self.pin and self._delivery is None
                yield batch.pin_memory() if pinned else batch, draw.is_awaited and not left

    def state_dict(self) -> dict[str, object]:
        state: dict[str, object] = {"selection": self.selection.state_dict()}
        if isinstance(self.propagation, StoredPropagation):
            state["history"] = self.propagation.store.state_dict()
        return state

    def load_state_dict(self, state: dict[str, object]) -> None:
        self.selection.load_state_dict(cast("dict[str, Tensor]", state["selection"]))
        if isinstance(self.propagation, StoredPropagation):
            self.propagation.store.load_state_dict(cast("dict[str, object]", state["history"]))


def make_pair(
    selection: type[Selection], propagation: type[Propagation], **defaults: object
) -> Callable[..., PairSampler]:
    """What builds the pair: its keyword-only signature is that of both halves together.

    Args:
        selection: takes the graph, then ``items``, ``batch_size``, ``seed`` and its own options.
        propagation: takes the graph, then ``num_layers`` and its own options.
        defaults: option values that differ from those of the halves and from what the propagation prefers.

    Returns:
        ``make(graph, *, num_layers, batch_size=512, items=None, seed=0, estimator="ht", inductive=False, prefetch=2,
        ...)``.

    Raises:
        InputError: both halves have an option of the same name, or a default belongs to neither.
    """
    first = {k: v for k, v in options_of(selection).items() if k not in SELECTION_GIVEN}
    second = {k: v for k, v in options_of(propagation).items() if k not in PROPAGATION_GIVEN}
    both = sorted(first.keys() & second.keys())
    if both:
        raise InputError(f"{selection.__name__} and {propagation.__name__} both have the option {both[0]!r}")
    options = _common() | first | second
    defaults = {name: value for name, value in propagation.prefers.items() if name in first} | defaults
    options |= {name: Option(name, options[name].annotation, value) for name, value in defaults.items()}

    def make(graph: Graph, **given: Any) -> PairSampler:
        values = {name: option.default for name, option in options.items() if not option.required} | given
        if values["inductive"] and values["items"] is not None:
            graph = _within(graph, values["items"])
        if propagation.whole_population:
            values["items"] = None
        chosen = selection(graph, **{k: values[k] for k in SELECTION_GIVEN}, **{k: values[k] for k in first})
        way = propagation(graph, num_layers=values["num_layers"], **{k: values[k] for k in second})
        own = {name: values[name] for name in ("estimator", "prefetch", "features_on")}
        return PairSampler(chosen, way, **own)

    _sign(make, options)
    make.halves = selection, propagation  # type: ignore[attr-defined]  # what ``gssl show`` describes
    make.__doc__ = f"{selection.__name__} x {propagation.__name__}."
    return make


def _common() -> dict[str, Option]:
    options = (
        Option("num_layers", PositiveInt, inspect.Parameter.empty),
        Option("batch_size", PositiveInt, 512),
        Option("items", Tensor | None, None),
        Option("seed", int, 0),
        Option("estimator", Estimator, "ht"),
        Option("inductive", bool, False),
        Option("prefetch", NonNegativeInt, 2),
        Option("features_on", Annotated[FeaturesOn, Neutral("auto")], "auto"),
    )
    return {option.name: option for option in options}


def _sign(function: Callable[..., object], options: dict[str, Option]) -> None:
    """Make a function show keyword-only parameters that it takes as ``**given``."""
    parameters = [inspect.Parameter("graph", inspect.Parameter.POSITIONAL_ONLY)]
    parameters += [
        inspect.Parameter(o.name, inspect.Parameter.KEYWORD_ONLY, default=o.default, annotation=o.annotation)
        for o in options.values()
    ]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect reads it
    function.__annotations__ = {o.name: o.annotation for o in options.values()}


def _within(graph: Graph, items: Tensor) -> Graph:
    """The graph without the edges that begin or end outside ``items``: inductive training sees no other node."""
    inside = torch.zeros(graph.num_nodes, dtype=torch.bool)
    inside[items] = True
    pattern = graph.block.pattern
    keep = inside[pattern.row.long()] & inside[pattern.col.long()]
    return replace(graph, block=graph.block.filter(keep))
