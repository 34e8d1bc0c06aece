"""The heterogeneous sets of HeCo's repository (Wang et al., 2021, arXiv:2105.09111): ACM, DBLP, AMiner and Freebase."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gssl.common.errors import InputError
from gssl.datasets.assemble import Arrays, assemble, with_types
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.download import download
from gssl.datasets.formats.text import check_text
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.source import Source
from gssl.datasets.sparse_check import check_compressed
from gssl.datasets.splits import preset_split
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset, Split
from gssl.graph.hetero import HeteroParts, MetaPath, NodeType, Relation, identity, pattern_of, union
from gssl.graph.sparse import Pattern, SparseMatrix, index_dtype

_ADDRESS = "https://raw.githubusercontent.com/liun-online/HeCo/main/data"
_PROCESSED = "processed/types-1.npz"  # another number for other contents
_AMOUNTS = ("20", "40", "60")
_PARTS = ("train", "val", "test")
_RATE = 0.05  # of the authors' classifier on ACM, which is the default of the probe

Table = dict[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """What the files of one set are about. Types have the letters that stand in the names of the files.

    Attributes:
        target: the type with labels.
        types: name and number of nodes of every type.
        relations: files of pairs, ``pa.txt`` with a paper and an author in each line.
        meta_paths: files of matrices.
        features: whether the target type has a file of features.
        rate: learning rate of the authors' classifier.
    """

    target: str
    types: dict[str, tuple[str, int]]
    relations: tuple[str, ...]
    meta_paths: tuple[str, ...]
    features: bool = False
    rate: float = 0.01

    @property
    def raw(self) -> tuple[str, ...]:
        """Names of the files that are read."""
        splits = (f"{part}_{amount}.npy" for amount in _AMOUNTS for part in _PARTS)
        features = (f"{self.target}_feat.npz",) if self.features else ()
        matrices = (f"{name}.npz" for name in (*self.meta_paths, "pos"))
        return ("labels.npy", *features, *(f"{name}.txt" for name in self.relations), *matrices, *splits)


LAYOUTS = {
    "HeCo/acm": Layout(
        target="p",
        types={"p": ("paper", 4019), "a": ("author", 7167), "s": ("subject", 60)},
        relations=("pa", "ps"),
        meta_paths=("pap", "psp"),
        features=True,
        rate=_RATE,
    ),
    "HeCo/dblp": Layout(
        target="a",
        types={"a": ("author", 4057), "p": ("paper", 14328), "c": ("conference", 20), "t": ("term", 7723)},
        relations=("pa", "pc", "pt"),
        meta_paths=("apa", "apcpa", "aptpa"),
        features=True,
    ),
    "HeCo/aminer": Layout(
        target="p",
        types={"p": ("paper", 6564), "a": ("author", 13329), "r": ("reference", 35890)},
        relations=("pa", "pr"),
        meta_paths=("pap", "prp"),
    ),
    "HeCo/freebase": Layout(
        target="m",
        types={"m": ("movie", 3492), "d": ("director", 2502), "a": ("actor", 33401), "w": ("writer", 4459)},
        relations=("md", "ma", "mw"),
        meta_paths=("mdm", "mam", "mwm"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class HeCoFiles(Source):
    """The files of one set, as they lie in the authors' repository."""

    folder: str
    layout: Layout
    processed: tuple[str, ...] = (_PROCESSED,)
    raw: tuple[str, ...] = field(init=False)
    parts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(f"raw/{name}" for name in self.layout.raw)
        object.__setattr__(self, "raw", names)
        object.__setattr__(self, "parts", names)

    def download(self, into: Path) -> None:
        for name in self.layout.raw:
            download(f"{_ADDRESS}/{self.folder.rpartition('/')[2]}/{name}", into / "raw" / name)

    def process(self, folder: Path) -> None:
        (folder / _PROCESSED).parent.mkdir()
        np.savez(folder / _PROCESSED, **_read_raw(folder / "raw", self.layout))  # type: ignore[arg-type]  # of numpy


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """The graph is that of the target type, joined where any of the meta-paths joins two nodes."""
    layout = LAYOUTS[spec.name]
    source = HeCoFiles(folder=spec.name, layout=layout)
    table = prepared(source, store, _read)
    count = len(table["y"])
    parts = _parts(table, layout, count)
    joined = union([path.pattern for path in parts.meta_paths])
    dataset = assemble(
        spec,
        Arrays(
            edge_index=torch.stack([joined.col, joined.row]),
            x=_features(table) if layout.features else identity(count),
            y=torch.from_numpy(table["y"]),
            splits=tuple(_split(table, amount, count) for amount in _AMOUNTS),
            notes=origin_notes(source, store),
        ),
    )
    return with_types(dataset, parts, _notes(layout))


def _notes(layout: Layout) -> tuple[str, ...]:
    target, _ = layout.types[layout.target]
    others = [name for letter, (name, _) in layout.types.items() if letter != layout.target]
    without = others if layout.features else [target, *others]
    rate = f"the authors' classifier has the rate {layout.rate} here: --set probe.lr={layout.rate}"
    return (
        f"nodes are those of type {target}, joined where one of the meta-paths {', '.join(layout.meta_paths)} does; "
        "heterogeneous methods read each of them, and the relations",
        f"nodes of type {', '.join(without)} have their ids for features, as in the authors' code",
        *((rate,) if layout.rate != _RATE else ()),
    )


def _parts(table: Table, layout: Layout, count: int) -> HeteroParts:
    sizes = {letter: size for letter, (_, size) in layout.types.items()} | {layout.target: count}
    names = {letter: name for letter, (name, _) in layout.types.items()}
    relations = []
    for name in layout.relations:
        row, col = tuple(name)
        ends = torch.from_numpy(table[name]).long()
        one = pattern_of(ends[0], ends[1], sizes[row], sizes[col])
        relations += [
            Relation(names[col], "to", names[row], one),
            Relation(names[row], "to", names[col], one.transposed[0]),
        ]
    return HeteroParts(
        names[layout.target],
        tuple(NodeType(names[letter], identity(sizes[letter])) for letter in sizes if letter != layout.target),
        tuple(relations),
        tuple(MetaPath(name, _square(table[name], count, loops=False)) for name in layout.meta_paths),
        _square(table["pos"], count, loops=True),
    )


def _square(places: np.ndarray, count: int, *, loops: bool) -> Pattern:
    row, col = torch.from_numpy(places).long()
    keep = slice(None) if loops else row != col
    return pattern_of(row[keep], col[keep], count, count)


def _features(table: Table) -> SparseMatrix:
    rowptr, col, value = (torch.from_numpy(table[f"x_{name}"]) for name in ("indptr", "indices", "data"))
    dtype = index_dtype(*table["x_shape"].tolist(), len(col))
    return SparseMatrix(Pattern(rowptr.to(dtype), col.to(dtype), int(table["x_shape"][1])), value)


def _split(table: Table, amount: str, count: int) -> Split:
    return preset_split(amount, count, *(torch.from_numpy(table[f"{part}_{amount}"]) for part in _PARTS))


def _read(folder: Path) -> Table:
    path = folder / _PROCESSED
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except PermissionError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}): delete its folder") from None


def _read_raw(raw: Path, layout: Layout) -> Table:
    """Everything that the raw files hold, checked.

    Raises:
        InputError: a file is damaged, or does not fit the others.
    """
    y = _array(raw / "labels.npy")
    if not bool((y == np.floor(y)).all()) or (len(y) and y.min() < 0):
        raise InputError(f"{raw / 'labels.npy'} must hold the number of a class, from 0, for each node")
    count = len(y)
    table: Table = {"y": y.astype(np.int64)}
    for amount in _AMOUNTS:
        for part in _PARTS:
            table[f"{part}_{amount}"] = _ids(_array(raw / f"{part}_{amount}.npy"), count, raw / f"{part}_{amount}.npy")
        _split(table, amount, count)
    for name in layout.relations:
        sizes = [count if letter == layout.target else layout.types[letter][1] for letter in name]
        table[name] = _pairs(raw / f"{name}.txt", sizes)
    for name in (*layout.meta_paths, "pos"):
        path = raw / f"{name}.npz"
        shape, row, col, _ = _matrix(path)
        if shape != (count, count):
            raise InputError(f"{path} has shape {shape}, but there are {count} labels: the files do not fit together")
        table[name] = np.stack([row, col])
    if layout.features:
        table |= _feature_table(raw / f"{layout.target}_feat.npz", count)
    return table


def _feature_table(path: Path, count: int) -> Table:
    shape, row, col, value = _matrix(path)
    if shape[0] != count:
        raise InputError(f"{path} has {shape[0]} rows, but there are {count} labels: the files do not fit together")
    value = value.astype(np.float32)
    if not bool(np.isfinite(value).all()):
        raise InputError(f"{path} has values that are NaN or infinite: provide it again")
    order = np.lexsort((col, row))
    indptr = np.concatenate([[0], np.bincount(row, minlength=count).cumsum()])
    return {
        "x_shape": np.array(shape),
        "x_indptr": indptr,
        "x_indices": col[order],
        "x_data": value[order],
    }


def _array(path: Path) -> np.ndarray:
    """A list of numbers of a ``.npy`` file."""
    values = _loaded(path, lambda: np.load(path, allow_pickle=False))
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf" or values.ndim != 1:
        raise InputError(f"{path} is no list of numbers: provide it again")
    return values


def _ids(values: np.ndarray, count: int, path: Path) -> np.ndarray:
    if values.dtype.kind == "f" or (len(values) and not 0 <= values.min() <= values.max() < count):
        raise InputError(f"{path} must hold ids from 0 to {count - 1}, one for each label there is")
    return values.astype(np.int64)


def _pairs(path: Path, sizes: list[int]) -> np.ndarray:
    """Two ids in each line of a text, shape (2, n)."""
    check_text(path, 20)
    pairs = _loaded(path, lambda: np.loadtxt(path, dtype=np.float64, ndmin=2))
    if pairs.shape[1] != 2 or not bool((pairs == np.floor(pairs)).all()):
        raise InputError(f"{path} must have two ids in each line")
    for column, size in zip(pairs.T, sizes, strict=True):
        if column.min() < 0 or column.max() >= size:
            wrong = column[(column < 0) | (column >= size)][0]
            raise InputError(f"{path} has the id {wrong:g} where there are {size} nodes (0 to {size - 1})")
    return np.ascontiguousarray(pairs.T.astype(np.int64))


def _matrix(path: Path) -> tuple[tuple[int, int], np.ndarray, np.ndarray, np.ndarray]:
    """Shape, rows, columns and values of a sparse matrix of SciPy that was not looked at before."""

    def read() -> dict[str, np.ndarray]:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    parts: dict[str, Any] = _loaded(path, read)
    names = {"shape", "data", *(("row", "col") if "row" in parts else ("indptr", "indices"))}
    kind = parts["format"].tolist() if "format" in parts else None
    known = names <= parts.keys() and kind in ((b"coo", "coo") if "row" in parts else (b"csr", "csr"))
    if not known or parts["data"].ndim != 1 or parts["data"].dtype.kind not in "biuf":
        raise InputError(f"{path} is no sparse matrix of SciPy: provide it again")
    shape, data, what = tuple(parts["shape"].tolist()), parts["data"], f"{path}: the matrix"
    if "row" in parts:
        row, col = parts["row"], parts["col"]
        _check_places(row, col, len(data), shape, what)
    else:
        check_compressed(parts["indptr"], parts["indices"], len(data), list(shape), what=what)
        row = np.repeat(np.arange(shape[0]), np.diff(parts["indptr"]))
        col, data = parts["indices"][: len(row)], data[: len(row)]
    kept = data != 0
    return (int(shape[0]), int(shape[1])), row[kept].astype(np.int64), col[kept].astype(np.int64), data[kept]


def _check_places(row: np.ndarray, col: np.ndarray, count: int, shape: tuple[Any, ...], what: str) -> None:
    if len(shape) != 2 or any(not isinstance(size, int) or size < 0 for size in shape):
        raise InputError(f"{what} is damaged: its shape is {str(shape)[:80]}")
    for name, ids, size in (("row", row, shape[0]), ("col", col, shape[1])):
        if ids.dtype.kind not in "iu" or ids.shape != (count,):
            raise InputError(f"{what} is damaged: its {name} is no list of {count} whole numbers")
        if count and not 0 <= ids.min() <= ids.max() < size:
            wrong = ids[(ids < 0) | (ids >= size)][0]
            raise InputError(f"{what} is damaged: it has {name} {wrong} where there are {size}")


def _loaded(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except OSError as error:
        if error.errno is not None:
            raise
        raise InputError(f"{path} is damaged ({error}): provide it again") from None
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}): provide it again") from None
