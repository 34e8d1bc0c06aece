"""Blocks whose weights require a gradient: what is made of the weights belongs to one backward pass."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gssl.graph.block import Block
from gssl.graph.sparse import Pattern


def block_of(weight: Tensor | None) -> Block:
    """Edges 1->0, 2->0, 0->1, 2->2; node 3 hears from nobody."""
    pattern, _ = Pattern.from_coo(torch.tensor([0, 0, 1, 2]), torch.tensor([1, 2, 0, 2]), 4, 4)
    return Block(pattern, weight)


def test_degrees_carry_the_gradient_of_the_weights() -> None:
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    block = block_of(weight)
    (block.degree * torch.tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [1, 1, 10, 100]


@pytest.mark.parametrize("name", ["degree", "gcn_scale"])
def test_what_is_made_without_gradients_is_not_kept(name: str) -> None:
    """A target network sees the view first, without gradients; the online network must not reuse what it made."""
    block = block_of(torch.rand(4, requires_grad=True))
    with torch.no_grad():
        assert not getattr(block, name).requires_grad
    assert getattr(block, name).requires_grad


@pytest.mark.parametrize("name", ["degree", "gcn_scale"])
def test_a_second_backward_pass_is_possible(name: str) -> None:
    weight = torch.rand(4, requires_grad=True)
    block = block_of(weight)
    first, second = (torch.autograd.grad(getattr(block, name).sum(), weight)[0] for _ in range(2))
    torch.testing.assert_close(first, second)


def test_degrees_of_constant_weights_are_made_once() -> None:
    block = block_of(torch.rand(4))
    assert block.degree is block.degree
    assert block.gcn_scale is block.gcn_scale


def test_a_degree_of_the_whole_graph_may_be_learned() -> None:
    degree = torch.ones(4, requires_grad=True)
    block = replace(block_of(None), full_degree=degree)
    block.gcn_scale.sum().backward()
    torch.testing.assert_close(degree.grad, torch.full((4,), -0.5 * 2**-1.5))


@pytest.mark.parametrize("change", ["filter", "head", "to", "map"])
def test_parts_and_copies_keep_the_gradient(change: str) -> None:
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
    block = block_of(weight)
    keep = torch.tensor([True, False, True, True])
    changed = {
        "filter": lambda: block.filter(keep),
        "head": lambda: block.head(2),
        "to": lambda: block.to(torch.device("cpu")),
        "map": lambda: block.map(torch.clone),
    }[change]()
    assert changed.weight is not None
    changed.weight.square().sum().backward()
    expected = {"filter": [2, 0, 6, 8], "head": [2, 4, 6, 0]}.get(change, [2, 4, 6, 8])
    assert weight.grad is not None
    assert weight.grad.tolist() == expected
