"""Graphs without preset splits from npz archives: Amazon and Coauthor (Shchur et al., 2018, arXiv:1811.05868) and
CitationFull (Bojchevski and Guennemann, 2018, arXiv:1707.03815).
"""

from __future__ import annotations

from gssl.datasets.assemble import Arrays, assemble
from gssl.datasets.catalog import DatasetSpec
from gssl.datasets.prepare import origin_notes, prepared
from gssl.datasets.processed import read_processed
from gssl.datasets.source import PygSource
from gssl.datasets.store import Store
from gssl.datasets.types import Dataset


def load(spec: DatasetSpec, store: Store) -> Dataset:
    """PyG makes the graphs undirected and the word counts 0 or 1."""
    source = _source(spec)
    data = prepared(source, store, lambda folder: read_processed(folder / source.processed[0])).values
    arrays = Arrays(edge_index=data["edge_index"], x=data["x"], y=data["y"], notes=origin_notes(source, store))
    return assemble(spec, arrays)


def _source(spec: DatasetSpec) -> PygSource:
    if spec.family == "CitationFull":
        name = "cora" if spec.name == "CoraFull" else spec.name.lower()
        file, processed = f"{name}.npz", "processed/data_undirected.pt"
    else:
        name, processed = spec.name, "processed/data.pt"
        file = f"ms_academic_{name[:3].lower()}.npz"
        if spec.family == "Amazon":
            file = f"amazon_electronics_{name.lower()}.npz"
    return PygSource(
        dataset=spec.family,
        folder=f"{spec.family}/{name}",
        name=name,
        raw=(f"raw/{file}",),
        processed=(processed,),
    )
