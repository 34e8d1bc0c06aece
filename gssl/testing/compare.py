"""What contract tests compare: renumbered batches, copies taken before, other processes."""

from __future__ import annotations

import functools
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, is_dataclass, replace
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.hetero import HeteroParts, MetaPath
from gssl.graph.sparse import Pattern, select_features

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)

P = ParamSpec("P")
R = TypeVar("R")


def permuted(batch: MiniBatch, rng: torch.Generator) -> tuple[MiniBatch, Tensor]:
    """The same square batch with nodes, graphs and edges in another order.

    Returns:
        The batch, and the old item (target node, or graph) of each new one, shape (num_items,), int64.
    """
    if batch.graph_ptr is None:
        order = items = torch.randperm(batch.num_nodes, generator=rng)
        graph_ptr = graph_ids = None
    else:
        items = torch.randperm(batch.num_graphs, generator=rng)
        sizes = batch.graph_ptr.diff()[items]
        graph_ptr = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
        spans = [torch.arange(*batch.graph_ptr[g : g + 2].tolist()) for g in items.tolist()]
        order = torch.cat([span[torch.randperm(len(span), generator=rng)] for span in spans])
        graph_ids = None if batch.graph_ids is None else batch.graph_ids[items]
    new_id = torch.empty_like(order)
    new_id[order] = torch.arange(len(order))
    moved = replace(
        batch,
        x=select_features(batch.x, order),
        node_ids=batch.node_ids[order],
        weight=None if batch.weight is None else batch.weight[items],
        graph_ptr=graph_ptr,
        graph_ids=graph_ids,
    )
    moved = moved.map_blocks(lambda block: _renumbered(block, new_id, rng))
    parts = None if batch.hetero is None else _renumbered_targets(batch.hetero, new_id)
    return replace(moved, hetero=parts), items


def _renumbered_targets(parts: HeteroParts, new_id: Tensor) -> HeteroParts:
    """The same types and relations with new numbers for the nodes of the target type."""

    def moved(pattern: Pattern, rows: bool, cols: bool, values: Tensor | None = None) -> tuple[Pattern, Tensor | None]:
        row, col = pattern.row.long(), pattern.col.long()
        ends = (new_id[row] if rows else row, new_id[col] if cols else col)
        found, order = Pattern.from_coo(*ends, pattern.num_rows, pattern.num_cols)
        return found, None if values is None else values[order]

    target = parts.target
    relations = (
        replace(r, pattern=moved(r.pattern, r.target == target, r.source == target)[0]) for r in parts.relations
    )
    paths = (MetaPath(path.name, *moved(path.pattern, True, True, path.count)) for path in parts.meta_paths)
    positives = None if parts.positives is None else moved(parts.positives, True, True)[0]
    return HeteroParts(target, parts.others, tuple(relations), tuple(paths), positives)


def _renumbered(block: Block, new_id: Tensor, rng: torch.Generator) -> Block:
    """The block with new node numbers; within a row the edges are in a random order, which CSR allows."""
    shuffle = torch.randperm(block.num_edges, generator=rng)
    row, col = new_id[block.pattern.row.long()][shuffle], new_id[block.pattern.col.long()][shuffle]
    order = torch.argsort(row, stable=True)
    dtype = block.pattern.col.dtype
    rowptr = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(row, minlength=block.num_dst).cumsum(0)])
    position = shuffle[order]
    return Block(
        Pattern(rowptr.to(dtype), col[order].to(dtype), block.num_src),
        None if block.weight is None else block.weight[position],
        None if block.edge_attr is None else block.edge_attr[position],
    )


def tensors_of(value: object, path: str = "batch") -> Iterator[tuple[str, Tensor]]:
    """Every tensor that a batch holds, with the path to it; what a block has cached is left out."""
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from tensors_of(item, f"{path}[{number}]")
    elif is_dataclass(value):
        for field in fields(value):
            yield from tensors_of(getattr(value, field.name), f"{path}.{field.name}")


def snapshot(batch: MiniBatch) -> Mapping[str, Tensor]:
    """Copies of every tensor of a batch."""
    return {path: tensor.clone() for path, tensor in tensors_of(batch)}


def assert_unchanged(batch: MiniBatch, before: Mapping[str, Tensor]) -> None:
    """Fail with the name of the first tensor that differs from the snapshot."""
    after = dict(tensors_of(batch))
    assert after.keys() == before.keys(), "the batch lost or gained tensors"
    for path, tensor in after.items():
        assert torch.equal(tensor, before[path]), f"{path} was changed in place"


def assert_valid(batch: MiniBatch) -> None:
    """Fail where a batch breaks the invariants of its own type."""
    assert batch.node_ids.shape == (batch.num_nodes,), "one node id a row"
    assert 0 <= batch.num_targets <= batch.num_nodes, "targets are rows"
    assert batch.weight is None or batch.weight.shape == (batch.num_items,), "one weight an item"
    for block in batch.blocks:
        pattern = block.pattern
        assert int(pattern.rowptr[0]) == 0, "offsets start at 0"
        assert int(pattern.rowptr[-1]) == pattern.nnz, "offsets end at the number of edges"
        assert bool((pattern.counts >= 0).all()), "offsets rise"
        assert pattern.nnz == 0 or (int(pattern.col.min()) >= 0 and int(pattern.col.max()) < block.num_src)
        assert block.weight is None or block.weight.shape == (pattern.nnz,), "one weight an edge"
        assert block.edge_attr is None or len(block.edge_attr) == pattern.nnz, "attributes for each edge"
        _assert_transpose(pattern)
    if batch.graph_ptr is not None:
        assert int(batch.graph_ptr[0]) == 0, "graphs start at row 0"
        assert int(batch.graph_ptr[-1]) == batch.num_nodes, "graphs cover all rows"
        assert bool((batch.graph_ptr.diff() >= 0).all()), "graphs are in order"
        graph = batch.graph_index()
        for block in batch.blocks:
            source, target = block.edge_index
            assert torch.equal(graph[source], graph[target]), "an edge joins two graphs"


def _assert_transpose(pattern: Pattern) -> None:
    turned, order = pattern.transposed
    assert order.numel() == pattern.nnz, "the stored transpose is of another pattern"
    assert torch.equal(turned.row.long(), pattern.col.long()[order]), "the stored transpose is of another pattern"
    assert torch.equal(turned.col.long(), pattern.row.long()[order]), "the stored transpose is of another pattern"


@functools.cache
def _other_process() -> ProcessPoolExecutor:
    """One process with another hash seed, started once."""
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = "271828"
    try:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, mp_context=context, initializer=torch.set_num_threads, initargs=(1,))
        pool.submit(os.getpid).result()
    finally:
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before
    return pool


def in_other_process(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call an importable function with picklable arguments in another process."""
    return _other_process().submit(function, *args, **kwargs).result()


def parameters_of(component: Any) -> dict[str, Tensor]:
    """Trainable parameters by name."""
    return {name: p for name, p in component.named_parameters() if p.requires_grad}
