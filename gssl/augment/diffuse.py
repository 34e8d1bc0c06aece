"""The diffusion of a graph as a view of any batch that is cut from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from gssl.augment.base import Augmenter
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.diffusion import heat, ppr
from gssl.graph.kept import kept_of
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph

Kernel = Literal["ppr", "heat"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Diffuse(Augmenter):
    """Edges weighted by a diffusion in place of those of the graph (MVGRL, Hassani and Khasahmadi, 2020,
    arXiv:2006.05582).

    The matrix is made once, by :meth:`of`. Of a batch it keeps the rows and columns of the batch's nodes, which are
    known by their global ids, with the values that they have in the whole graph. That is one square block for all
    layers, whatever blocks the batch came with.

    Attributes:
        block: the diffusion of the whole graph, or of all graphs of a collection; square.
    """

    block: Block
    _moved: dict[torch.device, Block] = field(default_factory=dict, repr=False)
    _asked: dict[str, tuple[Tensor, bool]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        graph: Graph,
        *,
        kernel: Kernel = "ppr",
        alpha: float = 0.2,
        t: float = 5.0,
        eps: float = 1e-4,
        top_k: int | None = None,
        normalized: bool = True,
    ) -> Diffuse:
        """The view of a graph; the matrix is kept with the graph and made once for each set of options.

        Args:
            graph: a graph or a collection; edge weights must not be negative.
            kernel: personalised PageRank or the heat kernel, of ``D^-1/2 (A + I) D^-1/2``.
            alpha: probability of a return, for PageRank.
            t: time of diffusion, for the heat kernel.
            eps: tolerance of the entries, see :mod:`gssl.graph.diffusion`.
            top_k: greatest entries of each row that are kept; None for all that were reached.
            normalized: whether layers that normalise edges themselves, as GCN does, shall take the entries as they
                are, so that such a layer multiplies with the diffusion and with nothing else. Other layers need
                false: they take the entries as weights of edges.

        Raises:
            InputError: an option is out of range, or an edge weight is negative.
        """
        options = f"alpha={alpha}" if kernel == "ppr" else f"t={t}"

        def make() -> tuple[Pattern, Tensor]:
            if kernel == "ppr":
                return ppr(graph.block, alpha=alpha, eps=eps, top_k=top_k)
            return heat(graph.block, t=t, eps=eps, top_k=top_k)

        pattern, value = graph.derived(f"{kernel} {options} eps={eps} top_k={top_k}", make)
        return cls(block=as_is(pattern, value) if normalized else Block(pattern, value))

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        whole = self._on(batch.device)
        block = whole if self._has_everyone(batch, whole.num_dst) else _cut(whole, batch)
        return batch.map_blocks(lambda _: block)

    def _has_everyone(self, batch: MiniBatch, num_nodes: int) -> bool:
        """Whether the rows of a batch are all nodes, in their order."""
        if batch.num_nodes != num_nodes:
            return False
        known = self._asked.get("last")
        if known is None or known[0] is not batch.node_ids:  # a batch of everything comes again and again
            answer = torch.equal(batch.node_ids, torch.arange(num_nodes, device=batch.device))
            self._asked["last"] = known = batch.node_ids, answer
        return known[1]

    def _on(self, device: torch.device) -> Block:
        if self.block.pattern.col.device == device:
            return self.block
        if device not in self._moved:
            _ = self.block.pattern.transposed  # moves, too
            self._moved[device] = self.block.to(device)
        return self._moved[device]


def as_is(pattern: Pattern, value: Tensor) -> Block:
    """A block of which the aggregate of GCN is the product with the matrix itself.

    GCN adds a self-loop and scales with degrees: here those are 0, so that all scales are 1, and the loop is taken
    off the diagonal.

    Args:
        pattern: square.
        value: shape (nnz,), float.
    """
    size = pattern.num_rows
    loops = torch.arange(size, device=value.device)
    row, col = torch.cat([pattern.row.long(), loops]), torch.cat([pattern.col.long(), loops])
    whole, order = Pattern.from_coo(row, col, size, size)
    values = torch.cat([value, value.new_full((size,), -1.0)])[order]
    # What stands on the diagonal is one number, so that nothing is lost between large terms of opposite sign.
    double = torch.zeros_like(values, dtype=torch.bool)
    double[1:] = (whole.row[1:] == whole.row[:-1]) & (whole.col[1:] == whole.col[:-1])
    place = (~double).cumsum(0) - 1
    merged = values.new_zeros(int(place[-1]) + 1 if size else 0).index_add(0, place, values)
    return Block(whole.filter(~double), merged, full_degree=value.new_zeros(size))


def _cut(whole: Block, batch: MiniBatch) -> Block:
    """Rows and columns of the nodes of a batch, in its numbering.

    Raises:
        InputError: a node is in the batch more than once and nothing tells its places apart.
    """
    nodes = batch.node_ids
    rows, position = whole.pattern.select_rows(nodes)
    col = _renumbered(rows, batch, whole.num_src)
    (kept,) = kept_of([rows.mask(col >= 0)])
    pattern = rows.left_by(kept)
    cut = Pattern(pattern.rowptr, col[kept.places].to(pattern.col.dtype), batch.num_nodes)
    weight = None if whole.weight is None else whole.weight[position[kept.places]]
    degree = None if whole.full_degree is None else whole.full_degree[nodes]
    return Block(cut, weight, full_degree=degree)


def _renumbered(rows: Pattern, batch: MiniBatch, num_nodes: int) -> Tensor:
    """Row of the batch that each column of ``rows`` (num_nodes of the batch, all nodes) is; -1 where there is none."""
    nodes, col = batch.node_ids, rows.col.long()
    here = torch.arange(batch.num_nodes, device=batch.device)
    if batch.graph_ptr is None:
        place = nodes.new_full((num_nodes,), -1)
        place[nodes] = here
        if not torch.equal(place[nodes], here):
            raise InputError(
                "a diffusion is between the nodes of a batch, but this batch has some of them more than once, as "
                "ShaDow's subgraphs do; use --sampler clustergcn, graphsaint or uniform+induced"
            )
        return place[col]
    graph = batch.graph_index()  # a graph may be there twice
    key, order = torch.sort(graph * num_nodes + nodes)
    wanted = graph[rows.row.long()] * num_nodes + col
    found = torch.searchsorted(key, wanted).clamp(max=max(key.numel() - 1, 0))
    return torch.where(key[found] == wanted, order[found], -1)
