"""Everything that changes during training, and its plain form for checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gssl.graph.batch import MiniBatch
from gssl.graph.staleness import StalenessLog
from gssl.method import MAIN, Method, Player
from gssl.samplers.base import Sampler
from gssl.training.clock import Mark
from gssl.training.config import TrainConfig
from gssl.training.device import Mover
from gssl.training.group import ALONE, Group
from gssl.training.parallel import Own, Reducer
from gssl.training.result import EpochRecord
from gssl.training.streams import start_streams

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class Best:
    """The best weights so far.

    Attributes:
        epoch: after which epoch they were taken.
        score: their score, lower is better.
        weights: state dict of the method, a copy.
    """

    epoch: int
    score: float
    weights: dict[str, Tensor]

    @classmethod
    def copy_of(cls, method: Method, epoch: int, score: float) -> Best:
        return cls(epoch, score, {name: value.clone() for name, value in method.state_dict().items()})


@dataclass
class Position:
    """How far training is, inside the epoch too.

    Attributes:
        epoch: the epoch under way.
        batches: its batches that are done.
        loss_sum: sum of their losses.
        lr: learning rate of the last update.
        seconds: wall time that they took.
        cpu_seconds: time that the process computed for meanwhile, all threads together.
    """

    epoch: int = 0
    batches: int = 0
    loss_sum: float = 0.0
    lr: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def spend(self, since: Mark) -> None:
        """Book the time since a moment."""
        now = Mark.now()
        self.seconds += now.wall - since.wall
        self.cpu_seconds += now.cpu - since.cpu


@dataclass(frozen=True, eq=False)
class Unseen:
    """A loss or a norm that was not looked at yet.

    Attributes:
        value: scalar.
        what: as messages call it.
        epoch: in which it came up.
        batches: batches of the epoch that were done before.
    """

    value: Tensor
    what: str
    epoch: int
    batches: int


@dataclass(frozen=True, eq=False)
class Turn:
    """A player with its optimizer.

    Attributes:
        name: a key of ``Method.players``.
        player: what it updates, and how fast.
        optimizer: that updates it.
        loss: what it lowers.
    """

    name: str
    player: Player
    optimizer: torch.optim.Optimizer
    loss: Callable[[MiniBatch], Tensor]

    @property
    def parameters(self) -> tuple[nn.Parameter, ...]:
        return self.player.parameters


@dataclass
class TrainingRun:
    """One training under way: what it works with, where it is and what it found.

    ``reads`` and ``empty_before`` are about the epoch under way. They need not be in a checkpoint: with a history there
    are none within an epoch, and the empty draws of one that was interrupted are drawn again. The last of ``turns`` is
    the one whose loss is recorded and whose gradients samplers look at. ``group`` are the processes that train
    together, and ``reducer`` makes their gradients one. ``unseen`` is looked at before a checkpoint; epochs from
    ``untold`` on were over before their losses were looked at.
    """

    method: Method
    sampler: Sampler
    config: TrainConfig
    seed: int
    fabric: Fabric
    turns: tuple[Turn, ...]
    move: Mover = field(default_factory=Mover)
    position: Position = field(default_factory=Position)
    curve: list[EpochRecord] = field(default_factory=list)
    best: Best | None = None
    group: Group = ALONE
    reducer: Reducer = field(default_factory=Own)
    rng: dict[str, Tensor] | None = None
    watched_enough: bool = False
    reads: StalenessLog = field(default_factory=StalenessLog)
    empty_before: int = 0
    unseen: list[Unseen] = field(default_factory=list)
    untold: int | None = None

    @property
    def device(self) -> torch.device:
        return self.fabric.device

    @property
    def last(self) -> Turn:
        """The turn that ends a step."""
        return self.turns[-1]

    @property
    def exhausted(self) -> bool:
        """Whether patience ran out, or whoever watches has seen enough."""
        patience, best = self.config.patience, self.best
        if self.watched_enough:
            return True
        return patience is not None and best is not None and len(self.curve) - 1 - best.epoch >= patience

    def state(self) -> dict[str, Any]:
        """A plain copy of everything that must survive, taken between two updates, by all processes at once."""
        best = self.best
        rng = self._rng() if self.position.batches else None
        return {
            "method": self.method.state_dict(),
            "optimizers": {turn.name: turn.optimizer.state_dict() for turn in self.turns},
            "precision": self.fabric.strategy.precision.state_dict(),
            "position": astuple(replace(self.position, cpu_seconds=self.group.total(self.position.cpu_seconds)[0])),
            "curve": [record.plain() for record in self.curve],
            "best": None if best is None else (best.epoch, best.score, best.weights),
            "rng": rng,
            "sampler": self.sampler.state_dict(),
            **({} if self.group.world == 1 else {"rng_of_ranks": self.group.gathered(rng)}),
        }

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Continue from what :meth:`state` returned, also where there were more or fewer processes; None begins."""
        if state is None:
            return
        self.method.load_state_dict(state["method"])
        # One optimizer, where an earlier version wrote the checkpoint.
        optimizers = state["optimizers"] if "optimizers" in state else {MAIN: state["optimizer"]}
        for turn in self.turns:
            turn.optimizer.load_state_dict(optimizers[turn.name])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.position = Position(*state["position"])
        self.curve = [EpochRecord.from_plain(record) for record in state["curve"]]
        self.best = None if state["best"] is None else Best(*state["best"])
        if self.group.rank:
            self.position.cpu_seconds = 0.0  # those of all are with the first
        streams = state.get("rng_of_ranks", [state["rng"]])
        self.rng = streams[self.group.rank] if len(streams) == self.group.world else None
        self.sampler.load_state_dict(state["sampler"])

    def _rng(self) -> dict[str, Tensor]:
        states = {"torch": torch.get_rng_state(), "method": self.method.rng.get_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def part_streams(self, *more: int | str) -> None:
        """Let each process but the first draw its own random numbers from here on, and with ``more`` that one, too."""
        if self.group.rank or more:
            start_streams(self.method, self.seed, self.position.epoch, self.device, self.group.rank, *more)

    def restore_rng(self) -> None:
        """Continue the random streams of an epoch that was interrupted; other processes than before begin new ones."""
        if self.rng is None:
            self.part_streams("after", self.position.batches)
            return
        torch.set_rng_state(self.rng["torch"])
        self.method.rng.set_state(self.rng["method"])
        if "cuda" in self.rng:
            torch.cuda.set_rng_state(self.rng["cuda"], self.device)
        self.rng = None
