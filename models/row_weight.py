"""Weights where parameters collect their gradient, instead of at the loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def row_weighted(
    call: Callable[..., Tensor],
    parameters: Sequence[nn.Parameter],
    weight: Tensor,
    *inputs: Tensor,
    tell: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """``call(*inputs)``, whose parameters receive the gradient of row ``j`` of the output times ``weight[j]``.

    The gradient of the inputs stays unweighted, so that adjoints flow as in the full graph while parameters see an
    importance-weighted sum over rows. Each of the two gradients takes its own part of the backward pass of ``call``,
    so nothing is computed twice but what both of them need.

    Args:
        call: differentiable, first dimension of its output are rows; its parameters must be ``parameters``.
        parameters: of ``call``.
        weight: shape (n,), float, constant.
        inputs: tensors that ``call`` takes.
        tell: is given the unweighted gradient of the output in the backward pass, shape of the output.

    Returns:
        Shape (n, ...).
    """
    if not torch.is_grad_enabled():
        return call(*inputs)
    trained = [p for p in parameters if p.requires_grad]
    out: Tensor = _RowWeighted.apply(  # type: ignore[no-untyped-call]  # of torch
        call, tell, len(inputs), weight, *inputs, *trained
    )
    return out


def scale_gradient(x: Tensor, weight: Tensor, tell: Callable[[Tensor], None] | None = None) -> Tensor:
    """``x`` itself; its gradient is multiplied by ``weight[j]`` in row ``j``.

    Args:
        x: shape (n, dim).
        weight: shape (n,), float, constant.
        tell: is given the gradient as it arrives, unscaled.
    """
    out: Tensor = _ScaleGradient.apply(x, weight, tell)  # type: ignore[no-untyped-call]  # of torch
    return out


class _RowWeighted(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        call: Callable[..., Tensor],
        tell: Callable[[Tensor], None] | None,
        num_inputs: int,
        weight: Tensor,
        *tensors: Tensor,
    ) -> Tensor:
        inputs, parameters = tensors[:num_inputs], tensors[num_inputs:]
        wanted = ctx.needs_input_grad[4:]
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_(wants) for x, wants in zip(inputs, wanted, strict=False)]
            out = call(*leaves)
        ctx.graph = (leaves, parameters, out, tell)
        ctx.wanted = wanted
        ctx.save_for_backward(weight)
        return out.detach()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grad_outputs
        (weight,) = ctx.saved_tensors
        leaves, parameters, out, tell = ctx.graph
        ctx.graph = None
        if tell is not None:
            tell(grad)
        grads: list[Tensor | None] = [None] * (len(leaves) + len(parameters))
        asked = [i for i, x in enumerate(leaves) if x.requires_grad]
        if asked:
            found = torch.autograd.grad(
                out, [leaves[i] for i in asked], grad, retain_graph=bool(parameters), allow_unused=True
            )
            for i, value in zip(asked, found, strict=True):
                grads[i] = value
        if parameters:
            weighted = grad * weight.to(grad.dtype).view(-1, *[1] * (grad.dim() - 1))
            grads[len(leaves) :] = torch.autograd.grad(out, parameters, weighted, allow_unused=True)
        return None, None, None, None, *grads


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, tell: Callable[[Tensor], None] | None) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.tell = tell
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = grad_outputs
        (weight,) = ctx.saved_tensors
        if ctx.tell is not None:
            ctx.tell(grad)
        return grad * weight.to(grad.dtype).unsqueeze(1), None, None
