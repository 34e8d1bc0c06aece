"""InfoGraph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from gssl.augment.base import Identity
from gssl.common.card import Card
from gssl.common.space import Choice, Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.method import ContrastiveMethod
from gssl.models.encoder import Encoder
from gssl.objectives.jsd import local_global_jsd


class InfoGraph(ContrastiveMethod):
    """InfoGraph: unsupervised graph-level representations (Sun et al., 2020, arXiv:1908.01000).

    Every node agrees with the graph that it is in and not with the other graphs of the batch (Jensen-Shannon).
    The paper's prior-matching term is left out, as in its published unsupervised results.

    ``--setting auxiliary`` is the paper's first semi-supervised form (section 3.3), the loss on the labels plus a
    weighted one of all graphs by the same encoder; in the authors' code that is ``--use-unsup-loss`` without
    ``--separate-encoder``. That code takes as many labelled graphs as others in each step, weighs by 0.001
    (``setting.weight`` is 1 unless it is set) and predicts with a perceptron of one hidden layer where the head here is
    linear. The second form, InfoGraph*, has another encoder for the unsupervised loss and lets the graph embeddings of
    both agree; it is left out.
    """

    least_items: ClassVar[int] = 2
    card: ClassVar[Card] = Card(
        family="cross-scale",
        views="the graphs themselves",
        encoders="one, with a head for nodes and one for graphs",
        objective="Jensen-Shannon: every node agrees with its graph, and not with the other graphs of the batch",
        time="v n d + v d²",
        memory="v (n + d)",
    )
    levels: ClassVar[tuple[Level, ...]] = ("graph",)
    default_encoder: ClassVar[str] = "GIN"
    search_space: ClassVar[Mapping[str, Space]] = {
        "encoder.hidden_dim": Choice((16, 32, 64, 128)),
        "encoder.num_layers": Int(2, 6),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.epochs": Int(5, 100, log=True),
        "train.batch_size": Choice((32, 64, 128, 256)),
    }

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder, [Identity()])
        self.local_head = ResidualHead(encoder.out_dim)
        self.global_head = ResidualHead(encoder.out_dim)

    def loss(self, batch: MiniBatch) -> Tensor:
        nodes = self.encoder(batch)
        graphs = self.encoder.pool(nodes, batch)
        return self.contrast(batch, self.local_head(nodes), self.global_head(graphs))

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        local, summary = projections
        return local_global_jsd(local, summary, batch.graph_index(), weight=batch.weight)


class ResidualHead(nn.Module):
    """Three linear maps, each with a ReLU, beside a linear shortcut: the projection of InfoGraph's code.

    Args:
        dim: input and output dimension.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.block = nn.Sequential(*(part for _ in range(3) for part in (nn.Linear(dim, dim), nn.ReLU())))
        self.shortcut = nn.Linear(dim, dim)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, dim) to (n, dim)."""
        out: Tensor = self.block(x) + self.shortcut(x)
        return out
