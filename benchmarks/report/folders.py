"""What run folders add to the rows: scores of splits, training curves, notes, and what embeddings look like."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from gssl.benchmarks.stats.spread import Spread, spread
from gssl.common.errors import InputError
from gssl.common.files import read_json
from gssl.evaluate.collapse import Collapse, collapse
from gssl.results.seed import SeedMetrics
from gssl.results.store import RunRow

_ITEMS = 20_000  # rows that collapse and projection are computed from, drawn where there are more
_DRAWN = 1_500  # points of a projection: more hide each other and make the page slow
_POINTS = 200  # of a curve: more than the picture has pixels for


@dataclass(frozen=True)
class Curve:
    """Training of one seed (of one split, for supervised rows).

    Attributes:
        label: ``seed 0`` or ``seed 0, split 1``.
        epochs, losses: thinned, the last one kept.
        vals: validation score at the same epochs, where training looked at one.
    """

    label: str
    epochs: tuple[int, ...]
    losses: tuple[float, ...]
    vals: tuple[float | None, ...]


@dataclass(frozen=True)
class SplitRow:
    """Score of one seed on one split, with what the probe chose on validation items."""

    seed: int
    split: str
    val: float | None
    test: float
    chosen: str


@dataclass(frozen=True)
class RunFiles:
    """What the folders of a cell's seeds hold.

    Attributes:
        curves: of every seed that has one.
        splits: of every seed, if any probe had more than one.
        split_spread: spread over all seeds and splits; None unless there are several splits.
        notes: what the run noted.
        faults: what is missing or damaged, in words.
    """

    curves: tuple[Curve, ...] = ()
    splits: tuple[SplitRow, ...] = ()
    split_spread: Spread | None = None
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Projection:
    """Embeddings of one seed.

    Attributes:
        seed: whose.
        items, dim: shape of the embeddings.
        used: rows that went into the numbers.
        points: first two principal components of drawn rows, shape (n, 2).
        drawn: positions of those rows, shape (n,).
        explained: share of the variance that each component holds.
        signs: of collapse.
    """

    seed: int
    items: int
    dim: int
    used: int
    points: NDArray[np.float64]
    drawn: NDArray[np.int64]
    explained: tuple[float, float]
    signs: Collapse


def run_files(rows: Sequence[RunRow]) -> RunFiles:
    """Read what is there; whatever is missing or damaged becomes a remark."""
    curves: list[Curve] = []
    splits: list[SplitRow] = []
    notes: dict[str, None] = {}
    faults: dict[str, None] = {}
    for row in rows:
        if row.status != "done" or not row.run_dir:
            continue
        folder = Path(row.run_dir) / f"seed-{row.seed}"
        if not folder.is_dir():
            faults[f"the folder {row.run_dir} is not here, so there are no curves and no embeddings to show"] = None
            continue
        try:
            metrics = SeedMetrics.read(read_json(folder / "metrics.json"), str(folder / "metrics.json"))
            splits += [_split_row(row.seed, vars(split)) for split in metrics.splits]
            notes.update(dict.fromkeys(metrics.notes))
        except (OSError, InputError) as error:
            faults[f"seed {row.seed}: {error}"] = None
        for path in sorted([*folder.glob("curve.jsonl"), *folder.glob("split-*/curve.jsonl")]):
            try:
                curves.append(_curve(path, row.seed))
            except (OSError, ValueError, KeyError, TypeError) as error:
                faults[f"seed {row.seed}: {path.name} is damaged ({type(error).__name__})"] = None
    several = len(splits) > len({split.seed for split in splits})
    return RunFiles(
        tuple(curves),
        tuple(splits) if several else (),
        spread([split.test for split in splits]) if several else None,
        tuple(notes),
        tuple(faults),
    )


def projection(row: RunRow) -> Projection | None:
    """Principal components and signs of collapse of a seed's embeddings; None if they are not there or damaged."""
    path = Path(row.run_dir) / f"seed-{row.seed}" / "embeddings.npz"
    if not path.exists():
        path = path.parent / "split-0" / path.name
    try:
        with np.load(path, allow_pickle=False) as file:
            embeddings = file["embeddings"]
    except (OSError, ValueError, KeyError, BadZipFile):
        return None
    if embeddings.ndim != 2 or min(embeddings.shape) < 2 or not np.isfinite(embeddings).all():
        return None
    rng = np.random.default_rng(0)
    items, dim = embeddings.shape
    kept = np.arange(items) if items <= _ITEMS else np.sort(rng.choice(items, _ITEMS, replace=False))
    part = embeddings[kept].astype(np.float64)
    pca = PCA(n_components=2, svd_solver="covariance_eigh" if dim <= 2048 else "randomized", random_state=0)
    points = pca.fit_transform(part)
    shown = np.arange(len(kept)) if len(kept) <= _DRAWN else np.sort(rng.choice(len(kept), _DRAWN, replace=False))
    explained = [0.0 if math.isnan(share) else float(share) for share in pca.explained_variance_ratio_]
    return Projection(
        row.seed,
        items,
        dim,
        len(kept),
        points[shown],
        kept[shown],
        (explained[0], explained[1]),
        collapse(torch.from_numpy(part)),
    )


def _curve(path: Path, seed: int) -> Curve:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    step = max(1, math.ceil(len(lines) / _POINTS))
    kept = lines[::step] if not lines or (len(lines) - 1) % step == 0 else [*lines[::step], lines[-1]]
    part = path.parent.name
    label = f"seed {seed}" if part.startswith("seed-") else f"seed {seed}, {part.replace('-', ' ')}"
    return Curve(
        label,
        tuple(int(line["epoch"]) + 1 for line in kept),
        tuple(float(line["loss"]) for line in kept),
        tuple(None if line.get("val") is None else float(line["val"]) for line in kept),
    )


def _split_row(seed: int, split: Mapping[str, Any]) -> SplitRow:
    chosen = ", ".join(f"{key} {value:.4g}" for key, value in split["chosen"].items())
    return SplitRow(seed, str(split["name"]), split["val"], float(split["test"]), chosen)
