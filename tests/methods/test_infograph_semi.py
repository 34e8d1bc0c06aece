"""InfoGraph beside labels: the first semi-supervised form of its paper, by --setting auxiliary."""

import math
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

import gssl
from gssl.datasets.types import Labels, Split
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.methods.auxiliary import Auxiliary
from gssl.methods.infograph import InfoGraph
from gssl.models.gin import GIN
from gssl.testing.toy import toy_dataset, toy_graphs

NONE = torch.empty(0, dtype=torch.int64)
LABELLED = torch.tensor([1, 4, 5])
Y = torch.tensor([0, 2, 1, 1, 0, 2, 0, 1])


def make(y: Tensor = Y, *, weight: float = 0.3) -> Auxiliary:
    torch.manual_seed(0)
    method = Auxiliary(InfoGraph(GIN(4, hidden_dim=5, num_layers=2, norm="none")), weight=weight, dropout=0.0)
    method.fit_labels(Labels(y, "multiclass", 3), Split("toy", LABELLED, NONE, NONE))
    return method.double()


def whole() -> tuple[Graph, MiniBatch]:
    graph = toy_graphs(num_graphs=8)
    return graph, graph.full_batch().with_x(dense_features(graph.x).double())


def of_labels(method: Auxiliary, nodes: list[Tensor]) -> Tensor:
    """Cross-entropy of the labelled graphs, one after the other."""
    terms = []
    for number in LABELLED.tolist():
        logits = method.head.weight @ nodes[number].sum(0) + method.head.bias
        terms.append(logits.exp().sum().log() - logits[Y[number]])
    return torch.stack(terms).mean()


def of_all(method: Auxiliary, nodes: list[Tensor]) -> Tensor:
    """Jensen-Shannon estimate over all pairs of a node and a graph, as the paper writes it."""
    companion = method.companion
    assert isinstance(companion, InfoGraph)
    summaries = companion.global_head(torch.stack([rows.sum(0) for rows in nodes]))
    positive, negative = [], []
    for number, rows in enumerate(nodes):
        for score in (companion.local_head(rows) @ summaries.T).unbind():
            positive.append(-torch.log1p(torch.exp(-score[number])))
            others = torch.cat([score[:number], score[number + 1 :]])
            negative.append(torch.log1p(torch.exp(others)))
    return torch.stack(negative).mean() - torch.stack(positive).mean()


def test_the_loss_is_that_of_labels_plus_a_share_of_that_of_all_graphs() -> None:
    graph, batch = whole()
    method = make()
    assert graph.ptr is not None
    nodes = method.encoder(batch)
    parts = [nodes[a:b] for a, b in pairwise(graph.ptr.tolist())]
    # Ours is shifted so that scores of zero cost nothing.
    expected = of_labels(method, parts) + 0.3 * (of_all(method, parts) - 2 * math.log(2))
    found = method.loss(batch)
    torch.testing.assert_close(found, expected)
    parameters = list(method.parameters())
    for mine, theirs in zip(
        torch.autograd.grad(found, parameters, retain_graph=True),
        torch.autograd.grad(expected, parameters),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


def test_labels_of_other_graphs_are_not_seen_but_the_graphs_are() -> None:
    graph, batch = whole()
    method = make()
    other = Y.clone()
    other[[0, 2, 3, 6, 7]] = 2
    assert torch.equal(make(other).loss(batch), method.loss(batch))
    x = dense_features(batch.x).clone()
    assert graph.ptr is not None
    x[int(graph.ptr[6]) : int(graph.ptr[7])] += 1.0  # of a graph without a label
    assert not torch.equal(method.loss(batch.with_x(x)), method.loss(batch))
    assert torch.equal(make(weight=0.0).loss(batch.with_x(x)), make(weight=0.0).loss(batch))


def test_steps_lower_both_terms() -> None:
    graph, batch = whole()
    method = make(weight=1.0)
    assert graph.ptr is not None

    def terms() -> tuple[float, float]:
        with torch.no_grad():
            nodes = method.encoder(batch)
            parts = [nodes[a:b] for a, b in pairwise(graph.ptr.tolist())]  # type: ignore[union-attr]  # graphs
            return of_labels(method, parts).item(), of_all(method, parts).item()

    before = terms()
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    for _ in range(10):
        optimizer.zero_grad()
        method.loss(batch).backward()
        optimizer.step()
    after = terms()
    assert after[0] < before[0]
    assert after[1] < before[1]


def test_the_setting_trains_with_both_terms(tmp_path: Path) -> None:
    data, runs = toy_dataset("graph"), []
    for weight in (0.0, 1.0):
        given = {"setting.weight": weight, "encoder.hidden_dim": 8, "train.batch_size": 16}
        out = tmp_path / str(weight)
        runs.append(gssl.run("InfoGraph", data, setting="auxiliary", labels=0.5, epochs=2, set=given, out=out))
    assert all(run.data["setting"] == "auxiliary" for run in runs)
    assert not torch.equal(runs[0].embeddings, runs[1].embeddings)
