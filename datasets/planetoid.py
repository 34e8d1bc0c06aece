"""Planetoid: Cora, CiteSeer and PubMed with the public split (Yang et al., 2016, arXiv:1603.08861)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gssl.common.errors import InputError
from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.pickles import check_pickle
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.processed import read_processed
from gssl.datasets.source import PygSource
from gssl.datasets.splits import mask_splits
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset

_PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")


@dataclass(frozen=True, kw_only=True)
class PlanetoidSource(PygSource):
    """Eight files that PyG puts together without comparing them."""

    def inspect(self, folder: Path) -> None:
        parts = {name.rpartition(".")[2]: check_pickle(folder / name) for name in self.pickled}
        index = folder / self.raw[-1]
        test = _test_ids(index)
        for name, other in (("x", "y"), ("tx", "ty"), ("allx", "ally")):
            if _rows(parts[name]) != _rows(parts[other]):
                raise InputError(
                    f"{folder}: {name} has {_rows(parts[name])} rows, but {other} has {_rows(parts[other])}: they "
                    "belong to different copies, so provide all of them again"
                )
        nodes = _check_graph(parts["graph"], folder / next(name for name in self.raw if name.endswith(".graph")))
        if len(test) != _rows(parts["tx"]) or len(set(test)) != len(test):
            raise InputError(f"{index} must name {_rows(parts['tx'])} different test nodes, one for each row of tx")
        if test and (min(test) < _rows(parts["allx"]) or max(test) >= nodes):
            raise InputError(
                f"{index} must name test nodes from {_rows(parts['allx'])} to {nodes - 1}, but names {min(test)} to "
                f"{max(test)}"
            )


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """Features are stored as in the files; the catalog has them divided by their row sums."""
    files = tuple(f"raw/ind.{spec.name.lower()}.{part}" for part in _PARTS)
    source = PlanetoidSource(
        dataset="Planetoid",
        folder=f"Planetoid/{spec.name}",
        name=spec.name,
        raw=files,
        pickled=tuple(file for file in files if not file.endswith("index")),
    )
    data = prepared(source, store, lambda folder: read_processed(folder / source.processed[0])).values
    splits = mask_splits("public", data["train_mask"], data["val_mask"], data["test_mask"])
    return assemble(
        spec,
        Arrays(
            edge_index=data["edge_index"],
            x=data["x"],
            y=data["y"],
            splits=splits,
            notes=origin_notes(source, store),
        ),
    )


def _test_ids(path: Path) -> list[int]:
    try:
        return [int(line) for line in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no list of node ids ({error}): provide it again") from None


def _rows(part: Any) -> int:
    shape: Any = getattr(part, "shape", ())
    return int(shape[0]) if len(shape) == 2 else -1


def _check_graph(graph: Any, path: Path) -> int:
    """The number of nodes of a mapping of nodes to lists of their neighbors."""
    if not isinstance(graph, dict) or not all(isinstance(neighbors, list) for neighbors in graph.values()):
        raise InputError(f"{path} holds no lists of neighbors: provide it again")
    if sum(map(len, graph.values())) > path.stat().st_size:  # the same long list again and again
        raise InputError(f"{path} states more neighbors than it has bytes: do not use it")
    return len(graph)
