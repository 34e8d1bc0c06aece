"""An encoder of patches that hear of each other between its layers."""

from __future__ import annotations

from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.kept import occurrences
from gssl.models.encoder import LAYER_OUTPUT_ENCODERS, Encoder
from gssl.models.layered import LayeredEncoder
from gssl.models.layers import BatchNorm, jump


def rectified_map(in_dim: int, out_dim: int) -> nn.Sequential:
    """Linear map, batch norm and ReLU."""
    return nn.Sequential(nn.Linear(in_dim, out_dim, bias=False), BatchNorm(out_dim), nn.ReLU())


class PatchEncoder(nn.Module):
    """Embeddings of patches by the layers of an encoder (Graph-ViT, He et al., 2023, arXiv:2212.13350).

    Before each layer but the first a node adds what its patch is about, and a node that is in several patches takes the
    mean of what it is in them, so that patches hear of those that they overlap with.

    Args:
        encoder: whose layers are run one at a time; its jumping knowledge and its readout make the embedding of these.

    Raises:
        InputError: the encoder has no layers that could be.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        if not isinstance(encoder, LayeredEncoder):
            raise InputError(
                f"patches hear of each other between the layers of an encoder, but {encoder.title} is not made of "
                f"layers; use {LAYER_OUTPUT_ENCODERS}"
            )
        self.encoder = encoder
        self.out_dim = encoder.out_dim
        self.summaries = nn.ModuleList(rectified_map(dim, dim) for dim in encoder.layer_dims[:-1])

    def forward(self, view: MiniBatch, rows: Tensor, num_nodes: int) -> Tensor:
        """Embed patches.

        Args:
            view: whose graphs are the patches.
            rows: the node of each row of the view, shape (num_rows,), int64.
            num_nodes: above every node.

        Returns:
            Shape (num_patches, out_dim), float.
        """
        copies = occurrences(rows, num_nodes).clamp(min=1).unsqueeze(1)
        x = self.encoder.step(0, view.block(0), view.x, view)
        outputs = [x]
        for index, summary in enumerate(self.summaries, start=1):
            x = x + summary(self.encoder.pool(x, view))[view.graph_index()]
            means = x.new_zeros(num_nodes, x.shape[1]).index_add(0, rows, x) / copies
            x = self.encoder.step(index, view.block(index), means[rows], view)
            outputs.append(x)
        return self.encoder.pool(jump(outputs, getattr(self.encoder, "jk", "last")), view)
