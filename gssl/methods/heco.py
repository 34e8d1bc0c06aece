"""HeCo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Fraction, Positive, PositiveInt, Probability
from gssl.common.space import Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.hetero import HeteroParts, pattern_of
from gssl.graph.sparse import Pattern
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.models.metapath import MetaPathGCN
from gssl.models.schema import SchemaView
from gssl.objectives.positives import multi_positive_nce
from gssl.samplers.base import Sampler


class HeCo(Method):
    """Heterogeneous graph learning by co-contrast (Wang et al., 2021, arXiv:2105.09111).

    A node is seen by its neighbors of the other types (network schema) and by the nodes that meta-paths join to it;
    neither view sees what the other does. Both are projected, and a node agrees with its positives in the other view:
    nodes that many meta-paths join to it. The embedding is that of the meta-paths.

    The four sets of the authors' repository bring their positives, which are used. For others they are computed as
    the repository's script does, by the share of a node's paths that lead to another one, summed over the meta-paths;
    a node is always its own positive here, and of equal nodes those with the lower number count, where the script takes
    any. Weights start as in the authors' code, whose denominators have an additional 1e-8. With ``train.patience`` the
    weights that are returned are those after the update of the best epoch; the code keeps those before it.

    Args:
        encoder: ``MetaPathGCN`` with mapped features: the view of the meta-paths.
        neighbors: of a node that are drawn in every step, for every type, or for each type by its name.
        temperature: of the cosine similarity.
        balance: share of the anchors of the meta-path view in the loss (the paper's lambda).
        positives: of each node, itself included, where the data bring none.
        dropout: dropout probability of the mapped features of the other types; that of the target is
            ``encoder.dropout``.
        attention_dropout: dropout probability of the queries in the schema view; that of the meta-paths is
            ``encoder.attention_dropout``.
    """

    needs_types: ClassVar[bool] = True
    default_encoder: ClassVar[str] = "MetaPathGCN"
    card: ClassVar[Card] = Card(
        family="cross-view",
        views="network schema (drawn neighbors of the other types); meta-paths",
        encoders="one for each view over shared features of the target, with a shared projection head",
        objective="InfoNCE of a node in one view and its positives in the other, all other nodes as negatives",
        time="n² d + p d (p: pairs of nodes joined by meta-paths)",
        memory="n d + p (similarities are made piece by piece)",
        whole_graph="its views are made of the relations of all nodes, of which a sampled batch has none",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "temperature": Float(0.3, 1.0),
        "dropout": Float(0.0, 0.6),
        "attention_dropout": Float(0.0, 0.6),
        "encoder.dropout": Float(0.0, 0.6),
        "positives": Int(2, 100, log=True),
        "train.lr": Float(1e-4, 1e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        neighbors: PositiveInt | Mapping[str, PositiveInt] = 5,
        temperature: Positive = 0.8,
        balance: Fraction = 0.5,
        positives: PositiveInt = 5,
        dropout: Probability = 0.3,
        attention_dropout: Probability = 0.5,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, MetaPathGCN) or encoder.project is None:
            raise InputError(
                "HeCo needs features that both views share, and an encoder of meta-paths: use --encoder MetaPathGCN "
                "with encoder.project=true"
            )
        self.temperature, self.balance, self.num_positives = temperature, balance, positives
        dim = encoder.out_dim
        self.paths = encoder
        self.schema = SchemaView(
            encoder.types, dim, neighbors=neighbors, dropout=dropout, attention_dropout=attention_dropout
        )
        self.head = mlp_head(dim, dim, dim, activation="elu")
        for layer in self.head:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight, gain=2**0.5)
        self.positives: Pattern | None = None

    def prepare(self, graph: Graph, seed: int) -> None:
        parts = graph.hetero
        if parts is None:
            raise InputError("HeCo needs a graph with several types of nodes")
        if parts.positives is not None:
            self.positives = graph.derived("given positives", lambda: _with_own(parts.positives))
            return
        count = self.num_positives
        self.positives = graph.derived(f"positives {count}", lambda: most_joined(parts, graph.num_nodes, count))

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        graph = sampler.graph
        given = graph.hetero is not None and graph.hetero.positives is not None
        if not given and self.num_positives > graph.num_nodes:
            raise InputError(
                f"positives={self.num_positives} is more than the {graph.num_nodes} nodes that there are: lower it"
            )

    def loss(self, batch: MiniBatch) -> Tensor:
        parts, inputs = self.paths.parts(batch), self.paths.inputs(batch)
        assert isinstance(inputs, Tensor)
        by_paths = self.paths.join(self.paths.along(inputs, batch))
        by_schema = self.schema(inputs, parts, self.rng)
        return multi_positive_nce(
            self.head(by_paths),
            self.head(by_schema),
            positives=self._positives_of(batch),
            temperature=self.temperature,
            balance=self.balance,
            weight=batch.weight,
        )

    def _positives_of(self, batch: MiniBatch) -> Pattern:
        """The positives by the rows of a batch, which holds every node once, in any order."""
        if self.positives is None:
            raise InputError("HeCo knows no positives yet; call prepare(graph, seed) first")
        known = self.positives = self.positives.to(batch.device)
        if torch.equal(batch.node_ids, torch.arange(batch.num_nodes, device=batch.device)):
            return known
        place = torch.argsort(batch.node_ids)
        return pattern_of(place[known.row.long()], place[known.col.long()], batch.num_nodes, batch.num_nodes)


def most_joined(parts: HeteroParts, count: int, size: int) -> Pattern:
    """The nodes that meta-paths join most strongly to each node, which itself is always one of them.

    Args:
        parts: with the meta-paths.
        count: number of nodes.
        size: greatest number of positives of a node.
    """
    places, shares = [torch.zeros(0, dtype=torch.int64)], [torch.zeros(0)]
    for path in parts.meta_paths:
        row, col = path.pattern.row.long(), path.pattern.col.long()
        number = torch.ones(len(row)) if path.count is None else path.count
        total = torch.ones(count).index_add(0, row, number)  # of the paths of a node, one of them to itself
        places.append(row * count + col)
        shares.append(number / total[row])
    keys, where = torch.cat(places).unique(return_inverse=True)
    share = torch.zeros(len(keys)).index_add(0, where, torch.cat(shares))
    best = torch.argsort(share, descending=True, stable=True)  # keys are in order: of equal ones the lower id first
    best = best[torch.argsort(keys[best] // max(count, 1), stable=True)]
    row = keys[best] // max(count, 1)
    first = torch.searchsorted(row, row)  # where the row begins
    kept = best[torch.arange(len(best)) - first < size - 1]
    own = torch.arange(count)
    row, col = keys[kept] // max(count, 1), keys[kept] % max(count, 1)
    return pattern_of(torch.cat([row, own]), torch.cat([col, own]), count, count)


def _with_own(pattern: Pattern | None) -> Pattern:
    """The positives that the data bring; a node that has none is its own."""
    assert pattern is not None
    alone = (pattern.counts == 0).nonzero()[:, 0]
    row, col = torch.cat([pattern.row.long(), alone]), torch.cat([pattern.col.long(), alone])
    return pattern_of(row, col, pattern.num_rows, pattern.num_cols)
