"""Edges that go with a learned probability."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from gssl.augment.learned import LearnedAugmenter
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head

# Uniform numbers stay this far from 0 and 1, as in AD-GCL's code, so that their logits are finite.
_MARGIN = 1e-4


def relaxed_bernoulli(logits: Tensor, rng: torch.Generator, *, temperature: float = 1.0) -> Tensor:
    """Draws in (0, 1) that are close to 0 and 1 and differentiable in their logits.

    ``sigmoid((logits + log u - log(1 - u)) / temperature)`` with u uniform: the concrete distribution (Maddison et al.,
    2017, arXiv:1611.00712; Jang et al., 2017, arXiv:1611.01144).

    Args:
        logits: of the probability of 1, any shape, float.
        rng: on the device of ``logits``.
        temperature: the lower, the closer to 0 and 1.

    Returns:
        The shape of ``logits``, float32 at least. A draw exceeds 1/2 with probability ``sigmoid(logits)`` at every
        temperature.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)  # half precision has no number so close to 1
    uniform = torch.rand(logits.shape, generator=rng, device=logits.device).to(wide)
    noise = torch.logit(_MARGIN + (1 - 2 * _MARGIN) * uniform)
    return torch.sigmoid((logits + noise) / temperature)


class LearnedDropEdge(LearnedAugmenter):
    """Drop edges with learned probabilities (AD-GCL, Suresh et al., 2021, arXiv:2106.05819).

    An encoder embeds the nodes, a two-layer head turns the embeddings of source and destination of each edge into the
    logit of keeping it, and a relaxed draw is the weight of the edge in the view. The two directions of an edge are
    drawn independently, as in the authors' code.

    Args:
        encoder: of the nodes; whole graphs go in.
        hidden_dim: width of the head.
        temperature: of the relaxed draws.
    """

    def __init__(self, encoder: Encoder, *, hidden_dim: int = 64, temperature: float = 1.0) -> None:
        super().__init__()
        self.encoder = encoder
        self.temperature = temperature
        self.head = mlp_head(2 * encoder.out_dim, hidden_dim, 1, glorot=True)

    def logits(self, batch: MiniBatch) -> Tensor:
        """Logit of keeping each edge, shape (num_edges,), float.

        Raises:
            InputError: the batch does not hold whole graphs.
        """
        if not batch.is_square or len(batch.blocks) != 1 or batch.num_targets != batch.num_nodes:
            raise InputError(
                f"{type(self).__name__} needs whole graphs, but the batch was sampled; use a dataset of graphs"
            )
        nodes: Tensor = self.encoder(batch)
        sources, destinations = batch.blocks[0].edge_index
        logits: Tensor = self.head(torch.cat([nodes[sources], nodes[destinations]], dim=1)).squeeze(1)
        return logits

    def weigh(self, batch: MiniBatch, rng: torch.Generator) -> tuple[MiniBatch, Tensor]:
        """A view, and how much of each edge it keeps.

        Args:
            batch: whole graphs.
            rng: on the device of the batch.

        Returns:
            The batch with weighted edges, and the factors of the weights in (0, 1), shape (num_edges,), float.
        """
        kept = relaxed_bernoulli(self.logits(batch), rng, temperature=self.temperature)
        return batch.map_blocks(
            lambda block: replace(block, weight=kept if block.weight is None else block.weight * kept)
        ), kept

    def forward(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        return self.weigh(batch, rng)[0]
