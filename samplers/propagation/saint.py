"""The subgraph of the draw, with messages weighted by how rarely they are in it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gssl.common.options import PositiveInt
from gssl.common.seeds import derive_seed
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern, select_features
from gssl.graph.storage import Graph
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.growing import Expansion, Hop
from gssl.samplers.propagation.subgraph import SubgraphPropagation
from gssl.samplers.rng import Slot, hash64, uniform
from gssl.samplers.selection.base import Draw

Design = Literal["node", "edge", "walk"]


class Saint(SubgraphPropagation):
    """GraphSAINT's normalisation (Zeng et al., 2020, arXiv:1907.04931): messages weigh ``p_v / p_uv`` as much.

    The subgraph is induced by the targets and, by ``design``, what belongs to them:

    - ``node``: nothing else. The weight of ``u -> v`` is ``1 / p_u`` with the probability of the draw, which is
      ``p_v / p_uv`` where nodes are drawn independently of each other.
    - ``edge``: sources of in-edges of the targets, each drawn independently with probability
      ``min(1, steps (1 / d_u + 1 / d_v) / 2)``.
    - ``walk``: the nodes that a walk of ``steps`` steps against the edges visits from each target.

    For the last two, the ratio is counted in ``subgraphs`` subgraphs of ``roots`` uniform targets each, drawn once
    before the first batch, as ``(C_v + 1) / (C_uv + 1)`` (the paper has no ones and caps what never was drawn). In
    the paper the loss is about all nodes of the subgraph; here it is about the targets, whose weights are exact.

    Biased from two layers on: all layers share the subgraph, so messages along a path are not kept independently of
    each other. One layer is unbiased for ``node`` with independent draws and no self loops, since a target is there
    with certainty; counts and dependent draws add their own error. Degrees are those of the whole graph.

    Args:
        graph: where messages flow.
        num_layers: message-passing layers of the encoder.
        design: what the subgraph is made of.
        steps: of a walk, or expected edges (or so) of a target.
        roots: targets of a counted subgraph; choose the batch size.
        subgraphs: how many are counted.
        backend: of the engine; the batches are the same.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        num_layers: int,
        design: Design = "walk",
        steps: PositiveInt = 2,
        roots: PositiveInt = 512,
        subgraphs: PositiveInt = 100,
        backend: Backend = "auto",
    ) -> None:
        super().__init__(graph, num_layers=num_layers, backend=backend)
        self.design = design
        self.steps = steps
        self.roots = roots
        self.subgraphs = subgraphs
        self._counts: tuple[Tensor, Tensor] | None = None

    @property
    def complete(self) -> bool:
        return True

    def place(self, graph: Graph) -> None:
        super().place(graph)
        if self._counts is not None:
            nodes, edges = self._counts
            self._counts = nodes.to(graph.device), edges.to(graph.device)

    def subgraph(self, draw: Draw) -> MiniBatch:
        growing, hop = self.grown(draw.ids, draw.here, draw.key.stream(Slot.PROPAGATION))
        nodes = growing.nodes
        if self.design == "node":
            factor = self.target_weight(draw)[hop.pattern.col]
        else:
            node_count, edge_count = self.counts()
            factor = (node_count[nodes[hop.pattern.row]] + 1) / (edge_count[hop.position] + 1)
        return MiniBatch(
            x=select_features(self.graph.x, nodes),
            blocks=(self.block(hop.pattern, hop.position, factor, self.graph.block.degree[nodes]),),
            node_ids=nodes,
            num_targets=len(draw.ids),
            weight=self.target_weight(draw),
        )

    def grown(self, targets: Tensor, here: Tensor | None, stream: int) -> tuple[Expansion, Hop]:
        """The nodes of the subgraph of some targets, and its edges."""
        growing = self.engine.start(targets, self.engine.into(here))
        if self.design == "walk":
            growing.add(self.walk(targets, stream).flatten())
        elif self.design == "edge":
            growing.take_kept(*self.edges(targets, growing.in_edges(), stream))
        return growing, growing.inner()

    def walk(self, roots: Tensor, stream: int) -> Tensor:
        """Nodes of a walk to a uniform in-neighbor in each step, shape (n, steps); where there is none it stays."""
        pattern, own, here, path = self.graph.block.pattern, hash64(stream, roots), roots, []
        for step in range(self.steps):
            degree = pattern.counts[here].long()
            choice = pattern.rowptr[here].long() + (uniform(own, torch.full_like(here, step)) * degree).long()
            moves = degree > 0
            if pattern.nnz:
                here = torch.where(moves, pattern.col[choice.where(moves, 0)].long(), here)
            path.append(here)
        return torch.stack(path, dim=1)

    def edges(self, targets: Tensor, total: int | None, stream: int) -> tuple[Pattern, Tensor, Tensor]:
        """In-edges of the targets, where they stand in the graph, and which are drawn, each by its own number."""
        pattern = self.graph.block.pattern
        rows, position = pattern.select_rows(targets, total=total)
        inverse = 1 / pattern.counts.double().clamp(min=1)
        chance = inverse[rows.col] + inverse[targets].repeat_interleave(rows.counts.long(), output_size=rows.nnz)
        return rows, position, uniform(stream, position.long()) < self.steps / 2 * chance

    def counts(self) -> tuple[Tensor, Tensor]:
        """In how many of the counted subgraphs each node, and each edge, was: shapes (num_nodes,), (num_edges,)."""
        if self._counts is None:
            device = self.graph.block.pattern.col.device
            nodes = torch.zeros(self.graph.num_nodes, device=device)
            edges = torch.zeros(self.graph.num_edges, device=device)
            everyone = torch.arange(self.graph.num_nodes, device=device)
            for number in range(self.subgraphs):
                stream = derive_seed(number, "saint")
                order = hash64(stream, everyone).argsort()
                growing, hop = self.grown(order[: self.roots], None, stream)
                nodes[growing.nodes] += 1
                edges[hop.position.long()] += 1
            self._counts = nodes, edges
        return self._counts
