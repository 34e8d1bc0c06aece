"""Which cells of a board may stand in a headline: those with as many seeds and as long a training as the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from gssl.benchmarks.report.cells import Board, Cell
from gssl.common.errors import InputError
from gssl.config.layer import Layer
from gssl.config.presets import choose
from gssl.datasets.catalog import find_spec
from gssl.registry import METHODS
from gssl.results.cells import CellRow
from gssl.results.columns import part_option
from gssl.training.config import FinetuneConfig, TrainConfig

_UNTRAINED = ("raw", "untrained")
_FEWEST = 2  # seeds of a suite that say how many a headline needs, and methods that make a number of epochs a budget


@dataclass(frozen=True)
class Terms:
    """What a headline of a board asks for.

    Attributes:
        seeds: finished ones at least.
        epochs: that all were cut to; None where each trains for as long as its preset says.
    """

    seeds: int
    epochs: int | None = None


@dataclass(frozen=True)
class Length:
    """How long a cell was to train.

    Attributes:
        epochs: of its configuration; None if what is stored does not say.
        whole: of its preset, or of the longest cell of its variant here where nothing is known of the method.
        cut: whether it ended before that, in words; empty otherwise.
    """

    epochs: int | None
    whole: int | None
    cut: str = ""


def seeds_of_suites(cells: Iterable[CellRow]) -> dict[str, int]:
    """For each dataset the most seeds that a suite asks of anything there."""
    found: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for cell in cells:
        found[cell.suite, cell.method, cell.dataset].add(cell.seed)
    largest: dict[str, int] = {}
    for (_, _, dataset), seeds in found.items():
        largest[dataset] = max(largest.get(dataset, 0), len(seeds))
    return largest


def terms_of(board: Board, lengths: dict[str, Length], suite_seeds: int = 0) -> Terms:
    """What a headline needs: the seeds of the board's largest cell, or of the suite that ran here; and an equal budget.

    Args:
        board: whose cells are compared.
        lengths: of its cells, by id.
        suite_seeds: the most seeds that a suite asks for on this dataset; 0 without one.
    """
    seeds = max((len(cell.done) for cell in board.cells if not cell.is_reference), default=0)
    seeds = seeds or max((len(cell.done) for cell in board.cells), default=1)
    if suite_seeds >= _FEWEST:
        seeds = min(seeds, suite_seeds)
    enough = [cell for cell in board.cells if len(cell.done) >= seeds and not cell.is_reference]
    by_length = {(cell.variant, lengths[cell.id].epochs) for cell in enough if lengths[cell.id].cut}
    cut = Counter(epochs for _, epochs in by_length if epochs is not None)
    if not cut:
        return Terms(seeds)
    epochs, count = max(cut.items(), key=lambda item: (item[1], item[0]))
    whole = {c.variant for c in enough if not lengths[c.id].cut and (lengths[c.id].epochs or 0) > epochs}
    return Terms(seeds, epochs if count >= _FEWEST and count > len(whole) else None)


def shortcomings(cell: Cell, length: Length, terms: Terms) -> tuple[str, ...]:
    """Why a cell is no headline, in words; nothing for one that is."""
    found = [f"{len(cell.done)} of {terms.seeds} seeds"] if len(cell.done) < terms.seeds else []
    if terms.epochs is None:
        found += [length.cut] if length.cut else []
    elif cell.first.method not in _UNTRAINED and length.epochs is not None:
        found += [length.cut] if length.cut and length.epochs < terms.epochs else []
        found += [f"{length.epochs} epochs, others {terms.epochs}"] if length.epochs > terms.epochs else []
    return tuple(found)


def chosen(board: Board, lengths: dict[str, Length], terms: Terms) -> dict[str, Cell]:
    """For each variant the cell that stands for it.

    Of those that may be a headline the one with the best mean validation score, then most seeds, then newest; where
    there is none, the one with most seeds, then the longest training. The test score is never looked at.
    """
    best: dict[str, tuple[tuple[Any, ...], Cell]] = {}
    sign = 1 if board.protocol.higher_is_better else -1
    for cell in board.cells:
        if not cell.done:
            continue
        val = -float("inf") if cell.val is None else sign * cell.val
        rank: tuple[Any, ...] = (1, val, len(cell.done), cell.done[-1].date)
        if shortcomings(cell, lengths[cell.id], terms):
            rank = (0, len(cell.done), lengths[cell.id].epochs or 0, *rank[1:])
        if cell.variant not in best or rank > best[cell.variant][0]:
            best[cell.variant] = (rank, cell)
    return {variant: cell for variant, (_, cell) in best.items()}


def lengths_of(board: Board) -> dict[str, Length]:
    """How long each cell was to train, by id."""
    longest: dict[str, tuple[int, int]] = {}  # of the cells with most seeds: who tries a longer one once cuts no other
    for cell in board.cells:
        mine = (len(cell.done), _epochs(cell, "train") or 0)
        longest[cell.variant] = max(longest.get(cell.variant, mine), mine)
    return {cell.id: _length(cell, longest[cell.variant][1]) for cell in board.cells}


def _length(cell: Cell, longest: int) -> Length:
    epochs, method = _epochs(cell, "train"), cell.first.method
    if method in _UNTRAINED or epochs is None:
        return Length(epochs, None)
    train, finetune = whole_epochs(method, cell.first.dataset, cell.first.preset, _purposes(cell)) or (longest, None)
    again = _epochs(cell, "finetune")
    if epochs < train and not _stopped_itself(cell, epochs):
        return Length(epochs, train, f"{epochs} of {train} epochs")
    if again is not None and finetune is not None and again < finetune:
        return Length(epochs, train, f"{again} of {finetune} epochs of fine-tuning")
    return Length(epochs, train)


def _stopped_itself(cell: Cell, epochs: int) -> bool:
    """Whether every seed ended by its own patience, so that more epochs would have changed nothing."""
    patient = part_option(cell.config, "train", "patience") is not None
    return patient and all(0 < row.epochs < epochs for row in cell.done)


def _epochs(cell: Cell, section: str) -> int | None:
    found = part_option(cell.config, section, "epochs")
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _purposes(cell: Cell) -> tuple[str, ...]:
    """What a preset may be for beside the dataset."""
    spec, setting, probe = find_spec(cell.first.dataset), cell.first.setting, cell.protocol.probe
    other_setting = "" if setting in ("frozen", "supervised") else setting
    other_probe = "" if spec is None or probe == spec.probe else probe.lower()
    return tuple(name for name in (other_setting, cell.protocol.task, other_probe) if name)


@cache
def whole_epochs(method: str, dataset: str, preset: str, purposes: tuple[str, ...]) -> tuple[int, int] | None:
    """Epochs of training and of fine-tuning that a preset says, or, without one, that ``gssl run`` would take.

    None for a method that is not registered here: what a row names is not imported, and nothing is known of it.
    """
    if method not in METHODS.names():
        return None
    try:
        spec = find_spec(dataset)
        found = choose(method, dataset, preset or None, purposes=purposes, level=spec.level if spec else None)
    except InputError:  # a preset that there is no more
        found = None
    layer = found[1] if found else Layer("", {})
    return _said(layer, "train", TrainConfig().epochs), _said(layer, "finetune", FinetuneConfig().epochs)


def _said(layer: Layer, section: str, default: int) -> int:
    value = layer.section(section).options.get("epochs", default)
    return value if isinstance(value, int) else default
