"""The protocol of propagation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.samplers.selection.base import Draw

Backend = Literal["auto", "numba", "torch", "triton"]
"""What picks edges and numbers nodes. All give the same batches: ``numba`` works on the CPU, ``torch`` operators on any
device, ``triton`` kernels on a CUDA device. ``auto`` takes numba on the CPU and triton, where it can be used, on a
device."""


class Propagation(ABC):
    """Makes the mini-batch of a draw; with the same draw (and the same history) the same one in every process.

    A subclass adds its own options by keyword.

    Attributes:
        unbiased: what is unbiased, for a linear encoder: ``("embedding",)``, ``("embedding", "gradient")``, or ``()``
            where the propagation is biased by design; the class docstring says how.
        whole_population: whether every node carries gradient of its own, so that targets are drawn from all of them
            even where the loss is about some.
        prefers: defaults of the selection's options, where it has such options, that suit this propagation better.

    Args:
        graph: where messages flow.
        num_layers: message-passing layers of the encoder.
    """

    whole_population: ClassVar[bool] = False
    prefers: ClassVar[Mapping[str, object]] = {}
    unbiased: ClassVar[tuple[Literal["embedding", "gradient"], ...]] = ()

    def __init__(self, graph: Graph, *, num_layers: int) -> None:
        self.graph = graph
        self.num_layers = num_layers

    @property
    def complete(self) -> bool:
        """Whether the last block of every batch has all the edges of the graph among the targets."""
        return False

    @property
    def separate(self) -> bool:
        """Whether a target is embedded alike whatever other targets its batch has, by every encoder."""
        return False

    def prepare(self) -> None:  # noqa: B027  most have nothing to prepare
        """Compute what belongs to the graph alone; see :meth:`gssl.samplers.base.Sampler.prepare`."""

    @property
    def can_move(self) -> bool:
        """Whether batches can be made on another device than the CPU, from a graph that is there (:meth:`place`)."""
        return False

    def place(self, graph: Graph) -> None:
        """Make later batches where this copy of the graph is, whose features may have stayed in host memory.

        The batches have the same numbers. A subclass that keeps tensors of its own moves them, too.
        """
        self.graph = graph

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be said of how batches are made."""
        return ()

    @abstractmethod
    def batch(self, draw: Draw) -> MiniBatch:
        """The mini-batch, targets first and in the order of the draw.

        ``weight`` is ``1 / draw.probability`` (as float32), which the encoder and the objectives understand as "as
        if it were there so many times", unless the propagation draws targets of its own.
        """

    def batches(self, draw: Draw) -> Iterator[tuple[Draw, MiniBatch]]:
        """The mini-batch of a draw, or one for each of its parts, with the part that it stands for."""
        for part in draw.parts():
            yield part, self.batch(part)

    def target_weight(self, draw: Draw) -> Tensor:
        """Horvitz-Thompson weights of the targets, shape (n,), float32."""
        return draw.probability.reciprocal().float()
