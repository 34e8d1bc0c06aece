"""Small seeded graphs, batches and datasets with enough structure to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from gssl.datasets.types import Dataset, LabelKind, Labels, Level, Split
from gssl.graph.batch import MiniBatch
from gssl.graph.gathered import GatheredRows
from gssl.graph.hetero import HeteroParts, MetaPath, NodeType, Relation, identity, pattern_of, union
from gssl.graph.sparse import BatchFeatures, Pattern, SparseMatrix, dense_features
from gssl.graph.storage import Graph

Kind = Literal["node", "node-sparse", "node-gathered", "graph", "hetero", "hetero-sparse"]
KINDS: tuple[Kind, ...] = ("node", "node-sparse", "node-gathered", "graph")
HETERO_KINDS: tuple[Kind, ...] = ("hetero", "hetero-sparse")


def toy_graph(
    *,
    num_nodes: int = 48,
    in_dim: int = 24,
    isolated: int = 0,
    sparse: bool = False,
    attributes: bool = False,
    seed: int = 0,
) -> Graph:
    """A single graph of two communities (node parity) with bag-of-words features that follow them.

    Args:
        num_nodes: nodes, the isolated ones included.
        in_dim: words; at least one occurs at every node.
        isolated: how many of the last nodes have no edge.
        sparse: whether features are a :class:`SparseMatrix`.
        attributes: whether edges have a weight in (0.5, 1.5) and two attributes.
        seed: decides everything.
    """
    rng = torch.Generator().manual_seed(seed)
    community = torch.arange(num_nodes) % 2
    same = community[:, None] == community[None, :]
    drawn = torch.rand(num_nodes, num_nodes, generator=rng) < torch.where(same, 8 / num_nodes, 1.5 / num_nodes)
    ring = torch.arange(num_nodes).roll(-2)
    drawn[torch.arange(num_nodes), ring] = True
    drawn = (drawn | drawn.T).fill_diagonal_(False)
    if isolated:
        drawn[-isolated:] = False
        drawn[:, -isolated:] = False
    edge_index = drawn.nonzero().T
    word = torch.arange(in_dim) % 2
    x = (torch.rand(num_nodes, in_dim, generator=rng) < torch.where(community[:, None] == word, 0.6, 0.1)).float()
    x[torch.arange(num_nodes), torch.arange(num_nodes) % in_dim] = 1.0
    return _graph(edge_index, SparseMatrix.from_dense(x) if sparse else x, attributes, rng)


def toy_graphs(*, num_graphs: int = 16, in_dim: int = 4, attributes: bool = False, seed: int = 0) -> Graph:
    """A collection of rings (even numbers) and stars (odd numbers) of 1 to 9 nodes with one-hot features.

    Args:
        num_graphs: how many; number 2 is a single node without edges.
        in_dim: kinds of nodes.
        attributes: whether edges have a weight in (0.5, 1.5) and two attributes.
        seed: decides features and attributes.
    """
    rng = torch.Generator().manual_seed(seed)
    sizes = 4 + torch.arange(num_graphs) % 6
    if num_graphs > 2:
        sizes[2] = 1
    ptr = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    edges = [(_ring if number % 2 == 0 else _star)(int(size)) + ptr[number] for number, size in enumerate(sizes)]
    kind = torch.randint(in_dim, (int(ptr[-1]),), generator=rng)
    return _graph(torch.cat(edges, dim=1), torch.eye(in_dim)[kind], attributes, rng, ptr)


def toy_hetero_graph(*, isolated: int = 0, sparse: bool = False, attributes: bool = False, seed: int = 0) -> Graph:
    """Papers of two communities (node parity) with authors, who have features, and subjects, who have ids.

    A paper has one to three authors, mostly of its own community, and a subject of its community. The graph is that of
    the 48 papers, joined by the meta-paths paper-author-paper and paper-subject-paper.

    Args:
        isolated: how many of the last papers have neither authors nor subjects.
        sparse: whether features of papers are a :class:`SparseMatrix`.
        attributes: whether edges of the graph of papers have a weight in (0.5, 1.5) and two attributes.
        seed: decides everything.
    """
    rng = torch.Generator().manual_seed(seed)
    x = toy_graph(sparse=sparse, seed=seed).x
    papers, authors, subjects = 48, 20, 6
    community = torch.arange(papers) % 2
    same = community[:, None] == torch.arange(authors) % 2
    writes = torch.rand(papers, authors, generator=rng) < torch.where(same, 0.15, 0.03)
    writes[torch.arange(papers), 2 * torch.randint(authors // 2, (papers,), generator=rng) + community] = True
    about = torch.zeros(papers, subjects, dtype=torch.bool)
    about[torch.arange(papers), 2 * torch.randint(subjects // 2, (papers,), generator=rng) + community] = True
    if isolated:
        writes[-isolated:], about[-isolated:] = False, False
    paths = []
    for name, joined in (("paper-author-paper", writes), ("paper-subject-paper", about)):
        count = (joined.float() @ joined.T.float()).fill_diagonal_(0)
        row, col = count.nonzero(as_tuple=True)
        paths.append(MetaPath(name, pattern_of(row, col, papers, papers), count[row, col]))
    relations = []
    for name, joined in (("author", writes), ("subject", about)):
        row, col = joined.nonzero(as_tuple=True)
        pattern = pattern_of(row, col, *joined.shape)
        relations += [Relation(name, "to", "paper", pattern), Relation("paper", "to", name, pattern.transposed[0])]
    others = (NodeType("author", torch.randn(authors, 5, generator=rng)), NodeType("subject", identity(subjects)))
    edges = union([path.pattern for path in paths])
    graph = _graph(torch.stack([edges.col.long(), edges.row.long()]), x, attributes, rng)
    return replace(graph, hetero=HeteroParts("paper", others, tuple(relations), tuple(paths)))


def toy_batch(kind: Kind, *, attributes: bool = False, isolated: int = 0, seed: int = 0) -> MiniBatch:
    """The full batch of a toy graph with dense (``node``) or other features, of toy graphs (``graph``), or of one with
    types of nodes (``hetero``).
    """
    if kind == "graph":
        return toy_graphs(attributes=attributes, seed=seed).full_batch()
    if kind in HETERO_KINDS:
        sparse = kind == "hetero-sparse"
        return toy_hetero_graph(isolated=isolated, sparse=sparse, attributes=attributes, seed=seed).full_batch()
    sparse = kind == "node-sparse"
    batch = toy_graph(isolated=isolated, sparse=sparse, attributes=attributes, seed=seed).full_batch()
    return batch.with_x(gathered(batch.x)) if kind == "node-gathered" else batch


def gathered(x: BatchFeatures) -> GatheredRows:
    """The same dense features as rows of a larger table, in another order."""
    rows = dense_features(x)
    order = torch.randperm(len(rows) + 3, generator=torch.Generator().manual_seed(0))[: len(rows)]
    table = torch.full((len(rows) + 3, rows.shape[1]), 99.0)
    return GatheredRows(table.index_copy_(0, order, rows), order)


def toy_dataset(
    level: Level,
    *,
    kind: LabelKind = "multiclass",
    splits: Sequence[str] = ("public",),
    name: str = "toy",
    seed: int = 0,
) -> Dataset:
    """A dataset whose labels its features and edges tell, with preset splits that share their test items.

    Args:
        level: ``node`` has 120 nodes, ``graph`` 60 graphs.
        kind: two classes, three binary tasks with a missing label, or one target.
        splits: names of the preset splits; 28 % of the items train, 42 % validate, 30 % test.
        name: name of the dataset.
        seed: decides the splits.
    """
    graph = toy_graph(num_nodes=120) if level == "node" else toy_graphs(num_graphs=60)
    count = 120 if level == "node" else 60
    label = torch.arange(count) % 2
    y: Tensor = label
    if kind == "multilabel":
        y = torch.stack([label, 1 - label, (torch.arange(count) % 4 == 0).long()], dim=1).float()
        y[0, 1] = torch.nan
    elif kind == "regression":
        y = (label + torch.linspace(0, 0.5, count))[:, None]
    rng = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=rng)
    test, rest = order[: count * 3 // 10], order[count * 3 // 10 :]
    presets = []
    for split in splits:
        drawn = rest[torch.randperm(len(rest), generator=rng)]
        presets.append(Split(split, drawn[: len(rest) * 4 // 10], drawn[len(rest) * 4 // 10 :], test))
    metric = {"multiclass": "accuracy", "multilabel": "roc_auc", "regression": "rmse"}[kind]
    return Dataset(
        name=name,
        level=level,
        graph=graph,
        labels=Labels(y, kind, 2 if kind == "multiclass" else y.shape[1]),
        splits=tuple(presets),
        metric=metric,
    )


def without_edges(batch: MiniBatch) -> MiniBatch:
    """The batch with every edge gone, and every relation and meta-path."""
    bare = batch.map_blocks(lambda block: block.filter(torch.zeros(block.num_edges, dtype=torch.bool)))
    if batch.hetero is None:
        return bare
    parts = batch.hetero
    relations = tuple(replace(r, pattern=_emptied(r.pattern)) for r in parts.relations)
    paths = tuple(MetaPath(path.name, _emptied(path.pattern)) for path in parts.meta_paths)
    return replace(bare, hetero=replace(parts, relations=relations, meta_paths=paths))


def _emptied(pattern: Pattern) -> Pattern:
    return pattern.filter(torch.zeros(pattern.nnz, dtype=torch.bool))


def with_weight(batch: MiniBatch, value: float) -> MiniBatch:
    """The batch with the same importance weight for every item."""
    return replace(batch, weight=torch.full((batch.num_items,), value))


def _graph(
    edge_index: Tensor, x: Tensor | SparseMatrix, attributes: bool, rng: torch.Generator, ptr: Tensor | None = None
) -> Graph:
    edge_weight = edge_attr = None
    if attributes:
        edge_weight = 0.5 + torch.rand(edge_index.shape[1], generator=rng)
        edge_attr = torch.rand(edge_index.shape[1], 2, generator=rng)
    return Graph.from_edge_index(edge_index, x, edge_weight=edge_weight, edge_attr=edge_attr, ptr=ptr)


def _ring(size: int) -> Tensor:
    here = torch.arange(size if size > 1 else 0)
    there = (here + 1) % size
    return torch.stack([torch.cat([here, there]), torch.cat([there, here])])


def _star(size: int) -> Tensor:
    leaves = torch.arange(1, size)
    centre = torch.zeros_like(leaves)
    return torch.stack([torch.cat([centre, leaves]), torch.cat([leaves, centre])])
