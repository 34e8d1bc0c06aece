"""Contract of objectives: inherit :class:`ObjectiveContract`, say how to call yours, and run pytest."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

Inputs = tuple[Tensor, ...]


class ObjectiveContract:
    """What holds for every weighted objective.

    Attributes:
        objective: the function under test.
        differentiable: positions of the inputs that gradients reach.
        rtol: relative tolerance of comparisons in float64.
    """

    objective: ClassVar[Callable[..., Tensor]]
    differentiable: ClassVar[tuple[int, ...]] = (0, 1)
    rtol: ClassVar[float] = 1e-8

    def draw(self, rng: torch.Generator) -> Inputs:
        """Inputs with one row an item, float64; two matrices (6, 4) by default."""
        return tuple(torch.randn(6, 4, generator=rng, dtype=torch.float64) for _ in range(2))

    def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
        """Call the objective on some rows, with their weights."""
        return type(self).objective(*inputs, weight=weight)

    def inputs(self, seed: int = 0) -> Inputs:
        return self.draw(torch.Generator().manual_seed(seed))

    def close(self, actual: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(actual, expected, rtol=self.rtol, atol=1e-10)

    def test_value_is_a_finite_scalar(self) -> None:
        for seed in range(3):
            value = self.value(self.inputs(seed), None)
            assert value.shape == ()
            assert bool(value.isfinite())

    def test_gradient_is_that_of_finite_differences(self) -> None:
        for weight in (None, torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.5], dtype=torch.float64)):
            fixed = self.inputs()
            moving = tuple(fixed[position].clone().requires_grad_() for position in self.differentiable)

            def value(*moved: Tensor, fixed: Inputs = fixed, weight: Tensor | None = weight) -> Tensor:
                inputs = list(fixed)
                for position, tensor in zip(self.differentiable, moved, strict=True):
                    inputs[position] = tensor
                return self.value(tuple(inputs), weight)

            assert torch.autograd.gradcheck(value, moving)

    def test_order_of_items_does_not_matter(self) -> None:
        inputs = self.inputs()
        order = torch.tensor([3, 1, 5, 0, 2, 4])
        self.close(self.value(tuple(t[order] for t in inputs), None), self.value(inputs, None))

    def test_weights_of_one_are_no_weights(self) -> None:
        inputs = self.inputs()
        self.close(self.value(inputs, torch.ones(6, dtype=torch.float64)), self.value(inputs, None))

    def test_a_weight_of_two_means_there_twice(self) -> None:
        inputs = self.inputs()
        twice = torch.tensor([0, 1, 1, 2, 3, 4, 4, 5])
        weight = torch.tensor([1.0, 2.0, 1.0, 1.0, 2.0, 1.0], dtype=torch.float64)
        self.close(self.value(inputs, weight), self.value(tuple(t[twice] for t in inputs), None))

    def test_a_weight_of_zero_means_not_there(self) -> None:
        inputs = self.inputs()
        weight = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], dtype=torch.float64)
        self.close(self.value(inputs, weight), self.value(tuple(t[weight > 0] for t in inputs), None))

    def test_descent_lowers_it(self) -> None:
        inputs = list(self.inputs())
        for position in self.differentiable:
            inputs[position] = inputs[position].clone().requires_grad_()
        moving = [inputs[position] for position in self.differentiable]
        optimizer = torch.optim.Adam(moving, lr=0.05)
        before = self.value(tuple(inputs), None).item()
        for _ in range(10):
            optimizer.zero_grad()
            self.value(tuple(inputs), None).backward()
            optimizer.step()
        assert self.value(tuple(inputs), None).item() < before
