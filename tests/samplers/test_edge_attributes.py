"""Every edge of every batch has its own attributes, whatever made the batch."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.cut import restrict_rows
from gssl.graph.spec import GraphSpec
from gssl.graph.storage import Graph
from gssl.models.gine import GINE
from gssl.registry import PROPAGATIONS, SAMPLERS
from gssl.samplers.full import GraphBatches
from gssl.samplers.propagation.base import Propagation
from gssl.testing.propagations import draw
from gssl.testing.toy import toy_graphs

OPTIONS: Mapping[str, tuple[Mapping[str, object], ...]] = {
    "neighbor": ({"fanout": 2}, {"fanout": 2, "weights": "ht"}),
    "labor": ({"fanout": 2},),
    "fastgcn": ({"nodes_per_layer": 40},),
    "ladies": ({"nodes_per_layer": 20}, {"nodes_per_layer": 20, "design": "poisson"}),
    "saint": tuple({"design": design, "roots": 8, "subgraphs": 5} for design in ("node", "edge", "walk")),
    "shadow": ({"neighbors": 3},),
}
CASES = [(name, options) for name in PROPAGATIONS.names() for options in OPTIONS.get(name, ({},))]


def named_edges(*, directed: bool, num_nodes: int = 120) -> Graph:
    """A random graph in which the attributes of every edge are its source and its destination, by their global ids."""
    rng = torch.Generator().manual_seed(5)
    edges = torch.randint(num_nodes - 2, (2, 500), generator=rng)  # the last two nodes have no edge
    edges = edges[:, edges[0] != edges[1]]
    edges = torch.cat([edges, edges.flip(0)], dim=1) if not directed else edges
    edges = edges.unique(dim=1)
    return Graph.from_edge_index(edges, torch.rand(num_nodes, 3, generator=rng), edge_attr=edges.T.float())


def assert_named(batch: MiniBatch) -> int:
    """Every edge says truly which nodes it joins; returns how many there are."""
    history, count = batch.plan.history, 0
    for layer, block in enumerate(batch.blocks):
        ids: Tensor = history.sources[layer] if history is not None and history.sources else batch.node_ids
        assert block.edge_attr is not None
        torch.testing.assert_close(block.edge_attr.T.long(), ids[block.edge_index])
        count += block.num_edges
    return count


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("directed", [False, True])
def test_propagations_keep_attributes(name: str, options: Mapping[str, object], directed: bool) -> None:
    sampler = SAMPLERS.get(f"uniform+{name}")(
        named_edges(directed=directed), batch_size=24, num_layers=2, seed=0, **options
    )
    assert sum(assert_named(batch) for epoch in range(2) for batch in sampler.epoch(epoch)) > 100


@pytest.mark.parametrize("name", PROPAGATIONS.names())
@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_draws_keep_attributes(name: str, backend: str) -> None:
    graph, found = named_edges(directed=True), PROPAGATIONS.get(name)
    extra = {} if getattr(found, "mode", None) else {"backend": backend}  # stored rows have no choice of backend
    propagation: Propagation = found(graph, num_layers=2, **extra)
    propagation.prepare()
    for exact in (False, True):
        assert assert_named(propagation.batch(draw(*range(119, 0, -3), exact=exact))) > 0


@pytest.mark.parametrize("selection", ["minvar", "walk", "cluster"])
def test_selections_and_pieces_keep_attributes(selection: str) -> None:
    options = {"checkpoint_batch": 10, "gamma": 0.5} if selection == "minvar" else {}
    sampler = SAMPLERS.get(f"{selection}+history")(
        named_edges(directed=False), batch_size=24, num_layers=2, seed=0, **options
    )
    assert sum(assert_named(batch) for batch in sampler.epoch(0)) > 100


def test_sets_of_graphs_keep_attributes() -> None:
    plain = toy_graphs()
    edges = plain.block.edge_index
    graph = Graph.from_edge_index(edges, plain.x, edge_attr=edges.T.float(), ptr=plain.ptr)
    assert sum(assert_named(batch) for batch in GraphBatches(graph, batch_size=5).epoch(0)) == graph.num_edges
    ids = torch.tensor([3, 0, 3])
    assert assert_named(graph.graph_batch(ids)) > 0


def test_an_encoder_with_bonds_is_exact_on_exact_batches() -> None:
    graph = named_edges(directed=True)
    encoder = GINE.for_graph(GraphSpec.of(graph), hidden_dim=6, num_layers=3).eval()
    wanted = encoder(graph.full_batch())
    exact = PROPAGATIONS.get("exact")(graph, num_layers=3).batch(draw(3, 50, 119))
    torch.testing.assert_close(encoder(exact), wanted[[3, 50, 119]])
    block, sources = restrict_rows(graph.block, torch.tensor([9, 2]))
    assert block.edge_attr is not None
    torch.testing.assert_close(block.edge_attr.T.long(), sources[block.edge_index])
