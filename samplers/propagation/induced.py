"""The subgraph of the draw as it is."""

from __future__ import annotations

from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import select_features
from gssl.samplers.propagation.subgraph import SubgraphPropagation
from gssl.samplers.selection.base import Draw


class Induced(SubgraphPropagation):
    """The subgraph induced by the targets, normalised within itself (ClusterGCN; Chiang et al., 2019).

    Source: arXiv:1905.07953; with clusters as targets it is that paper's sampler.

    Biased: messages from outside the draw are missing and degrees are those of the subgraph, so an embedding is one
    of another graph. The bias is small where few edges leave the draw, as with clusters, and is not undone by the
    targets' weights.
    """

    @property
    def complete(self) -> bool:
        return True

    def subgraph(self, draw: Draw) -> MiniBatch:
        growing = self.engine.start(draw.ids, self.engine.into(draw.here))
        hop = growing.inner()
        nodes = growing.nodes
        return MiniBatch(
            x=select_features(self.graph.x, nodes),
            blocks=(self.block(hop.pattern, hop.position, None, None),),
            node_ids=nodes,
            num_targets=len(nodes),
            weight=self.target_weight(draw),
        )
