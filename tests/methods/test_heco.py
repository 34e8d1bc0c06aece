"""HeCo: two views of the same nodes by what is around them."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.config.resolve import Request, Subject, resolve
from gssl.graph.hetero import HeteroParts, MetaPath, pattern_of
from gssl.graph.sparse import Pattern
from gssl.graph.spec import GraphSpec
from gssl.graph.storage import Graph
from gssl.methods.heco import HeCo, most_joined
from gssl.models.gcn import GCN
from gssl.models.metapath import MetaPathGCN
from gssl.registry import METHODS, SAMPLERS
from gssl.samplers.full import FullBatch
from gssl.settings.parts import make_method
from gssl.testing.toy import toy_dataset, toy_hetero_graph

CPU = torch.device("cpu")
GRAPH = toy_hetero_graph()
SURE: dict[str, Any] = {"dropout": 0.0, "attention_dropout": 0.0}


def made(graph: Graph = GRAPH, encoder: dict[str, Any] | None = None, **options: Any) -> HeCo:
    torch.manual_seed(0)
    method = HeCo(MetaPathGCN.for_graph(GraphSpec.of(graph), hidden_dim=8, **(encoder or {})), **options)
    method.prepare(graph, 0)
    return method


def parts(graph: Graph = GRAPH) -> HeteroParts:
    assert graph.hetero is not None
    return graph.hetero


def places(pattern: Pattern | None) -> set[tuple[int, int]]:
    assert pattern is not None
    return set(zip(pattern.row.tolist(), pattern.col.tolist(), strict=True))


def test_the_loss_is_that_of_both_projected_views() -> None:
    """The views from the parts of the method, the loss anchor by anchor in float64."""
    method = made(neighbors=3, temperature=0.6, balance=0.3, **SURE).double()
    batch = _double(GRAPH)
    method.reseed(3, CPU)
    loss = method.loss(batch)
    method.reseed(3, CPU)
    inputs = method.paths.inputs(batch)
    assert isinstance(inputs, Tensor)
    by_paths = method.head(method.paths(batch))
    assert batch.hetero is not None
    by_schema = method.head(method.schema(inputs, batch.hetero, method.rng))
    near = [[j for i, j in places(method.positives) if i == anchor] for anchor in range(48)]
    total = 0.0
    for share, first, second in ((0.3, by_paths, by_schema), (0.7, by_schema, by_paths)):
        for anchor in range(48):
            terms = (torch.cosine_similarity(first[anchor], second, dim=1) / 0.6).exp()
            total -= share * math.log(float((terms[near[anchor]].sum() / terms.sum()).detach())) / 48
    assert loss.item() == pytest.approx(total, rel=1e-9)


def _double(graph: Graph) -> Any:
    batch = graph.full_batch()
    assert isinstance(batch.x, Tensor)
    doubled = parts(graph).map(lambda values: values.double() if values.is_floating_point() else values)
    return replace(batch, x=batch.x.double(), hetero=doubled)


def test_ten_steps_raise_the_agreement_of_positives() -> None:
    method, batch = made(neighbors=3, **SURE), GRAPH.full_batch()
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-2)

    def agreement() -> float:
        with torch.no_grad():
            method.reseed(0, CPU)
            inputs = method.paths.inputs(batch)
            assert isinstance(inputs, Tensor)
            one, two = method.head(method.paths(batch)), method.head(method.schema(inputs, parts(), method.rng))
            cosine = torch.cosine_similarity(one[:, None], two, dim=2)
            near = torch.zeros(48, 48, dtype=torch.bool)
            assert method.positives is not None
            near[method.positives.row.long(), method.positives.col.long()] = True
            return float(cosine[near].mean() - cosine[~near].mean())

    before = agreement()
    for step in range(10):
        optimizer.zero_grad()
        method.reseed(step, CPU)
        method.loss(batch).backward()
        optimizer.step()
    assert agreement() > before


def test_neither_view_sees_what_the_other_does() -> None:
    """The embedding is that of the meta-paths: other types are nothing to it, and meta-paths nothing to the schema."""
    method, batch = made(neighbors=3).eval(), GRAPH.full_batch()
    blank = tuple(replace(other, x=torch.zeros(other.x.shape)) for other in parts().others)
    other_types = replace(batch, hetero=replace(parts(), others=blank, relations=parts().relations[:1]))
    assert torch.equal(method.embed(other_types), method.embed(batch))
    paths = tuple(
        MetaPath(path.name, path.pattern.filter(torch.zeros(path.pattern.nnz) > 0)) for path in parts().meta_paths
    )
    other_paths = replace(parts(), meta_paths=paths)
    targets, rng = torch.randn(48, 8), torch.Generator()
    seen = [method.schema(targets, some, rng.manual_seed(0)) for some in (parts(), other_paths)]
    assert torch.equal(*seen)
    assert not torch.equal(method.embed(replace(batch, hetero=other_paths)), method.embed(batch))


def test_the_schema_view_does_not_pass_the_targets_own_features_on() -> None:
    """View mask: a target weighs its neighbors, so where it has one of each type its own row changes nothing."""
    method = made(neighbors=1).eval()
    single = toy_hetero_graph()
    assert single.hetero is not None
    one = {name: _first_of_each_row(pattern) for name, pattern in single.hetero.neighbors.items()}
    single.hetero.__dict__["neighbors"] = one
    rng = torch.Generator()
    views = [method.schema(torch.randn(48, 8), single.hetero, rng.manual_seed(0)) for _ in range(2)]
    torch.testing.assert_close(*views)


def _first_of_each_row(pattern: Pattern) -> Pattern:
    keep = torch.ones(pattern.nnz, dtype=torch.bool)
    keep[1:] = pattern.row[1:] != pattern.row[:-1]
    return pattern.filter(keep)


def test_positives_are_the_nodes_that_most_paths_join() -> None:
    """Each node's paths, by loops: the share of those that lead to another node, summed over the meta-paths."""
    count, size = 48, 4
    score = torch.zeros(count, count, dtype=torch.float64)
    for path in parts().meta_paths:
        assert path.count is not None
        dense = torch.zeros(count, count, dtype=torch.float64)
        dense[path.pattern.row.long(), path.pattern.col.long()] = path.count.double()
        score += dense / (dense.sum(1, keepdim=True) + 1)
    found = places(most_joined(parts(), count, size))
    for i in range(count):
        others = sorted((j for j in range(count) if score[i, j] > 0), key=lambda j: (-round(float(score[i, j]), 6), j))
        assert {j for a, j in found if a == i} == {i, *others[: size - 1]}


def test_positives_that_the_data_bring_are_used() -> None:
    given = pattern_of(torch.tensor([0, 0, 3]), torch.tensor([5, 7, 3]), 48, 48)
    graph = replace(GRAPH, hetero=replace(parts(), positives=given))
    expected = {(0, 5), (0, 7)} | {(i, i) for i in range(1, 48)}
    assert places(made(graph).positives) == expected, "a node without any is its own positive"


def test_positives_follow_the_nodes_of_a_batch() -> None:
    """In a batch with the nodes turned round, the positives are turned round, too."""
    method, batch = made(), GRAPH.full_batch()
    turned = replace(batch, node_ids=batch.node_ids.flip(0))
    found = places(method._positives_of(turned))
    assert found == {(47 - i, 47 - j) for i, j in places(method.positives)}


def config(method: str, *words: str, encoder: str | None = None) -> Any:
    dataset = toy_dataset("node")
    return resolve(Request(method, assignments=words, encoder=encoder), Subject.of(dataset, "toy")), dataset


@pytest.mark.parametrize("method", ["HeCo", "DMGI"])
def test_a_graph_of_one_type_is_refused_and_what_fits_is_named(method: str) -> None:
    found, dataset = config(method)
    with pytest.raises(InputError, match=rf"{method} trains on several types of nodes.*HeCo/acm.*target_type=TYPE"):
        make_method(found, dataset, 0)


@pytest.mark.parametrize("method", ["GRACE", "BGRL", "MVGRL", "GraphMAE"])
def test_views_of_one_graph_do_not_go_with_encoders_of_relations(method: str) -> None:
    found, dataset = config(method, encoder="HAN")
    typed = replace(dataset, graph=toy_hetero_graph())
    with pytest.raises(InputError, match=rf"reads relations, which the views of {method}.*--encoder GCN.*DGI.*HeCo"):
        make_method(found, typed, 0)


def test_methods_that_take_encoders_of_relations_say_so() -> None:
    fitting = [name for name in METHODS.names() if METHODS.get(name).takes_types or METHODS.get(name).needs_types]
    assert set(fitting) == {"DGI", "DMGI", "HeCo", "MetaPathPred", "raw", "untrained", "supervised"}


@pytest.mark.parametrize("method", ["HeCo", "DMGI", "MetaPathPred"])
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS.names() if name not in ("full", "graphs")])
def test_sampled_batches_are_refused_before_training(method: str, sampler: str) -> None:
    encoder = MetaPathGCN.for_graph(GraphSpec.of(GRAPH), hidden_dim=8)
    made = METHODS.get(method)(encoder)
    assert made.card is not None
    assert made.card.whole_graph
    drawn = SAMPLERS.get(sampler)(GRAPH, batch_size=4, num_layers=1, seed=0)
    with pytest.raises(InputError, match=rf"^{method} trains on whole graphs only: .*relations.* leave out --sampler"):
        made.check_sampler(drawn)


def test_an_encoder_of_relations_refuses_sampled_batches_of_any_method() -> None:
    made = METHODS.get("DGI")(MetaPathGCN.for_graph(GraphSpec.of(GRAPH), hidden_dim=8))
    with pytest.raises(InputError, match="reads the relations of all nodes, which no sampled batch has"):
        made.check_sampler(SAMPLERS.get("graphsage")(GRAPH, batch_size=4, num_layers=1, seed=0))


def test_the_encoder_must_share_features_between_views() -> None:
    for encoder in (GCN(24, hidden_dim=8), MetaPathGCN.for_graph(GraphSpec.of(GRAPH), project=False)):
        with pytest.raises(InputError, match=r"--encoder MetaPathGCN with encoder\.project=true"):
            HeCo(encoder)


def test_more_positives_than_nodes_are_refused() -> None:
    method = made(positives=49)
    assert method.embed(GRAPH.full_batch()).shape == (48, 8), "what cannot be trained on may be embedded"
    with pytest.raises(InputError, match="positives=49 is more than the 48 nodes"):
        method.check_sampler(FullBatch(GRAPH))
    made(positives=48).check_sampler(FullBatch(GRAPH))


def test_a_loss_needs_positives() -> None:
    method = HeCo(MetaPathGCN.for_graph(GraphSpec.of(GRAPH), hidden_dim=8))
    with pytest.raises(InputError, match="call prepare"):
        method.loss(GRAPH.full_batch())
