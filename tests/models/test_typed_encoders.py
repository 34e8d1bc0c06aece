"""Encoders of types and relations, against their formulas node by node and against PyG's layers."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.nn import GCNConv
from torch_geometric.nn.conv.han_conv import group

from gssl.common.errors import InputError
from gssl.graph.hetero import HeteroParts, HeteroSpec, pattern_of
from gssl.graph.spec import GraphSpec
from gssl.models.encoder import encoder_for
from gssl.models.han import HAN
from gssl.models.metapath import MetaPathGCN
from gssl.models.rgcn import RGCN
from gssl.models.schema import SchemaView, draw_neighbors
from gssl.models.typed import SemanticAttention, TypedEncoder
from gssl.testing.toy import toy_graph, toy_hetero_graph

GRAPH = toy_hetero_graph(isolated=1)
BATCH = GRAPH.full_batch()
SPEC = GraphSpec.of(GRAPH)


def parts() -> HeteroParts:
    assert GRAPH.hetero is not None
    return GRAPH.hetero


def x() -> Tensor:
    assert isinstance(GRAPH.x, Tensor)
    return GRAPH.x


def dense(name: str) -> Tensor:
    pattern = next(path.pattern for path in parts().meta_paths if path.name == name)
    out = torch.zeros(48, 48)
    out[pattern.row.long(), pattern.col.long()] = 1
    return out


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("self_weight", [0.0, 1.0, 4.0])
def test_a_meta_path_is_a_normalised_adjacency_with_loops(self_weight: float) -> None:
    encoder = MetaPathGCN.for_graph(SPEC, hidden_dim=8, project=False, activation="relu", self_weight=self_weight)
    along = encoder.along(encoder.inputs(BATCH), BATCH)
    for number, name in enumerate(encoder.names):
        a = dense(name) + self_weight * torch.eye(48)
        scale = a.sum(1).clamp(min=1e-12).rsqrt()
        layer = encoder.layers[number]
        expected = (scale[:, None] * a * scale) @ x() @ layer.weight + layer.bias  # type: ignore[operator]
        close(along[number], expected.relu())


def test_with_loops_of_one_it_is_the_layer_of_pyg() -> None:
    encoder = MetaPathGCN.for_graph(SPEC, hidden_dim=8, project=False, activation="identity", join="mean")
    path = parts().meta_paths[0].pattern
    edges = torch.stack([path.col.long(), path.row.long()])
    theirs = GCNConv(24, 8)
    theirs.lin.weight.data = encoder.layers[0].weight.detach().T.clone()  # type: ignore[operator]
    close(encoder.along(encoder.inputs(BATCH), BATCH)[0], theirs(x(), edges))


def test_joins() -> None:
    rows = torch.randn(2, 48, 8)
    mean, node, semantic = (
        MetaPathGCN.for_graph(SPEC, hidden_dim=8, join=join) for join in ("mean", "node", "semantic")
    )
    close(mean.join(rows), rows.mean(0))
    scores = torch.cat([score(one) for score, one in zip(node.scores, rows, strict=True)], dim=1).softmax(1)
    close(node.join(rows), torch.stack([scores[i, 0] * rows[0, i] + scores[i, 1] * rows[1, i] for i in range(48)]))
    attention = semantic.semantic
    assert attention is not None
    linear = torch.nn.Linear(8, 8)
    linear.weight.data, linear.bias.data = attention.map.weight.detach().T, attention.map.bias.detach()
    theirs, _ = group(list(rows), attention.query[None], linear)  # PyG's own
    close(semantic.join(rows), theirs)


def test_semantic_attention_weighs_all_nodes_alike() -> None:
    """The weight of a view is one number, so that a view of zeros only shrinks the other."""
    attention = SemanticAttention(4)
    rows = torch.stack([torch.randn(9, 4), torch.zeros(9, 4)])
    ratio = attention(rows) / rows[0]
    close(ratio, ratio[0, 0].expand(9, 4))
    assert 0 < ratio[0, 0].item() < 1


def test_features_are_mapped_once_for_all_paths() -> None:
    encoder = MetaPathGCN.for_graph(SPEC, hidden_dim=8)
    assert encoder.project is not None
    inputs = encoder.inputs(BATCH)
    assert isinstance(inputs, Tensor)
    close(inputs, F.elu(x() @ encoder.project.weight + encoder.project.bias))


def test_paths_are_chosen_by_name() -> None:
    one = MetaPathGCN.for_graph(SPEC, hidden_dim=8, paths=("paper-subject-paper",))
    assert len(one.layers) == 1
    for wrong in ((), ("psp",), ("paper-subject-paper",) * 2):
        for encoder in (MetaPathGCN, HAN):
            with pytest.raises(InputError, match=r"encoder\.paths.*paper-author-paper, paper-subject-paper"):
                encoder.for_graph(SPEC, paths=wrong)


def test_han_attends_to_neighbors_and_the_node_itself() -> None:
    encoder = HAN.for_graph(SPEC, hidden_dim=6, heads=2)
    layer = encoder.layer
    hidden = layer.proj["target"](x()).view(48, 2, 3)
    outputs = []
    for number, name in enumerate(encoder.names):
        source, target = (w[f"target__path{number}__target"] for w in (layer.lin_src, layer.lin_dst))
        a = dense(name) + torch.eye(48)
        rows = []
        for i in range(48):
            near = a[i].nonzero()[:, 0]
            score = (hidden[near] * source).sum(-1) + (hidden[i] * target[0]).sum(-1)
            share = F.leaky_relu(score, 0.2).softmax(0)
            rows.append((share[:, :, None] * hidden[near]).sum(0).flatten().relu())
        outputs.append(torch.stack(rows))
    close(encoder(BATCH), group(outputs, layer.q, layer.k_lin)[0])
    with pytest.raises(InputError, match="cannot be divided into 4 heads"):
        HAN.for_graph(SPEC, hidden_dim=6, heads=4)


def test_rgcn_has_weights_for_each_relation_and_type() -> None:
    encoder = RGCN.for_graph(SPEC, hidden_dim=4, num_layers=2)
    features = {"paper": x(), **{other.name: torch.as_tensor(_dense(other.x)) for other in parts().others}}
    names = [name for name, _ in encoder.types.types]
    h = {n: F.relu(features[n] @ encoder.maps[str(k)].weight + encoder.maps[str(k)].bias) for k, n in enumerate(names)}  # type: ignore[operator]
    for layer in range(2):
        after = {}
        for k, name in enumerate(names):
            if str(k) not in encoder.selves[layer]:  # type: ignore[operator]
                continue
            after[name] = encoder.selves[layer][str(k)](h[name])  # type: ignore[index]
            for place, relation in enumerate(parts().relations):
                if relation.target != name:
                    continue
                a = torch.zeros(relation.pattern.num_rows, relation.pattern.num_cols)
                a[relation.pattern.row.long(), relation.pattern.col.long()] = 1
                mean = a @ h[relation.source] / a.sum(1, keepdim=True).clamp(min=1)
                convs: Any = encoder.relations[layer].convs
                after[name] = after[name] + mean @ convs[encoder.edge_types[place]].lin_l.weight.T
        h = after if layer == 1 else {name: rows.relu() for name, rows in after.items()}
    assert h.keys() == {"paper"}, "nothing is computed that does not reach the target"
    close(encoder(BATCH), h["paper"])


def _dense(features: object) -> Tensor:
    return features if isinstance(features, Tensor) else features.to_dense()  # type: ignore[attr-defined]


def test_rgcn_needs_a_relation_that_leads_to_the_target() -> None:
    assert SPEC.hetero is not None
    away = replace(SPEC.hetero, relations=(("paper", "to", "author"),))
    with pytest.raises(InputError, match="ToUndirected"):
        RGCN.for_graph(replace(SPEC, hetero=away))


def test_neighbors_are_drawn_without_repeats_where_there_are_enough() -> None:
    pattern = pattern_of(torch.tensor([0, 0, 0, 0, 0, 1, 1, 3]), torch.tensor([0, 1, 2, 3, 4, 5, 6, 7]), 4, 8)
    seen: dict[int, set[int]] = {0: set(), 1: set(), 3: set()}
    for seed in range(50):
        drawn, there = draw_neighbors(pattern, 3, torch.Generator().manual_seed(seed))
        assert there.tolist() == [True, True, False, True]
        assert len(set(drawn[0].tolist())) == 3
        for row, found in seen.items():
            found |= set(drawn[row].tolist())
    assert seen == {0: {0, 1, 2, 3, 4}, 1: {5, 6}, 3: {7}}


def test_draws_are_uniform() -> None:
    pattern = pattern_of(torch.zeros(5, dtype=torch.int64), torch.arange(5), 1, 5)
    rng = torch.Generator().manual_seed(0)
    counts = torch.zeros(5)
    for _ in range(2000):
        counts[draw_neighbors(pattern, 2, rng)[0][0]] += 1
    assert bool(((counts - 800).abs() < 5 * (2000 * 0.4 * 0.6) ** 0.5).all())


def test_the_schema_view_attends_to_drawn_neighbors_type_by_type() -> None:
    """With as many draws as a paper has subjects (one), and of authors what was drawn."""
    assert SPEC.hetero is not None
    view = SchemaView(SPEC.hetero, 8, neighbors={"author": 4, "subject": 1}).eval()
    targets, rng = torch.randn(48, 8), torch.Generator()
    found = view(targets, parts(), rng.manual_seed(3))
    rng.manual_seed(3)
    embeddings = []
    for number, (other, size) in enumerate(zip(parts().others, (4, 1), strict=True)):
        hidden = F.elu(_dense(other.x) @ view.maps[number].weight + view.maps[number].bias)  # type: ignore[operator]
        drawn, there = draw_neighbors(parts().neighbors[other.name], size, rng)
        query, rows = view.queries[number][0], []
        for i in range(48):
            ends = [torch.cat([targets[i], hidden[j]]) @ query for j in drawn[i]]
            share = F.leaky_relu(torch.stack(ends)).softmax(0)
            rows.append(F.elu(share @ hidden[drawn[i]]) if there[i] else torch.zeros(8))
        embeddings.append(torch.stack(rows))
    close(found, view.join(torch.stack(embeddings)))


@pytest.mark.parametrize("neighbors", [{"author": 1}, {"author": 1, "subject": 1, "term": 1}])
def test_numbers_are_for_the_types_beside_the_target(neighbors: dict[str, int]) -> None:
    assert SPEC.hetero is not None
    with pytest.raises(InputError, match="those that are joined to 'paper' are author, subject"):
        SchemaView(SPEC.hetero, 8, neighbors=neighbors)


def test_a_schema_needs_another_type() -> None:
    with pytest.raises(InputError, match=r"no other type.*DMGI"):
        SchemaView(HeteroSpec("t", (("t", 3),), (("t", "r", "t"),), ("r",)), 8, neighbors=2)


@pytest.mark.parametrize("encoder", [MetaPathGCN, HAN, RGCN])
def test_graphs_of_one_type_and_batches_without_relations_are_refused(encoder: type[TypedEncoder]) -> None:
    with pytest.raises(InputError, match=r"one graph with one type; use --encoder GCN.*HeCo/acm.*target_type"):
        encoder_for(encoder, GraphSpec.of(toy_graph()))
    made = encoder_for(encoder, SPEC)
    with pytest.raises(InputError, match="a view changed its edges"):
        made(BATCH.map_blocks(lambda block: block))


def test_another_encoder_is_for_the_same_types() -> None:
    encoder = encoder_for(RGCN, SPEC, hidden_dim=4)
    other = encoder.another(num_layers=1)
    assert isinstance(other, RGCN)
    assert (other.num_layers, other.out_dim, other.types) == (1, 4, SPEC.hetero)
