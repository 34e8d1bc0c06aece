"""Edges and features that go the more often the less important they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gssl.augment.base import Change, PartAugmenter
from gssl.augment.centrality import Ends, drop_probability, edge_weight, feature_weight, log_range
from gssl.augment.mask_feature import keeping_columns
from gssl.common.errors import InputError
from gssl.common.options import Fraction, Probability
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Features


@dataclass(frozen=True, eq=False, kw_only=True)
class AdaptiveDropEdge(PartAugmenter):
    """Drop edges between nodes of low centrality more often (GCA, Zhu et al., 2021, arXiv:2010.14945, sec. 3.2.1).

    Nodes are known by their global ids, so that an edge has the same probability in a sampled batch. Directed edges are
    drawn independently. :meth:`of` makes one from a graph.

    Attributes:
        node: centrality of every node of the graph, shape (num_nodes,), float.
        visible: share of its in-edges that a node keeps on average, shape (num_nodes,), float.
        most: greatest logarithm of the centrality of an edge.
        mean: mean logarithm of the centralities of all edges.
        p: probability of dropping an edge, on average.
        cutoff: greatest probability of dropping an edge.
        ends: whether the centrality of an edge is that of its destination, or the mean of its ends.
    """

    part: ClassVar[Literal["edges"]] = "edges"
    node: Tensor
    visible: Tensor
    most: float
    mean: float
    p: Probability = 0.3
    cutoff: Fraction = 0.7
    ends: Ends = "target"

    @classmethod
    def of(
        cls, block: Block, node: Tensor, *, p: Probability = 0.3, cutoff: Fraction = 0.7, ends: Ends = "target"
    ) -> AdaptiveDropEdge:
        """The augmenter of a graph.

        Args:
            block: all edges of the graph.
            node: centrality of every node, shape (num_nodes,).
            p: probability of dropping an edge, on average.
            cutoff: greatest probability of dropping an edge.
            ends: ``target`` as in GCA's code for every graph, and in the paper for directed ones; ``mean`` as in the
                paper for undirected ones.

        Raises:
            InputError: another number of centralities than of nodes.
        """
        if node.shape != (block.num_dst,):
            raise InputError(f"a graph of {block.num_dst} nodes needs as many centralities (got {tuple(node.shape)})")
        node = node.to(torch.get_default_dtype())
        row, col = block.pattern.row.long(), block.pattern.col.long()
        weight = edge_weight(node[row], node[col], ends)
        most, mean = log_range(weight)
        kept = 1 - drop_probability(weight, p, most=most, mean=mean, cutoff=cutoff)
        if block.weight is not None:
            kept = kept * block.weight.to(kept.dtype)
        degree = block.degree.to(kept.dtype)
        visible = torch.zeros_like(node).index_add(0, row, kept) / degree.where(degree > 0, 1)
        return cls(node=node, visible=visible, most=most, mean=mean, p=p, cutoff=cutoff, ends=ends)

    def drawn(self, batch: MiniBatch, rng: torch.Generator) -> Change:
        node, visible = (values[batch.node_ids] for values in self._on(batch.device))

        def stays(block: Block) -> Tensor:
            block.pattern.be_ready_to_turn()
            weight = edge_weight(node[block.pattern.row.long()], node[block.pattern.col.long()], self.ends)
            chance = drop_probability(weight, self.p, most=self.most, mean=self.mean, cutoff=self.cutoff)
            return torch.rand(block.num_edges, generator=rng, device=rng.device) >= chance

        def expected(block: Block) -> Block:
            if block.full_degree is None:
                return block
            # A sampled block does not hold all edges, so the degrees of the view are known in expectation only.
            return replace(block, full_degree=block.full_degree * visible[: block.num_src])

        filtered = batch.filtering(stays)
        return lambda changed: filtered(changed).map_blocks(expected)

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Centrality and visible share on a device, where they stay."""
        if device not in self._there:
            self._there[device] = self.node.to(device), self.visible.to(device)
        return self._there[device]

    @cached_property
    def _there(self) -> dict[torch.device, tuple[Tensor, Tensor]]:
        return {}


@dataclass(frozen=True, eq=False, kw_only=True)
class AdaptiveMaskFeature(PartAugmenter):
    """Mask dimensions that central nodes rarely use more often (GCA, Zhu et al., 2021, arXiv:2010.14945, sec. 3.2.2).

    A masked dimension is zero for all nodes. :meth:`of` makes one from a graph.

    Attributes:
        weight: of each dimension, shape (in_dim,), float.
        p: probability of masking a dimension, on average.
        cutoff: greatest probability of masking a dimension.
    """

    part: ClassVar[Literal["features"]] = "features"
    weight: Tensor
    p: Probability = 0.3
    cutoff: Fraction = 0.7

    @classmethod
    def of(
        cls,
        x: Features,
        node: Tensor,
        *,
        p: Probability = 0.3,
        cutoff: Fraction = 0.7,
        binary: bool = True,
    ) -> AdaptiveMaskFeature:
        """The augmenter of a graph.

        Args:
            x: features of all nodes, shape (num_nodes, in_dim).
            node: their centrality, shape (num_nodes,).
            p: probability of masking a dimension, on average.
            cutoff: greatest probability of masking a dimension.
            binary: see :func:`~gssl.augment.centrality.feature_weight`.
        """
        weight = feature_weight(x, node, binary=binary)
        return cls(weight=weight.to(torch.get_default_dtype()), p=p, cutoff=cutoff)

    def drawn(self, batch: MiniBatch, rng: torch.Generator) -> Change:
        if rng.device not in self._there:
            most, mean = log_range(self.weight)
            chance = drop_probability(self.weight, self.p, most=most, mean=mean, cutoff=self.cutoff)
            self._there[rng.device] = chance.to(rng.device)
        keep = torch.rand(batch.in_dim, generator=rng, device=rng.device) >= self._there[rng.device]
        return keeping_columns(batch, keep)

    @cached_property
    def _there(self) -> dict[torch.device, Tensor]:
        """The probability of masking each dimension, on each device that asked."""
        return {}
