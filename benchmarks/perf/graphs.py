"""The graphs that sampling is measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from gssl.datasets.generators import rmat
from gssl.datasets.load import load_dataset
from gssl.datasets.store import Store
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph

REAL = "ogbn-wordnet"


def store_rmat(folder: str, nodes: int, degree: float) -> int:
    """Draw an R-MAT graph, shuffle its ids and write its rows; returns the number of directed edges.

    Ids are shuffled because those of an R-MAT lie by degree, which flatters the caches.
    """
    pattern = rmat(nodes=nodes, degree=degree, features=1).graph.block.pattern
    shuffle = torch.randperm(nodes, generator=torch.Generator().manual_seed(0))
    number = torch.empty_like(shuffle)
    number[shuffle] = torch.arange(nodes)
    rows, _ = pattern.select_rows(shuffle)
    for name, value in (("rowptr", rows.rowptr), ("col", number[rows.col.long()].to(rows.col.dtype))):
        np.save(Path(folder) / f"{name}.npy", value.numpy())
    return rows.nnz


def load_pattern(folder: str) -> Pattern:
    """What :func:`store_rmat` wrote."""
    rowptr, col = (torch.from_numpy(np.load(f"{folder}/{name}.npy")) for name in ("rowptr", "col"))
    return Pattern(rowptr, col, len(rowptr) - 1)


def load_rmat(folder: str, features: int) -> Graph:
    """The graph with standard normal features, shape (num_nodes, features), float32."""
    pattern = load_pattern(folder)
    x = torch.empty(pattern.num_rows, features).normal_(generator=torch.Generator().manual_seed(0))
    return Graph(Block(pattern), x)


def load_graph(folder: str | None, features: int) -> Graph:
    """The R-MAT graph of a folder with so many features, or the real graph if there is no folder."""
    return load_dataset(REAL).graph if folder is None else load_rmat(folder, features)


def real_graph_is_there() -> bool:
    """Whether the mirror or the data folder has the real graph."""
    return REAL in Store.locate(None, None).ogb_folders()
