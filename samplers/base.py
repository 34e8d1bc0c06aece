"""The protocol between samplers and the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph


class Sampler(ABC):
    """A source of mini-batches; the same seed and epoch give the same batches in every process.

    Attributes:
        graph: what batches are cut from.
        pin: whether batches are to lie in pinned memory, from which a CUDA device reads them without waiting;
            :meth:`place`, which the training loop calls, sets it.
    """

    graph: Graph
    pin: bool = False

    @property
    @abstractmethod
    def batches_per_epoch(self) -> int:
        """Updates of one epoch (the expected number, where it is random)."""

    def place(self, device: torch.device) -> None:
        """Prepare for training on a device; a sampler that can makes later batches there. The batches are the same."""
        self.pin = device.type == "cuda"

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be said of how batches are made."""
        return ()

    @abstractmethod
    def epoch(self, epoch: int) -> Iterator[MiniBatch]:
        """The batches of epoch number ``epoch`` (from 0), on the CPU or on the device of :meth:`place`.

        Asking for the next batch says that everything to observe of the ones before was observed.
        """

    @property
    def targets(self) -> int | None:
        """Items that a batch is about (the expected number, where it is random); None where nobody may share them."""
        return None

    @property
    def separate(self) -> bool:
        """Whether a target is embedded alike whatever other targets its batch has."""
        return False

    def of_rank(self, rank: int, world: int) -> Sampler:
        """The same sampler as rank ``rank`` of ``world`` processes has it, which share the targets of every batch.

        The mean over the ranks of the gradients of ``plan.scale * mass * loss`` stands for that of the whole batch.
        Every rank has as many batches.

        Raises:
            InputError: no such rank, or the batches cannot be shared.
        """
        raise InputError(
            f"the batches of {type(self).__name__} cannot be shared by {world} processes, each of which would train on "
            "all of them; name a sampler that draws batches, for example --sampler graphsage, or start one process"
        )

    @property
    def empty_draws(self) -> int:
        """Random draws that came out empty so far and were skipped."""
        return 0

    def prepare(self) -> None:  # noqa: B027  most have nothing to prepare
        """Compute what belongs to the graph alone, such as a partition; else the first epoch does it."""

    @property
    def stateful(self) -> bool:
        """Whether later batches depend on what earlier ones left behind; if so, checkpoints are between epochs."""
        return False

    @property
    def stores_gradients(self) -> bool:
        """Whether what earlier batches left behind are gradients of the loss, too."""
        return False

    def state_dict(self) -> dict[str, object]:
        """What is left behind, as plain containers of tensors and numbers."""
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None:  # noqa: B027  nothing to restore
        """Continue from what :meth:`state_dict` gave.

        Raises:
            InputError: it belongs to another graph or encoder.
        """

    def observe(self, batch: MiniBatch, gradient_norms: Tensor) -> None:  # noqa: B027  static samplers ignore it
        """Told after each step the gradient norm of each item of the batch, shape (num_items,), float."""
