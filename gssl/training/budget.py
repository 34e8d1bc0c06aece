"""How much memory a training takes at least, told before its first step: a lower bound that is cheap to know."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.history import History
from gssl.graph.sparse import SparseMatrix
from gssl.method import Method
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch
from gssl.samplers.pair import PairSampler
from gssl.training.config import TrainConfig

_GIB = 2**30
_FLOAT = 4  # bytes
_MOMENTS = {"adam": 2, "adamw": 2, "sgd": 0}


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on the device. What is temporary within a layer, and what PyTorch keeps for itself, come on top.

    Attributes:
        weights: parameters, their gradients and the moments of the optimizer, and buffers.
        batch: features, edges and their transposes of one batch.
        activations: outputs of the encoder's layers, which are kept for the way back.
        history: stored rows of all nodes that lie on the device.
    """

    weights: int
    batch: int
    activations: int
    history: int

    @property
    def total(self) -> int:
        return self.weights + self.batch + self.activations + self.history


def estimate(method: Method, sampler: Sampler, config: TrainConfig) -> MemoryEstimate:
    """What a training needs at the very least, from sizes alone.

    Args:
        method: its weights, widths and layers count; one view of the batch is counted, and most methods have two.
        sampler: of the whole graph, what the batch holds is known; of others, only its targets.
        config: optimizer and precision.
    """
    numbers = sum(p.numel() for p in method.parameters() if p.requires_grad)
    fixed = sum(t.numel() * t.element_size() for t in (*method.parameters(), *method.buffers()))
    weights = fixed + numbers * _FLOAT * (1 + _MOMENTS[config.optimizer])
    whole = isinstance(sampler, FullBatch)
    rows = sampler.graph.num_nodes if whole else _targets(sampler)
    width = sum(_widths(method))
    number = _FLOAT if config.precision == "32-true" else 2
    batch = bytes_of(sampler.graph.full_batch()) if whole else rows * sampler.graph.in_dim * _FLOAT
    return MemoryEstimate(weights, batch, rows * width * number, _history(method, sampler))


def bytes_of(batch: MiniBatch) -> int:
    """Bytes of a batch on a device, with the transposes that its first backward pass makes."""
    x = batch.x
    if isinstance(x, SparseMatrix):
        edges = x.pattern.nnz
        features = x.value.numel() * x.value.element_size() + edges * x.pattern.col.element_size()
    else:
        features = batch.num_nodes * batch.in_dim * _FLOAT
    total = features + batch.node_ids.numel() * 8
    for block in {id(block): block for block in batch.blocks}.values():
        index = block.pattern.col.element_size()
        total += block.num_edges * (2 * index + 8)  # columns, those of the transpose, and its order
        total += (block.num_dst + block.num_src) * index
        for values in (block.weight, block.edge_attr, block.full_degree):
            total += 0 if values is None else values.numel() * values.element_size()
    return total


def require_memory(needed: MemoryEstimate, free: int, sampler: Sampler) -> None:
    """Refuse a training that cannot fit.

    Args:
        needed: at least.
        free: bytes that the device has left.
        sampler: says what can be lowered.

    Raises:
        InputError: it needs more than there is; the message says what to lower.
    """
    if needed.total <= free:
        return
    parts = {
        "the graph in one batch" if isinstance(sampler, FullBatch) else "a batch": needed.batch,
        "the outputs of the layers": needed.activations,
        "weights and optimizer": needed.weights,
        "the history": needed.history,
    }
    largest = max(parts, key=lambda name: parts[name])
    advice = {
        "the graph in one batch": "train on batches (--sampler graphsage --batch-size 1024)",
        "a batch": "lower --batch-size",
        "the outputs of the layers": "train on batches (--sampler graphsage), or lower encoder.hidden_dim"
        if isinstance(sampler, FullBatch)
        else "lower --batch-size or encoder.hidden_dim",
        "weights and optimizer": "lower encoder.hidden_dim, or set train.optimizer=sgd",
        "the history": "set sampler.history_storage=pinned or sampler.history_precision=bfloat16",
    }[largest]
    raise InputError(
        f"the GPU has {free / _GIB:.2f} GiB of memory left, but this training needs at least {needed.total / _GIB:.2f} "
        f"GiB, {parts[largest] / _GIB:.2f} of it for {largest}: {advice}, or use --device cpu"
    )


def check_memory(method: Method, sampler: Sampler, config: TrainConfig, device: torch.device) -> None:
    """:func:`require_memory` of the device, where that is CUDA.

    Raises:
        InputError: as there.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        require_memory(estimate(method, sampler, config), free, sampler)


def _widths(method: Method) -> tuple[int, ...]:
    try:
        return method.encoder.layer_dims
    except InputError:  # a module of somebody else's, which does not give them
        return (method.encoder.out_dim,)


def _targets(sampler: Sampler) -> int:
    if isinstance(sampler, PairSampler):
        return sampler.selection.batch_size
    size = getattr(sampler, "batch_size", None)
    return size if isinstance(size, int) else 1  # a sampler of the user's own


def _history(method: Method, sampler: Sampler) -> int:
    store: History | None = sampler.store if isinstance(sampler, PairSampler) else None
    if store is None or store.storage != "device":
        return 0
    hidden = sum(_widths(method)[:-1])
    kinds = 2 if sampler.stores_gradients else 1
    return store.num_nodes * hidden * store.dtype.itemsize * kinds
