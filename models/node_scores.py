"""Networks that judge every node: which matter, which should go."""

from __future__ import annotations

from torch import Tensor, nn

from gssl.graph.batch import MiniBatch
from gssl.models.gin import GIN, GINLayer, Init, Order
from gssl.models.layers import BatchNorm


class NodeScores(nn.Module):
    """A GIN whose last layer gives each node some numbers, with batch norm over the nodes of the batch.

    As RGCL and AutoGCL build it: every layer has two linear maps, the last one narrows to the scores.

    Args:
        in_dim: columns of the features.
        hidden_dim: of the layers.
        num_layers: message-passing layers, two at least.
        out_dim: numbers for each node.
        order: what follows a layer first, its activation or its norm; with ``norm-activation`` the scores have no
            activation.
        init: of the linear maps, see :class:`~gssl.models.gin.GIN`.
    """

    def __init__(
        self, in_dim: int, *, hidden_dim: int, num_layers: int, out_dim: int, order: Order, init: Init = "glorot"
    ) -> None:
        super().__init__()
        below = num_layers - 1
        self.nodes = GIN(in_dim, hidden_dim=hidden_dim, num_layers=below, jk="last", order=order, init=init)
        self.last = GINLayer(hidden_dim, hidden_dim, mlp_layers=1, init=init)
        narrow = nn.Linear(hidden_dim, out_dim)
        if init == "glorot":
            nn.init.xavier_uniform_(narrow.weight)
            nn.init.zeros_(narrow.bias)
        final: list[nn.Module] = [] if order == "norm-activation" else [nn.ReLU()]
        self.narrow = nn.Sequential(nn.ReLU(), narrow, *final, BatchNorm(out_dim))

    def forward(self, batch: MiniBatch) -> Tensor:
        """Scores of the nodes of a batch of whole graphs, shape (num_nodes, out_dim), float."""
        hidden: Tensor = self.nodes(batch)
        scores: Tensor = self.narrow(self.last(batch.block(len(batch.blocks) - 1), hidden))
        return scores
