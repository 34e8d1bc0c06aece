"""Overlapping patches that graphs are cut into."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import AddRandomWalkPE

from gssl.augment.ego_nets import induced_nets, simple_pattern
from gssl.augment.graphwise import segment_index
from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.crossing import brought, sent
from gssl.graph.sparse import Pattern, select_features
from gssl.samplers.selection.cluster import metis_partition


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of the graphs of a batch.

    Attributes:
        view: a batch whose graphs are the patches; a node of several patches is there several times.
        rows: row of the batch of each row of the view, shape (num_rows,), int64.
        graphs: graph of each patch, shape (num_patches,), int64, ascending.
        ptr: offsets of the graphs in the patches, shape (num_graphs + 1,), int64; in host memory.
        number: of each patch among those of its graph, shape (num_patches,), int64.
        largest: nodes of the largest graph.
    """

    view: MiniBatch
    rows: Tensor
    graphs: Tensor
    ptr: Tensor
    number: Tensor
    largest: int

    @property
    def most(self) -> int:
        """Patches of the graph that has most."""
        return int(self.ptr.diff().max()) if self.ptr.numel() > 1 else 0

    def padded(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Values of patches (num_patches, dim) as (num_graphs, most patches, dim), zero where there is no patch.

        Returns:
            The values, and where there is a patch, shape (num_graphs, most patches), bool.
        """
        there = sent(torch.arange(self.most) < self.ptr.diff().unsqueeze(1), values.device)
        out = values.new_zeros(*there.shape, values.shape[1])
        return out.masked_scatter(there.unsqueeze(2), values), there

    def overlaps(self, nodes: Tensor) -> Tensor:
        """Nodes that two patches of a graph have in common, shape (num_graphs, most patches, most patches), float.

        Args:
            nodes: offsets of the graphs in the rows of the batch, shape (num_graphs + 1,), int64.
        """
        patch = self.view.graph_index()
        graph = self.graphs[patch]
        there = torch.zeros(nodes.numel() - 1, self.most, self.largest, device=nodes.device)
        one = there.new_ones(()).expand(len(patch))
        there.index_put_((graph, self.number[patch], self.rows - nodes[graph]), one)
        return there @ there.transpose(1, 2)


def cut_patches(batch: MiniBatch, part: Tensor, *, hops: int) -> Patches:
    """The patches around the parts of the graphs of a batch, each part with the nodes that are near it.

    They are cut in host memory, since the size of everything depends on the sizes before; a device is waited for once.

    Args:
        batch: of whole graphs.
        part: of each node within its graph, shape (num_nodes,), int64, not negative.
        hops: how far from a part its patch reaches.
    """
    if batch.graph_ptr is None:
        raise InputError("patches are cut from the graphs of a batch, but the batch holds the nodes of one graph")
    block, size = batch.blocks[0], max(batch.num_nodes, 1)
    rowptr, col, nodes, part = brought(block.pattern.rowptr, block.pattern.col, batch.graph_ptr, part)
    pattern, sizes = Pattern(rowptr, col, batch.num_nodes), nodes.diff()
    most = int(part.max()) + 1 if part.numel() else 1
    nets, net = torch.unique(segment_index(nodes, batch.num_nodes) * most + part, return_inverse=True)
    key = (net * size + torch.arange(batch.num_nodes)).sort().values
    for _ in range(hops):
        near, _ = pattern.select_rows(key % size)
        around = (key // size).repeat_interleave(near.counts.long()) * size + near.col.long()
        key = torch.cat([key, around]).unique()
    found, ptr, inside, edges = induced_nets(pattern, key, len(nets))
    graphs = nets // most
    offsets = torch.nn.functional.pad(torch.bincount(graphs, minlength=batch.num_graphs).cumsum(0), (1, 0))
    number = torch.arange(len(nets)) - offsets[graphs]
    there = batch.device
    rows, edges, graphs, number, ptr = (sent(values, there) for values in (found, edges, graphs, number, ptr))
    inside = inside.map(lambda values: sent(values, there))
    view = MiniBatch(
        x=select_features(batch.x, rows),
        blocks=(
            Block(
                inside,
                None if block.weight is None else block.weight[edges],
                None if block.edge_attr is None else block.edge_attr[edges],
            ),
        ),
        node_ids=batch.node_ids[rows],
        num_targets=len(rows),
        graph_ptr=ptr,
        graph_ids=torch.arange(len(nets), device=batch.device),
    )
    return Patches(view, rows, graphs, offsets, number, int(sizes.max()) if len(sizes) else 0)


def partition_graphs(pattern: Pattern, ptr: Tensor, parts: int, *, seed: int, drop: float = 0.0) -> Tensor:
    """Cut each graph by METIS's recursive bisection into parts of about equal size with few edges between them.

    A graph with no more nodes than parts has each node for a part. METIS may leave parts empty.

    Args:
        pattern: of all graphs side by side; directions and loops are ignored.
        ptr: offsets of the graphs in the rows, shape (num_graphs + 1,), int64.
        parts: of each graph.
        seed: of METIS and of the edges that are left out.
        drop: share of the edges that METIS does not see, so that cuts differ from seed to seed.

    Returns:
        Part of each node within its graph, shape (num_nodes,), int64.
    """
    simple = simple_pattern(pattern)
    if drop:
        rng = torch.Generator().manual_seed(derive_seed(seed, "dropped"))
        kept = torch.rand(simple.pairs.num_pairs, generator=rng) >= drop
        simple = simple.filter(kept[simple.pairs.index])
    sizes = ptr.diff()
    part = torch.arange(simple.num_rows) - ptr[:-1].repeat_interleave(sizes)
    for graph in (sizes > parts).nonzero().squeeze(1).tolist():
        start, end = int(ptr[graph]), int(ptr[graph + 1])
        offsets = simple.rowptr[start : end + 1]
        own = Pattern(offsets - offsets[0], simple.col[int(offsets[0]) : int(offsets[-1])] - start, end - start)
        part[start:end] = metis_partition(own, parts, seed=derive_seed(seed, graph), recursive=True)
    return part


def walk_returns(pattern: Pattern, steps: int) -> Tensor:
    """Probabilities that random walks are back after 1, 2, ... steps, shape (num_nodes, steps), float32 (PyG's).

    Args:
        pattern: of graphs side by side; directions and loops are ignored.
        steps: how many.
    """
    simple = simple_pattern(pattern)
    ends = torch.stack([simple.row.long(), simple.col.long()])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta", category=UserWarning)
        found = AddRandomWalkPE(steps, attr_name="returns")(Data(edge_index=ends, num_nodes=simple.num_rows))
    returns: Tensor = found.returns
    return returns
