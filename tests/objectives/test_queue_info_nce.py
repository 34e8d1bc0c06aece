"""InfoNCE with a queue against loops, cross-entropy and a closed form."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gssl.common.errors import InputError
from gssl.objectives.queue_info_nce import queue_info_nce


def draws() -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 5, 3, generator=rng, dtype=torch.float64)
    return first, second, torch.randn(7, 3, generator=rng, dtype=torch.float64)


def test_it_is_the_cross_entropy_of_moco() -> None:
    query, key, queue = (F.normalize(z, dim=1) for z in draws())
    logits = torch.cat([(query * key).sum(1, keepdim=True), query @ queue.T], dim=1) / 0.2
    expected = F.cross_entropy(logits, torch.zeros(5, dtype=torch.int64))
    torch.testing.assert_close(queue_info_nce(*draws(), temperature=0.2), expected)


def test_it_is_what_loops_say_with_weights() -> None:
    query, key, queue = draws()
    counts, weight = torch.tensor([1.0, 2, 0, 1, 3, 1, 0.5]).double(), torch.tensor([1.0, 3, 0, 1, 2]).double()

    def score(a: Tensor, b: Tensor) -> float:
        return math.exp(float(a @ b / (a.norm() * b.norm())) / 0.5)

    total = 0.0
    for i in range(5):
        own = score(query[i], key[i])
        total -= weight[i].item() * math.log(
            own / (own + sum(counts[j].item() * score(query[i], queue[j]) for j in range(7)))
        )
    found = queue_info_nce(query, key, queue, temperature=0.5, queue_weight=counts, weight=weight)
    assert found.item() == pytest.approx(total / 7)


def test_equal_embeddings_have_a_closed_form() -> None:
    same = torch.ones(3, 4, dtype=torch.float64)
    assert queue_info_nce(same, same, torch.ones(6, 4)).item() == pytest.approx(math.log(7))


def test_descent_nears_keys_and_leaves_the_queue() -> None:
    query, key, queue = (z.clone().requires_grad_() for z in draws())

    def cosines() -> tuple[float, float]:
        near = F.cosine_similarity(query, key).mean().item()
        return near, (F.normalize(query, dim=1) @ F.normalize(queue, dim=1).T).mean().item()

    before = cosines()
    optimizer = torch.optim.Adam([query, key, queue], lr=0.05)
    for _ in range(10):
        optimizer.zero_grad()
        queue_info_nce(query, key, queue, temperature=0.5).backward()
        optimizer.step()
    after = cosines()
    assert queue.grad is None, "negatives of former batches are constants"
    assert after[0] > before[0] + 0.1
    assert after[1] < before[1]


def test_shapes_that_do_not_match_are_refused() -> None:
    query, key, queue = draws()
    with pytest.raises(InputError, match="two projections of the same shape"):
        queue_info_nce(query, key[:4], queue)
    with pytest.raises(InputError, match="the queue must have 3 columns"):
        queue_info_nce(query, key, queue[:, :2])
