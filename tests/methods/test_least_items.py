"""Batches and graphs from which a method would learn nothing are refused before it trains."""

from typing import Any

import pytest
import torch

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.spec import GraphSpec
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.finetuned import FineTuned
from gssl.methods.gmi import GMI
from gssl.methods.sugrl import SUGRL
from gssl.registry import ENCODERS, METHODS, SAMPLERS
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.testing.toy import toy_graph, toy_graphs, without_edges

WHOLE = {name for name in METHODS.names() if (card := METHODS.get(name).card) is not None and card.whole_graph}
COMPARING = [
    name
    for name in METHODS.names()
    if METHODS.get(name).least_items > 1 and "node" in METHODS.get(name).levels and name not in WHOLE
]

COMPARING_GRAPHS = [
    name for name in METHODS.names() if METHODS.get(name).least_items > 1 and "graph" in METHODS.get(name).levels
]
OF_EDGES = [name for name in METHODS.names() if METHODS.get(name).needs_edges]


def make(kind: type[Method], graph: Graph | None = None, /, **options: Any) -> Method:
    encoder = ENCODERS.get(kind.default_encoder)
    options_of_it = validate(encoder, {"hidden_dim": 8}, what="encoder")
    made = encoder.for_graph(GraphSpec.of(graph or toy_graph()), **options_of_it)
    return kind(made, **validate(kind, options, what=kind.__name__))


def test_those_with_negatives_of_the_batch_say_so() -> None:
    assert {"DGI", "GRACE", "GCA", "SUBG-CON", "G-BT", "CCA-SSG", "COSTA", "ProGCL", "GraphACL"} <= set(COMPARING)


@pytest.mark.parametrize("name", COMPARING)
def test_a_batch_of_one_node_is_refused(name: str) -> None:
    method = make(METHODS.get(name))
    sampler = SAMPLERS.get("uniform+induced")(toy_graph(), num_layers=method.num_layers, batch_size=1)
    with pytest.raises(InputError, match="a batch has only 1; use --batch-size 2 at least"):
        method.check_sampler(sampler)


def test_those_with_negatives_among_the_graphs_of_a_batch_say_so() -> None:
    contrastive = {"GraphCL", "JOAO", "JOAOv2", "AD-GCL", "SimGRACE", "RGCL", "AutoGCL", "InfoGraph", "Contrast"}
    assert contrastive | {"MVGRL"} <= set(COMPARING_GRAPHS)


@pytest.mark.parametrize("name", COMPARING_GRAPHS)
def test_a_batch_of_one_graph_is_refused(name: str) -> None:
    graphs = toy_graphs()
    method = make(METHODS.get(name), graphs)
    with pytest.raises(InputError, match=rf"^{name} tells .* a batch has only 1; set train\.batch_size to 2"):
        method.check_sampler(GraphBatches(graphs, batch_size=1))
    with pytest.raises(InputError, match="there is only 1; use more graphs"):
        method.check_sampler(FullBatch(toy_graphs(num_graphs=1)))
    method.check_sampler(GraphBatches(graphs, batch_size=2))


@pytest.mark.parametrize(("name", "options"), [("GraphCL", {}), ("InfoGraph", {}), ("GCC", {"queue": 5000})])
def test_labels_are_learnt_from_one_graph_at_a_time(name: str, options: dict[str, int]) -> None:
    """Fine-tuning has no use for the loss that needs other graphs, or a queue of them."""
    graphs = toy_graphs()
    method = make(METHODS.get(name), graphs, **options)
    few = GraphBatches(graphs, batch_size=1, items=torch.tensor([3]))
    FineTuned(method, dropout=0.0).check_sampler(few)
    with pytest.raises(InputError):
        method.check_sampler(few)


def test_those_that_learn_from_edges_say_so() -> None:
    autoencoders = {"GAE", "VGAE", "ARGA", "ARGVA", "MaskGAE", "S2GAE", "Bandana", "EdgePred", "EdgeMask"}
    assert autoencoders | {"AD-GCL", "MVGRL"} <= set(OF_EDGES)


@pytest.mark.parametrize("name", OF_EDGES)
def test_a_graph_without_edges_is_refused(name: str) -> None:
    """They would train all epochs on non-edges, or on two views that are the same."""
    kind = METHODS.get(name)
    graph = toy_graph() if "node" in kind.levels else toy_graphs()
    bare = Graph(without_edges(graph.full_batch()).blocks[0], graph.x, ptr=graph.ptr)
    method = make(kind, graph)
    method.check_sampler(FullBatch(graph))
    with pytest.raises(InputError, match=f"^{name} learns from edges, but the graph has none"):
        method.check_sampler(FullBatch(bare))


def test_messages_name_methods_as_they_are_registered() -> None:
    assert {name: METHODS.get(name).title for name in METHODS.names()} == {name: name for name in METHODS.names()}


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        (GMI, ("own_weight", "near_weight", "edge_weight")),
        (SUGRL, ("positive_weight", "near_weight", "bound_weight")),
    ],
)
def test_a_loss_without_terms_is_refused(kind: type[Method], weights: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=f"nothing to learn: give {weights[0]}"):
        make(kind, **dict.fromkeys(weights, 0.0))
    make(kind, **dict.fromkeys(weights[1:], 0.0))
