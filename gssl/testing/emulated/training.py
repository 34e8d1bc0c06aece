"""Training on the emulated device: the losses must be those of the CPU, and every step has its counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gssl.method import Method
from gssl.samplers.base import Sampler
from gssl.testing.emulated.cuda import emulated_cuda
from gssl.testing.emulated.ledger import Counts
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

Make = Callable[[], tuple[Method, Sampler]]
SHORT = TrainConfig(epochs=2, lr=0.01, optimizer="sgd")
"""Adam would divide the rounding of tiny gradients by itself, and show it as another loss."""


def losses(make: Make, config: TrainConfig = SHORT, *, device: str = "cpu") -> list[float]:
    """Mean loss of each epoch.

    Args:
        make: a new method and a new sampler, both from fixed seeds.
        config: of the training.
        device: where it runs; ``cuda`` stands for the emulated device.
    """
    if device == "cpu":
        method, sampler = make()
        return [record.loss for record in pretrain(method, sampler, config, seed=0).curve]
    with emulated_cuda():
        method, sampler = make()
        return [record.loss for record in pretrain(method, sampler, config, seed=0, device=device).curve]


def same_losses(make: Make, config: TrainConfig = SHORT, *, tolerance: float = 1e-4) -> None:
    """Fail where the losses on the device are not those of the CPU.

    Args:
        make: a new method and a new sampler, both from fixed seeds.
        config: of the training.
        tolerance: relative, and absolute for losses near zero.
    """
    here, there = losses(make, config), losses(make, config, device="cuda")
    apart = [abs(a - b) for a, b in zip(here, there, strict=True)]
    bound = [tolerance * max(1.0, abs(a)) for a in here]
    assert all(a <= b for a, b in zip(apart, bound, strict=True)), f"cpu {here}, emulated cuda {there}"


@dataclass(frozen=True)
class Step:
    """What an update cost.

    Attributes:
        counts: totals since the update before.
        waits: place in the program -> how often the host waited there.
        pageable: place -> copies out of memory that is not pinned.
        kernels: name of an operation -> how often it ran.
    """

    counts: Counts
    waits: dict[str, int]
    pageable: dict[str, int]
    kernels: dict[str, int]


def counted_steps(make: Make, config: TrainConfig = SHORT) -> list[Step]:
    """The cost of every update on the device; the first ones pay for what is made once.

    Args:
        make: a new method and a new sampler.
        config: of the training.
    """
    steps: list[Step] = []
    with emulated_cuda() as ledger:
        method, sampler = make()
        update = method.after_step

        def noted(progress: float) -> None:
            update(progress)
            steps.append(Step(ledger.counts(), dict(ledger.waits), dict(ledger.pageable), dict(ledger.kernels)))
            ledger.clear()

        method.after_step = noted  # type: ignore[method-assign]  # a spy on one object
        pretrain(method, sampler, config, seed=0, device="cuda")
    return steps
