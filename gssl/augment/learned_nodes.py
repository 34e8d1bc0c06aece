"""Nodes that are kept, dropped or masked by a learned choice."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.augment.graphwise import induced
from gssl.augment.learned import LearnedAugmenter
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.models.node_scores import NodeScores

KEEP, DROP, MASK = 0, 1, 2


def gumbel_choice(logits: Tensor, rng: torch.Generator, *, temperature: float = 1.0) -> Tensor:
    """One choice in each row, differentiable in its logits: one-hot forwards, a soft choice backwards.

    Gumbel softmax with the straight-through estimator (Jang et al., 2017, arXiv:1611.01144).

    Args:
        logits: shape (n, num_options), float.
        rng: on the device of ``logits``.
        temperature: of the soft choice; the lower, the closer to one-hot.

    Returns:
        Shape (n, num_options), of 0 and 1. An option is chosen with the probability that the softmax of its row says.
    """
    gumbel = -torch.empty_like(logits).exponential_(generator=rng).log()
    soft = torch.softmax((logits + gumbel) / temperature, dim=1)
    hard = torch.zeros_like(soft).scatter_(1, soft.argmax(1, keepdim=True), 1.0)
    return hard - soft.detach() + soft


class LearnedNodes(LearnedAugmenter):
    """Keep, drop or mask each node by a choice whose logits a GIN learns (AutoGCL, Yin et al., 2022, arXiv:2109.10259).

    The features of a node are multiplied by what says that it is kept, 1 or 0, and through that the gradient flows.

    Args:
        scores: logits of the nodes, two columns (keep, drop), or three with masking.
        remove: whether dropped nodes leave the graph; else they stay without features and edges, as in the authors'
            code, and through their features gradients reach their logits too.
        temperature: of the soft choice.
    """

    def __init__(self, scores: NodeScores, *, remove: bool = False, temperature: float = 1.0) -> None:
        super().__init__()
        self.scores = scores
        self.remove, self.temperature = remove, temperature

    def choose(self, batch: MiniBatch, rng: torch.Generator) -> tuple[MiniBatch, Tensor]:
        """A view, and what was kept.

        Args:
            batch: whole graphs.
            rng: on the device of the batch.

        Returns:
            The view, and for each node of the batch 1 if it is kept, masked ones too, and 0 if it is dropped, shape
            (num_nodes,), float, differentiable.

        Raises:
            InputError: the batch does not hold whole graphs.
        """
        if not batch.is_square or len(batch.blocks) != 1 or batch.num_targets != batch.num_nodes:
            raise InputError(
                f"{type(self).__name__} needs whole graphs, but the batch was sampled; use a dataset of graphs"
            )
        choice = gumbel_choice(self.scores(batch), rng, temperature=self.temperature)
        kept, chosen = 1 - choice[:, DROP], choice.detach().argmax(1)
        x = dense_features(batch.x)
        seen = x * kept.unsqueeze(1)
        if choice.shape[1] > MASK:
            # The mean of all entries is the token of the authors' code.
            seen = torch.where((chosen == MASK).unsqueeze(1), x.mean().to(seen.dtype), seen)
        view, stays = batch.with_x(seen), chosen != DROP
        if self.remove:
            return induced(view, stays), kept
        edges = view.map_blocks(lambda b: b.filter(stays[b.pattern.row.long()] & stays[b.pattern.col.long()]))
        return edges, kept

    def forward(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        return self.choose(batch, rng)[0]
