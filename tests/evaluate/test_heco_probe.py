"""HeCo's protocol: against its definition step by step, with scikit-learn's metrics."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, roc_auc_score
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.types import Dataset, Labels, Split
from gssl.evaluate.adam import _score, initial_weights
from gssl.evaluate.heco import HeCoProbe
from gssl.evaluate.judge import judge
from gssl.testing.toy import toy_dataset


def data() -> tuple[Dataset, Tensor]:
    """Three classes of unequal size and embeddings that tell them in part."""
    rng = torch.Generator().manual_seed(0)
    y = torch.randint(0, 5, (120,), generator=rng).clamp(max=2)
    x = torch.randn(120, 6, generator=rng)
    x[:, :3] += 1.5 * torch.nn.functional.one_hot(y, 3)
    base = toy_dataset("node", splits=("20", "40"))
    return replace(base, labels=Labels(y, "multiclass", 3)), x


def by_definition(x: Tensor, y: Tensor, split: Split, restarts: int, steps: int) -> list[float]:
    """Macro-F1, micro-F1 and AUC of the test items, and whether both choose one step: by loops, means over restarts."""
    rng = torch.Generator().manual_seed(4)
    weights, biases = initial_weights(restarts, x.shape[1], 3, "xavier", rng)
    found = []
    for weight, bias in zip(weights, biases, strict=True):
        weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
        optimizer = torch.optim.Adam([weight, bias], lr=0.05)
        looks = []
        for _ in range(steps):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(x[split.train] @ weight.T + bias, y[split.train]).backward()
            optimizer.step()
            with torch.no_grad():
                val, test = ((x[ids] @ weight.T + bias) for ids in (split.val, split.test))
                guess = [scores.argmax(1).numpy() for scores in (val, test)]
                truth = [y[ids].numpy() for ids in (split.val, split.test)]
                f1 = {
                    kind: [f1_score(t, g, average=kind) for t, g in zip(truth, guess, strict=True)]
                    for kind in ("macro", "micro")
                }
                looks.append((f1, roc_auc_score(truth[1], test.softmax(1).numpy(), multi_class="ovr")))
        best = {kind: int(np.argmax([look[0][kind][0] for look in looks])) for kind in ("macro", "micro")}
        macro, micro = (looks[best[kind]][0][kind][1] for kind in ("macro", "micro"))
        found.append([macro, micro, looks[best["micro"]][1], best["macro"] == best["micro"]])
    means: list[float] = np.mean(found, axis=0).tolist()
    return means


def test_it_is_the_authors_definition() -> None:
    dataset, x = data()
    assert dataset.labels is not None
    split = dataset.splits[0]
    probe = HeCoProbe(steps=30, restarts=3)
    score = probe.score(x, dataset.labels, split, "macro_f1", 4)
    mine = [score.test, score.others["micro_f1"][1], score.others["roc_auc"][1]]
    *expected, same_step = by_definition(x, dataset.labels.y, split, 3, 30)
    np.testing.assert_allclose(mine, expected, atol=1e-6)
    assert same_step < 1, "these data do not tell one choice from two"


def test_macro_f1_is_that_of_scikit_learn() -> None:
    """Also where a class is not there, not predicted, or neither."""
    rng = torch.Generator().manual_seed(1)
    y = torch.randint(0, 3, (20,), generator=rng)
    predicted = torch.randint(0, 3, (50, 20), generator=rng)
    predicted[0], predicted[1] = 0, 3
    found = _score("macro_f1", predicted, y, 5)
    expected = [f1_score(y.numpy(), one.numpy(), average="macro") for one in predicted]
    np.testing.assert_allclose(found.numpy(), expected)


def test_all_preset_splits_are_judged_and_the_score_is_their_mean() -> None:
    dataset, x = data()
    verdict = judge(HeCoProbe(steps=10, restarts=2), x, dataset, 0)
    assert [split.name for split in verdict.splits] == ["20", "40"]
    assert (verdict.metric, verdict.probe) == ("macro_f1", "HeCo")
    assert verdict.test == pytest.approx(sum(score.test for score in verdict.scores) / 2)
    assert list(verdict.metrics) == ["macro_f1", "micro_f1", "roc_auc"]


def test_data_without_preset_splits_are_refused() -> None:
    with pytest.raises(InputError, match=r"needs preset splits.*--probe LBFGS"):
        HeCoProbe().splits(toy_dataset("node", splits=()), 0)
