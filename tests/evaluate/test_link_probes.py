"""Judges of links: against closed forms and scikit-learn, blind to the test, and frugal."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.common.seeds import derive_seed
from gssl.datasets.links import non_edges, random_link_split
from gssl.datasets.types import LinkSplit, Metric
from gssl.evaluate.links import Decoder, Dot, Hadamard, LinkProbe, score_pairs
from gssl.evaluate.ranking import evaluate_links
from gssl.graph.storage import Graph
from gssl.models.edge_decoder import InnerProduct

ALL = ("roc_auc", "average_precision", "hits@10", "hits@20", "hits@50", "hits@100", "mrr")


def communities(num_nodes: int = 200, seed: int = 0) -> tuple[Tensor, LinkSplit]:
    """Embeddings near one of four centres, and the links of a graph that joins nodes of the same centre."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 4, num_nodes)
    same = group[:, None] == group[None, :]
    edges = np.stack(np.nonzero(np.triu(same & (rng.random(same.shape) < 0.5), 1)))
    graph = Graph.from_edge_index(torch.from_numpy(np.concatenate([edges, edges[::-1]], 1)), torch.zeros(num_nodes, 1))
    z = np.eye(4)[group] @ rng.normal(size=(4, 8)) + 0.3 * rng.normal(size=(num_nodes, 8))
    return torch.from_numpy(z).float(), random_link_split(graph, seed=seed)


def scores_of(probe: LinkProbe, z: Tensor, split: LinkSplit, seed: int = 0) -> tuple[object, ...]:
    score = probe.score(z, split, seed)
    return score.val, score.test, score.chosen, dict(score.others)


def test_the_inner_product_of_every_pair_is_ranked() -> None:
    z, split = communities()
    score = Dot().score(z, split, 0)
    product = z.double() @ z.double().T
    parts = {"val": (split.val, split.val_negatives), "test": (split.test, split.test_negatives)}
    expected = {
        part: {name: evaluate_links(name, product[tuple(good)], product[tuple(bad)]) for name in ALL}
        for part, (good, bad) in parts.items()
    }
    assert (score.val, score.test, score.chosen) == (expected["val"]["roc_auc"], expected["test"]["roc_auc"], {})
    assert score.others == {name: (expected["val"][name], expected["test"][name]) for name in ALL[1:]}
    assert list(score.others) == list(ALL[1:])


def test_large_products_are_told_apart() -> None:
    """Their sigmoids are all 1 in floating point, and their float32 values are not finite."""
    z = torch.tensor([[3e19], [4e19], [5e19], [6e19]])
    low, high = torch.tensor([[0], [1]]), torch.tensor([[2], [3]])
    split = LinkSplit("made", low, high, high, low, low, directed=False)
    assert Dot().score(z, split, 0).test == 1.0
    assert Dot().score(z, replace(split, test=low, test_negatives=high), 0).test == 0.0
    assert Dot().score(z, split, 0).others == {"average_precision": (1.0, 1.0), "mrr": (1.0, 1.0)}


def test_hits_are_reported_where_there_are_enough_negatives() -> None:
    _, split = communities()
    small = replace(split, test_negatives=split.test_negatives[:, :20])
    assert Dot().metrics_of(split) == Dot.metrics == ALL
    assert Dot().metrics_of(small) == ("roc_auc", "average_precision", "hits@10", "hits@20", "mrr")
    assert Dot().metrics_of(small, "hits@20") == ("hits@20", "roc_auc", "average_precision", "hits@10", "mrr")
    assert Dot().metrics_of(small, "hits@7")[0] == "hits@7"
    with pytest.raises(InputError, match=r"hits@21 needs as many negatives, but .* has 20"):
        Dot().metrics_of(small, "hits@21")


def own_negatives(split: LinkSplit, num_nodes: int, count: int = 12) -> LinkSplit:
    rng = torch.Generator().manual_seed(0)
    sizes = (split.val.shape[1], split.test.shape[1])
    val, test = (torch.randint(num_nodes, (size, count), generator=rng) for size in sizes)
    return replace(split, val_negatives=val, test_negatives=test, grouped=True)


@pytest.mark.parametrize("chunk", [1 << 21, 50])
def test_pairs_with_negatives_of_their_own(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gssl.evaluate.links._CHUNK", chunk)
    z, split = communities()
    split = own_negatives(split, 200)
    score = Dot().score(z, split, 0)
    product = z.double() @ z.double().T
    expected = {
        name: evaluate_links(
            name, product[tuple(split.test)], product[split.test[0].unsqueeze(1), split.test_negatives]
        )
        for name in ("mrr", "hits@1", "hits@3", "hits@10")
    }
    assert score.test == pytest.approx(expected["mrr"])
    assert {name: test for name, (_, test) in score.others.items()} == pytest.approx(
        {name: value for name, value in expected.items() if name != "mrr"}
    )


def test_the_first_metric_is_what_was_asked_for() -> None:
    z, split = communities()
    usual, asked = (Hadamard().score(z, split, 0, metric) for metric in (None, "hits@20"))
    assert asked.val >= usual.others["hits@20"][0]
    assert {"roc_auc", "mrr"} < set(asked.others)
    assert "hits@20" not in asked.others


@pytest.mark.parametrize("probe", [Dot(), Hadamard()])
def test_good_embeddings_are_judged_better_than_noise(probe: LinkProbe) -> None:
    z, split = communities()
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    assert probe.score(z, split, 0).test > 0.85
    assert 0.35 < probe.score(noise, split, 0).test < 0.65


def test_products_find_what_no_inner_product_finds() -> None:
    """Nodes are joined if they differ in the second column, which makes their inner product small."""
    rng = np.random.default_rng(0)
    side = np.where(rng.random(100) < 0.5, 1.0, -1.0)
    edges = np.stack(np.nonzero(np.triu((side[:, None] != side) & (rng.random((100, 100)) < 0.3), 1)))
    graph = Graph.from_edge_index(torch.from_numpy(np.concatenate([edges, edges[::-1]], 1)), torch.zeros(100, 1))
    z = torch.from_numpy(np.stack([np.ones(100), 2 * side], 1)).float()
    split = random_link_split(graph, seed=0)
    assert Dot().score(z, split, 0).test < 0.3
    assert Hadamard().score(z, split, 0).test > 0.7


def test_the_fit_is_that_of_scikit_learn_and_c_the_best_on_validation() -> None:
    z, split = communities()
    probe = Hadamard()
    scorer, chosen = probe.scorer(z, split, 3, "roc_auc")
    z64 = z.double().numpy()
    best = (-1.0, 0.0)
    for penalty in probe.penalties:
        val = _reference(z64, split, penalty, seed=3)
        best = max(best, (round(val, 9), -penalty))
    assert chosen == {"C": -best[1]}
    assert evaluate_links(
        "roc_auc", score_pairs(scorer, z, split.val), score_pairs(scorer, z, split.val_negatives)
    ) == pytest.approx(best[0], abs=2e-3)


def _reference(z: np.ndarray, split: LinkSplit, penalty: float, seed: int) -> float:
    """The same regression without any of the probe's own code but the draw of its non-edges."""
    known = torch.cat([split.train, split.val], 1)
    apart = non_edges(known, len(z), split.train.shape[1], seed=derive_seed(seed, "other pairs of Hadamard"))
    u, v = torch.cat([split.train, apart], 1).numpy()
    y = np.repeat([1, 0], split.train.shape[1])
    scaler = StandardScaler().fit(z[u] * z[v])
    model = LogisticRegression(C=penalty, max_iter=10_000, tol=1e-8).fit(scaler.transform(z[u] * z[v]), y)
    good, bad = (
        torch.from_numpy(model.decision_function(scaler.transform(z[a] * z[b])))
        for a, b in (split.val.numpy(), split.val_negatives.numpy())
    )
    return evaluate_links("roc_auc", good, bad)


@pytest.mark.parametrize("probe", [Dot(), Hadamard()])
def test_nothing_of_the_test_moves_anything_but_the_test_score(probe: LinkProbe) -> None:
    z, split = communities()
    other = replace(split, test=split.test_negatives, test_negatives=split.test)
    before, after = probe.score(z, split, 0), probe.score(z, other, 0)
    assert (before.val, before.chosen) == (after.val, after.chosen)
    assert [val for val, _ in before.others.values()] == [val for val, _ in after.others.values()]
    assert after.test == pytest.approx(1 - before.test)  # the same scores, with the sides changed


def test_the_same_seed_gives_the_same_score_and_others_give_others() -> None:
    z, split = communities()
    assert scores_of(Hadamard(), z, split, 1) == scores_of(Hadamard(), z, split, 1)
    assert len({Hadamard().score(z, split, seed).others["mrr"] for seed in range(4)}) > 1
    assert scores_of(Dot(), z, split, 1) == scores_of(Dot(), z, split, 2)


def test_of_many_training_pairs_a_part_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    z, split = communities()
    sizes = []
    fit = LogisticRegression.fit

    def watched(self: LogisticRegression, x: np.ndarray, y: np.ndarray) -> LogisticRegression:
        sizes.append((len(x), int(y.sum())))
        return fit(self, x, y)

    monkeypatch.setattr(LogisticRegression, "fit", watched)
    assert Hadamard(max_pairs=200).score(z, split, 0).test > 0.85
    assert set(sizes) == {(400, 200)}
    assert validate(Hadamard, {"max_pairs": "7"}, what="probe Hadamard") == {"max_pairs": 7}
    with pytest.raises(InputError, match="max_pairs"):
        validate(Hadamard, {"max_pairs": 0}, what="probe Hadamard")


@pytest.mark.parametrize("probe", [Dot(), Hadamard()])
def test_few_rows_are_gathered_at_a_time_and_the_scores_are_the_same(
    probe: LinkProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    z, split = communities()
    whole = scores_of(probe, z, split)
    monkeypatch.setattr("gssl.evaluate.links._CHUNK", 8 * 10)
    rows = []
    scorer, _ = probe.scorer(z, split, 0, "roc_auc")

    def watched(source: Tensor, target: Tensor) -> Tensor:
        rows.append(len(source))
        return scorer(source, target)

    score_pairs(watched, z, split.train)
    assert max(rows) == 10
    assert scores_of(probe, z, split) == whole


@pytest.mark.parametrize("probe", [Dot(), Hadamard()])
def test_embeddings_without_information(probe: LinkProbe) -> None:
    _, split = communities()
    score = probe.score(torch.ones(200, 4), split, 0)
    assert score.test == 0.5
    assert not math.isnan(score.val)


def test_directed_pairs_are_judged() -> None:
    rng = np.random.default_rng(0)
    edges = torch.from_numpy(rng.integers(0, 60, (2, 500)))
    split = random_link_split(Graph.from_edge_index(edges, torch.zeros(60, 1)), seed=0)
    assert split.directed
    z = torch.from_numpy(rng.normal(size=(60, 4))).float()
    for probe in (Dot(), Hadamard()):
        names: set[Metric] = {"average_precision", "mrr", "hits@10", "hits@20"}
        assert names == set(probe.score(z, split, 0).others)


def test_the_decoder_of_a_method_scores_pairs() -> None:
    """That of a known bilinear form, in chunks of any size, by the rows of both ends in their order."""
    z, split = communities()
    form = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))

    def decoder(rows: Tensor, pairs: Tensor) -> Tensor:
        return ((rows[pairs[0]] @ form) * rows[pairs[1]]).sum(1)

    score = Decoder().using(decoder).score(z, split, 0)
    wanted = [decoder(z, pairs) for pairs in (split.test, split.test_negatives)]
    assert score.test == pytest.approx(evaluate_links("roc_auc", *wanted), abs=1e-6)
    inner = InnerProduct()
    assert scores_of(Decoder().using(inner), z, split)[1] == pytest.approx(Dot().score(z, split, 0).test, abs=1e-6)


def test_without_a_decoder_nothing_is_scored() -> None:
    z, split = communities()
    with pytest.raises(InputError, match="has no decoder of pairs of its embeddings"):
        Decoder().using(None)
    with pytest.raises(InputError, match="needs the method's decoder"):
        Decoder().score(z, split, 0)
