"""The network schema view: targets by a few neighbors of each other type."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.graph.hetero import HeteroParts, HeteroSpec
from gssl.graph.sparse import Features, Pattern
from gssl.models.typed import FeatureMap, SemanticAttention


class SchemaView(nn.Module):
    """Attention over drawn neighbors of each type, then over the types (HeCo, arXiv:2105.09111, eq. 2 to 6).

    A target itself is heard by its neighbors' attention alone, never as a message. A target without a neighbor of some
    type gets zeros from that type.

    Args:
        types: of the graph; those that a relation joins to the target are seen.
        dim: of what comes out, and of the targets' rows.
        neighbors: of a node that are drawn, for all types, or for each type by its name.
        dropout: dropout probability of the mapped features of the other types.
        attention_dropout: dropout probability of the queries of both attentions.

    Raises:
        InputError: no type is joined to the target, or ``neighbors`` leaves out a type or names one that is not.
    """

    def __init__(
        self,
        types: HeteroSpec,
        dim: int,
        *,
        neighbors: int | Mapping[str, int],
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        beside = [
            name
            for name, _ in types.types
            if name != types.target and any({a, b} == {name, types.target} for a, _, b in types.relations)
        ]
        self.names = tuple(beside)
        self.neighbors = _numbers(neighbors, self.names, types.target)
        widths = dict(types.types)
        self.dropout, self.attention_dropout = dropout, attention_dropout
        self.maps = nn.ModuleList(FeatureMap(widths[name], dim) for name in self.names)
        # One query of both ends, as in the authors' code; its first half is for the target.
        self.queries = nn.ParameterList(nn.init.xavier_normal_(torch.empty(1, 2 * dim), gain=2**0.5) for _ in beside)
        self.join = SemanticAttention(dim, dropout=attention_dropout)

    def forward(self, targets: Tensor, parts: HeteroParts, rng: torch.Generator) -> Tensor:
        """The embedding of the targets, shape (n, dim).

        Args:
            targets: their rows, which queries see, shape (n, dim).
            parts: what is around them.
            rng: draws the neighbors.
        """
        features = {other.name: other.x for other in parts.others}
        embeddings = [
            self._of_type(number, targets, features[name], parts.neighbors[name], rng)
            for number, name in enumerate(self.names)
        ]
        joined: Tensor = self.join(torch.stack(embeddings))
        return joined

    def _of_type(self, number: int, targets: Tensor, x: Features, pattern: Pattern, rng: torch.Generator) -> Tensor:
        hidden = F.elu(F.dropout(self.maps[number](x), self.dropout, self.training))
        query = F.dropout(self.queries[number], self.attention_dropout, self.training)[0]
        own, other = query.chunk(2)
        drawn, there = draw_neighbors(pattern, self.neighbors[number], rng)
        scores = F.leaky_relu((targets @ own).unsqueeze(1) + (hidden @ other)[drawn])  # slope 0.01, torch's own
        share = scores.softmax(1) * there.unsqueeze(1)
        return F.elu(torch.einsum("nk,nkd->nd", share, hidden[drawn]))


def draw_neighbors(pattern: Pattern, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Some neighbors of every row: without repeats where it has enough, else with them.

    Args:
        pattern: rows have the neighbors in their columns.
        size: how many are drawn for each row.
        rng: on the device of the pattern.

    Returns:
        Columns, shape (num_rows, size), int64, which mean nothing for a row without neighbors; and whether a row has
        any, shape (num_rows,), bool.
    """
    counts, first = pattern.counts.long(), pattern.rowptr[:-1].long()
    device = pattern.col.device
    shuffled = torch.argsort(torch.rand(pattern.nnz, generator=rng, device=device))
    shuffled = shuffled[torch.argsort(pattern.row[shuffled], stable=True)]  # row after row, each in a random order
    repeated = (torch.rand(len(counts), size, generator=rng, device=device) * counts.unsqueeze(1)).long()
    place = torch.arange(size, device=device).expand(len(counts), -1)
    place = torch.where((counts >= size).unsqueeze(1), place, repeated.minimum((counts - 1).clamp(min=0).unsqueeze(1)))
    there = counts > 0
    if pattern.nnz == 0:
        return torch.zeros_like(place), there
    position = (first.unsqueeze(1) + place).clamp(max=pattern.nnz - 1)
    return pattern.col.long()[shuffled[position]], there


def _numbers(neighbors: int | Mapping[str, int], names: tuple[str, ...], target: str) -> tuple[int, ...]:
    if not names:
        raise InputError(
            f"no other type of nodes is joined to {target!r}, so there is no network schema to see; use DMGI, which "
            "needs relations within the type alone"
        )
    if isinstance(neighbors, int):
        return (neighbors,) * len(names)
    if set(neighbors) != set(names):
        raise InputError(
            f"neighbors is for the types {', '.join(map(str, neighbors))}, but those that are joined to {target!r} are "
            f"{', '.join(names)}: give a number for each, or one for all"
        )
    return tuple(neighbors[name] for name in names)
