"""Losses and gradients of a training, step by step, on the device and on the CPU."""

from __future__ import annotations

import math
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch

from gssl.benchmarks.gpu.report import Case
from gssl.benchmarks.gpu.same_random import same_random
from gssl.common.errors import InputError
from gssl.method import Method
from gssl.samplers.base import Sampler
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

FLOAT32 = 1e-4
"""Relative tolerance of the first loss in float32; those of other precisions are in ``precision.py``."""
Make = Callable[[], tuple[Method, Sampler]]
_FLOOR = 1e-3
"""Differences of smaller numbers are told as a share of this one."""
_LATER = 10.0
"""How much wider the tolerance is after the first step, since weights differ by rounding then, and for gradients, in
which rounding adds up on the way back. Steps are those of plain gradient descent, which shows a gradient of a wrong
size as another loss; Adam would not, and would show the rounding of tiny gradients as one."""


@dataclass(frozen=True)
class Trace:
    """A training.

    Attributes:
        losses: of every step.
        norms: of the gradient of all parameters, before every update; empty where they mean nothing (loss scaling).
    """

    losses: tuple[float, ...]
    norms: tuple[float, ...] = ()


def trace(make: Make, config: TrainConfig, device: str) -> Trace:
    """Train on a device with the CPU's random numbers."""
    losses: list[float] = []
    norms: list[float] = []
    with warnings.catch_warnings(), same_random():
        warnings.simplefilter("ignore")
        method, sampler = make()

        def watch(loss: float) -> bool:
            losses.append(float(loss))
            grads = [p.grad for p in method.parameters() if p.grad is not None]
            norms.append(float(torch.nn.utils.get_total_norm(grads)) if grads else 0.0)
            return False

        pretrain(method, sampler, config, seed=0, device=device, watch=watch)
    return Trace(tuple(losses), () if config.precision == "16-mixed" else tuple(norms))


def distance(expected: Trace, found: Trace) -> float:
    """The largest relative difference of two traces, in units of the tolerance of the first loss; infinite where they
    cannot be compared.
    """
    if len(expected.losses) != len(found.losses) or not expected.losses:
        return math.inf
    worst = 0.0
    for step, (a, b) in enumerate(zip(expected.losses, found.losses, strict=True)):
        worst = max(worst, relative(a, b) / (_LATER if step else 1.0))
    for a, b in zip(expected.norms, found.norms, strict=False):
        worst = max(worst, relative(a, b) / _LATER)
    return worst


def relative(expected: float, found: float) -> float:
    """Relative difference of two numbers; infinite where one is not finite."""
    if not (math.isfinite(expected) and math.isfinite(found)):
        return math.inf
    return abs(expected - found) / max(abs(expected), _FLOOR)


def compare(
    name: str,
    make: Make,
    config: TrainConfig,
    device: str,
    *,
    tolerance: float,
    reference: TrainConfig | None = None,
    first_only: bool = False,
) -> Case:
    """Train on the CPU and on the device.

    Args:
        name: of the case.
        make: builds method and sampler anew, with the same weights each time.
        config: of the training on the device.
        device: ``cpu`` or ``cuda``.
        tolerance: relative, of the first loss; ten times as much for later losses and for norms of gradients.
        reference: of the training on the CPU, where it differs.
        first_only: whether losses after the first need only be finite.

    Returns:
        ``skipped`` where the parts do not fit each other (on the CPU), ``failed`` where either raises.
    """
    try:
        expected = trace(make, reference or config, "cpu")
    except InputError as error:
        return Case(name, "skipped", detail=f"refused: {error}"[:300])
    except Exception as error:
        return Case(name, "failed", detail=f"on the CPU: {told(error)}")
    try:
        found = trace(make, config, device)
    except Exception as error:
        return Case(name, "failed", detail=told(error))
    worst = distance(_first(expected), _first(found)) if first_only else distance(expected, found)
    same = worst <= tolerance
    detail = "" if same else f"CPU {_shown(expected)}; {device} {_shown(found)}"
    return Case(name, "same" if same else "differs", worst, tolerance, detail)


def _first(found: Trace) -> Trace:
    """The first loss alone, if all are finite."""
    return Trace(found.losses[:1] if all(map(math.isfinite, found.losses)) else (math.inf,))


def told(error: BaseException) -> str:
    """An error in one line, with the innermost line of the project that it came through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
    own = [f for f in frames if "/gpu/" not in f.filename]
    place = f" at {'/'.join(own[-1].filename.split('/')[-3:])}:{own[-1].lineno}" if own else ""
    return f"{type(error).__name__}{place}: {error}"[:400]


def _shown(found: Trace) -> str:
    losses = ", ".join(f"{value:.7g}" for value in found.losses)
    return f"losses {losses}" + (f", gradients {', '.join(f'{n:.5g}' for n in found.norms)}" if found.norms else "")
