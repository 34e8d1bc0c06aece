"""InfoNCE of all pairs of rows: loss and gradient as a share of the device's own matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gssl.benchmarks.gpu.clock import Clock, matrix_rate
from gssl.benchmarks.gpu.report import Case, Figure, Report
from gssl.benchmarks.gpu.setup import Setup
from gssl.objectives.info_nce import info_nce

TEMPERATURE = 0.4
TOLERANCE = 1e-3
_CHUNK = 1024  # rows of the exact loss at a time
_TARGET = 0.4


def run(setup: Setup, report: Report) -> None:
    """In float32, and on a GPU with products in TF32, each against the device's products of that kind."""
    clock, sizes = Clock(setup.place), setup.sizes
    rng = torch.Generator().manual_seed(0)
    z1 = torch.randn(sizes.rows // 2, sizes.dim, generator=rng)
    z2 = z1 + torch.randn(sizes.rows // 2, sizes.dim, generator=rng)  # views of one item are similar
    z1, z2 = (z.to(setup.place).requires_grad_() for z in (z1, z2))
    exact = exact_loss(z1.detach(), z2.detach())
    # Half of the matrix: products of the loss, the same again on the way back, and two for the gradient.
    operations = 4 * sizes.dim * float(sizes.rows) ** 2

    def step() -> None:
        torch.autograd.grad(info_nce(z1, z2, temperature=TEMPERATURE), (z1, z2))

    modes = ("fp32", "tf32") if setup.device == "cuda" else ("fp32",)
    report.note(rows=sizes.rows, exact_loss=exact)
    if setup.device == "cuda":
        report.note(bf16_operations_per_second=matrix_rate(clock, torch.bfloat16, sizes.matrix))
    for mode in modes:
        with products_in(mode):
            away = abs(info_nce(z1, z2, temperature=TEMPERATURE).item() / exact - 1)
            report.add(Case(f"loss in {mode}", "same" if away <= TOLERANCE else "differs", away, TOLERANCE))
            rate, seconds = matrix_rate(clock, torch.float32, sizes.matrix), clock.seconds(step, repeats=5, warm=1)
            memory = clock.peak_mib(step)
        headline = mode == "tf32"
        report.note(**{f"{mode}_seconds": seconds, f"{mode}_peak_mib": memory})
        report.add(
            Figure(
                f"InfoNCE in {mode}", operations / seconds / rate, "share", _TARGET, True, setup.judged and headline,
                "operations a second of loss and gradient over those of the device's matrix product",
                operations / seconds, rate, f"matrix product in {mode}",
            )
        )  # fmt: skip


def exact_loss(z1: Tensor, z2: Tensor) -> float:
    """The loss from the rows of the similarity matrix in float64, some at a time."""
    rows = normalize(torch.cat([z1, z2]).double(), dim=1)
    half, total = len(z1), 0.0
    for start in range(0, len(rows), _CHUNK):
        here = torch.arange(start, min(start + _CHUNK, len(rows)), device=rows.device)
        similarity = rows[here] @ rows.T / TEMPERATURE
        positive = similarity.gather(1, ((here + half) % len(rows))[:, None])[:, 0]
        similarity.scatter_(1, here[:, None], -torch.inf)
        total += float((similarity.logsumexp(1) - positive).sum())
    return total / len(rows)


@contextmanager
def products_in(mode: str) -> Iterator[None]:
    """While entered, products of float32 matrices on a GPU are made in ``fp32`` or ``tf32``."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if mode == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
