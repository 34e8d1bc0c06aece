"""Layer-wise sampling with the same importance in every layer."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from gssl.common.options import PositiveInt
from gssl.graph.storage import Graph
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.growing import Expansion, Hop
from gssl.samplers.propagation.importance import column_sums, squared_entries
from gssl.samplers.propagation.layered import LayeredPropagation, per_layer, positive
from gssl.samplers.propagation.torch_ops import member
from gssl.samplers.rng import uniform


class FastGCN(LayeredPropagation):
    """FastGCN (Chen et al., 2018, arXiv:1801.10247): ``t`` sources for a whole layer, drawn with replacement.

    A source is drawn with probability ``q_u`` in proportion to the squared norm of its column of the normalised
    adjacency (without the self loop), independently of the layer above, and its
    edges into the layer weigh ``times drawn / (t q_u)`` as much. Sums over neighbors are unbiased, and so are the
    embeddings of an encoder without activations. The destinations stay among the sources with their self loops
    exact. Many drawn sources have no edge into the layer, which makes the variance large on sparse graphs.

    Args:
        graph: where messages flow.
        num_layers: message-passing layers of the encoder.
        nodes_per_layer: draws ``t``, first those for the targets' layer; one number serves every layer.
        backend: of the engine; the batches are the same.

    Raises:
        InputError: a number that is not positive, or as many of them as the encoder has not layers.
    """

    unbiased: ClassVar[tuple[Literal["embedding", "gradient"], ...]] = ("embedding",)

    def __init__(
        self,
        graph: Graph,
        *,
        num_layers: int,
        nodes_per_layer: PositiveInt | tuple[PositiveInt, ...] = 512,
        backend: Backend = "auto",
    ) -> None:
        super().__init__(graph, num_layers=num_layers, backend=backend)
        self.nodes_per_layer = positive(per_layer(nodes_per_layer, num_layers, "nodes_per_layer"), "nodes_per_layer")
        pattern = graph.block.pattern
        entries = squared_entries(graph.block, pattern, torch.arange(pattern.num_rows, device=pattern.col.device), None)
        norms = column_sums(entries, pattern.col, pattern.num_cols)
        self.chance = norms / norms.sum().clamp(min=1e-300)
        self._until = self.chance.cumsum(0)

    def place(self, graph: Graph) -> None:
        super().place(graph)
        self.chance, self._until = self.chance.to(graph.device), self._until.to(graph.device)

    def hop(self, batch: Expansion, layer: int, stream: int) -> tuple[Hop, Tensor | None]:
        draws = self.nodes_per_layer[self.num_layers - 1 - layer]
        drawn, times = self.draw(draws, stream)
        rows, position = self.graph.block.pattern.select_rows(batch.nodes, total=batch.in_edges())
        place, keep = member(drawn, rows.col.long())
        hop, left = batch.take_kept(rows, position, keep)
        factor = times / (draws * self.chance[drawn])
        return hop, factor[place[left]].float()

    def draw(self, draws: int, stream: int) -> tuple[Tensor, Tensor]:
        """Sources in ascending order, repeats included, and how often each was drawn, shape (draws,), int64."""
        if not self.graph.num_edges:
            empty = torch.zeros(0, dtype=torch.int64, device=self.chance.device)
            return empty, empty
        number = uniform(stream, torch.arange(draws, device=self.chance.device)) * self._until[-1]
        sources = torch.searchsorted(self._until, number, right=True).clamp(max=len(self._until) - 1)
        drawn = sources.sort().values
        return drawn, torch.searchsorted(drawn, drawn, right=True) - torch.searchsorted(drawn, drawn)
