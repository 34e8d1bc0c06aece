"""The parts of the check, the most important first; nothing is imported until one is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from gssl.benchmarks.gpu.report import Kind
from gssl.common.errors import unknown

if TYPE_CHECKING:
    from gssl.benchmarks.gpu.report import Report
    from gssl.benchmarks.gpu.setup import Setup


@dataclass(frozen=True)
class Part:
    """One part, carried out in a process of its own.

    Attributes:
        name: as for ``--parts``.
        kind: correctness parts may run side by side, figures never.
        seconds: that it may take.
        module: of ``run(setup, report)``.
        summary: one line.
    """

    name: str
    kind: Kind
    seconds: float
    module: str
    summary: str

    def run(self, setup: Setup, report: Report) -> None:
        """Do it."""
        found = cast("Callable[[Setup, Report], None]", import_module(self.module).run)
        found(setup, report)


_HERE = "gssl.benchmarks.gpu"
PARTS: tuple[Part, ...] = (
    Part("methods", "correctness", 150, f"{_HERE}.methods", "losses and gradients of every method"),
    Part("pairs", "correctness", 150, f"{_HERE}.pairs", "the same of every target selection with every propagation"),
    Part("batches", "correctness", 90, f"{_HERE}.batches", "batches from a graph on the device, bit for bit"),
    Part("history", "correctness", 90, f"{_HERE}.histories", "stored embeddings in every storage"),
    Part("precision", "correctness", 120, f"{_HERE}.precision", "bf16-mixed and 16-mixed against float32"),
    Part("resume", "correctness", 60, f"{_HERE}.resume", "a training that was stopped and resumed"),
    Part("processes", "correctness", 40, f"{_HERE}.processes", "a process of a group, over NCCL, against one without"),
    Part("sampling", "figures", 60, f"{_HERE}.sampling", "neighbor sampling on a graph of ogbn-products' size"),
    Part("epoch", "figures", 60, f"{_HERE}.epoch", "an epoch of GraphSAGE on it"),
    Part("gcn", "figures", 40, f"{_HERE}.gcn", "message passing against PyG"),
    Part("infonce", "figures", 40, f"{_HERE}.infonce", "InfoNCE of all pairs of 100,000 rows"),
    Part("mvs", "figures", 60, f"{_HERE}.mvs", "a step of MVS against one of GraphSAGE"),
)


def chosen(names: str | None) -> tuple[Part, ...]:
    """The parts of a list with commas, in the order of importance; all of them for None.

    Raises:
        InputError: no such part.
    """
    if names is None:
        return PARTS
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [part.name for part in PARTS]
    for name in wanted:
        if name not in known:
            raise unknown("part of the check", name, known)
    return tuple(part for part in PARTS if part.name in wanted)


def part_named(name: str) -> Part:
    """One part."""
    (found,) = chosen(name)
    return found
