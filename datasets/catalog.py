"""Every dataset known by name, and how it is treated by convention (no tensor library is imported here)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gssl.common.resolve import Resolver
from gssl.datasets.tu_names import CLASSES, REAL_NUMBERS

if TYPE_CHECKING:
    from gssl.datasets.types import LabelKind, Level, Metric

Normalize = Literal["row", "standard"]


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A dataset by name.

    Attributes:
        name: as PyG or OGB call it.
        family: PyG class or collection; also the first folder of its raw files, save for ``generator``.
        level: whether its items are nodes or graphs.
        summary: one line.
        loader: ``module:function`` that is given the spec and the store and returns the dataset.
        kind: what is predicted.
        metric: how it is scored by convention.
        probe: the probe that judges it by default.
        normalize: ``"row"`` divides features by their row sum, as DGI, GRACE and BGRL do for bags of words;
            ``"standard"`` gives every column mean 0 and variance 1, as BGRL does for WikiCS.
        undirected: whether the reverse of every edge is added.
    """

    name: str
    family: str
    level: Level
    summary: str
    loader: str
    kind: LabelKind = "multiclass"
    metric: Metric = "accuracy"
    probe: str = "LBFGS"
    normalize: Normalize | None = None
    undirected: bool = False


def _node(name: str, family: str, summary: str, loader: str, **rest: Any) -> DatasetSpec:
    return DatasetSpec(
        name=name, family=family, level="node", summary=summary, loader=f"gssl.datasets.{loader}", **rest
    )


def _graph(name: str, family: str, summary: str, loader: str, **rest: Any) -> DatasetSpec:
    return DatasetSpec(
        name=name, family=family, level="graph", summary=summary, loader=f"gssl.datasets.{loader}", **rest
    )


def _planetoid(name: str, summary: str) -> DatasetSpec:
    return _node(name, "Planetoid", summary, "planetoid:load", probe="P1", normalize="row")


def _archive(name: str, family: str, summary: str, probe: str) -> DatasetSpec:
    return _node(name, family, summary, "archives:load", probe=probe, normalize="row")


def _heterophilous(name: str, summary: str, metric: Metric = "accuracy") -> DatasetSpec:
    return _node(name, "HeterophilousGraphDataset", summary, "heterophilous:load", metric=metric)


def _single(name: str, summary: str, **rest: Any) -> DatasetSpec:
    return _node(name, name, summary, "single:load", **rest)


def _heco(name: str, summary: str, *, features: bool) -> DatasetSpec:
    normalize: Normalize | None = "row" if features else None
    return _node(name, "HeCo", summary, "heco:load", metric="macro_f1", probe="HeCo", normalize=normalize)


def _tu(name: str, summary: str) -> DatasetSpec:
    return _graph(name, "TUDataset", summary, "tu:load", probe="P5-RBF")


def _tu_of_numbers(name: str) -> DatasetSpec:
    summary = "graphs of the TU collection with real targets"
    return _graph(name, "TUDataset", summary, "tu:load", kind="regression", metric="mae")


def _molecules(name: str, summary: str, kind: LabelKind, metric: Metric) -> DatasetSpec:
    return _graph(name, "MoleculeNet", summary, "molecules:load", kind=kind, metric=metric)


def _ogb(name: str, summary: str, **rest: Any) -> DatasetSpec:
    make = _graph if name.startswith("ogbg") else _node
    probe = "Dot" if name.startswith("ogbl") else "OGB"
    return make(name, "ogb", summary, "ogb_sets:load", probe=probe, **rest)


SPECS: tuple[DatasetSpec, ...] = (
    _node("digits", "offline", "scikit-learn's 1,797 digits as a 10-nearest-neighbour graph", "offline:digits"),
    _graph("digit-graphs", "offline", "scikit-learn's digits as 1,797 grids of lit pixels", "offline:digit_graphs"),
    _planetoid("Cora", "citations of 2,708 papers, 1,433 words, 7 classes"),
    _planetoid("CiteSeer", "citations of 3,327 papers, 3,703 words, 6 classes"),
    _planetoid("PubMed", "citations of 19,717 papers, 500 words, 3 classes"),
    _archive("Computers", "Amazon", "co-purchases of 13,752 products, 767 words, 10 classes", "P3-BGRL"),
    _archive("Photo", "Amazon", "co-purchases of 7,650 products, 745 words, 8 classes", "P3-BGRL"),
    _archive("CS", "Coauthor", "co-authorships of 18,333 authors, 6,805 words, 15 classes", "P3-BGRL"),
    _archive("Physics", "Coauthor", "co-authorships of 34,493 authors, 8,415 words, 5 classes", "P3-BGRL"),
    _archive("CoraFull", "CitationFull", "citations of 19,793 papers, 8,710 words, 70 classes", "LBFGS"),
    _archive("Cora_ML", "CitationFull", "citations of 2,995 papers, 2,879 words, 7 classes", "LBFGS"),
    _archive("DBLP", "CitationFull", "citations of 17,716 papers, 1,639 words, 4 classes", "P2"),
    _node(
        "WikiCS",
        "WikiCS",
        "links of 11,701 Wikipedia articles, 300 features, 10 classes, 20 splits",
        "wikics:load",
        probe="P4",
        normalize="standard",
        undirected=True,
    ),
    _heterophilous("Roman-empire", "22,662 words of an article, 300 features, 18 classes, 10 splits"),
    _heterophilous("Amazon-ratings", "24,492 products, 300 features, 5 classes, 10 splits"),
    _heterophilous("Minesweeper", "grid of 10,000 cells, 7 features, 2 classes, 10 splits", "roc_auc"),
    _heterophilous("Tolokers", "11,758 workers, 10 features, 2 classes, 10 splits", "roc_auc"),
    _heterophilous("Questions", "48,921 users, 301 features, 2 classes, 10 splits", "roc_auc"),
    _single("PPI", "24 protein graphs, 56,944 nodes, 50 features, 121 tasks", kind="multilabel", metric="micro_f1"),
    _single("Flickr", "89,250 images, 500 words, 7 classes"),
    _single("Reddit", "232,965 posts, 602 features, 41 classes"),
    _single("Yelp", "716,847 users, 300 features, 100 tasks", kind="multilabel", metric="micro_f1"),
    _heco("HeCo/acm", "4,019 papers, 1,902 words, 3 classes; with authors and subjects", features=True),
    _heco("HeCo/dblp", "4,057 authors, 334 words, 4 classes; with papers, conferences and terms", features=True),
    _heco("HeCo/aminer", "6,564 papers, 4 classes; with authors and references", features=False),
    _heco("HeCo/freebase", "3,492 movies, 3 classes; with directors, actors and writers", features=False),
    _tu("MUTAG", "188 molecules, mutagenic or not"),
    _tu("PTC_MR", "344 molecules, carcinogenic or not"),
    _tu("PROTEINS", "1,113 proteins, enzyme or not"),
    _tu("NCI1", "4,110 molecules, active against lung cancer or not"),
    _tu("DD", "1,178 proteins, enzyme or not"),
    _tu("IMDB-BINARY", "1,000 actor networks, 2 genres, degree features"),
    _tu("IMDB-MULTI", "1,500 actor networks, 3 genres, degree features"),
    _tu("COLLAB", "5,000 collaboration networks, 3 fields, degree features"),
    _tu("REDDIT-BINARY", "2,000 discussion threads, 2 kinds, degree features"),
    _tu("REDDIT-MULTI-5K", "4,999 discussion threads, 5 boards, degree features"),
    _molecules("ESOL", "1,128 molecules, solubility in water", "regression", "rmse"),
    _molecules("FreeSolv", "642 molecules, hydration free energy", "regression", "rmse"),
    _molecules("Lipo", "4,200 molecules, lipophilicity", "regression", "rmse"),
    _molecules("HIV", "41,127 molecules, inhibit HIV replication or not", "multiclass", "roc_auc"),
    _molecules("BACE", "1,513 molecules, inhibit BACE-1 or not", "multiclass", "roc_auc"),
    _molecules("BBBP", "2,039 molecules, pass the blood-brain barrier or not", "multiclass", "roc_auc"),
    _molecules("Tox21", "7,831 molecules, 12 toxicity assays", "multilabel", "roc_auc"),
    _molecules("ToxCast", "8,597 molecules, 617 toxicity assays", "multilabel", "roc_auc"),
    _molecules("SIDER", "1,427 drugs, 27 side effects", "multilabel", "roc_auc"),
    _molecules("ClinTox", "1,484 drugs, approval and trial toxicity", "multilabel", "roc_auc"),
    _graph("MOSES", "MOSES", "250,000 lead-like molecules without labels, for pretraining", "smiles:load"),
    _graph("ZINC", "ZINC", "12,000 molecules, penalised logP", "zinc:load", kind="regression", metric="mae"),
    _ogb("ogbn-arxiv", "citations of 169,343 papers, 128 features, 40 classes", undirected=True),
    _ogb("ogbn-products", "co-purchases of 2,449,029 products, 100 features, 47 classes"),
    _node(
        "ogbn-papers100M",
        "ogb",
        "citations of 111,059,956 papers, 128 features, 172 classes; gssl data import first",
        "imported.read:only_imported",
        probe="OGB",
        undirected=True,
    ),
    _ogb("ogbn-proteins", "132,534 proteins, 112 functions", kind="multilabel", metric="roc_auc"),
    _ogb("ogbg-molhiv", "41,127 molecules, inhibit HIV replication or not", metric="roc_auc"),
    _ogb("ogbg-molpcba", "437,929 molecules, 128 assays", kind="multilabel", metric="average_precision"),
    _ogb("ogbg-ppa", "158,100 protein neighbourhoods, 37 taxa, degree features"),
    _ogb("ogbl-collab", "links: 235,868 authors by year of collaboration, 128 features", metric="hits@50"),
    _ogb("ogbl-ddi", "links: interactions of 4,267 drugs, degree features", metric="hits@20"),
    _ogb("ogbl-ppa", "links: associations of 576,289 proteins, 58 features (species)", metric="hits@100"),
    _ogb("ogbl-citation2", "links: citations of 2,927,963 papers, 128 features", metric="mrr", undirected=True),
    _node("csbm", "generator", "contextual stochastic block model: csbm:nodes=10000,classes=5", "generators:csbm"),
    _node("dcsbm", "generator", "degree-corrected block model: dcsbm:nodes=10000,exponent=2.5", "generators:dcsbm"),
    _node("rmat", "generator", "recursive matrix graph: rmat:nodes=100000,degree=20", "generators:rmat"),
    DatasetSpec(
        name="generated",
        family="generator",
        level="node",
        summary="drawn from a model fitted to other data: generated:Cora,model=vgae or generated:MUTAG",
        loader="gssl.generate.data:generated",
    ),
)

DATASETS: Resolver[Any] = Resolver("dataset", {spec.name: spec.loader for spec in SPECS}, group="gssl.datasets")

BY_NAME = {spec.name: spec for spec in SPECS}

_BY_LOWER = {name.lower(): spec for name, spec in BY_NAME.items()}

# Known by name, but not listed: there are too many of them.
_UNLISTED = {
    spec.name.lower(): spec
    for spec in (
        *(_tu(name, "graphs of the TU collection in classes") for name in CLASSES),
        *(_tu_of_numbers(name) for name in REAL_NUMBERS),
    )
}


def find_spec(name: str) -> DatasetSpec | None:
    """The spec of a dataset of this catalog; None for anything else: a plug-in, a path, a generator with options.

    Every set of the TU collection is known, also those that are not listed.

    Example:
        >>> find_spec("cora").name, find_spec("enzymes").name, find_spec("my_module:graph")
        ('Cora', 'ENZYMES', None)
    """
    listed = _BY_LOWER.get(name.lower())
    if listed is not None or name.lower() not in _UNLISTED:
        return listed
    plug_ins = {known.lower() for known in DATASETS.names()}
    return None if name.lower() in plug_ins else _UNLISTED[name.lower()]


def is_path(name: str) -> bool:
    """Whether the name of a dataset has folders in it, and is none of this catalog.

    Example:
        >>> is_path("data/graph.npz"), is_path("HeCo/acm"), is_path("Cora")
        (True, False, False)
    """
    return (os.sep in name or "/" in name) and find_spec(name) is None


def unlisted_names() -> list[str]:
    """Names that are known besides those that are listed."""
    return [spec.name for spec in _UNLISTED.values()]
