"""Single parts of the program on plain objects of PyG: a view, a sampler in one's own loop, a probe on a tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from gssl.api.given import label_tensor, whole, without_labels
from gssl.augment.base import Augmenter
from gssl.common.errors import InputError
from gssl.common.options import options_of, validate
from gssl.config.components import SAMPLER_RESERVED, item_probe, sampler_factory
from gssl.config.options import settled
from gssl.datasets.assemble import default_metric
from gssl.datasets.convert import as_dataset
from gssl.datasets.labels import make_labels
from gssl.datasets.splits import mask_splits, preset_split
from gssl.datasets.types import Dataset, Split
from gssl.evaluate.judge import Judgement
from gssl.evaluate.judge import judge as judge_dataset
from gssl.graph.batch import MiniBatch
from gssl.graph.precision import single_precision
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.registry import AUGMENTERS
from gssl.samplers.base import Sampler
from gssl.samplers.full import GraphBatches
from gssl.samplers.pair import PairSampler

_BATCH_SIZE = 512


@single_precision()
def augment_data(augmenter: str | Augmenter, data: Any, *, seed: int = 0, **options: Any) -> Data:
    """A view of a graph as PyG has it.

    Args:
        augmenter: a registered name (``gssl list augmenters``), with its options as keywords, or an augmenter.
        data: a PyG ``Data``, or a networkx graph.
        seed: of the draw; the same seed gives the same view.
        options: of a named augmenter.

    Returns:
        ``x``, ``edge_index`` and, where there are any, ``edge_weight`` and ``edge_attr`` of the view; ``n_id`` is the
        node in ``data`` that each row stands for. Edges are in the order of their targets.

    Raises:
        InputError: no such augmenter or option, or unusable data.
    """
    if isinstance(augmenter, str):
        factory = AUGMENTERS.get(augmenter)
        augmenter = factory(**validate(factory, options, what=f"augmenter {augmenter}"))
    elif options:
        raise InputError(f"options such as {next(iter(options))!r} go with the name of an augmenter, not with one")
    view = augmenter(as_dataset(without_labels(data)).graph.full_batch(), torch.Generator().manual_seed(seed))
    block = view.blocks[0]
    found = Data(x=dense_features(view.x), edge_index=block.edge_index, n_id=view.node_ids)
    if block.weight is not None:
        found.edge_weight = block.weight
    if block.edge_attr is not None:
        found.edge_attr = block.edge_attr
    return found


@dataclass(frozen=True, eq=False)
class SampledBatch:
    """A mini-batch for one's own training loop.

    Attributes:
        n_id: global ids of the rows of ``x``, the targets first, shape (num_nodes,), int64.
        x: features of these nodes, shape (num_nodes, in_dim), float.
        layers: for each layer ``(edge_index, edge_weight, num_targets)``: the first layer first, sources in row 0;
            weights are None or of shape (num_edges,); the layer's outputs are those of its first ``num_targets`` rows.
        weight: what to multiply the loss of each target by, so that ``(weight * loss).sum() / num_nodes_of_the_graph``
            estimates the mean over all nodes; shape (batch_size,), float.
        batch: the same batch as gssl's own encoders take it.
    """

    n_id: Tensor
    x: Tensor
    layers: tuple[tuple[Tensor, Tensor | None, int], ...]
    weight: Tensor
    batch: MiniBatch

    @property
    def batch_size(self) -> int:
        """Targets."""
        return self.batch.num_targets


@dataclass(frozen=True, eq=False)
class LoopSampler:
    """A sampler in one's own loop: ``for batch in sampler.epoch(0): ...``.

    Attributes:
        sampler: gssl's own.
        num_layers: of the model.
    """

    sampler: Sampler
    num_layers: int

    def epoch(self, epoch: int) -> Iterator[SampledBatch]:
        """The batches of an epoch; the same seed and epoch give the same batches everywhere."""
        for batch in self.sampler.epoch(epoch):
            if batch.plan.refresh:
                continue
            weight = torch.ones(batch.num_targets) if batch.weight is None else batch.weight
            yield SampledBatch(batch.node_ids, dense_features(batch.x), self._layers(batch), weight, batch)

    def observe(self, batch: SampledBatch, gradient_norms: Tensor) -> None:
        """Tell the gradient norm of each target, shape (batch_size,); only ``minvar`` selections learn from it."""
        self.sampler.observe(batch.batch, gradient_norms)

    def _layers(self, batch: MiniBatch) -> tuple[tuple[Tensor, Tensor | None, int], ...]:
        blocks = [batch.block(layer) for layer in range(self.num_layers)]
        return tuple((block.edge_index, block.weight, block.num_dst) for block in blocks)


@single_precision()
def sample(
    data: Any,
    sampler: str = "graphsage",
    *,
    batch_size: int | None = None,
    num_layers: int = 2,
    seed: int = 0,
    **options: Any,
) -> LoopSampler:
    """Any selection and propagation in one's own training loop.

    Args:
        data: a PyG ``Data``, a list of them, or a networkx graph.
        sampler: a name (``gssl list samplers``) or a pair such as ``degree+labor``.
        batch_size: expected targets in a batch; None for 512, or all nodes of a smaller graph.
        num_layers: message-passing layers of the model.
        seed: of the draws.
        options: of the sampler.

    Raises:
        InputError: no such sampler or option; or one that keeps a history, which only gssl's encoders can read.
    """
    graph: Graph = as_dataset(without_labels(data)).graph
    factory = sampler_factory(sampler)
    values = settled(factory, [options], what=f"sampler {sampler}", reserved=SAMPLER_RESERVED)
    known = options_of(factory)
    size = min(_BATCH_SIZE, graph.num_nodes) if batch_size is None else whole("batch_size", batch_size, 1)
    num_layers = whole("num_layers", num_layers, 1)
    given = {"batch_size": size, "num_layers": num_layers, "seed": seed}
    if isinstance(factory, type) and issubclass(factory, GraphBatches) and graph.ptr is None:
        raise InputError(f"the sampler {sampler} draws whole graphs: give a list of Data, or name a sampler of nodes")
    made = factory(graph, **values, **{key: value for key, value in given.items() if key in known})
    if isinstance(made, PairSampler) and made.store is not None:
        raise InputError(
            f"the sampler {sampler} keeps a history, which only gssl's own encoders can read; use one without, such as "
            "graphsage, labor or clustergcn"
        )
    return LoopSampler(made, num_layers)


@single_precision()
def judge(
    embeddings: Tensor, y: Tensor, *, probe: str = "LBFGS", split: Any = None, seed: int = 0, **options: Any
) -> Judgement:
    """Put a probe to a tensor of embeddings.

    Args:
        embeddings: shape (num_items, dim), float.
        y: labels as PyG has them, shape (num_items,) or (num_items, columns).
        probe: a name (``gssl list probes``).
        split: ids or masks of training, validation and test items, as a tuple of three tensors; None leaves it to the
            probe.
        seed: of the split and of the classifier.
        options: of the probe.

    Raises:
        InputError: labels, split and probe do not fit each other.
    """
    embeddings = torch.as_tensor(embeddings)
    if embeddings.dim() != 2 or not bool(embeddings.isfinite().all()):
        raise InputError(
            f"embeddings must be finite numbers of shape (num_items, dim), but these have shape "
            f"{tuple(embeddings.shape)}" + (" and some that are not finite" if embeddings.dim() == 2 else "")
        )
    labels = make_labels(label_tensor(y), len(embeddings))
    judged = item_probe(probe, options)
    empty = Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), embeddings)
    level = judged.levels[0]
    if level == "graph":
        empty = Graph(empty.block, empty.x, torch.arange(len(embeddings) + 1))
    given = _splits(split, len(embeddings))
    dataset = Dataset("embeddings", level, empty, labels, splits=given, metric=default_metric(labels))
    verdict = judge_dataset(judged, embeddings, dataset, seed)
    if given and not {own.hash for own in verdict.splits} <= {own.hash for own in given}:
        raise InputError(f"probe {judged.name} draws splits of its own; leave out split, or use probe='LBFGS'")
    return verdict


def _splits(split: Any, num_items: int) -> tuple[Split, ...]:
    if split is None:
        return ()
    if isinstance(split, Mapping) or len(split) != 3:
        raise InputError(
            "split must be three lists of ids or masks, in this order: training, validation and test items"
        )
    train, val, test = (torch.as_tensor(part) for part in split)
    if train.dtype == torch.bool:
        return mask_splits("public", train, val, test)
    return (preset_split("public", num_items, train, val, test),)
