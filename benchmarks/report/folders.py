"""What run folders add to the rows: scores of splits, training curves, notes, and what embeddings look like."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from gssl.benchmarks.stats.spread import Spread, spread
from gssl.common.errors import InputError
from gssl.common.files import read_json, require_regular
from gssl.datasets.unzip import array_headers
from gssl.evaluate.collapse import Collapse, collapse, signs_of_collapse
from gssl.results.seed import SeedMetrics
from gssl.results.store import RunRow

_ITEMS = 20_000  # rows that collapse and projection are computed from, drawn where there are more
_DRAWN = 1_500  # points of a projection: more hide each other and make the page slow
_MOST_BYTES = 4 << 30  # of embeddings that a picture is made of
_MOST_CURVE = 1 << 28  # bytes of a file of losses
_LARGEST = 1e100  # differences and squares of larger numbers are not finite
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
        collapsed: what they say, in words; empty where nothing collapsed.
    """

    seed: int
    items: int
    dim: int
    used: int
    points: NDArray[np.float64]
    drawn: NDArray[np.int64]
    explained: tuple[float, float]
    signs: Collapse
    collapsed: str = ""


def run_files(rows: Sequence[RunRow]) -> RunFiles:
    """Read what is there; whatever is missing or damaged becomes a remark."""
    curves: list[Curve] = []
    splits: list[SplitRow] = []
    notes: dict[str, None] = {}
    faults: dict[str, None] = {}
    for row in rows:
        if row.status != "done" or not row.run_dir:
            continue
        try:
            _add_seed(row, curves, splits, notes, faults)
        except Exception as error:  # the folder may hold anything
            faults[f"seed {row.seed} is left out: {_reason(error)}"] = None
    several = len(splits) > len({split.seed for split in splits})
    return RunFiles(
        tuple(curves),
        tuple(splits) if several else (),
        spread([split.test for split in splits]) if several else None,
        tuple(notes),
        tuple(faults),
    )


def _add_seed(
    row: RunRow,
    curves: list[Curve],
    splits: list[SplitRow],
    notes: dict[str, None],
    faults: dict[str, None],
) -> None:
    folder = Path(row.run_dir) / f"seed-{row.seed}"
    if not folder.is_dir():
        faults[f"the folder {row.run_dir} is not here, so there are no curves and no embeddings to show"] = None
        return
    for path in sorted([*folder.glob("curve.jsonl"), *folder.glob("split-*/curve.jsonl")]):
        try:
            curves.append(_curve(path, row.seed))
        except Exception as error:
            faults[f"seed {row.seed}: {path.name} is left out: {_reason(error)}"] = None
    metrics = SeedMetrics.read(read_json(folder / "metrics.json"), str(folder / "metrics.json"))
    found = [_split_row(row.seed, vars(split)) for split in metrics.splits]
    notes.update(dict.fromkeys(map(_text, metrics.notes)))
    splits += found


def projection(row: RunRow) -> Projection | None:
    """Principal components and signs of collapse of a seed's embeddings; None if there are none to draw.

    Raises:
        InputError: the file is damaged, too large, or holds something else.
    """
    path = Path(row.run_dir) / f"seed-{row.seed}" / "embeddings.npz"
    if not path.exists():
        path = path.parent / "split-0" / path.name
    if not path.exists():
        return None
    embeddings = _embeddings(path)
    if min(embeddings.shape) < 2:
        return None
    if not np.isfinite(embeddings).all():
        raise InputError(f"{path.name} holds numbers that are not finite")
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
        signs_of_collapse(torch.from_numpy(part)),
    )


def _embeddings(path: Path) -> NDArray[Any]:
    """What the file holds, if its header says that these are embeddings of a size that a picture can be made of."""
    header = array_headers(path).get("embeddings")
    if header is None or len(header.shape) != 2 or header.dtype.kind != "f":
        raise InputError(f"{path.name} holds no matrix of embeddings")
    if header.nbytes > _MOST_BYTES:
        raise InputError(f"{path.name} holds {header.nbytes / 1e9:.1f} GB, too much for a picture")
    try:
        with np.load(path, allow_pickle=False) as file:
            embeddings: NDArray[Any] = file["embeddings"]
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{path.name} is damaged ({type(error).__name__})") from None
    return embeddings


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else f"it is damaged ({type(error).__name__})"


def _number(value: Any) -> float:
    """A number of a size that can be drawn and computed with."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
        raise InputError(f"it holds {str(value)[:40]!r} where a number should be")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"it holds {str(value)[:40]!r} where a text should be")
    return value


def _curve(path: Path, seed: int) -> Curve:
    require_regular(path, _MOST_CURVE)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    step = max(1, math.ceil(len(lines) / _POINTS))
    kept = lines[::step] if not lines or (len(lines) - 1) % step == 0 else [*lines[::step], lines[-1]]
    part = path.parent.name
    label = f"seed {seed}" if part.startswith("seed-") else f"seed {seed}, {part.replace('-', ' ')}"
    return Curve(
        label,
        tuple(int(_number(line["epoch"])) + 1 for line in kept),
        tuple(_number(line["loss"]) for line in kept),
        tuple(None if line.get("val") is None else _number(line["val"]) for line in kept),
    )


def _split_row(seed: int, split: Mapping[str, Any]) -> SplitRow:
    chosen = ", ".join(f"{key} {_number(value):.4g}" for key, value in split["chosen"].items())
    val = None if split["val"] is None else _number(split["val"])
    return SplitRow(seed, _text(split["name"]), val, _number(split["test"]), chosen)
