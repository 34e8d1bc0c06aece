"""Uniform neighbor sampling."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.block import Block
from gssl.graph.storage import Graph
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.growing import Expansion, Hop
from gssl.samplers.propagation.layered import LayeredPropagation, inverse_share, per_layer

Weights = Literal["sampled", "ht"]


class Neighbor(LayeredPropagation):
    """Uniform neighbor sampling without replacement (GraphSAGE, Hamilton et al., 2017, arXiv:1706.02216, alg. 2).

    Each destination keeps ``k = min(fanout, degree)`` of its in-edges, every subset equally likely. Two forms:

    - ``sampled``, the field's practice (PyG's ``NeighborLoader`` with its layers, and this class's default): the chosen
      edges stand for themselves, and encoders normalise by the number of chosen edges; a node whose own neighbors
      were not drawn has degree zero. A mean over neighbors stays one; a sum shrinks by ``k / degree``, and GCN's
      symmetric normalisation is off in both factors, which biases embeddings and gradient however many batches are
      averaged.
    - ``ht``: weights grow by ``degree / k`` and encoders normalise as in the whole graph. Sums over neighbors are
      then Horvitz-Thompson estimates: unbiased, and so are the embeddings of an encoder without activations, whose
      layers draw independently. Activations, and a loss that is not linear in the embedding, bias both embedding
      and gradient by an amount of the order of the variance.

    Args:
        graph: where messages flow.
        num_layers: message-passing layers of the encoder.
        fanouts: in-edges of each node, first those of the targets (the encoder's last layer), as PyG counts them;
            one number serves every layer, -1 means all in-edges.
        weights: the form.
        backend: of the engine; the batches are the same.
        precompute: as in :class:`~gssl.samplers.propagation.layered.LayeredPropagation`; with ``weights`` ``ht`` only.

    Raises:
        InputError: a fan-out that is neither -1 nor positive, as many of them as the encoder has not layers, or
            ``precompute`` with weights ``sampled``.
    """

    unbiased: ClassVar[tuple[Literal["embedding", "gradient"], ...]] = ()

    def __init__(
        self,
        graph: Graph,
        *,
        num_layers: int,
        fanouts: int | tuple[int, ...] = 10,
        weights: Weights = "sampled",
        backend: Backend = "auto",
        precompute: bool = False,
    ) -> None:
        super().__init__(graph, num_layers=num_layers, backend=backend, precompute=precompute)
        if precompute and weights == "sampled":
            raise InputError(
                "aggregated features are normalised as in the whole graph, which weights=sampled is not: "
                "set sampler.weights=ht, or sampler.precompute=false"
            )
        self.fanouts = check_fanouts(fanouts, num_layers)
        self.weights = weights

    @property
    def separate(self) -> bool:
        return self.weights == "ht"

    @property
    def complete(self) -> bool:
        return self.fanouts[0] < 0

    def hop(self, batch: Expansion, layer: int, stream: int) -> tuple[Hop, Tensor | None]:
        fanout = self.fanouts[self.num_layers - 1 - layer]
        hop = batch.uniform(fanout, stream)
        return hop, None if fanout < 0 or self.weights == "sampled" else inverse_share(hop)

    def degrees(self, nodes: Tensor, hops: list[tuple[Hop, Tensor | None]]) -> list[Tensor]:
        if self.weights == "ht":
            return super().degrees(nodes, hops)
        found, below = [], self.graph.block.degree.new_zeros(len(nodes))
        for hop, _ in hops:
            degree = below.clone()
            degree[: hop.pattern.num_rows] = self._chosen(hop)
            found.append(degree)
            below = degree
        return found

    def _chosen(self, hop: Hop) -> Tensor:
        """Weighted number of chosen edges of each row."""
        weight = self.graph.block.weight
        return Block(hop.pattern, None if weight is None else weight[hop.position]).degree


def check_fanouts(fanouts: int | tuple[int, ...], num_layers: int) -> tuple[int, ...]:
    """One fan-out a layer, the targets' first; the errors are those of :class:`Neighbor`."""
    given = per_layer(fanouts, num_layers, "fanouts")
    for fanout in given:
        if fanout < 1 and fanout != -1:
            raise InputError(f"a fan-out must be positive, or -1 for all in-edges (got {fanout} in fanouts={given})")
    return given
