"""Softmax regression trained with Adam: all restarts and weight decays as one tensor program."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

Init = Literal["uniform", "xavier"]
Keep = Literal["first_best", "last_best", "last"]
Criterion = Literal["accuracy", "macro_f1"]


@dataclass(frozen=True, kw_only=True)
class AdamSchedule:
    """How one classifier is trained.

    Attributes:
        steps: full-batch steps.
        every: steps between looks at the validation items.
        keep: which step's weights to return: the first or last look with the best validation score, or the last
            step.
        lr: learning rate.
        init: ``"uniform"`` is torch's default for ``nn.Linear``; ``"xavier"`` has zero intercepts.
        criterion: what the validation score is.
    """

    steps: int
    every: int
    keep: Keep
    lr: float
    init: Init
    criterion: Criterion = "accuracy"


@dataclass(frozen=True, eq=False)
class Trained:
    """Classifiers of every weight decay and restart.

    Attributes:
        weight: shape (num_classifiers, K, d).
        bias: shape (num_classifiers, K).
        val: validation score, shape (num_classifiers,), float64.
        step: step that the weights are from, counted from 1, shape (num_classifiers,).
    """

    weight: Tensor
    bias: Tensor
    val: Tensor
    step: Tensor

    def scores(self, x: Tensor) -> Tensor:
        """Logits, shape (num_classifiers, n, K)."""
        return torch.einsum("nd,ckd->cnk", x, self.weight) + self.bias.unsqueeze(1)


def initial_weights(num: int, in_dim: int, out_dim: int, init: Init, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weights (num, out_dim, in_dim) and intercepts (num, out_dim)."""
    bound = 1 / math.sqrt(in_dim) if init == "uniform" else math.sqrt(6 / (in_dim + out_dim))
    weight = (torch.rand(num, out_dim, in_dim, generator=rng) * 2 - 1) * bound
    bias = (torch.rand(num, out_dim, generator=rng) * 2 - 1) * bound
    return weight, bias if init == "uniform" else torch.zeros_like(bias)


def train(
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    start: tuple[Tensor, Tensor],
    weight_decay: Tensor,
    schedule: AdamSchedule,
) -> Trained:
    """Minimise the mean cross-entropy plus half the weight decay times the squared weights, in every classifier.

    Adam works entry by entry and no classifier's loss depends on another's weights, so they train side by side.

    Args:
        train, val: embeddings (n, d) and classes (n,).
        start: initial weights (num_classifiers, K, d) and intercepts (num_classifiers, K).
        weight_decay: of each classifier, shape (num_classifiers,), as ``torch.optim.Adam`` applies it.
        schedule: steps and choice of the step.
    """
    (x, y), (num, classes, dim) = train, start[0].shape
    columns = x.T.contiguous()  # few classes times many items is fastest in this order
    val = (val[0].T.contiguous(), val[1])
    weight = start[0].reshape(num * classes, dim).clone().requires_grad_()
    bias = start[1].reshape(num * classes, 1).clone().requires_grad_()
    decay = weight_decay.repeat_interleave(classes).unsqueeze(1)
    targets = y.expand(num, -1)
    optimizer = torch.optim.Adam([weight, bias], lr=schedule.lr)
    best = _Best.start(weight.detach(), bias.detach(), num, schedule.criterion)
    for step in range(1, schedule.steps + 1):
        logits = torch.addmm(bias, weight, columns).view(num, classes, -1)
        loss = cross_entropy(logits, targets, reduction="sum") / y.shape[0]
        weight.grad, bias.grad = torch.autograd.grad(loss, (weight, bias))
        weight.grad += decay * weight.detach()
        bias.grad += decay * bias.detach()
        optimizer.step()
        if schedule.keep != "last" and step % schedule.every == 0:
            best.look(weight.detach(), bias.detach(), val, step, ties=schedule.keep == "last_best")
    if schedule.keep == "last" or schedule.steps < schedule.every:
        best.look(weight.detach(), bias.detach(), val, schedule.steps, ties=True)
    return Trained(best.weight.view(num, classes, dim), best.bias.view(num, classes), best.val, best.step)


@dataclass(eq=False)
class _Best:
    weight: Tensor
    bias: Tensor
    val: Tensor
    step: Tensor
    criterion: Criterion

    @classmethod
    def start(cls, weight: Tensor, bias: Tensor, num: int, criterion: Criterion) -> _Best:
        never = torch.full((num,), -1.0, dtype=torch.float64)
        return cls(weight.clone(), bias.clone(), never, torch.zeros(num, dtype=torch.int64), criterion)

    def look(self, weight: Tensor, bias: Tensor, val: tuple[Tensor, Tensor], step: int, *, ties: bool) -> None:
        """Take over the classifiers that are best on the validation items (embeddings (d, n), classes (n,))."""
        num, (columns, y) = self.val.shape[0], val
        logits = torch.addmm(bias, weight, columns).view(num, -1, y.shape[0])
        score = _score(self.criterion, logits.argmax(dim=1), y, logits.shape[1])
        better = score >= self.val if ties else score > self.val
        rows = better.repeat_interleave(bias.shape[0] // num).unsqueeze(1)
        self.weight = torch.where(rows, weight, self.weight)
        self.bias = torch.where(rows, bias, self.bias)
        self.val = torch.where(better, score, self.val)
        self.step = self.step.masked_fill(better, step)


def _score(criterion: Criterion, predicted: Tensor, y: Tensor, num_classes: int) -> Tensor:
    """Score of each classifier's predictions (num_classifiers, n) for the classes ``y`` (n,), float64.

    Macro-F1 is the mean over the classes that are there or were predicted, as scikit-learn takes it.
    """
    right = predicted == y
    if criterion == "accuracy":
        return right.double().mean(dim=1)
    kinds = torch.arange(num_classes).view(-1, 1, 1)
    hits = (right & (predicted == kinds)).sum(2)  # (num_classes, num_classifiers)
    both = (predicted == kinds).sum(2) + (y == kinds[:, 0]).sum(1, keepdim=True)
    f1 = 2 * hits.double() / both.clamp(min=1)
    return f1.sum(0) / (both > 0).sum(0)
