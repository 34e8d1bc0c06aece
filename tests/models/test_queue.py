"""The queue of negatives: first in, first out, with weights, in the state dict."""

import copy

import pytest
import torch

from gssl.models.queue import NegativesQueue


def keys(first: int, count: int) -> torch.Tensor:
    """Keys that can be told: row k is k everywhere."""
    return torch.arange(first, first + count).float().unsqueeze(1).expand(count, 3)


def held(queue: NegativesQueue) -> list[float]:
    return sorted(queue.rows[:, 0].tolist())


@pytest.mark.parametrize("sizes", [[2, 2, 2, 2], [3, 3, 3], [1] * 9, [5, 4], [7, 3], [12]])
def test_the_oldest_keys_go_first(sizes: list[int]) -> None:
    queue, pushed = NegativesQueue(5, 3), 0
    for size in sizes:
        queue.push(keys(pushed, size))
        pushed += size
        if pushed >= 5:
            assert held(queue) == [float(k) for k in range(pushed - 5, pushed)]
    assert len(queue) == 5


def test_it_begins_with_random_unit_rows_that_keys_replace() -> None:
    torch.manual_seed(0)
    queue = NegativesQueue(4, 16)
    torch.testing.assert_close(queue.rows.norm(dim=1), torch.ones(4))
    assert queue.rows.unique().numel() == 64
    before = queue.rows.clone()
    queue.push(torch.zeros(3, 16))
    assert torch.equal(queue.rows[3], before[3])
    assert not queue.rows[:3].any()


def test_weights_stay_with_their_keys() -> None:
    queue = NegativesQueue(4, 3)
    assert queue.weight.tolist() == [1.0] * 4
    queue.push(keys(0, 3), torch.tensor([5.0, 6.0, 7.0]))
    queue.push(keys(3, 2), torch.tensor([8.0, 9.0]))
    found = dict(zip(queue.rows[:, 0].tolist(), queue.weight.tolist(), strict=True))
    assert found == {1.0: 6.0, 2.0: 7.0, 3.0: 8.0, 4.0: 9.0}
    queue.push(keys(5, 4))
    assert queue.weight.tolist() == [1.0] * 4


def test_the_state_dict_holds_where_it_stands() -> None:
    queue = NegativesQueue(4, 3)
    queue.push(keys(0, 3))
    other = NegativesQueue(4, 3)
    other.load_state_dict(copy.deepcopy(queue.state_dict()))
    for each in (queue, other):
        each.push(keys(3, 2))
    assert torch.equal(queue.rows, other.rows)


def test_no_gradient_is_kept() -> None:
    queue = NegativesQueue(4, 3)
    queue.push(keys(0, 2).clone().requires_grad_())
    assert not queue.rows.requires_grad
    assert not list(queue.parameters())
