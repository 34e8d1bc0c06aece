"""MetaPathPred: which pairs are told apart, and their loss, against loops."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.spec import GraphSpec
from gssl.graph.storage import Graph
from gssl.methods import metapathpred
from gssl.methods.metapathpred import MetaPathPred
from gssl.models.gcn import GCN
from gssl.models.rgcn import RGCN
from gssl.objectives.edges import edge_reconstruction
from gssl.samplers.full import FullBatch
from gssl.samplers.named import graphsage
from gssl.testing.methods import train
from gssl.testing.toy import toy_hetero_graph, without_edges

GRAPH = toy_hetero_graph()
BATCH = GRAPH.full_batch()
CPU = torch.device("cpu")
Call = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]


def made(**options: Any) -> MetaPathPred:
    torch.manual_seed(0)
    method = MetaPathPred(RGCN.for_graph(GraphSpec.of(GRAPH), hidden_dim=8), **{"pairs": 60, "head_dim": 5, **options})
    method.reseed(3, CPU)
    return method


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """What the objective is called with."""
    seen: list[Call] = []

    def spy(
        z: Tensor, positive: Tensor, negative: Tensor, *, positive_weight: Tensor | None, negative_weight: Tensor | None
    ) -> Tensor:
        seen.append((z, positive, negative, positive_weight, negative_weight))
        weights = {"positive_weight": positive_weight, "negative_weight": negative_weight}
        return edge_reconstruction(z, positive, negative, **weights)

    monkeypatch.setattr(metapathpred, "edge_reconstruction", spy)
    return seen


def test_every_path_tells_its_own_pairs_from_others(calls: list[Call]) -> None:
    method = made()
    weight = torch.rand(48) + 0.5
    loss = method.loss(replace(BATCH, weight=weight))
    assert BATCH.hetero is not None
    expected = 0.0
    for (z, positive, negative, *_), head, path in zip(calls, method.heads, BATCH.hetero.meta_paths, strict=True):
        torch.testing.assert_close(z, head(method.encoder(BATCH)))
        joined = set(zip(path.pattern.row.tolist(), path.pattern.col.tolist(), strict=True))
        assert positive.shape == (2, 60)
        assert {(j, i) for i, j in positive.T.tolist()} <= joined
        assert len(set(map(tuple, positive.T.tolist()))) > 20
        assert not {(j, i) for i, j in negative.T.tolist()} & joined
        assert negative.shape[1] > 10
        for sign, pairs in ((1, positive), (-1, negative)):
            share = [float(weight[i] * weight[j]) for i, j in pairs.T.tolist()]
            terms = [math.log1p(math.exp(-sign * (z[i] @ z[j]).item())) for i, j in pairs.T.tolist()]
            expected += sum(w * t for w, t in zip(share, terms, strict=True)) / sum(share) / 4  # two kinds, two paths
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_one_path_alone_may_be_predicted(calls: list[Call]) -> None:
    method = made(meta_paths=("paper-subject-paper",))
    method.loss(BATCH)
    assert len(calls) == len(method.heads) == 1
    assert BATCH.hetero is not None
    (path,) = (path for path in BATCH.hetero.meta_paths if path.name == "paper-subject-paper")
    joined = set(zip(path.pattern.col.tolist(), path.pattern.row.tolist(), strict=True))
    assert set(map(tuple, calls[0][1].T.tolist())) <= joined


def test_training_raises_the_scores_of_joined_pairs() -> None:
    method = made()
    assert BATCH.hetero is not None
    pattern = BATCH.hetero.meta_paths[0].pattern

    def gap() -> float:
        with torch.no_grad():
            z = method.heads[0](method.encoder(BATCH))
        scores, joined = z @ z.T, torch.zeros(48, 48, dtype=torch.bool)
        joined[pattern.row.long(), pattern.col.long()] = True
        return float(scores[joined].mean() - scores[~joined].mean())

    before = gap()
    train(method, BATCH, steps=10, lr=0.01)
    assert gap() > before


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(InputError, match="unknown meta-path 'paper-author'"):
        made(meta_paths=("paper-author",))
    with pytest.raises(InputError, match="use --encoder RGCN"):
        MetaPathPred(GCN(24, hidden_dim=4))
    with pytest.raises(InputError, match=r"trains on whole graphs only: relations are those of all nodes"):
        made().check_sampler(graphsage(GRAPH, num_layers=2, batch_size=12))
    bare = without_edges(BATCH)
    nothing = Graph(bare.blocks[0], GRAPH.x, None, bare.hetero)
    with pytest.raises(InputError, match=r"none of the meta-paths .* joins two nodes"):
        made().check_sampler(FullBatch(nothing))
    made().check_sampler(FullBatch(GRAPH))
