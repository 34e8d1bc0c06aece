"""The last step of every family: raw arrays to a dataset, treated as the catalog says."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from gssl.datasets.catalog import DatasetSpec, Normalize
from gssl.datasets.checksums import dataset_checksum
from gssl.datasets.clean import Array, clean_graph
from gssl.datasets.features import row_normalize, standardize
from gssl.datasets.labels import make_labels
from gssl.datasets.types import Dataset, Labels, Level, Metric, Split
from gssl.graph.hetero import HeteroParts
from gssl.graph.sparse import Features, SparseMatrix, dense_features
from gssl.graph.spec import Vocabulary

_NORMALIZED = {"row": "features divided by their row sums", "standard": "features standardised by column"}


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """What a family reads from its files.

    Attributes:
        edge_index: shape (2, num_edges), integers; node ids count over all graphs.
        x: node features, shape (num_nodes, dim), or None.
        y: labels of the items as they are stored, or None.
        num_nodes: needed where ``x`` is None.
        edge_attr: shape (num_edges, edge_dim), or None.
        edge_weight: shape (num_edges,), or None.
        ptr: offsets of the graphs of a collection; None for a single graph.
        splits: preset splits.
        notes: what was done to the data and should be said.
        vocabulary: what the columns stand for; None where the data say nothing.
        smiles: the molecule of each graph, where the graphs are molecules.
    """

    edge_index: Array
    x: Array | SparseMatrix | None = None
    y: Tensor | None = None
    num_nodes: int | None = None
    edge_attr: Array | None = None
    edge_weight: Array | None = None
    ptr: Tensor | None = None
    splits: tuple[Split, ...] = ()
    notes: tuple[str, ...] = ()
    vocabulary: Vocabulary | None = None
    smiles: tuple[str, ...] = ()


def assemble(spec: DatasetSpec, arrays: Arrays) -> Dataset:
    """A known dataset, cleaned, normalised and labelled as its spec says.

    Where nothing says what its columns stand for, they mean the same in this dataset alone.

    Raises:
        InputError: the arrays are unusable; see ``clean_graph`` and ``make_labels``.
    """
    num_items = _num_items(arrays, spec.level)
    labels = make_labels(arrays.y, num_items, kind=spec.kind, what=f"the labels of {spec.name}")
    return build(
        arrays if arrays.vocabulary else replace(arrays, vocabulary=Vocabulary(spec.name)),
        name=spec.name,
        level=spec.level,
        labels=labels,
        metric=spec.metric,
        probe=spec.probe,
        normalize=spec.normalize,
        undirected=spec.undirected,
    )


def build(
    arrays: Arrays,
    *,
    name: str,
    level: Level,
    labels: Labels | None,
    metric: Metric,
    probe: str = "LBFGS",
    normalize: Normalize | None = None,
    undirected: bool = False,
) -> Dataset:
    """A dataset from arrays; ``arrays.y`` is not looked at, for ``labels`` have been made already."""
    graph, notes = clean_graph(
        arrays.edge_index,
        arrays.x,
        num_nodes=arrays.num_nodes,
        edge_attr=arrays.edge_attr,
        edge_weight=arrays.edge_weight,
        ptr=arrays.ptr,
        undirected=undirected,
    )
    if normalize is not None:
        graph = type(graph)(graph.block, _normalized(graph.x, normalize), graph.ptr)
        notes += (_NORMALIZED[normalize],)
    return Dataset(
        name=name,
        level=level,
        graph=graph,
        labels=labels,
        splits=arrays.splits,
        metric=metric,
        probe=probe,
        notes=arrays.notes + notes,
        checksum=dataset_checksum(graph, labels),
        vocabulary=arrays.vocabulary,
        smiles=arrays.smiles,
    )


def with_types(dataset: Dataset, parts: HeteroParts, notes: tuple[str, ...]) -> Dataset:
    """The dataset with other types of nodes and relations around the nodes of its graph.

    Args:
        dataset: whose nodes are those of the target type.
        parts: what is around them.
        notes: what should be said of it, first of all.
    """
    graph = replace(dataset.graph, hetero=parts)
    checksum = dataset_checksum(graph, dataset.labels)
    return replace(dataset, graph=graph, checksum=checksum, notes=(*notes, *dataset.notes))


def default_metric(labels: Labels | None) -> Metric:
    """How data without a convention are scored."""
    if labels is None or labels.kind == "multiclass":
        return "accuracy"
    return "roc_auc" if labels.kind == "multilabel" else "rmse"


def _normalized(x: Features, how: Normalize) -> Features:
    return row_normalize(x) if how == "row" else standardize(dense_features(x))


def _num_items(arrays: Arrays, level: Level) -> int:
    if level == "graph":
        return 0 if arrays.ptr is None else arrays.ptr.numel() - 1
    return int(arrays.x.shape[0]) if arrays.x is not None else int(arrays.num_nodes or 0)
