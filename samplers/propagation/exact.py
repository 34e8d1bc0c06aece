"""Exact propagation."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from gssl.samplers.propagation.growing import Expansion, Hop
from gssl.samplers.propagation.layered import LayeredPropagation


class Exact(LayeredPropagation):
    """Every edge into every node that the targets need: embeddings and gradients are those of the whole graph.

    Both are exact given the targets; only batch statistics (batch norm) see fewer nodes. The batch holds the
    targets' neighborhood of ``num_layers`` hops, which may be the whole graph.
    """

    unbiased: ClassVar[tuple[Literal["embedding", "gradient"], ...]] = ("embedding", "gradient")

    @property
    def separate(self) -> bool:
        return True

    @property
    def complete(self) -> bool:
        return True

    def hop(self, batch: Expansion, layer: int, stream: int) -> tuple[Hop, Tensor | None]:
        return batch.uniform(-1, stream), None
