"""GPT-GNN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.augment.mask_edge import MaskEdges
from gssl.augment.shadows import with_shadows
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Fraction, NonNegativeInt, Positive, PositiveInt, Probability
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import Pattern, SparseMatrix, dense_features, select_features
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.edges import among_targets, require_edges_among_targets
from gssl.models.encoder import Encoder
from gssl.models.known import KnownNumbers
from gssl.models.queue import NegativesQueue
from gssl.objectives.queue_info_nce import candidate_info_nce
from gssl.objectives.scaled_cosine import scaled_cosine_error
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler


class GPTGNN(Method):
    """Generative pre-training: attributes and edges of nodes in a random order (Hu et al., 2020, arXiv:2006.15437).

    Some edges are hidden. A node's attributes are generated from what is left of its edges, by a second row that sees
    its neighbors but not itself (:func:`~gssl.augment.shadows.with_shadows`), and compared by their cosine. Then, its
    attributes given, its hidden edges are: of the two ends of each, the one that comes later in a random order must
    know the other from other nodes, and from nodes of former batches in a queue (InfoNCE of cosines).

    This is the method for one graph with one type of nodes, as in the authors' code for Reddit. As there, an order
    decides which end generates an edge and no more: messages go along all visible edges, not from earlier nodes to
    later ones alone, so that over two layers a node's neighbors tell its second row something of its attributes. And as
    there, vectors are compared by cosine, where the paper has a squared distance. There every hidden edge has negatives
    and a piece of the queue of its own, and a node may be its own negative; here all hidden edges of a step share
    theirs, of which the node itself and its neighbors, visible or hidden, do not count. Edges are hidden among all
    nodes of a batch whose embeddings are known, there around the nodes that a subgraph was sampled for. The queue
    begins empty and grows with the training, as there.

    Args:
        encoder: sees the graph without the hidden edges.
        p: share of the edges that are hidden.
        negatives: other nodes that hidden edges are told from, or all where there are fewer.
        queue: nodes of former batches that are negatives, too, at the end of training; 0 for none.
        attribute_weight: of the attributes in the loss; edges have the rest.
        temperature: of the cosines, those of attributes, too.
        dropout: dropout probability on the output of both decoders, which are linear maps.
    """

    title: ClassVar[str] = "GPT-GNN"
    least_items: ClassVar[int] = 2
    card: ClassVar[Card] = Card(
        family="masked reconstruction",
        views="edges hidden; a second row of each node, without its attributes, that receives and does not send",
        encoders="one; a linear map decodes attributes, another one edges",
        objective="cosine of attributes, and InfoNCE of hidden edges against other nodes and those of former batches",
        time="a pass over n more rows; n d f + h d (k + q) (h hidden edges, k negatives, q in the queue)",
        memory="n f + h (k + q)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "p": Float(0.2, 0.8),
        "attribute_weight": Float(0.1, 0.9),
        "temperature": Float(0.05, 1.0, log=True),
        "encoder.hidden_dim": Choice((128, 256, 512)),
        "train.lr": Float(1e-4, 1e-2, log=True),
    }

    filled: Tensor
    used: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        p: Probability = 0.5,
        negatives: PositiveInt = 255,
        queue: NonNegativeInt = 64,
        attribute_weight: Fraction = 0.5,
        temperature: Positive = 0.1,
        dropout: Probability = 0.2,
    ) -> None:
        super().__init__(encoder)
        self.corruption = MaskEdges(p=p)
        self.num_negatives, self.attribute_weight = negatives, attribute_weight
        self.temperature, self.dropout = temperature, dropout
        self.token = nn.Parameter(torch.zeros(encoder.in_dim))
        self.attribute_decoder = nn.Linear(encoder.out_dim, encoder.in_dim)
        self.edge_decoder = nn.Linear(encoder.out_dim, encoder.out_dim)
        self.queue = NegativesQueue(queue, encoder.out_dim) if queue else None
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))  # keys that were pushed
        self.register_buffer("used", torch.zeros((), dtype=torch.int64))  # newest ones that are negatives
        self.numbers = KnownNumbers(self)
        self.own = nn.Identity()  # where the gradients of targets are measured
        self._keys: tuple[Tensor, Tensor | None] | None = None

    @property
    def measured(self) -> nn.Module:
        return self.own

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        require_edges_among_targets(self, sampler)
        if not sampler.graph.num_edges:
            raise InputError("GPT-GNN generates edges, but there are none; use other data, or another method")
        items = sampler.graph.num_nodes
        if isinstance(sampler, PairSampler):
            if sampler.store is not None:
                raise InputError(
                    "GPT-GNN embeds every node a second time, which a history does not have: use a propagation "
                    "without history, for example --sampler clustergcn"
                )
            items = len(sampler.selection.population)
        if self.queue is not None and len(self.queue) > items:
            raise InputError(
                f"a queue of {len(self.queue)} nodes is longer than the data, which have {items}; set --set queue to "
                "less, or to 0 for the other nodes of a batch alone"
            )

    def prepare(self, graph: Graph, seed: int) -> None:
        with torch.no_grad():  # as in the authors' code
            self.token.copy_(graph.derived("mean features", lambda: _mean_features(graph)))

    def loss(self, batch: MiniBatch) -> Tensor:
        count = batch.num_targets
        visible, hidden = self.corruption(batch, self.rng)
        rows = self.encoder(with_shadows(visible, self.token))
        own, shadows = self.own(rows[:count]), rows[count:]
        order = torch.randperm(count, generator=self.rng, device=batch.device)
        pairs = hidden.among(count).edges
        later = order[pairs[0]] > order[pairs[1]]
        pairs = torch.where(later, pairs, pairs.flip(0))  # the end that generates, and the other one
        edges = self.edge_error(own, pairs, among_targets(batch), batch.weight)
        return (1 - self.attribute_weight) * edges + self.attribute_weight * self.attribute_error(shadows, batch)

    def attribute_error(self, shadows: Tensor, batch: MiniBatch) -> Tensor:
        """Scalar: distance of the decoded rows, shape (num_targets, dim), from the features of their targets."""
        targets = torch.arange(batch.num_targets, device=batch.device)
        features = dense_features(select_features(batch.x, targets))
        decoded = F.dropout(self.attribute_decoder(shadows), self.dropout, self.training)
        return scaled_cosine_error(decoded, features, gamma=1.0, weight=batch.weight) / self.temperature

    def edge_error(self, own: Tensor, pairs: Tensor, pattern: Pattern, weight: Tensor | None) -> Tensor:
        """Scalar: how badly ends of hidden edges are told from other nodes.

        Args:
            own: embeddings, shape (num_targets, dim).
            pairs: hidden edges, the end that generates first, shape (2, num_hidden), int64.
            pattern: all edges among the targets.
            weight: importance weight of each target, shape (num_targets,), float; None means 1 each.
        """
        count = len(own)
        chosen = torch.randperm(count, generator=self.rng, device=own.device)[: self.num_negatives]
        self._keys = own[chosen].detach(), None if weight is None else weight[chosen]
        if not pairs.shape[1]:
            nothing: Tensor = self.edge_decoder(own).sum() * 0.0
            return nothing
        candidates, counts = own[chosen], own.new_ones(len(chosen)) if weight is None else weight[chosen]
        known = joined(pattern, chosen)[pairs[0]]
        if self.queue is not None and (used := int(self.numbers["used"])):
            former, former_weight = self.queue.newest(used)
            candidates, counts = torch.cat([candidates, former]), torch.cat([counts, former_weight])
            known = F.pad(known, (0, len(former)))
        return candidate_info_nce(
            F.dropout(self.edge_decoder(own[pairs[0]]), self.dropout, self.training),
            own[pairs[1]],
            candidates,
            known=known,
            temperature=self.temperature,
            candidate_weight=counts,
            weight=None if weight is None else weight[pairs[0]] * weight[pairs[1]],
        )

    def after_step(self, progress: float) -> None:
        if self.queue is None or self._keys is None:
            return
        self.queue.push(*self._keys)
        filled = min(int(self.numbers["filled"]) + len(self._keys[0]), len(self.queue))
        self.numbers["filled"] = filled
        self.numbers["used"] = min(filled, int(progress * len(self.queue)))
        self._keys = None


def joined(pattern: Pattern, chosen: Tensor) -> Tensor:
    """Which of some nodes each node is joined to, whatever the direction, or is itself.

    Args:
        pattern: edges, shape (num_nodes, num_nodes).
        chosen: distinct nodes, shape (n,), int64.

    Returns:
        Shape (num_nodes, n), bool.
    """
    place = torch.full((pattern.num_rows,), -1, device=chosen.device)
    place[chosen] = torch.arange(len(chosen), device=chosen.device)
    # Nodes that were not chosen have the place -1, a last column for them all.
    found = torch.zeros(pattern.num_rows, len(chosen) + 1, dtype=torch.bool, device=chosen.device)
    found[chosen, place[chosen]] = True
    row, col = pattern.row.long(), pattern.col.long()
    for here, there in ((row, place[col]), (col, place[row])):
        found[here, there] = True
    return found[:, :-1]


def _mean_features(graph: Graph) -> Tensor:
    """Mean of the features over the nodes, shape (in_dim,), float."""
    x = graph.x
    if not isinstance(x, SparseMatrix):
        return x.float().mean(0)
    total = x.value.new_zeros(graph.in_dim).index_add(0, x.pattern.col.long(), x.value)
    return total / max(graph.num_nodes, 1)
