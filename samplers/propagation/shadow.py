"""A subgraph of its own for each target."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from gssl.common.options import PositiveInt
from gssl.graph.batch import MiniBatch
from gssl.graph.kept import occurrences
from gssl.graph.sparse import select_features
from gssl.graph.storage import Graph
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.neighbor import check_fanouts
from gssl.samplers.propagation.subgraph import SubgraphPropagation
from gssl.samplers.propagation.torch_ops import spread, uniform_numbered
from gssl.samplers.rng import Slot, hash64
from gssl.samplers.selection.base import Draw


class Shadow(SubgraphPropagation):
    """ShaDow with k-hop subgraphs (Zeng et al., 2021, arXiv:2201.07858): encoder depth apart from reach.

    Around each target, ``depth`` hops of at most ``neighbors`` uniform in-neighbors of each new node; the edges are
    all those among the nodes found. The subgraphs lie side by side in one block that serves every layer, targets
    first, then the other nodes subgraph by subgraph; a node is there once in every subgraph that it belongs to.

    Biased by design: an embedding is that of the target in its own small graph, normalised within it, which is
    another function than the encoder on the whole graph. With all neighbors and ``depth`` of at least the encoder's
    layers it is that function for encoders that do not normalise by the degree of sources, for example GraphSAGE.

    Args:
        graph: where messages flow.
        num_layers: message-passing layers of the encoder.
        depth: hops of a subgraph.
        neighbors: new nodes that each node adds, at most; -1 for all.
        backend: of the engine; the batches are the same.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        num_layers: int,
        depth: PositiveInt = 2,
        neighbors: int = 10,
        backend: Backend = "auto",
    ) -> None:
        super().__init__(graph, num_layers=num_layers, backend=backend)
        self.depth = depth
        (self.neighbors,) = check_fanouts(neighbors, 1)

    @property
    def separate(self) -> bool:
        return True

    def subgraph(self, draw: Draw) -> MiniBatch:
        streams = [draw.key.stream(Slot.PROPAGATION + hop) for hop in range(self.depth)]
        nodes, starts, edges = self.egos(draw.ids, streams)
        pattern, position = self.engine.ego_edges(nodes, starts, total=edges)
        return MiniBatch(
            x=select_features(self.graph.x, nodes),
            blocks=(self.block(pattern, position, None, None),),
            node_ids=nodes,
            num_targets=len(draw.ids),
            weight=self.target_weight(draw),
        )

    def egos(self, targets: Tensor, streams: list[int]) -> tuple[Tensor, Tensor, int | None]:
        """The nodes around each target.

        Args:
            targets: shape (n,), int64.
            streams: of each hop.

        Returns:
            The targets, then the other nodes target by target in order of discovery; where those of each target
            begin and end, shape (n + 1,), int64; and how many in-edges all of them have, where that is known.
        """
        size = self.graph.num_nodes
        found, edges = self._found(targets, streams)
        others = found[len(targets) :]
        others = others[torch.argsort(others // size, stable=True)]
        counts = occurrences(others // size, len(targets))
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)]) + len(targets)
        return torch.cat([targets, others % size]), starts, edges

    def _found(self, targets: Tensor, streams: list[int]) -> tuple[Tensor, int | None]:
        """Nodes in order of discovery, each one number with its target, and their in-edges where these are known."""
        pattern, size = self.graph.block.pattern, self.graph.num_nodes

        def own(nodes: Tensor, stream: int) -> Tensor:
            return hash64(hash64(stream, targets[nodes // size]), nodes % size)

        found = torch.arange(len(targets), device=targets.device) * size + targets
        if targets.device.type != "cpu" and self.neighbors > 0:
            together = spread(pattern, found, size, self.neighbors, [partial(own, stream=stream) for stream in streams])
            if together is not None:
                return together
        new = found
        for stream in streams:
            rows, before = new % size, len(found)
            _, _, found, _ = uniform_numbered(pattern, found, rows, self.neighbors, own(new, stream), new - rows)
            new = found[before:]
        return found, None
