"""Layer-wise inference: exact embeddings of graphs that do not fit one pass."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.cut import restrict_rows
from gssl.graph.sparse import Features, select_features
from gssl.graph.storage import Graph
from gssl.models.layers import jump
from gssl.models.stack import StackedEncoder


def _in_memory(num_nodes: int, part: Tensor) -> Tensor:
    return part.new_empty(num_nodes, part.shape[1])


@torch.no_grad()
def embed_layerwise(
    encoder: StackedEncoder,
    graph: Graph,
    *,
    rows: int = 65536,
    device: torch.device | None = None,
    place: Callable[[int, Tensor], Tensor] = _in_memory,
) -> Tensor:
    """Embed every node, one layer at a time and a chunk of nodes at a time.

    What lies on the device at once is the input and output of one layer for one chunk and its neighbours; the
    layers' outputs stay on the CPU. In evaluation mode the result is that of one pass.

    Args:
        encoder: in evaluation mode.
        graph: on the CPU.
        rows: nodes in a chunk.
        device: where to compute; the encoder's by default.
        place: makes room for the output of a layer, given the number of nodes and the output of some, shape (n, dim).

    Returns:
        Shape (num_nodes, out_dim), float, on the CPU.
    """
    device = device or next(encoder.parameters()).device
    x: Features = graph.x
    outputs: list[Tensor] = []
    for layer in range(encoder.num_layers):
        out: Tensor | None = None
        for chunk in torch.arange(graph.num_nodes).split(rows):
            block, sources = restrict_rows(graph.block, chunk)
            batch = MiniBatch(select_features(x, sources), (block,), sources, chunk.numel()).to(device)
            part = encoder.step(layer, batch.blocks[0], batch.x, batch).cpu()
            out = place(graph.num_nodes, part) if out is None else out
            out[chunk[0] : chunk[0] + chunk.numel()] = part
        assert out is not None  # a graph has nodes
        x = out
        outputs = [out] if encoder.jk == "last" else [*outputs, out]  # what is not needed is let go
    return jump(outputs, encoder.jk)
