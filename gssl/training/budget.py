"""How much memory a training takes at least, told before its first step: a lower bound that is cheap to know."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gssl.common.errors import InputError
from gssl.common.options import options_of
from gssl.graph.batch import MiniBatch
from gssl.graph.gathered import GatheredRows
from gssl.graph.history import History
from gssl.graph.remote import is_remote
from gssl.graph.sparse import SparseMatrix
from gssl.method import Method
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.samplers.pair import PairSampler
from gssl.samplers.placement import Placement, feature_bytes, graph_bytes, placed
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.propagation.saint import Saint
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw, Selection
from gssl.training.config import TrainConfig

_GIB = 2**30
_FLOAT = 4  # bytes
_MOMENTS = {"adam": 2, "adamw": 2, "sgd": 0}
_REACH = ("fanouts", "fanout", "neighbors", "nodes_per_layer", "steps")
"""Options of propagations that say how many neighbors a batch has."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on the device. What is temporary within a layer, and what PyTorch keeps for itself, come on top.

    Attributes:
        weights: parameters, their gradients and the moments of the optimizer, and buffers.
        batch: features, edges and their transposes of one batch.
        activations: outputs of the encoder's layers, which are kept for the way back.
        history: stored rows of all nodes that lie on the device.
        graph: edges and features of all nodes that lie there, so that batches are made there.
    """

    weights: int
    batch: int
    activations: int
    history: int
    graph: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.batch + self.activations + self.history + self.graph


def estimate(method: Method, sampler: Sampler, config: TrainConfig, *, free: int = 0) -> MemoryEstimate:
    """What a training needs at the very least, from sizes alone.

    The batch is a :func:`typical_batch`; of a sampler that has none before training, the targets are counted.

    Args:
        method: its weights, widths and layers count; one view of the batch is counted, and most methods have two.
        sampler: before it is placed on the device; nothing of it changes.
        config: optimizer and precision.
        free: bytes that the device has left, which decide what of the graph will lie there.
    """
    numbers = sum(p.numel() for p in method.parameters() if p.requires_grad)
    fixed = sum(t.numel() * t.element_size() for t in (*method.parameters(), *method.buffers()))
    weights = fixed + numbers * _FLOAT * (1 + _MOMENTS[config.optimizer])
    number = _FLOAT if config.precision == "32-true" else 2
    widths, batch = _widths(method), typical_batch(sampler)
    place = _placement(sampler, free - fixed)  # the weights are there first
    if batch is None:
        graph, targets = getattr(sampler, "graph", None), _targets(sampler)
        rows, taken = targets * sum(widths), 0 if graph is None else targets * graph.in_dim * _FLOAT
    else:
        read_in_place = place.features and isinstance(batch.x, GatheredRows)
        rows = _outputs(batch, widths)
        taken = bytes_of(batch) - (batch.num_nodes * batch.in_dim * _FLOAT if read_in_place else 0)
    return MemoryEstimate(weights, taken, rows * number, _history(method, sampler), _new_bytes(sampler, place))


def typical_batch(sampler: Sampler) -> MiniBatch | None:
    """A batch as those of the training, which are the same as if it had not been made.

    It is the first one, or, where what is drawn depends on what was observed before, that of targets at equal distances
    in the population.

    Returns:
        The batch, on the CPU unless the sampler was placed on a device before; None where it would take long
        (GraphSAINT first counts subgraphs) or read features from another place, and of samplers from outside.
    """
    if isinstance(sampler, FullBatch | GraphBatches):
        return None if sampler.stateful else next(iter(sampler.epoch(0)))
    if not isinstance(sampler, PairSampler) or is_remote(sampler.graph.x) or isinstance(sampler.propagation, Saint):
        return None
    way = sampler.propagation
    draw = sampler.ranks.part(_typical_draw(sampler.selection))
    return way.batch(draw if way.graph.device.type == "cpu" else draw.to(way.graph.device))


def _typical_draw(selection: Selection) -> Draw:
    size, population = selection.batch_size, selection.population
    if selection.stateful:
        ids = population.at(torch.arange(size) * (len(population) // size))
        chance = torch.full((size,), size / len(population), dtype=torch.float64)
        return Draw(ids, chance, Key(selection.seed, 0, 0))
    selection.prepare()
    empty = selection.empty_draws
    draw = next(iter(selection.epoch(0)))
    selection.empty_draws = empty
    return draw


def _outputs(batch: MiniBatch, widths: tuple[int, ...]) -> int:
    """Numbers that come out of the layers of an encoder, the last of which computes the last block."""
    rows = [block.num_dst for block in batch.blocks] or [batch.num_targets]
    rows = [rows[0]] * (len(widths) - len(rows)) + rows
    return sum(count * width for count, width in zip(reversed(rows), reversed(widths), strict=False))


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
        "the graph and its features": needed.graph,
    }
    largest = max(parts, key=lambda name: parts[name])
    smaller = _what_makes_batches_smaller(sampler)
    advice = {
        "the graph in one batch": "train on batches (--sampler graphsage --batch-size 1024)",
        "a batch": f"lower {' or '.join(smaller)}"
        + (", or draw neighbors (--sampler graphsage)" if _takes_all_neighbors(sampler) else ""),
        "the outputs of the layers": "train on batches (--sampler graphsage), or lower encoder.hidden_dim"
        if isinstance(sampler, FullBatch)
        else f"lower {', '.join(smaller)} or encoder.hidden_dim",
        "weights and optimizer": "lower encoder.hidden_dim, or set train.optimizer=sgd",
        "the history": "set sampler.history_storage=pinned or sampler.history_precision=bfloat16",
        "the graph and its features": "set sampler.features_on=host, or sampler.backend=numba, which makes batches on "
        "the CPU",
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
        torch.cuda.empty_cache()  # what a training before this one left unused counts as free
        free, _ = torch.cuda.mem_get_info(device)
        require_memory(estimate(method, sampler, config, free=free), free, sampler)


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


def _what_makes_batches_smaller(sampler: Sampler) -> list[str]:
    own = options_of(type(sampler.propagation)) if isinstance(sampler, PairSampler) else {}
    return ["--batch-size", *(f"sampler.{name}" for name in _REACH if name in own)]


def _takes_all_neighbors(sampler: Sampler) -> bool:
    return isinstance(sampler, PairSampler) and isinstance(sampler.propagation, Exact)


def _placement(sampler: Sampler, free: int) -> Placement:
    """What :meth:`~gssl.samplers.base.Sampler.place` will have on the device."""
    if not isinstance(sampler, PairSampler) or not sampler.propagation.can_move:
        return Placement(graph=False, features=False)
    return placed(sampler.graph, free, sampler.features_on)


def _new_bytes(sampler: Sampler, place: Placement) -> int:
    """Bytes of the graph that are not on the device yet."""
    if isinstance(sampler, PairSampler) and sampler.propagation.graph.device.type != "cpu":
        return 0  # from a training before
    graph = sampler.graph
    return (graph_bytes(graph) if place.graph else 0) + (feature_bytes(graph) if place.features else 0)


def _history(method: Method, sampler: Sampler) -> int:
    store: History | None = sampler.store if isinstance(sampler, PairSampler) else None
    if store is None or store.storage != "device":
        return 0
    hidden = sum(_widths(method)[:-1])
    kinds = 2 if sampler.stores_gradients else 1
    return store.num_nodes * hidden * store.dtype.itemsize * kinds
