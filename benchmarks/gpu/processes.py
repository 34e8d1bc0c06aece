"""Gradients by DistributedDataParallel, over NCCL on a CUDA device, by one process alone, against those without."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor

from gssl.benchmarks.gpu.report import Case, Report
from gssl.benchmarks.gpu.resume import TOLERANCE, distance
from gssl.benchmarks.gpu.same_random import same_random
from gssl.benchmarks.gpu.setup import Setup
from gssl.benchmarks.gpu.toys import training
from gssl.benchmarks.gpu.trace import told
from gssl.training.device import build_fabric
from gssl.training.group import ALONE
from gssl.training.parallel import Own, Reducer, Shared, ddp_strategy

METHODS = ("BGRL", "GRACE")  # with buffers of its own, and without
_STEPS = 3


def run(setup: Setup, report: Report) -> None:
    """Some steps of plain gradient descent, on the device both times."""
    for name in METHODS:
        report.add(same_steps(name, setup.device))


def same_steps(method: str, device: str) -> Case:
    """Whether gradients of all steps, and weights and buffers in the end, are those of a process without a group."""
    backend = "NCCL" if device == "cuda" else "gloo"
    name = f"{method} by one process over {backend}"
    if not dist.is_available() or (device == "cuda" and not dist.is_nccl_available()):
        return Case(name, "skipped", detail=f"this PyTorch has no {backend}")
    try:
        expected = steps(method, device, shared=False)
        with _world_of_one(device):
            found = steps(method, device, shared=True)
    except Exception as error:
        return Case(name, "failed", detail=told(error))
    worst = distance(expected, found)
    return Case(name, "same" if worst <= TOLERANCE else "differs", worst, TOLERANCE)


def steps(name: str, device: str, *, shared: bool) -> list[Tensor]:
    """Gradients of each step, then weights and buffers, on the CPU.

    Args:
        name: of a method.
        device: ``cpu`` or ``cuda``.
        shared: whether as in a training by several processes, which a group must be there for.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    with same_random(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        method, sampler = training(name, "dense")
        if shared:
            fabric = Fabric(accelerator=device, devices=1, strategy=ddp_strategy(), plugins=[LightningEnvironment()])
            fabric.launch()
        else:
            fabric = build_fabric(device, "32-true")
        fabric.to_device(method)
        reducer: Reducer = Shared(fabric, method, ALONE) if shared else Own()
        loss, found = reducer.of(method.loss), list[Tensor]()
        method.train()
        method.reseed(0, fabric.device)
        for step in range(_STEPS):
            for batch in sampler.epoch(step):
                with reducer.reducing(now=True):
                    fabric.backward(loss(batch.to(fabric.device)))
                found += [p.grad.cpu() for p in method.parameters() if p.grad is not None]
                _descend(method)
                method.after_step((step + 1) / _STEPS)
                reducer.settle()
    return [*found, *(values.detach().cpu().double() for values in method.state_dict().values())]


def _descend(method: torch.nn.Module) -> None:
    with torch.no_grad():
        for parameter in method.parameters():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad, alpha=0.01)
                parameter.grad = None


@contextmanager
def _world_of_one(device: str) -> Iterator[None]:
    """The process group of a training by several processes, in this one alone."""
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    with mock.patch.dict(os.environ):  # in which a launcher leaves its variables
        store = dist.HashStore()  # type: ignore[attr-defined]  # which PyTorch exports without saying so
        dist.init_process_group(backend, store=store, rank=0, world_size=1)
        try:
            yield
        finally:
            dist.destroy_process_group()
