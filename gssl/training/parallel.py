"""One training by several processes: shares of each batch, one gradient, one state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gssl.common.errors import InputError, TrainingError
from gssl.graph.batch import MiniBatch
from gssl.method import Method
from gssl.samplers.base import Sampler
from gssl.training.device import build_fabric, fit_device, resolve_device
from gssl.training.group import Group

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

_DRIFT = 1e-3  # relative difference of the norm of a parameter that processors of different kinds cannot explain

Loss = Callable[[MiniBatch], Tensor]


class Reducer(Protocol):
    """How a loss is computed, and whose gradients its backward pass leaves."""

    def of(self, loss: Loss) -> Loss:
        """The loss, such that its backward pass may find the other processes."""

    def reducing(self, *, now: bool) -> AbstractContextManager[object]:
        """While entered, around loss and backward pass: whether gradients become the mean over all processes."""

    def settle(self) -> None:
        """Make every process have the buffers of the first one; called by all at the same place."""


class Own:
    """A process alone."""

    def of(self, loss: Loss) -> Loss:
        return loss

    def reducing(self, *, now: bool) -> AbstractContextManager[object]:
        return nullcontext()

    def settle(self) -> None:
        """There is nobody else."""


class _Called(nn.Module):
    """What DistributedDataParallel wraps: any loss of a method, as a forward pass.

    DistributedDataParallel prepares for a backward pass at the end of its forward pass and looks for the parameters
    that the result depends on. A loss as a whole must therefore be that forward pass, whatever parts of itself the
    method calls in it, and so must the loss of each player.
    """

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, compute: Callable[[], Tensor]) -> Tensor:
        return compute()


class Shared:
    """A process among several: Fabric's DistributedDataParallel, and buffers of the first process.

    Weights and buffers are those of the first process from the beginning. Gradients of an update are means over the
    processes; those of batches before it add up on each of them until then. Parameters that a loss does not depend on
    (those of other players) are left alone.
    """

    def __init__(self, fabric: Fabric, method: Method, group: Group) -> None:
        self._fabric = fabric
        with group.watched():
            self._wrapped = fabric.setup_module(_Called(method), move_to_device=False)
        self._method = method
        self._group = group
        self._seen: dict[str, tuple[Tensor, int]] = {}
        self._remember()

    def of(self, loss: Loss) -> Loss:
        return lambda batch: self._wrapped(lambda: loss(batch))

    @contextmanager
    def reducing(self, *, now: bool) -> Iterator[None]:
        with self._group.watched(), self._fabric.no_backward_sync(self._wrapped, enabled=not now):
            yield

    @torch.no_grad()
    def settle(self) -> None:
        # DistributedDataParallel would send all buffers before every loss, and some hold a row for every node.
        buffers = dict(self._method.named_buffers())
        if not buffers:
            return
        flags = self._group.most(*(self._changed(name, buffer) for name, buffer in buffers.items()))
        changed = [buffer for flag, buffer in zip(flags, buffers.values(), strict=True) if flag]
        if changed:
            with self._group.watched():
                _from_first(changed)
        self._remember()

    def _remember(self) -> None:
        self._seen = {name: (buffer, buffer._version) for name, buffer in self._method.named_buffers()}

    def _changed(self, name: str, buffer: Tensor) -> bool:
        former, version = self._seen.get(name, (None, 0))
        return former is not buffer or version != buffer._version


def reducer(fabric: Fabric, method: Method, group: Group) -> Reducer:
    """What a training by these processes computes its losses with."""
    return Own() if group.world == 1 else Shared(fabric, method, group)


def build_shared_fabric(device: str, precision: str, group: Group, *, tf32: bool = False) -> Fabric:
    """The device of this process, one of several.

    Raises:
        InputError: as :func:`gssl.training.device.build_fabric`; hosts with different numbers of processes, or fewer
            devices than processes.
    """
    if group.world == 1:
        return build_fabric(device, precision, tf32=tf32)
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    check_devices(device, group)
    accelerator = fit_device(device, precision, tf32=tf32)
    fabric = Fabric(
        accelerator=accelerator,
        devices=group.launch.local_world,
        num_nodes=group.world // group.launch.local_world,
        precision=precision,  # type: ignore[arg-type]  # checked by TrainConfig
        strategy=ddp_strategy(),
        plugins=[TorchElasticEnvironment()],
    )
    fabric.launch()
    return fabric


def ddp_strategy() -> DDPStrategy:
    """How gradients become those of all processes; buffers are settled after each step instead of before."""
    from lightning_fabric.strategies.ddp import DDPStrategy

    return DDPStrategy(find_unused_parameters=True, forward_sync_buffers=False)


def check_devices(device: str, group: Group) -> None:
    """Whether every process has a device of its own.

    Raises:
        InputError: it has not; called by all processes, of which each knows its own host alone.
    """
    if group.world == 1:
        return
    count = group.launch.local_world
    if group.world % count or set(group.gathered(count)) != {count}:
        raise InputError(
            f"{group.world} processes are spread unevenly over the hosts; start as many on each (--nproc-per-node)"
        )
    if resolve_device(device) == "cuda" and (there := torch.cuda.device_count()) < count:
        raise InputError(
            f"{group.name}: {count} processes on this host, but only {there} CUDA devices; start --nproc-per-node "
            f"{there}, or use --device cpu"
        )


def shared_sampler(sampler: Sampler, method: Method, group: Group) -> Sampler:
    """The sampler as this process has it.

    Raises:
        InputError: batches cannot be shared, or have too few targets to be.
    """
    if group.world == 1:
        return sampler
    own = sampler.of_rank(group.rank, group.world)
    least = group.world * method.least_items
    if sampler.targets is not None and sampler.targets < least:
        each = f", each of which needs {method.least_items}," if method.least_items > 1 else ""
        raise InputError(
            f"{group.world} processes{each} cannot share a batch of {sampler.targets}: --batch-size counts the targets "
            f"of all processes together; use at least {least}, or fewer processes"
        )
    return own


def depends_on_world(method: Method, sampler: Sampler) -> bool:
    """Whether the expected gradient of a step depends on how many processes share it.

    It does where targets of a batch have a part in each other's terms: as negatives, in the statistics of a norm, or
    because a sampled neighborhood is normalised by what the batch has sampled.
    """
    norms = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in method.modules())
    return norms or not (method.separable and sampler.separate)


@torch.no_grad()
def require_same_weights(method: Method, group: Group, epoch: int) -> None:
    """Find weights that went apart, which no gradient would ever bring together again.

    Raises:
        TrainingError: a parameter is another one on another process.
    """
    if group.world == 1:
        return
    names, norms = zip(*((n, float(p.double().norm())) for n, p in method.named_parameters()), strict=True)
    found = group.most(*norms, *(-norm for norm in norms))
    for name, high, low in zip(names, found[: len(names)], found[len(names) :], strict=True):
        if high + low > _DRIFT * high + 1e-6:
            raise TrainingError(
                f"the parameter {name} is no longer the same on all processes after epoch {epoch}: the "
                "method changes it by something else than gradients, so that several processes cannot train it"
            )


def _from_first(tensors: list[Tensor]) -> None:
    """Overwrite tensors by those of the first process; any types, one message."""
    parts = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in tensors]
    whole = torch.cat(parts)
    dist.broadcast(whole, 0)
    for tensor, part in zip(tensors, whole.split([len(part) for part in parts]), strict=True):
        tensor.copy_(part.clone().view(tensor.dtype).reshape(tensor.shape))
