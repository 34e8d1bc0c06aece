"""Bias and variance of the mini-batch gradient of several samplers, at the same frozen weights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean, median

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.samplers.pair import PairSampler
from gssl.variance.frozen import FrozenMethod
from gssl.variance.moments import Error, Moments


@dataclass(frozen=True)
class SamplerError:
    """What one sampler does to the gradient.

    Attributes:
        total: error of the whole gradient.
        layers: error of each layer's gradient, relative to that layer's own.
        embedding: relative squared error of the output of each layer, a mean over batches.
        ms_per_batch: median milliseconds to make a batch.
        ms_per_step: median milliseconds of its forward and backward pass.
        nodes: mean number of different nodes in a batch.
        edges: mean number of edges of all its different blocks.
        draws: batches that were measured.
    """

    total: Error
    layers: dict[str, Error]
    embedding: list[float]
    ms_per_batch: float
    ms_per_step: float
    nodes: float
    edges: float
    draws: int


@dataclass
class _Cost:
    batch: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    edges: list[int] = field(default_factory=list)


def measure(
    frozen: FrozenMethod, truth: list[Tensor], exact: list[Tensor], sampler: PairSampler, draws: int
) -> SamplerError:
    """Redraw batches and compare their gradients with the full one.

    Args:
        frozen: the method.
        truth: its full gradient.
        exact: output of each layer on the whole graph.
        sampler: draws the batches; its history and norms must have been settled.
        draws: how many batches, at least 2.
    """
    moments, cost = Moments(truth, frozen.groups()), _Cost()
    errors: list[list[float]] = []
    for number, (batch, seconds) in enumerate(_batches(sampler, draws)):
        cost.batch.append(seconds)
        start = time.perf_counter()
        batch = frozen.placed(batch)
        gradient = frozen.gradient(batch, number)
        if batch.device.type == "cuda":
            torch.cuda.synchronize()
        cost.step.append(time.perf_counter() - start)
        moments.add(gradient)
        cost.nodes.append(len(batch.node_ids.unique()))
        cost.edges.append(sum(block.num_edges for block in {id(b): b for b in batch.blocks}.values()))
        errors.append(_embedding_errors(frozen, batch, exact))
    return SamplerError(
        total=moments.error(),
        layers={name: moments.error(name) for name in moments.groups},
        embedding=[fmean(layer) for layer in zip(*errors, strict=True)],
        ms_per_batch=1000 * median(cost.batch),
        ms_per_step=1000 * median(cost.step),
        nodes=fmean(cost.nodes),
        edges=fmean(cost.edges),
        draws=draws,
    )


def _batches(sampler: PairSampler, draws: int) -> Iterator[tuple[MiniBatch, float]]:
    """Batches that an update would follow, with the seconds that making each took."""
    epoch = 0
    while draws:
        batches = sampler.epoch(epoch)
        while draws:
            start = time.perf_counter()
            batch = next(batches, None)
            seconds = time.perf_counter() - start
            if batch is None:
                break
            if batch.plan.step:
                draws -= 1
                yield batch, seconds
        epoch += 1


def _embedding_errors(frozen: FrozenMethod, batch: MiniBatch, exact: list[Tensor]) -> list[float]:
    found = frozen.layer_outputs(batch)
    errors = []
    for own, true in zip(found, exact, strict=True):
        rows = true[batch.node_ids[: len(own)]]
        errors.append(float((own - rows).square().sum() / rows.square().sum().clamp(min=torch.finfo(own.dtype).tiny)))
    return errors
