"""Random walks with keyed numbers, and the probability that one visits a node."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.graph.sparse import Pattern
from gssl.samplers.rng import Key, Slot, uniform

_AT_ONCE = 1 << 22  # walks of pre-sampling that are held in memory together


def random_walks(pattern: Pattern, roots: Tensor, length: int, stream: int) -> Tensor:
    """Walks to a neighbor chosen uniformly in each step; a node without neighbors is not left.

    Args:
        pattern: row i lists the neighbors of node i; parallel edges count as often as they are there.
        roots: where the walks begin, shape (n,), int64.
        length: steps.
        stream: walk ``j`` takes its step ``t`` (from 1) by the number ``j * (length + 1) + t``.

    Returns:
        Visited nodes, shape (n, length + 1), int64, the roots first.
    """
    first = torch.arange(roots.numel()) * (length + 1)
    path = [roots]
    for step in range(1, length + 1):
        here = path[-1]
        begin, end = pattern.rowptr[here].long(), pattern.rowptr[here + 1].long()
        choice = begin + (uniform(stream, first + step) * (end - begin)).long()
        stuck = begin == end
        there = pattern.col[choice.where(~stuck, 0)].long() if pattern.nnz else here
        path.append(torch.where(stuck, here, there))
    return torch.stack(path, dim=1)


def hitting_probability(pattern: Pattern, roots: Tensor, length: int, *, presample: int, seed: int) -> Tensor:
    """Probability that a walk from a uniformly chosen root visits a node.

    With o_t the distribution of the walk after t steps and r_k(v) the probability of being back at v after k steps,
    the first visit of v is at step t with probability f_t = o_t - sum over s < t of f_s r_(t-s). The o_t are products
    with the transition matrix, r_1 and r_2 have closed forms, so lengths 1 and 2 are exact. Longer ones estimate r_3
    and up, small corrections, by ``presample`` walks from every node.

    Args:
        pattern: as of :func:`random_walks`.
        roots: distinct nodes, shape (n,), int64.
        length: steps of a walk.
        presample: walks from every node, where they are needed.
        seed: of these walks.

    Returns:
        Shape (num_nodes,), float64; at least 1 / n for roots.
    """
    start = torch.zeros(pattern.num_rows, dtype=torch.float64)
    start[roots] = 1 / roots.numel()
    back = return_probability(pattern, length, presample=presample, seed=seed)
    at, first = start, [start]
    for step in range(1, length + 1):
        at = _step(pattern, at)
        again = torch.stack([first[s] * back[step - s - 1] for s in range(step)]).sum(0)
        first.append((at - again).clamp(min=0))
    return torch.stack(first).sum(0).clamp(max=1)


def return_probability(pattern: Pattern, length: int, *, presample: int, seed: int) -> list[Tensor]:
    """Probability of being back where the walk began after 1, 2, ..., ``length`` steps, each (num_nodes,) float64.

    The first two are exact, the others are shares of ``presample`` walks from every node.
    """
    back = [_back_after_one(pattern), _back_after_two(pattern)][:length]
    if length <= 2:
        return back
    nodes = torch.arange(pattern.num_rows)
    counts = torch.zeros(length - 2, pattern.num_rows, dtype=torch.float64)
    for round_ in range(presample):
        for part, some in enumerate(nodes.split(_AT_ONCE)):
            stream = Key(seed, -1 - part, round_).stream(Slot.WALK)  # no epoch has a negative number
            walks = random_walks(pattern, some, length, stream)
            counts[:, some] += (walks[:, 3:] == walks[:, :1]).T
    return [*back, *(counts / presample)]


def _step(pattern: Pattern, at: Tensor) -> Tensor:
    """The distribution of a walk one step later."""
    share = at / pattern.counts.clamp(min=1)
    stay = torch.where(pattern.counts == 0, at, 0.0)
    return stay.index_add(0, pattern.col, share[pattern.row])


def _back_after_one(pattern: Pattern) -> Tensor:
    counts = pattern.counts
    loops = torch.bincount(pattern.row[pattern.row == pattern.col], minlength=pattern.num_rows)
    return torch.where(counts == 0, 1.0, loops / counts.clamp(min=1).double())


def _back_after_two(pattern: Pattern) -> Tensor:
    """Over the edges v -> w, the sum of 1 / d_v times the probability of the step w -> v."""
    size, counts = pattern.num_rows, pattern.counts.double()
    row, col = pattern.row.long(), pattern.col.long()
    edges, reverse = (row * size + col).sort().values, (col * size + row).sort().values
    row, col = reverse % size, reverse // size  # in this order, which is kinder to the cache
    times = torch.searchsorted(edges, reverse, right=True) - torch.searchsorted(edges, reverse)
    share = times / (counts[row] * counts[col]).clamp(min=1)  # a row that is not empty; an empty column never fits
    back = torch.zeros(size, dtype=torch.float64).index_add(0, row, share)
    return torch.where(counts == 0, 1.0, back)
