"""What propagations have in common that use one subgraph for every layer."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.beside_exact import BesideExact
from gssl.samplers.selection.base import Draw


class SubgraphPropagation(BesideExact):
    """Base of propagations in which all layers work on the same nodes. A draw that asks for it is embedded exactly.

    Args:
        graph: where messages flow.
        num_layers: message-passing layers of the encoder, which exact draws need.
        backend: of the engine; the batches are the same.
    """

    def __init__(self, graph: Graph, *, num_layers: int, backend: Backend = "auto") -> None:
        super().__init__(graph, num_layers=num_layers, backend=backend)  # subclasses inherit these options alone

    def batch(self, draw: Draw) -> MiniBatch:
        return self.exact.batch(draw) if draw.exact else self.subgraph(draw)

    @abstractmethod
    def subgraph(self, draw: Draw) -> MiniBatch:
        """The batch of a draw that need not be exact."""

    def block(self, pattern: Pattern, position: Tensor, factor: Tensor | None, full_degree: Tensor | None) -> Block:
        """A block of edges of the graph.

        Args:
            pattern: in the numbering of the batch.
            position: which edges they are, shape (nnz,).
            factor: of each one's weight, shape (nnz,), float32; None for ones.
            full_degree: as in the block.
        """
        whole = self.graph.block
        weight = factor
        if whole.weight is not None:
            weight = whole.weight[position]
            weight = weight if factor is None else weight * factor.to(weight.dtype)
        attributes = None if whole.edge_attr is None else whole.edge_attr[position]
        return Block(self.engine.with_transpose(pattern), weight, attributes, full_degree)
