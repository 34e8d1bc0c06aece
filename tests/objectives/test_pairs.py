import torch
from torch import Tensor

from gssl.objectives.bootstrap import bootstrap_cosine
from gssl.objectives.pairs import bootstrap_pairs


def inputs(n: int = 7, pairs: int = 15) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, n, 4, generator=rng, dtype=torch.float64)
    rows = torch.randint(n, (2, pairs), generator=rng)
    return prediction.requires_grad_(), target, rows, torch.rand(pairs, generator=rng, dtype=torch.float64)


def test_it_is_the_bootstrap_loss_of_gathered_rows() -> None:
    prediction, target, pairs, weight = inputs()
    for chosen in (None, weight):
        loss = bootstrap_pairs(prediction, target, pairs, weight=chosen)
        expected = bootstrap_cosine(prediction[pairs[0]], target[pairs[1]], weight=chosen)
        torch.testing.assert_close(loss, expected)
        ours, theirs = (torch.autograd.grad(value, prediction)[0] for value in (loss, expected))
        torch.testing.assert_close(ours, theirs)


def test_no_gradient_reaches_the_target_and_weight_two_is_twice() -> None:
    prediction, target, pairs, _ = inputs()
    bootstrap_pairs(prediction, target.requires_grad_(), pairs).backward()
    assert target.grad is None
    twice = torch.cat([pairs, pairs[:, 3:4]], dim=1)
    weight = torch.ones(pairs.shape[1], dtype=torch.float64)
    weight[3] = 2
    torch.testing.assert_close(
        bootstrap_pairs(prediction, target, pairs, weight=weight), bootstrap_pairs(prediction, target, twice)
    )
