"""Reading the processed files of PyG and ogb, safely and without their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.pickles import load_tensors


@dataclass(frozen=True)
class Processed:
    """Graphs as ``InMemoryDataset`` keeps them: every attribute concatenated over the graphs.

    Attributes:
        values: attribute name to tensor; node ids in ``edge_index`` count from 0 in each graph.
        slices: attribute name to offsets of the graphs, shape (num_graphs + 1,), int64; None for a single graph.
        sizes: what TU sets record about their columns.
    """

    values: dict[str, Any]
    slices: dict[str, Any] | None
    sizes: dict[str, int]

    def get(self, name: str) -> Tensor | None:
        value = self.values.get(name)
        return value if isinstance(value, Tensor) else None

    @property
    def edge_index(self) -> Tensor:
        """Edges with node ids counted over all graphs, shape (2, num_edges), int64."""
        local: Tensor = self.values["edge_index"]
        if self.slices is None:
            return local
        counts = torch.as_tensor(self.slices["edge_index"]).diff()
        # PyG's reader of TU files lists graphs up to the last one that has an edge.
        counts = torch.nn.functional.pad(counts, (0, self.num_graphs - counts.numel()))
        return local + self.ptr[:-1].repeat_interleave(counts, output_size=local.shape[1])

    @property
    def ptr(self) -> Tensor:
        """Offsets of the graphs in the node rows, shape (num_graphs + 1,), int64."""
        if self.slices is not None and "x" in self.slices:
            return torch.as_tensor(self.slices["x"])
        sizes = self.values.get("_num_nodes")
        if sizes is None:
            sizes = [self.num_nodes]
        return torch.cat([torch.zeros(1, dtype=torch.int64), torch.as_tensor(sizes, dtype=torch.int64).cumsum(0)])

    @property
    def num_graphs(self) -> int:
        """Graphs in the file; a single graph is one."""
        return self.ptr.numel() - 1

    @property
    def num_nodes(self) -> int:
        x = self.get("x")
        return int(self.values["num_nodes"]) if x is None else int(x.shape[0])


def read_processed(path: Path) -> Processed:
    """Read one processed file.

    Raises:
        InputError: it is damaged or not of PyG's making.
    """
    content = load_tensors(path)
    if not isinstance(content, tuple) or len(content) < 2:
        raise InputError(f"{path} was not written by a PyG dataset: delete its folder")
    data, slices, *rest = content
    sizes = rest[0] if rest and isinstance(rest[0], dict) else {}
    values = data if isinstance(data, dict) else data.to_dict()
    return Processed(values, slices or None, sizes)


def block_diagonal(parts: Sequence[Processed]) -> tuple[Tensor, list[int]]:
    """Edges of several files side by side, shape (2, num_edges), and where the nodes of each begin (and the end)."""
    starts = [0]
    edges = []
    for part in parts:
        edges.append(part.edge_index + starts[-1])
        starts.append(starts[-1] + part.num_nodes)
    return torch.cat(edges, dim=1), starts
