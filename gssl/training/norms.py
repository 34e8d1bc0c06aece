"""Gradient norms of the items of a batch, out of the one backward pass that a step makes anyway."""

from __future__ import annotations

from types import TracebackType

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gssl.graph.batch import MiniBatch
from gssl.method import Method
from gssl.training.loss_scale import LossScale

_NO_SCALE = LossScale()


class GradientNorms:
    """While entered, remembers what the method's measured module takes and gives, in every view.

    The norm of item ``i`` is that of its own term's gradient with respect to a linear layer with a bias, in closed
    form: ``sqrt(sum over views of |d term_i / d z_i|^2 (|h_i|^2 + 1))``, where ``h_i`` is the layer's input and
    ``z_i`` its output (MVS, Cong et al., 2020, arXiv:2006.13866, section 4.3). Where the measured module is an
    encoder, ``h_i`` and ``z_i`` are both the embedding. With adjoint history the encoder adds those of all its layers.
    A module may give more rows than there are targets, such as the codes that a decoder aggregates; the targets are
    the first, as everywhere.

    Args:
        method: about to compute its loss.
        loss_scale: of 16-bit training, which the gradients carry when norms are taken.
        active: whether anything is to be remembered.
    """

    def __init__(self, method: Method, loss_scale: LossScale = _NO_SCALE, *, active: bool) -> None:
        self._module = method.measured
        self._active = active
        self._loss_scale = loss_scale
        self._calls: list[tuple[Tensor, Tensor]] = []
        self._handle: RemovableHandle | None = None

    def __enter__(self) -> GradientNorms:
        if self._active:
            self._handle = self._module.register_forward_hook(self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.remove()

    def _remember(self, module: nn.Module, inputs: tuple[object, ...], output: Tensor) -> None:
        if output.requires_grad:
            output.retain_grad()
            taken = inputs[0] if isinstance(inputs[0], Tensor) else output
            self._calls.append((taken.detach(), output))

    def backward(self, loss: Tensor) -> None:
        """The way back, but no further than to what the module gives: all that norms need where no step follows."""
        outputs = [output for _, output in self._calls]
        gradients = torch.autograd.grad(loss, outputs, allow_unused=True) if outputs else ()
        for output, gradient in zip(outputs, gradients, strict=True):
            output.grad = gradient

    @torch.no_grad()
    def of(self, batch: MiniBatch) -> Tensor:
        """Norms of the targets' own terms, unweighted, shape (num_targets,), float32; after the backward pass."""
        total = torch.zeros(batch.num_targets, device=batch.device)
        for taken, output in self._calls:
            if output.grad is not None:
                own = slice(batch.num_targets)
                total.addcmul_(_squared_norms(output.grad[own]), _squared_norms(taken[own]).add_(1))
        if batch.weight is not None:
            total /= batch.weight.square()
        if batch.plan.history is not None and batch.plan.history.squared_norms is not None:  # adjoints are not weighted
            total += batch.plan.history.squared_norms[: batch.num_targets]
        return self._loss_scale.taken_off(total.sqrt_().mul_(_scale(batch)))


def _squared_norms(rows: Tensor) -> Tensor:
    """Of each row, shape (n,), float32."""
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float32)
    return norms.square_()


def _scale(batch: MiniBatch) -> float | Tensor:
    """Items that the loss is a mean over: a term's own gradient is so many times its part of the loss's.

    A sum of weights stays on its device, which would be waited for else.
    """
    if batch.plan.population is not None:
        return batch.plan.population / batch.plan.scale
    items = batch.num_items if batch.weight is None else batch.weight.sum()
    if isinstance(items, Tensor) and items.device.type != "cpu":
        return items / batch.plan.scale
    return float(items) / batch.plan.scale
