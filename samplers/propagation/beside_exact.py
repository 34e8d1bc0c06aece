"""What propagations share that can embed a draw exactly, too."""

from __future__ import annotations

from gssl.graph.storage import Graph
from gssl.samplers.propagation.base import Backend, Propagation
from gssl.samplers.propagation.exact import Exact


class BesideExact(Propagation):
    """Base of propagations that have the exact one beside them, and its engine.

    Args:
        graph: where messages flow.
        num_layers: message-passing layers of the encoder, which exact draws need.
        backend: of the engine; the batches are the same.
        precompute: whether the features are aggregated once, before training.

    Attributes:
        exact: makes the batches of draws that must be exact.
        engine: makes batches grow.
    """

    def __init__(self, graph: Graph, *, num_layers: int, backend: Backend = "auto", precompute: bool = False) -> None:
        super().__init__(graph, num_layers=num_layers)
        self.exact = Exact(graph, num_layers=num_layers, backend=backend, precompute=precompute)
        self.engine = self.exact.engine

    @property
    def can_move(self) -> bool:
        return self.exact.can_move

    def place(self, graph: Graph) -> None:
        super().place(graph)
        self.exact.place(graph)
        self.engine = self.exact.engine

    @property
    def notes(self) -> tuple[str, ...]:
        return self.exact.notes
