"""A small training of every registered method, on each kind of data that it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch

from gssl.benchmarks.gpu.trace import Make
from gssl.common.options import options_of, validate
from gssl.config.components import method_class
from gssl.datasets.types import Dataset
from gssl.graph.spec import Category, GraphSpec
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.labelled import Labelled
from gssl.models.encoder import Encoder
from gssl.registry import ENCODERS, METHODS, SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.testing.toy import toy_dataset, toy_graph, toy_graphs, toy_hetero_graph

Data = Literal["dense", "sparse", "graphs", "hetero"]
ON_THE_HOST: dict[str, dict[str, Any]] = {
    "made by numba": {"features_on": "host", "backend": "numba", "prefetch": 2},
    "made by numba, none ahead": {"features_on": "host", "backend": "numba", "prefetch": 0},
    "made on the device": {"features_on": "host", "prefetch": 2},
}
"""Ways on which features travel from host memory, through buffers that are used again while the device works."""


@dataclass(frozen=True)
class Settings:
    """What a method needs beside its defaults to train on toy data.

    Attributes:
        options: of the method.
        encoder: name; empty for the method's default.
        encoder_options: beside the width.
        categories: whether node features are those of one category.
    """

    options: Mapping[str, Any] | None = None
    encoder: str = ""
    encoder_options: Mapping[str, Any] | None = None
    categories: bool = False


# Whatever is not here trains with its defaults.
SETTINGS: dict[str, Settings] = {
    "HeCo": Settings({"neighbors": {"author": 3, "subject": 1}}),
    "ADGCL": Settings({"augmenter_dim": 8, "augmenter_layers": 2}),
    "AFGRL": Settings({"clusters": 4, "cluster_runs": 1, "predictor_dim": 16}),
    "AttrMask": Settings(categories=True),
    "ContextPred": Settings(encoder_options={"num_layers": 2}, categories=True),
    "GROVER": Settings({"atom_vocabulary": 12, "bond_vocabulary": 4, "motif_weight": 0.0}, "GINE", categories=True),
    "GCC": Settings({"dim": 8, "positions": 4, "steps": 16, "queue": 8, "momentum": 0.5}),
    "Graph-JEPA": Settings({"targets": 2, "positions": 4, "layers": 1, "heads": 2}, "GIN"),
    "Merged": Settings({"methods": ("DGI", "GAE"), "merge": "arithmetic"}),
    "ParetoGNN": Settings({"methods": ("DGI", "GRACE", "GAE")}),
    "Partitioning": Settings({"parts": 6}),
    "Completion": Settings({"dim": 5}),
    "Clustering": Settings({"clusters": 4}),
    "Distance2Clusters": Settings({"clusters": 4}),
    "M3S": Settings({"clusters": 6, "additions": 3}),
    "E2Neg": Settings({"clusters": 8, "neighbors": 5, "least_neighbors": 3}, encoder_options={"num_layers": 1}),
    "PolyGCL": Settings({"order": 3}, encoder_options={"num_layers": 1}),
    "PairwiseDistance": Settings({"pairs": 200, "anchors": 20}),
    "PairwiseAttrSim": Settings({"pairs": 400}),
    "S2GRL": Settings({"hops": 3, "contexts": 4, "anchors": 40}),
    "GiGaMAE": Settings({"structure_dim": 8, "feature_dim": 6, "walk_epochs": 1}),
    "GPT-GNN": Settings({"negatives": 12, "queue": 16}),
    "SUBG-CON": Settings({"subgraph_size": 6, "centers": 30}),
    "GALA": Settings(encoder_options={"out_dim": 8}),
    "SGRL": Settings({"hops": 2}),
    "GMI": Settings({"negatives": 2}),
}


def data_of(method: type[Method]) -> tuple[Data, ...]:
    """The kinds of toy data that a method trains on."""
    if method.needs_types:
        return ("hetero",)
    found: list[Data] = []
    if "node" in method.levels:
        found += ["dense", "sparse"]
    if "graph" in method.levels:
        found.append("graphs")
    return tuple(found)


def trainings() -> Iterator[tuple[str, Make]]:
    """A name and a maker for every method on every kind of data, the first kind of all of them first."""
    names = [name for name in METHODS.names() if method_class(name).trains]
    for turn in range(3):
        for name in names:
            kinds = data_of(method_class(name))
            if turn < len(kinds):
                yield f"{name} on {kinds[turn]} data", partial(training, name, kinds[turn])


def training(name: str, kind: Data, encoder: str = "") -> tuple[Method, Sampler]:
    """A method with new weights, always the same, and its batches.

    Args:
        name: of the method.
        kind: of the data.
        encoder: in place of the method's.
    """
    dataset, spec = data(kind)
    own = SETTINGS.get(name, Settings())
    if own.categories:
        spec = replace(spec, nodes=(Category("kind", dataset.graph.in_dim),), meaning="toy")
    method = build(name, replace(own, encoder=encoder or own.encoder), spec)
    method.prepare(dataset.graph, 0)
    if isinstance(method, Labelled):
        assert dataset.labels is not None
        method.fit_labels(dataset.labels, dataset.splits[0])
    graph = dataset.graph
    # One batch an epoch: players against each other turn rounding into anything within a dozen steps.
    return method, GraphBatches(graph, batch_size=60) if kind == "graphs" else FullBatch(graph)


def build(name: str, own: Settings, spec: GraphSpec) -> Method:
    """The method with weights of a fixed seed."""
    torch.manual_seed(0)
    cls = method_class(name)
    maker: type[Encoder] = ENCODERS.get(own.encoder or cls.default_encoder)
    options: dict[str, Any] = {"hidden_dim": 8} if "hidden_dim" in options_of(maker) else {}
    options |= dict(own.encoder_options or {})
    made = maker.for_graph(spec, **validate(maker, options, what=f"encoder of {name}"))
    return cls(made, **validate(cls, dict(own.options or {}), what=name))


def data(kind: Data) -> tuple[Dataset, GraphSpec]:
    """A small dataset and what its columns mean."""
    dataset = toy_dataset("graph" if kind == "graphs" else "node")
    graph: Graph
    if kind == "sparse":
        graph = toy_graph(num_nodes=120, sparse=True)
    elif kind == "graphs":
        graph = toy_graphs(num_graphs=60)
    elif kind == "hetero":
        graph = toy_hetero_graph()
    else:
        graph = dataset.graph
    return replace(dataset, graph=graph), GraphSpec.of(graph)


def pair(
    selection: str, propagation: str, options: Mapping[str, Any], *, sparse: bool = False
) -> tuple[Method, Sampler]:
    """BGRL with a GCN of two layers on the batches of a pair."""
    graph = toy_graph(num_nodes=60, in_dim=8, sparse=sparse, attributes=True)
    method = build("BGRL", Settings(encoder="GCN", encoder_options={"num_layers": 2}), GraphSpec.of(graph))
    maker = SAMPLERS.get(f"{selection}+{propagation}")
    return method, maker(graph, num_layers=method.num_layers, batch_size=12, seed=0, **options)


def wide_pair(propagation: str, options: Mapping[str, Any]) -> tuple[Method, Sampler]:
    """The same on a larger graph with features of 512 columns, in 30 batches an epoch that differ in size."""
    graph = toy_graph(num_nodes=600, in_dim=512, attributes=True)
    method = build("BGRL", Settings(encoder="GCN", encoder_options={"num_layers": 2}), GraphSpec.of(graph))
    maker = SAMPLERS.get(f"uniform+{propagation}")
    return method, maker(graph, num_layers=method.num_layers, batch_size=20, seed=0, **options)


def pair_options(selection: str, propagation: str) -> dict[str, Any]:
    """Options with which a pair has something to draw on sixty nodes."""
    found: dict[str, Any] = {"gamma": 0.5, "checkpoint_every": 3} if selection == "minvar" else {}
    if propagation in ("neighbor", "labor"):
        found["fanouts"] = 3
    if propagation in ("fastgcn", "ladies"):
        found["nodes_per_layer"] = 10
    if propagation == "saint":
        found |= {"roots": 10, "subgraphs": 4}
    return found
