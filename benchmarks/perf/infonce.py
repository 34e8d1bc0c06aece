"""InfoNCE over all pairs of nodes: loss and gradient, against the stored similarity matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gssl.benchmarks.perf.machine import describe, thread_count
from gssl.benchmarks.perf.measure import Side, Step, in_fresh_process, measure, single_step
from gssl.benchmarks.perf.result import PerfResult, compare
from gssl.common.options import NonNegativeInt, Positive, PositiveInt
from gssl.objectives.info_nce import info_nce

Loss = Callable[[Tensor, Tensor, float], Tensor]


@dataclass(frozen=True)
class Size:
    """Random projections of two views, ``rows`` in both together."""

    rows: int
    dim: int
    temperature: float


def run(
    *,
    rows: PositiveInt = 5_416,
    large_rows: NonNegativeInt = 100_000,
    dim: PositiveInt = 128,
    temperature: Positive = 0.4,
    repeats: PositiveInt = 9,
    threads: PositiveInt | None = None,
) -> PerfResult:
    """InfoNCE forward and backward with all negatives, against logsumexp of the stored similarity matrix.

    Args:
        rows: of both views together; Cora has 2 * 2,708.
        large_rows: rows of one step of ours alone, whose matrix could not be stored; 0 leaves it out.
        dim: of the projections.
        temperature: of the similarity.
        repeats: measured steps of each side.
        threads: of both sides; PyTorch's default if None.
    """
    size, threads = Size(rows, dim, temperature), thread_count(threads)
    sides = [
        Side("gssl", partial(step, ours, size)),
        Side("logsumexp of the stored matrix", partial(step, stored_matrix, size)),
    ]
    (mine, peer), figures = measure(sides, partial(agreement, size), repeats=repeats, threads=threads)
    if large_rows:
        large = Side("gssl", partial(step, ours, Size(large_rows, dim, temperature)))
        seconds, memory_mb = in_fresh_process(single_step, large, threads)
        figures |= {"large_rows": large_rows, "large_seconds": seconds, "large_memory_mb": memory_mb}
    return compare(
        "infonce",
        mine,
        [peer],
        absent={},
        figures=figures,
        config={**asdict(size), "large_rows": large_rows, "repeats": repeats, "threads": threads},
        environment=describe(threads),
    )


def ours(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """The project's objective."""
    return info_nce(z1, z2, temperature=temperature)


def stored_matrix(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """The same loss written the usual way."""
    rows = normalize(torch.cat([z1, z2]), dim=1)
    similarity = rows @ rows.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    positive = torch.cat([similarity.diagonal(len(z1)), similarity.diagonal(-len(z1))])
    return (similarity.logsumexp(1) - positive).mean()


def step(loss: Loss, size: Size) -> Step:
    """Loss and gradient of one side."""
    z1, z2 = _projections(size)

    def forward_and_backward() -> None:
        torch.autograd.grad(loss(z1, z2, size.temperature), (z1, z2))

    return forward_and_backward


def agreement(size: Size) -> dict[str, float]:
    """Relative difference of our loss and gradient, in norm, from the stored matrix in float64."""
    z1, z2 = _projections(size)
    loss, exact = ours(z1, z2, size.temperature), stored_matrix(z1.double(), z2.double(), size.temperature)
    gradient, wanted = (torch.cat(torch.autograd.grad(value, (z1, z2))) for value in (loss, exact))
    return {
        "loss_difference": abs(loss.item() / exact.item() - 1),
        "gradient_difference": float((gradient - wanted).norm() / wanted.norm()),
    }


def _projections(size: Size) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    z1 = torch.randn(size.rows // 2, size.dim, generator=rng)
    z2 = z1 + torch.randn(size.rows // 2, size.dim, generator=rng)  # views of one item are similar
    return z1.requires_grad_(), z2.requires_grad_()
