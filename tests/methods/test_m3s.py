"""M3S: which nodes get a class at the end of a stage, against loops, and what it may know."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.types import Dataset, Labels
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.m3s import M3S
from gssl.models.gcn import GCN
from gssl.objectives.pseudo_labels import NO_CLASS, aligned_clusters, most_confident
from gssl.samplers.full import FullBatch
from gssl.samplers.named import graphsage
from gssl.testing.toy import toy_dataset
from gssl.training.config import TrainConfig
from gssl.training.embed import over_items
from gssl.training.loop import pretrain

DATASET = toy_dataset("node")
CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"stages": 2, "stage_epochs": 3, "clusters": 10, "additions": 5, "dropout": 0.0}


def labels_of(dataset: Dataset) -> Labels:
    assert dataset.labels is not None
    return dataset.labels


def make(dataset: Dataset = DATASET, **options: Any) -> M3S:
    torch.manual_seed(0)
    method = M3S(GCN(dataset.graph.in_dim, hidden_dim=6), **{**SMALL, **options})
    method.prepare(dataset.graph, 3)
    method.fit_labels(labels_of(dataset), dataset.splits[0])
    method.reseed(0, CPU)
    return method


def fit(method: M3S, graph: Graph) -> None:
    """Until predictions mean something."""
    optimizer = torch.optim.Adam(method.parameters(), lr=0.05)
    for _ in range(20):
        optimizer.zero_grad()
        method.loss(graph.full_batch()).backward()
        optimizer.step()


def begin(method: M3S, graph: Graph, epoch: int) -> None:
    method.eval()
    with torch.no_grad():
        method.begin_epoch(epoch, lambda function: over_items(function, graph))


def test_a_cluster_has_the_class_of_the_nearest_labelled_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(40, 3, generator=generator)
    clusters, targets = torch.randint(6, (40,), generator=generator), torch.randint(3, (40,), generator=generator)
    known = torch.rand(40, generator=generator) < 0.4
    known |= clusters == 5  # a cluster without an open item
    targets[known & (targets == 1)] = 2  # a class without an item, whose mean would be at the origin
    found = aligned_clusters(rows, clusters, targets, known, num_classes=3).tolist()
    for item in range(40):
        members = [i for i in range(40) if clusters[i] == clusters[item] and not known[i]]
        if not members:
            assert found[item] == NO_CLASS
            continue
        center = rows[members].mean(0)
        gaps = {}
        for c in (0, 2):
            labelled = [i for i in range(40) if known[i] and targets[i] == c]
            gaps[c] = float((rows[labelled].mean(0) - center).square().sum())
        assert found[item] == min(gaps, key=lambda c: gaps[c])


def test_without_labels_no_cluster_has_a_class() -> None:
    none = aligned_clusters(
        torch.randn(4, 2), torch.arange(4) % 2, torch.zeros(4).long(), torch.zeros(4).bool(), num_classes=2
    )
    assert none.tolist() == [NO_CLASS] * 4


def test_the_most_confident_of_each_class_are_chosen() -> None:
    generator = torch.Generator().manual_seed(0)
    probability = torch.randn(50, 3, generator=generator).softmax(1)
    allowed = torch.rand(50, generator=generator) < 0.7
    counts = torch.tensor([4, 0, 99])
    chosen = set()
    taken = [0, 0, 0]
    for item in sorted(range(50), key=lambda i: -float(probability[i].max())):
        predicted = int(probability[item].argmax())
        if allowed[item] and taken[predicted] < counts[predicted]:
            chosen.add(item)
            taken[predicted] += 1
    assert set(most_confident(probability, allowed, counts).nonzero().squeeze(1).tolist()) == chosen
    assert taken[0] == 4
    assert 0 < taken[2] < 99


def test_a_stage_adds_confident_nodes_that_their_cluster_agrees_with() -> None:
    graph, method = DATASET.graph, make()
    fit(method, graph)
    for epoch in (0, 1, 4, 9):
        begin(method, graph, epoch)
        assert bool((method.pseudo == NO_CLASS).all()), "stages end after 3 and 6 epochs"
    for epoch in (3, 6):
        before = method.pseudo.clone()
        with torch.no_grad():
            batch = graph.full_batch()
            probability = method.head(method.embed(batch)).softmax(1)
        _, known = method.labels_of(torch.arange(graph.num_nodes))
        begin(method, graph, epoch)
        added = method.pseudo != before
        assert 0 < int(added.sum()) <= 5 * probability.shape[1]
        assert not bool((added & known).any()), "what has a class keeps it"
        assert torch.equal(method.pseudo[added], probability.argmax(1)[added])
        chosen = most_confident(probability, ~known, torch.full((probability.shape[1],), 5))
        assert bool(chosen[added].all())


def test_what_clusters_disagree_with_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = DATASET.graph
    agreed, opposed = make(), make()

    def says(shift: int) -> Callable[..., Tensor]:
        def aligned(rows: Tensor, *_: Tensor, **__: Any) -> Tensor:
            with torch.no_grad():
                told: Tensor = agreed.head(agreed.embed(graph.full_batch()))
            return (told.argmax(1) + shift) % told.shape[1]

        return aligned

    monkeypatch.setattr("gssl.methods.m3s.aligned_clusters", says(0))
    begin(agreed, graph, 3)
    monkeypatch.setattr("gssl.methods.m3s.aligned_clusters", says(1))
    begin(opposed, graph, 3)
    assert int((agreed.pseudo != NO_CLASS).sum()) >= 5
    assert bool((opposed.pseudo == NO_CLASS).all())


def test_added_nodes_are_learned_from_and_labels_stay() -> None:
    method, graph = make(), DATASET.graph
    split, y = DATASET.splits[0], labels_of(DATASET).y
    items = split.test[:4]
    method.pseudo[items] = torch.tensor([0, 1, 1, 0])
    wrong = split.train[:2]
    method.pseudo[wrong] = 1 - y[wrong].clamp(max=1)
    batch = graph.full_batch()
    weight = torch.rand(graph.num_nodes) + 0.5
    logits = method.head(method.embed(batch)).log_softmax(1)
    terms = [(float(weight[i]), -logits[i, y[i]].item()) for i in split.train.tolist()]
    terms += [(float(weight[i]), -logits[i, c].item()) for i, c in zip(items.tolist(), (0, 1, 1, 0), strict=True)]
    expected = sum(w * t for w, t in terms) / sum(w for w, _ in terms)
    assert method.loss(replace(batch, weight=weight)).item() == pytest.approx(expected, rel=1e-5)


def test_no_label_but_those_of_training_items_decides_anything() -> None:
    labels, split = labels_of(DATASET), DATASET.splits[0]
    y = labels.y.clone()
    others = torch.ones(len(y), dtype=torch.bool)
    others[split.train] = False
    y[others] = (y[others] + 1) % labels.num_classes
    changed = replace(DATASET, labels=replace(labels, y=y))
    states = []
    for dataset in (DATASET, changed):
        method = make(dataset)
        pretrain(method, FullBatch(dataset.graph), TrainConfig(epochs=9, lr=0.05), seed=0)
        states.append(method.state_dict())
        assert int((method.pseudo != NO_CLASS).sum()) >= 5
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not any("targets" in name or "known" in name for name in states[0]), "a stored method holds a label"


def test_as_many_are_chosen_as_reach_the_graph() -> None:
    method = make(additions=None, stages=5)
    graph, y = DATASET.graph, labels_of(DATASET).y
    counts = torch.bincount(y[DATASET.splits[0].train]).tolist()
    reached = (graph.num_edges / graph.num_nodes) ** 2
    expected = [math.ceil(int(3 * graph.num_nodes / reached * c / sum(counts)) / 5) for c in counts]
    assert method._additions(len(counts)).tolist() == expected
    assert min(expected) >= 1


def test_embeddings_are_clustered_at_unit_length(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(rows: Tensor, *_: Any, **__: Any) -> None:
        seen.append(rows)
        raise KeyboardInterrupt

    monkeypatch.setattr("gssl.methods.m3s.k_means", spy)
    method = make()
    with pytest.raises(KeyboardInterrupt):
        begin(method, DATASET.graph, 3)
    with torch.no_grad():
        torch.testing.assert_close(seen[0], F.normalize(method.embed(DATASET.graph.full_batch()), dim=1))


def test_what_cannot_work_is_refused() -> None:
    regression = toy_dataset("node", kind="regression")
    method = M3S(GCN(regression.graph.in_dim, hidden_dim=4))
    method.prepare(regression.graph, 0)
    with pytest.raises(InputError, match="needs labels that are classes, but these are regression"):
        method.fit_labels(labels_of(regression), regression.splits[0])
    with pytest.raises(InputError, match="cannot make 200 clusters of 120 nodes"):
        make(clusters=200).check_sampler(FullBatch(DATASET.graph))
    with pytest.raises(InputError, match=r"whole graphs only.*use the sampler full"):
        make().check_sampler(graphsage(DATASET.graph, num_layers=2, batch_size=30))
    unprepared = M3S(GCN(DATASET.graph.in_dim, hidden_dim=4))
    unprepared.fit_labels(labels_of(DATASET), DATASET.splits[0])
    with pytest.raises(InputError, match="M3S knows no graph yet"):
        unprepared.loss(DATASET.graph.full_batch())


def test_a_graph_without_edges_needs_no_exception() -> None:
    alone = Graph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), torch.rand(120, 4))
    method = M3S(GCN(4, hidden_dim=4), **{**SMALL, "additions": None})
    method.prepare(alone, 0)
    method.fit_labels(labels_of(DATASET), DATASET.splits[0])
    begin(method, alone, 3)
    batch: MiniBatch = alone.full_batch()
    assert math.isfinite(method.loss(batch).item())
