"""Whether cells are possible, found out before any of them starts.

The functions run in a process that has imported the methods; the runner imports this module without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gssl.benchmarks.bench.cell import Cell
from gssl.benchmarks.bench.expand import level_of
from gssl.benchmarks.bench.gpus import gpus_here
from gssl.common.errors import InputError
from gssl.datasets.catalog import find_spec

if TYPE_CHECKING:
    from gssl.config.resolve import Subject


def require_possible(variants: Sequence[Cell], device: str | None) -> tuple[str, ...]:
    """Settle the full configuration of every variant.

    Args:
        variants: cells that differ in more than the seed.
        device: ``auto``, ``cpu`` or ``cuda``; None where cells are worked on elsewhere.

    Returns:
        The GPUs of this machine that cells may use (:func:`gssl.benchmarks.bench.gpus.gpus_here`).

    Raises:
        InputError: a method and a dataset of different levels, an unknown or wrong option, parts that do not fit, or
            a device that is not there; the message names the place in the suite file.
    """
    from gssl.config.resolve import resolve

    gpus = () if device is None else gpus_here(device)
    subjects = {name: _subject(name) for name in dict.fromkeys(cell.dataset for cell in variants)}
    for cell in variants:
        subject = subjects[cell.dataset]
        if subject is None:
            continue
        try:
            resolve(cell.request(), subject)
        except InputError as error:
            raise InputError(f"{cell.where}: {error}") from None
    return gpus


def levels_of(methods: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Level of the data that each method works on.

    Raises:
        InputError: one cannot be imported, or is not a method.
    """
    from gssl.config import components

    return {name: components.method_class(name).levels for name in methods}


def _subject(name: str) -> Subject | None:
    """What a configuration needs to know of a dataset; None for one that cannot be had, whose cells are skipped."""
    from gssl.config.resolve import Subject
    from gssl.datasets.load import load_dataset

    spec = find_spec(name)
    if spec is not None:
        return Subject(spec.name, spec.name, spec.level, spec.probe)
    if name.startswith(("ogbn-", "ogbg-")):
        return Subject(name, name, "node" if level_of(name) == "node" else "graph", "OGB")
    try:
        dataset = load_dataset(name)
    except InputError:
        return None
    return Subject.of(dataset, name)
