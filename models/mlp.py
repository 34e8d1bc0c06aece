"""Multilayer perceptron: the encoder that ignores the edges."""

from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import Neutral
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import BatchFeatures, Features, Pattern, SparseMatrix, select_features
from gssl.models.encoder import Encoder
from gssl.models.layers import Layer, Norm
from gssl.models.ops import matmul
from gssl.models.stack import StackedEncoder


class MLPLayer(Layer):
    """``X_self W + b``."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(in_dim, out_dim)))
        self.bias = nn.Parameter(torch.zeros(out_dim))

    def forward(self, block: Block, x: Features) -> Tensor:
        if block.num_dst < block.num_src:
            rows = torch.arange(block.num_dst, device=x.device)
            x = x.select_rows(rows) if isinstance(x, SparseMatrix) else x[: block.num_dst]
        return matmul(x, self.weight) + self.bias


class MLPEncoder(StackedEncoder):
    """Multilayer perceptron on the node features; edges are ignored.

    Args:
        residual: whether a layer that is as wide as its input adds it to its output; the first layer never does.
        last_norm: whether the norm, without an activation, follows the last layer where ``final_activation`` is false.
    """

    def __init__(
        self,
        in_dim: int,
        *,
        residual: Annotated[bool, Neutral(False)] = False,
        last_norm: Annotated[bool, Neutral(False)] = False,
        **inherited: Any,
    ) -> None:
        super().__init__(in_dim, **inherited)
        self.residual = residual
        if last_norm and len(self.norms) < self.num_layers:
            kind, momentum = inherited.get("norm", "none"), inherited.get("norm_momentum", 0.1)
            self.norms.append(Norm(kind, self.layer_dims[-1], momentum=momentum))
            self.activations.append(nn.Identity())

    def step(self, index: int, block: Block, x: BatchFeatures, batch: MiniBatch) -> Tensor:
        if not (self.residual and index):
            return super().step(index, block, x, batch)
        assert isinstance(x, Tensor)
        x = F.dropout(x, self.dropout, self.training)
        out = self.finished(index, self.layers[index](block, x), batch)
        return out + x[: block.num_dst] if x.shape[1] == out.shape[1] else out

    def make_layer(self, in_dim: int, out_dim: int) -> MLPLayer:
        return MLPLayer(in_dim, out_dim)

    def outputs(self, batch: MiniBatch) -> list[Tensor]:
        # Propagation with history takes layers apart and would leave the shortcut out; nothing is read from it anyway.
        return super().outputs(batch.planned(history=None) if self.residual else batch)

    def of_rows(self, batch: MiniBatch, count: int | None = None) -> Tensor:
        """Embeddings of the rows of a batch, those of neighbors too; its edges are not looked at.

        Args:
            batch: whose features are embedded.
            count: of the first rows; None for all.

        Returns:
            Shape (count, out_dim), float.
        """
        count = batch.num_nodes if count is None else count
        ids = batch.node_ids[:count]
        x = batch.x if count == batch.num_nodes else select_features(batch.x, torch.arange(count, device=ids.device))
        offsets = torch.zeros(count + 1, dtype=torch.int32, device=ids.device)
        rows: Tensor = self(MiniBatch(x, (Block(Pattern(offsets, offsets[:0], count)),), ids, count))
        return rows


def require_mlp(encoder: Encoder, method: str) -> None:
    """For methods that embed nodes without their neighbors.

    Args:
        encoder: what a method is given.
        method: how messages name it.

    Raises:
        InputError: the encoder is another one.
    """
    if not isinstance(encoder, MLPEncoder):
        raise InputError(
            f"{method} embeds nodes by their own features alone, but the encoder {encoder.title} hears from neighbors; "
            "use --encoder MLP"
        )
