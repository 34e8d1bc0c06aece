"""Datasets that are drawn from a model fitted to another: ``generated:Cora,model=vgae,seed=1``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch

from gssl.common.errors import InputError
from gssl.common.options import Fraction, NonNegativeInt, PositiveInt, options_of
from gssl.common.seeds import derive_seed
from gssl.datasets.checksums import dataset_checksum
from gssl.datasets.features import multi_hot
from gssl.datasets.types import Dataset
from gssl.generate.blocks import from_blocks
from gssl.generate.features import in_proportion
from gssl.generate.latent import from_posterior
from gssl.generate.spectral import from_spectra
from gssl.graph.sparse import Features, select_features
from gssl.graph.storage import Graph

_DEGREES, _ROWS = "degree features", "features divided by their row sums"  # how notes of datasets begin


def generated(
    load: Callable[[str], Dataset],
    /,
    *,
    data: str,
    model: Literal["auto", "dcsbm", "vgae", "spectral"] = "auto",
    size: PositiveInt | None = None,
    blocks: PositiveInt | None = None,
    rank: Fraction = 0.5,
    neighbors: PositiveInt = 5,
    seed: NonNegativeInt = 0,
) -> Dataset:
    """A dataset drawn from a generative model that was fitted to another one, to be pretrained on in its place.

    That is the question of Jahanian et al. (2022, arXiv:2106.05258) put to graphs: what is lost where a model of the
    data takes their place. No label is looked at, and the new data have none. Columns mean the same as in the data.

    Args:
        load: gives the data by name.
        data: their name, which may stand first without ``data=``.
        model: of one graph the degree-corrected block model ``dcsbm`` (METIS parts as blocks) or a ``vgae``; of a set
            of graphs ``spectral``; ``auto`` is the first that fits.
        size: nodes, or graphs of a set; None for as many as the data have.
        blocks: of the block model; None for the square root of the number of nodes.
        rank: eigenvalues of each graph that the spectral model keeps, as a share of its nodes.
        neighbors: nearest nodes that features are drawn from, in the models that have positions of nodes.
        seed: everything random.

    Raises:
        InputError: the model does not fit the data.
    """
    given = locals()
    source = load(data)
    chosen = _model(source, model)
    rng = np.random.Generator(np.random.PCG64(derive_seed(seed, "generated", chosen)))
    if source.level == "graph":
        graph = _set_of_graphs(source, rng, size or source.graph.num_graphs, rank, neighbors)
    else:
        graph = _one_graph(source, chosen, rng, size, blocks, neighbors, seed)
    changed = [f"{o.name}={given[o.name]}" for o in options_of(generated).values() if given[o.name] != o.default]
    return Dataset(
        name=f"generated:{','.join([source.name, *changed[1:]])}",
        level=source.level,
        graph=graph,
        labels=None,
        notes=(f"drawn from a model fitted to {source.name} ({chosen})",),
        checksum=dataset_checksum(graph, None),
        vocabulary=source.vocabulary,
        fitted_to=source.name,
        fitted_checksum=source.checksum,
    )


def _model(source: Dataset, wanted: str) -> str:
    """Which model it is.

    Raises:
        InputError: it does not fit.
    """
    fitting = ("dcsbm", "vgae") if source.level == "node" else ("spectral",)
    if wanted not in ("auto", *fitting):
        raise InputError(
            f"model={wanted} is not one of {source.level}-level data, as {source.name} is; use {' or '.join(fitting)}"
        )
    if source.graph.hetero is not None:
        raise InputError(f"{source.name} has several types of nodes, but the models are of graphs with one type")
    if source.level == "node" and (source.graph.block.edge_attr is not None or source.graph.block.weight is not None):
        raise InputError(
            f"{source.name} has attributes or weights of edges, of which the models of one graph know nothing"
        )
    if source.graph.num_edges == 0:
        raise InputError(f"{source.name} has no edges, so that no model of a graph can be fitted to it")
    return fitting[0] if wanted == "auto" else wanted


def _one_graph(
    source: Dataset,
    model: str,
    rng: np.random.Generator,
    size: int | None,
    blocks: int | None,
    neighbors: int,
    seed: int,
) -> Graph:
    nodes = size or source.graph.num_nodes
    if model == "dcsbm":
        edges, x = from_blocks(source.graph, rng, nodes=nodes, blocks=blocks)
    else:
        edges, x = from_posterior(source.graph, rng, nodes=nodes, neighbors=neighbors, seed=seed)
    both = torch.from_numpy(np.concatenate([edges, edges[::-1]], axis=1))
    return Graph.from_edge_index(both, _as_the_data(source, x, both))


def _set_of_graphs(source: Dataset, rng: np.random.Generator, graphs: int, rank: float, neighbors: int) -> Graph:
    drawn = from_spectra(source.graph, rng, graphs=graphs, rank=rank, neighbors=neighbors)
    x, block = source.graph.x, source.graph.block
    rows: Features = select_features(x, drawn.like)  # type: ignore[assignment]  # of what a graph has
    return Graph.from_edge_index(
        drawn.edges,
        _as_the_data(source, rows, drawn.edges),
        edge_attr=None if block.edge_attr is None else block.edge_attr[drawn.attributes],
        edge_weight=None if block.weight is None else block.weight[drawn.attributes],
        ptr=drawn.ptr,
    )


def _as_the_data(source: Dataset, x: Features, edges: torch.Tensor) -> Features:
    """Features treated as those of the data: degrees are those of the new graph, normalised rows are so again."""
    if any(note.startswith(_DEGREES) for note in source.notes):
        degree = torch.bincount(edges[1], minlength=int(x.shape[0])).clamp(max=int(x.shape[1]) - 1)
        return multi_hot(degree.unsqueeze(1), [int(x.shape[1])], what="degrees")
    return in_proportion(x) if _ROWS in source.notes else x
