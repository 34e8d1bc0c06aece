"""What methods share that read the features of neighbors beside the encoder."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.block import Block
from gssl.graph.gathered import GatheredRows
from gssl.graph.sparse import BatchFeatures, Pattern, SparseMatrix, select_features
from gssl.method import Method
from gssl.models.ops import spmm
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler
from gssl.samplers.propagation.stored import StoredPropagation


def require_neighbor_features(method: Method, sampler: Sampler) -> None:
    """For methods that need them.

    Raises:
        InputError: batches of the sampler come without the features of neighbors.
    """
    propagation = sampler.propagation if isinstance(sampler, PairSampler) else None
    if isinstance(propagation, StoredPropagation) and propagation.first is not None:
        raise InputError(
            f"{method.title} reads the features of neighbors, which sampler.precompute leaves out; set "
            "sampler.precompute=false"
        )


def first_rows(x: BatchFeatures, count: int) -> Tensor | SparseMatrix:
    """The first ``count`` rows of features, dense or sparse."""
    if count < x.shape[0]:
        x = select_features(x, torch.arange(count, device=x.device))
    return x.to_dense() if isinstance(x, GatheredRows) else x


def drawn_neighbors(block: Block, count: int, draws: int, rng: torch.Generator) -> Pattern:
    """For each of the first destinations some of its sources, itself among them, as likely as their edges weigh.

    Args:
        block: destination i is source i, with an edge of weight 1 to itself that is not in the block.
        count: destinations.
        draws: sources of each, with replacement.
        rng: on the device of the block.

    Returns:
        Rows are destinations and columns are sources, with ``draws`` entries a row, shape (count, num_src).
    """
    pattern = block.pattern.head(count)
    weight = torch.ones(pattern.nnz, device=rng.device) if block.weight is None else block.weight[: pattern.nnz]
    until = torch.zeros(pattern.nnz + 1, dtype=torch.float64, device=rng.device)
    torch.cumsum(weight.detach().double(), 0, out=until[1:])
    rowptr = pattern.rowptr.long()
    begin, degree = until[rowptr[:-1]], until[rowptr].diff()
    place = torch.rand(draws, count, dtype=torch.float64, generator=rng, device=rng.device) * (degree + 1)
    edge = torch.searchsorted(until[1:], begin + place, right=True)
    edge = torch.minimum(edge, rowptr[1:] - 1).clamp(min=0)  # rounding may lead beyond the last edge of a row
    own = torch.arange(count, device=rng.device).expand(draws, count)
    source = own if not pattern.nnz else torch.where(place < degree, pattern.col.long()[edge], own)
    offsets = torch.arange(count + 1, device=rng.device) * draws
    dtype = pattern.col.dtype
    return Pattern(offsets.to(dtype), source.T.flatten().to(dtype), block.num_src)


def mean_rows(pattern: Pattern, x: Tensor) -> Tensor:
    """Mean of the rows of ``x`` that each row of a pattern lists, all of them as many, shape (num_rows, dim)."""
    return spmm(pattern, None, x) / max(pattern.nnz // max(pattern.num_rows, 1), 1)
