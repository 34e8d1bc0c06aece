"""Layer-neighbor sampling."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import NonNegativeInt
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.growing import Expansion, Hop
from gssl.samplers.propagation.importance import ranked
from gssl.samplers.propagation.layered import LayeredPropagation
from gssl.samplers.propagation.neighbor import check_fanouts
from gssl.samplers.rng import Slot, uniform
from gssl.samplers.selection.base import Draw

_LIMIT, _TOLERANCE = 50, 1e-4  # of the fixed point


class Labor(LayeredPropagation):
    """LABOR (Balin and Çatalyürek, 2023, arXiv:2210.13339): neighbor sampling that shares sources among rows.

    Source ``t`` has one uniform number ``r_t``; the edge ``t -> s`` is there iff ``r_t < min(1, c_s pi_t)``, where
    ``c_s`` gives row ``s`` the variance of ``k`` neighbors without replacement, ``sum_t 1 / min(1, c_s pi_t) =
    d_s^2 / k``. LABOR-0 has ``pi = 1``, so ``c_s = k / d_s``; LABOR-i repeats ``pi_t <- pi_t max_s c_s``
    i times, LABOR-* until the expected number of sources settles. Edge weights do not enter the
    probabilities.

    The weights are inverse probabilities: sums over neighbors are Horvitz-Thompson estimates, and the embeddings of
    an encoder without activations are unbiased. ``hajek`` scales each row's weights to their right sum, as the
    authors' code does: less variance, and a bias of the order of one over the fan-out. ``layer_dependency`` keeps
    ``r_t`` in all layers, which needs fewer nodes; with LABOR-0 the embeddings then are unbiased up to two layers
    in a graph without self loops, and deeper ones biased by paths that come back to a source.

    Args:
        graph: where messages flow.
        num_layers: message-passing layers of the encoder.
        fanouts: expected in-edges of each node, as in :class:`~gssl.samplers.propagation.neighbor.Neighbor`.
        iterations: of the fixed point; ``converge`` for LABOR-*, each round of which makes the host wait for a device.
        layer_dependency: whether all layers share the numbers.
        hajek: whether the weights of a row are scaled to their sum in the graph.
        backend: of the engine; the batches are the same.
        precompute: as in :class:`~gssl.samplers.propagation.layered.LayeredPropagation`.

    Raises:
        InputError: as :class:`~gssl.samplers.propagation.neighbor.Neighbor`.
    """

    unbiased: ClassVar[tuple[Literal["embedding", "gradient"], ...]] = ("embedding",)

    def __init__(
        self,
        graph: Graph,
        *,
        num_layers: int,
        fanouts: int | tuple[int, ...] = 10,
        iterations: NonNegativeInt | Literal["converge"] = 0,
        layer_dependency: bool = False,
        hajek: bool = False,
        backend: Backend = "auto",
        precompute: bool = False,
    ) -> None:
        super().__init__(graph, num_layers=num_layers, backend=backend, precompute=precompute)
        if iterations != "converge" and iterations < 0:
            raise InputError(f"iterations must not be negative (got {iterations})")
        self.fanouts = check_fanouts(fanouts, num_layers)
        self.iterations = iterations
        self.layer_dependency = layer_dependency
        self.hajek = hajek

    def streams(self, draw: Draw) -> list[int]:
        if self.layer_dependency:
            return [draw.key.stream(Slot.PROPAGATION)] * self.num_layers
        return super().streams(draw)

    @property
    def separate(self) -> bool:
        return True

    @property
    def complete(self) -> bool:
        return self.fanouts[0] < 0

    def hop(self, batch: Expansion, layer: int, stream: int) -> tuple[Hop, Tensor | None]:
        fanout = self.fanouts[self.num_layers - 1 - layer]
        if fanout < 0:
            return batch.uniform(-1, stream), None
        if self.iterations == 0:
            hop = batch.shared(fanout, stream)
            share = (hop.degree.double() / fanout).clamp(min=1)
            factor = share.repeat_interleave(hop.pattern.counts, output_size=hop.pattern.nnz)
        else:
            rows, position = self.graph.block.pattern.select_rows(batch.nodes, total=batch.in_edges())
            chance = inclusion(rows, fanout, _LIMIT if self.iterations == "converge" else self.iterations)
            keep = uniform(stream, rows.col.long()) < chance
            hop, left = batch.take_kept(rows, position, keep)
            factor = 1 / chance[left]
        return hop, (self.scaled(hop, factor, batch.nodes) if self.hajek else factor).float()

    def scaled(self, hop: Hop, factor: Tensor, nodes: Tensor) -> Tensor:
        """The factors that make the weights of each row sum to its degree in the graph; shape (nnz,), float64."""
        block, row = self.graph.block, hop.pattern.row
        weight = factor if block.weight is None else factor * block.weight[hop.position].double()
        total = weight.new_zeros(hop.pattern.num_rows).index_add(0, row, weight)
        return factor * (block.degree[nodes[: hop.pattern.num_rows]].double() / total)[row]


def inclusion(rows: Pattern, fanout: int, iterations: int) -> Tensor:
    """Probability of each edge, ``min(1, c_s pi_t)``, after some rounds of the fixed point.

    Args:
        rows: in-edges of the destinations, by global id of the source.
        fanout: k.
        iterations: rounds, fewer where the expected number of sources settles.

    Returns:
        Shape (nnz,), float64, in (0, 1].
    """
    row, col = rows.row.long(), rows.col.long()
    if col.device.type == "cpu":
        sources, source = torch.unique(col, return_inverse=True)
    else:  # room for one source of each edge, so that nobody waits for how many there are
        sources, _, source = ranked(col)
    pi = torch.ones(len(sources), dtype=torch.float64, device=row.device)
    c = solve(rows, pi[source], fanout)
    expected = torch.inf
    for done in range(1, iterations + 1):
        pi = pi * torch.zeros_like(pi).scatter_reduce(0, source, c[row], "amax")
        c = solve(rows, pi[source], fanout)
        if done == iterations:
            break  # without a look at what a device would be waited for
        before, expected = expected, float(pi.clamp(max=1).sum())
        if abs(before - expected) <= _TOLERANCE * expected:
            break
    chance = (c[row] * pi[source]).clamp(max=1)
    return torch.where(rows.counts[row] <= fanout, 1.0, chance)


def solve(rows: Pattern, pi: Tensor, fanout: int) -> Tensor:
    """The ``c_s`` at which ``sum_t 1 / min(1, c_s pi_t) = d_s^2 / k``, exactly, by sorting each row.

    With the ``v`` largest ``pi`` of a row at probability 1, ``c`` is the sum of the other ``1 / pi`` over
    ``d^2 / k - v``; the solution is the first ``v`` whose next ``c pi`` is at most 1.

    Args:
        rows: the destinations.
        pi: of the source of each edge, shape (nnz,), float64, positive.
        fanout: k.

    Returns:
        Shape (num_rows,), float64; where the degree is at most ``k``, the least ``c`` that takes every edge.
    """
    row, degree = rows.row.long(), rows.counts.long()
    order = torch.argsort(pi, descending=True, stable=True)
    order = order[torch.argsort(row[order], stable=True)]
    inverse = 1 / pi[order]
    until = torch.cat([inverse.new_zeros(1), inverse.cumsum(0)])
    start = rows.rowptr.long()
    rank = torch.arange(rows.nnz, device=row.device) - start[:-1][row]
    c = (until[start[1:]][row] - until[:-1]) / (degree[row].double() ** 2 / fanout - rank)
    first = torch.where(c <= inverse * (1 + 1e-12), rank, rows.nnz)
    chosen = torch.full_like(degree, rows.nnz).scatter_reduce(0, row, first, "amin")
    # In rows that keep every edge the sum does not bind.
    chosen = torch.where(degree <= fanout, degree - 1, chosen)
    at = (start[:-1] + chosen).clamp(0, max(rows.nnz - 1, 0))
    if not rows.nnz:
        return pi.new_ones(rows.num_rows)
    return torch.where(degree <= fanout, inverse[at], c[at])
