"""The card of a suite: its cells by dataset and method."""

from __future__ import annotations

from pathlib import Path

from gssl.cards.answer import Answer, Table


def is_suite(name: str) -> bool:
    """Whether it is the name of a suite, or the path of a suite file."""
    from gssl.benchmarks.bench.shipped import names

    return Path(name).suffix in (".yaml", ".yml") or name.lower() in map(str.lower, names())


def suite_card(name: str) -> Answer:
    """What a suite consists of.

    Raises:
        InputError: there is no such file, or it is wrong.
    """
    from gssl.benchmarks.bench.cell import Cell
    from gssl.benchmarks.bench.expand import expand
    from gssl.benchmarks.bench.suite import load_suite

    suite = load_suite(name)
    cells = expand(suite)
    variants: dict[Cell, list[int]] = {}
    for cell in cells:
        variants.setdefault(cell.variant(), []).append(cell.seed)
    columns = ("dataset", "method", "encoder", "preset", "sampler", "probe", "setting", "epochs", "options", "seeds")
    rows = [
        (
            cell.dataset,
            cell.method,
            cell.encoder or "",
            cell.preset or "",
            " ".join(filter(None, (cell.sampler, f"({cell.batch_size})" if cell.batch_size else ""))),
            cell.probe or "",
            cell.setting,
            "" if cell.epochs is None else str(cell.epochs),
            " ".join(cell.options),
            " ".join(map(str, seeds)),
        )
        for cell, seeds in variants.items()
    ]
    used = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    table = Table(
        f"suite {suite.name}: {suite.summary}",
        [columns[place] for place in used],
        [[row[place] for place in used] for row in rows],
    )
    data = {
        "name": suite.name,
        "kind": "suite",
        "summary": suite.summary,
        "cells": len(cells),
        "groups": suite.content.model_dump(mode="json")["groups"],
        "rows": [dict(zip(columns, row, strict=True)) for row in rows],
    }
    return Answer(data, [table, f"{len(cells)} cells; run them with `gssl bench {name}`"])
