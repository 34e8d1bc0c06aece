"""What propagations have in common that draw a block for each layer, from the targets down."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.first import FirstAggregates, without_edges
from gssl.graph.plan import Plan
from gssl.graph.sparse import BatchFeatures, gathered_features, select_features
from gssl.graph.storage import Graph
from gssl.samplers.propagation.base import Backend, Propagation
from gssl.samplers.propagation.expansion import Engine
from gssl.samplers.propagation.growing import Expansion, Hop
from gssl.samplers.rng import Slot
from gssl.samplers.selection.base import Draw


class LayeredPropagation(Propagation):
    """Base of propagations that draw, for each layer, edges into all nodes of the layer above.

    The destinations of a block are its first sources, so self loops are exact, and ``full_degree`` makes encoders
    normalise as in the whole graph unless a subclass has other ``degrees``. Each layer draws anew, independently of
    the others. A draw that asks for exact embeddings gets every edge.

    Args:
        graph: where messages flow.
        num_layers: message-passing layers of the encoder.
        backend: of the engine; the batches are the same.
        precompute: aggregates the features once, before training, so that the first layer needs no neighbors and has
            no sampling error; for methods that do not augment features and edges.
    """

    def __init__(self, graph: Graph, *, num_layers: int, backend: Backend = "auto", precompute: bool = False) -> None:
        super().__init__(graph, num_layers=num_layers)
        self.engine = Engine(graph.block.pattern, backend)
        self.first = FirstAggregates(graph.block, graph.x) if precompute else None

    @property
    def can_move(self) -> bool:
        return self.engine.backend != "numba"

    def place(self, graph: Graph) -> None:
        super().place(graph)
        self.engine = self.engine.on(graph.block.pattern)

    @property
    def notes(self) -> tuple[str, ...]:
        return self.engine.notes

    @abstractmethod
    def hop(self, batch: Expansion, layer: int, stream: int) -> tuple[Hop, Tensor | None]:
        """Edges into the nodes of the batch so far.

        Args:
            batch: the nodes that need an embedding, which the hop enlarges.
            layer: of the encoder, from 0.
            stream: of random numbers, the layer's own.

        Returns:
            The hop, and the factor of each edge's weight, shape (nnz,), float32; None for ones.
        """

    def streams(self, draw: Draw) -> list[int]:
        """The random stream of each layer."""
        return [draw.key.stream(Slot.PROPAGATION + layer) for layer in range(self.num_layers)]

    def degrees(self, nodes: Tensor, hops: list[tuple[Hop, Tensor | None]]) -> list[Tensor]:
        """For each layer, the in-degree that encoders normalise by, of at least the sources of its block.

        Args:
            nodes: ids of the batch, shape (num_nodes,), int64.
            hops: of each layer, the encoder's first layer first.
        """
        return [self.graph.block.degree[nodes]] * len(hops)

    def batch(self, draw: Draw) -> MiniBatch:
        growing, streams = self.engine.start(draw.ids, self.engine.into(draw.here)), self.streams(draw)
        hops: list[tuple[Hop, Tensor | None]] = []
        for layer in reversed(range(0 if self.first is None else 1, self.num_layers)):
            if draw.exact:
                hops.append((growing.uniform(-1, 0), None))
            else:
                hops.append(self.hop(growing, layer, streams[layer]))
        nodes = growing.nodes
        hops.reverse()
        degrees = (
            [self.graph.block.degree.index_select(0, nodes)] * len(hops) if draw.exact else self.degrees(nodes, hops)
        )
        turned = draw.step or not draw.exact  # the way back of a checkpoint ends before the encoder
        blocks = tuple(
            self.block(*hop, degree, layer=layer, turned=turned)
            for layer, (hop, degree) in enumerate(zip(hops, degrees, strict=True))
        )
        if self.first is not None:
            blocks = (without_edges(len(nodes), self.engine.pattern), *blocks)
        return MiniBatch(
            x=self.features(nodes, ahead=not draw.is_awaited),
            blocks=blocks,
            node_ids=nodes,
            num_targets=len(draw.ids),
            weight=self.target_weight(draw),
            plan=Plan(first=self.first),
        )

    def features(self, nodes: Tensor, *, ahead: bool) -> BatchFeatures:
        """Features of the sources of the first block; copies where the layer needs the rows themselves."""
        if self.first is not None:
            return select_features(self.graph.x, nodes)
        return gathered_features(self.graph.x, nodes, ahead=ahead)

    def block(self, hop: Hop, factor: Tensor | None, degree: Tensor, *, layer: int = 0, turned: bool = True) -> Block:
        """The block of a hop.

        Args:
            hop: its edges.
            factor: of each edge's weight, shape (nnz,), or None for ones.
            degree: weighted in-degree in the graph of the batch's nodes, at least those of the hop.
            layer: the first of those drawn that it serves.
            turned: whether somebody may ask for its transpose.
        """
        whole = self.graph.block
        weight = factor
        if whole.weight is not None:
            weight = whole.weight[hop.position]
            if factor is not None:
                weight = weight * factor.to(weight.dtype)
        return Block(
            self.engine.with_transpose(hop.pattern, layer) if turned else hop.pattern,
            weight,
            None if whole.edge_attr is None else whole.edge_attr[hop.position],
            degree[: hop.pattern.num_cols],
        )


def inverse_share(hop: Hop) -> Tensor:
    """In-degree over number of chosen edges of the row of each edge, shape (nnz,), float32."""
    counts = hop.pattern.counts
    share = hop.degree.float() / counts.clamp(min=1)
    return share.repeat_interleave(counts, output_size=hop.pattern.nnz)


def per_layer(values: int | tuple[int, ...], num_layers: int, name: str) -> tuple[int, ...]:
    """One number for each layer; a single one is repeated.

    Args:
        values: a number, or a tuple of them.
        num_layers: of the encoder.
        name: of the option, for the message.

    Raises:
        InputError: neither one nor as many as there are layers.
    """
    given = (values,) if isinstance(values, int) else tuple(values)
    if len(given) == 1:
        return given * num_layers
    if len(given) != num_layers:
        what = "more layers than blocks" if len(given) < num_layers else "fewer layers than blocks"
        raise InputError(
            f"{what}: {name} has {len(given)} numbers, the encoder {num_layers} layers; "
            "give one for each layer, or one for all"
        )
    return given


def positive(values: tuple[int, ...], name: str) -> tuple[int, ...]:
    """The values.

    Raises:
        InputError: one is not positive.
    """
    if min(values) < 1:
        raise InputError(f"{name} must be positive (got {values})")
    return values
