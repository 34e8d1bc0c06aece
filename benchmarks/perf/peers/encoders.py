"""Encoders and heads in PyG's own layers, for libraries that leave these to their user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv, GINConv, global_add_pool

Maker = Callable[[], nn.Module]


class Layers(nn.Module):
    """GCN layers of some widths, each with what is behind it.

    Args:
        widths: of the features and of each layer.
        activation: makes the activation of a layer.
        final: whether there is one behind the last layer, too.
        norms: makes the batch norm of a layer from its width.
    """

    def __init__(
        self,
        *widths: int,
        activation: Maker = nn.ReLU,
        final: bool = True,
        norms: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.convs = nn.ModuleList([GCNConv(*pair) for pair in pairs])
        self.ends = nn.ModuleList()
        for number, width in enumerate(widths[1:], 1):
            last = number == len(pairs) and not final
            norm = nn.Identity() if norms is None or last else norms(width)
            self.ends.append(nn.Sequential(norm, nn.Identity() if last else activation()))

    def outputs(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> list[Tensor]:
        """What each layer gives, (num_nodes, width)."""
        found = []
        for conv, end in zip(self.convs, self.ends, strict=True):
            x = end(conv(x, edge_index, edge_weight))
            found.append(x)
        return found

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        return self.outputs(x, edge_index, edge_weight)[-1]


class Isomorphism(nn.Module):
    """GIN with batch norm behind the activation of each layer, all layers side by side, as GraphCL's code has it."""

    def __init__(self, in_dim: int, hidden: int, layers: int) -> None:
        super().__init__()
        widths = [in_dim, *[hidden] * layers]
        maps = [nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, b)) for a, b in pairwise(widths)]
        self.convs = nn.ModuleList([GINConv(each) for each in maps])
        self.norms = nn.ModuleList([nn.BatchNorm1d(hidden) for _ in maps])

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes (num_nodes, layers * hidden) and graphs (num_graphs, layers * hidden)."""
        found = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x, edge_index).relu())
            found.append(x)
        return torch.cat(found, dim=1), torch.cat([global_add_pool(each, batch) for each in found], dim=1)


class Shortcut(nn.Module):
    """Linear maps with an activation behind each, beside a linear shortcut: the heads of InfoGraph and MVGRL."""

    def __init__(self, in_dim: int, out_dim: int, activation: Maker = nn.ReLU) -> None:
        super().__init__()
        widths = (in_dim, out_dim, out_dim)
        self.block = nn.Sequential(*(part for width in widths for part in (nn.Linear(width, out_dim), activation())))
        self.shortcut = nn.Linear(in_dim, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.block(x) + self.shortcut(x)
        return projected


def head(widths: Sequence[int], activation: Maker = nn.ReLU) -> nn.Sequential:
    """Linear maps with an activation between them."""
    first = [m for a, b in pairwise(widths[:-1]) for m in (nn.Linear(a, b), activation())]
    return nn.Sequential(*first, nn.Linear(widths[-2], widths[-1]))
