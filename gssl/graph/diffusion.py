"""Diffusion of a graph: how much of what starts at one node ends at another (GDC, Gasteiger et al., 2019,
arXiv:1911.05485; the second view of MVGRL, Hassani and Khasahmadi, 2020, arXiv:2006.05582).

With ``A' = A + I`` and its row sums D (in-degrees, where rows are destinations) the transition matrix T is

- ``sym``: ``D^-1/2 A' D^-1/2``, as in MVGRL's code and by default in GDC,
- ``row``: ``D^-1 A'``, rows of which sum to 1,
- ``col``: ``A' D^-1``, for undirected graphs its transpose; MVGRL's paper writes the heat kernel with it.

Personalised PageRank is ``alpha (I - (1 - alpha) T)^-1``, the heat kernel ``exp(t (T - I))``.

Rows are computed one after the other, from each node outwards; they are sparse and as good as ``eps`` says. Small
graphs have exact ones too, from dense matrices. A collection of graphs is a block-diagonal matrix and gives one.

Every node has its loop, so that none is dangling: mass at a node that leads nowhere stays there, and an isolated node
keeps all of it. Nothing passes between components.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.block import Block
from gssl.graph.push import personalized_pagerank, power_series
from gssl.graph.sparse import Pattern, index_dtype

Normalization = Literal["sym", "row", "col"]

_POWER = {"sym": 0.5, "row": 0.0, "col": 1.0}  # T_ij = A'_ij d_i^(power - 1) d_j^-power
_ROWS = 1024  # that a thread computes at a time
_DENSE = 8192  # nodes of which a dense matrix is made, 512 MiB of float64
_ROUNDING = 1e-14  # entries of dense matrices that may be nothing else


def ppr(
    block: Block,
    *,
    alpha: float = 0.2,
    eps: float = 1e-4,
    top_k: int | None = None,
    normalization: Normalization = "sym",
) -> tuple[Pattern, Tensor]:
    """Sparse personalised PageRank by local pushes (Andersen, Chung and Lang, 2006, "Local graph partitioning").

    Args:
        block: all edges of a graph or of a collection, with weights that are not negative.
        alpha: probability of a return in each step.
        eps: tolerance. In an undirected graph no entry (i, j) of ``sym`` is greater than the exact one, or smaller by
            more than ``eps * sqrt(d_i d_j)``; of ``row`` by more than ``eps * d_j``, of ``col`` by ``eps * d_i``. The
            cost grows as its inverse.
        top_k: greatest entries of each row that are kept; None for all that were reached.
        normalization: of the transition matrix, see above.

    Returns:
        The pattern, columns ascending in each row, and its values, shape (nnz,), of the default dtype; on the device
        of the block.

    Raises:
        InputError: a block that is not square, negative weights, or an option out of range.
    """
    _require(0 < alpha <= 1, f"alpha must be in (0, 1] (got {alpha})")
    return _by_rows(block, personalized_pagerank, (alpha,), eps, top_k, normalization)


def heat(
    block: Block,
    *,
    t: float = 5.0,
    eps: float = 1e-4,
    top_k: int | None = None,
    normalization: Normalization = "sym",
) -> tuple[Pattern, Tensor]:
    """The sparse heat kernel, by its Taylor series: ``exp(-t) sum_k t^k / k! T^k`` as far as it matters.

    Args:
        block: as in :func:`ppr`.
        t: time of diffusion.
        eps: tolerance. Entries are too small by three times what they are in :func:`ppr`, at most: once for mass that
            was too small to move on, once for the end of the series, and once for entries that are left out because
            they are smaller than that.
        top_k: as in :func:`ppr`.
        normalization: as in :func:`ppr`.

    Returns:
        As :func:`ppr`.

    Raises:
        InputError: as in :func:`ppr`.
    """
    _require(0 < t < math.inf, f"t must be positive (got {t})")
    theta = [math.exp(-t)]
    while 1 - sum(theta) > min(eps, 1e-3):
        theta.append(theta[-1] * t / len(theta))
    return _by_rows(block, power_series, (np.array(theta),), eps, top_k, normalization)


def exact_ppr(
    block: Block, *, alpha: float = 0.2, top_k: int | None = None, normalization: Normalization = "sym"
) -> tuple[Pattern, Tensor]:
    """Personalised PageRank of a small graph, by the solution of a dense system in float64.

    Args:
        block, alpha, top_k, normalization: as in :func:`ppr`.

    Returns:
        As :func:`ppr`; entries that are as small as rounding errors are left out.

    Raises:
        InputError: as in :func:`ppr`, or the graph has too many nodes for a dense matrix.
    """
    _require(0 < alpha <= 1, f"alpha must be in (0, 1] (got {alpha})")
    walk = _transition(block, top_k, normalization)
    identity = torch.eye(len(walk), dtype=walk.dtype, device=walk.device)
    return _sparse(alpha * torch.linalg.solve(identity - (1 - alpha) * walk, identity), top_k)


def exact_heat(
    block: Block, *, t: float = 5.0, top_k: int | None = None, normalization: Normalization = "sym"
) -> tuple[Pattern, Tensor]:
    """The heat kernel of a small graph, by the exponential of a dense matrix in float64.

    Args:
        block, t, top_k, normalization: as in :func:`heat`.

    Returns:
        As :func:`exact_ppr`.

    Raises:
        InputError: as in :func:`heat`, or the graph has too many nodes for a dense matrix.
    """
    _require(0 < t < math.inf, f"t must be positive (got {t})")
    walk = _transition(block, top_k, normalization)
    identity = torch.eye(len(walk), dtype=walk.dtype, device=walk.device)
    return _sparse(torch.linalg.matrix_exp(t * (walk - identity)), top_k)


def _transition(block: Block, top_k: int | None, normalization: Normalization) -> Tensor:
    """The dense matrix T, shape (num_nodes, num_nodes), float64."""
    degree, size = _checked_degree(block, top_k), block.num_dst
    _require(
        size <= _DENSE,
        f"{size} nodes are too many for an exact diffusion, which takes dense matrices of at most {_DENSE}; "
        "use the one by pushes, which is sparse",
    )
    walk = torch.eye(size, dtype=torch.float64, device=degree.device)
    weight = walk.new_ones(block.num_edges) if block.weight is None else block.weight.detach().double()
    walk.index_put_((block.pattern.row.long(), block.pattern.col.long()), weight, accumulate=True)
    power = _POWER[normalization]
    return degree[:, None] ** (power - 1) * walk * degree**-power


def _sparse(matrix: Tensor, top_k: int | None) -> tuple[Pattern, Tensor]:
    keep = matrix > _ROUNDING
    if top_k is not None and top_k < len(matrix):
        greatest = torch.zeros_like(keep).scatter_(1, matrix.topk(top_k, dim=1).indices, True)
        keep &= greatest
    columns = keep.nonzero()[:, 1]
    return _pattern(keep.sum(1), columns, len(matrix)), matrix[keep].to(torch.get_default_dtype())


def _by_rows(
    block: Block,
    kernel: Callable[..., Any],
    options: tuple[Any, ...],
    eps: float,
    top_k: int | None,
    normalization: Normalization,
) -> tuple[Pattern, Tensor]:
    """Every row by a kernel, on as many threads as torch has; the result is the same for any number of them."""
    _require(0 < eps < 1, f"eps must be in (0, 1) (got {eps})")
    degree = _checked_degree(block, top_k)
    pattern, num_nodes = block.pattern, block.num_dst
    rowptr, col = pattern.rowptr.cpu().numpy(), pattern.col.cpu().numpy()
    weight = np.empty(0) if block.weight is None else block.weight.detach().cpu().double().numpy()
    degrees = degree.cpu().numpy()
    scale = degrees ** _POWER[normalization]
    dtype = torch.get_default_dtype()

    def rows(first: int) -> tuple[Tensor, Tensor, Tensor]:
        span = first, min(first + _ROWS, num_nodes)
        buffers = np.empty(16 * _ROWS, col.dtype), torch.empty(16 * _ROWS, dtype=dtype).numpy()
        found = kernel(rowptr, col, weight, degrees, span, *options, eps, scale, top_k or 0, *buffers)
        counts, columns, values = (torch.from_numpy(array) for array in found)
        row = torch.arange(len(counts)).repeat_interleave(counts)
        order = torch.argsort(row * num_nodes + columns)
        return counts, columns[order], values[order]

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        parts = list(pool.map(rows, range(0, max(num_nodes, 1), _ROWS)))  # a graph without nodes has a part, too
    counts, columns, values = (torch.cat(list(part)) for part in zip(*parts, strict=True))
    return _pattern(counts, columns, num_nodes).to(degree.device), values.to(degree.device)


def _checked_degree(block: Block, top_k: int | None) -> Tensor:
    """Row sums with the self-loop, shape (num_nodes,), float64."""
    _require(block.num_dst == block.num_src, "a diffusion needs all edges of a graph, but the block was sampled")
    _require(top_k is None or top_k >= 1, f"top_k must be positive (got {top_k})")
    if block.weight is None:
        return block.pattern.rowptr.diff().double() + 1
    weight = block.weight.detach().double()
    _require(bool((weight >= 0).all()), "a diffusion needs edge weights that are not negative")
    return weight.new_ones(block.num_dst).index_add(0, block.pattern.row.long(), weight)


def _pattern(counts: Tensor, columns: Tensor, num_nodes: int) -> Pattern:
    dtype = index_dtype(num_nodes, columns.numel())
    rowptr = torch.zeros(num_nodes + 1, dtype=dtype, device=counts.device)
    rowptr[1:] = counts.cumsum(0)
    return Pattern(rowptr, columns.to(dtype), num_nodes)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InputError(message)
