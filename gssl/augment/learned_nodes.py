"""Nodes that are kept, dropped or masked by a learned choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.augment.graphwise import edges_between, induced_beside
from gssl.augment.learned import LearnedAugmenter
from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.kept import kept_beside
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


@dataclass(frozen=True, eq=False)
class Decision:
    """What a view keeps, before it is cut.

    Attributes:
        batch: the batch with the features of the view.
        stays: which nodes keep their edges, shape (num_nodes,), bool.
        kept: 1 for each node that is kept, masked ones too, and 0 if it is dropped, shape (num_nodes,), float,
            differentiable.
        remove: whether dropped nodes leave the graph.
    """

    batch: MiniBatch
    stays: Tensor
    kept: Tensor
    remove: bool


def views_by(decisions: Sequence[Decision], numbers: Sequence[Tensor] = ()) -> tuple[list[MiniBatch], tuple[int, ...]]:
    """The views, all of which remove nodes or none, and what integers () on the device are, for one wait."""
    if all(decision.remove for decision in decisions):
        views, _, told = induced_beside([(each.batch, each.stays) for each in decisions], (), numbers)
        return views, told
    masks = []
    for each in decisions:
        (edges,) = edges_between(each.batch, each.stays)
        masks.append(each.batch.blocks[0].pattern.mask(edges))
    left, _, told = kept_beside(masks, (), numbers)
    blocks = [each.batch.blocks[0].left_by(own) for each, own in zip(decisions, left, strict=True)]
    return [_with_block(each.batch, block) for each, block in zip(decisions, blocks, strict=True)], told


def _with_block(batch: MiniBatch, block: Block) -> MiniBatch:
    return batch.map_blocks(lambda _: block)


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
        """A view, and what was kept: :meth:`decide`, and at once the view of what was decided.

        Args:
            batch: whole graphs.
            rng: on the device of the batch.

        Raises:
            InputError: the batch does not hold whole graphs.
        """
        decision = self.decide(batch, rng)
        return views_by([decision])[0][0], decision.kept

    def decide(self, batch: MiniBatch, rng: torch.Generator) -> Decision:
        """What becomes of each node.

        Args:
            batch: whole graphs.
            rng: on the device of the batch.

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
        return Decision(batch.with_x(seen), chosen != DROP, kept, self.remove)

    def forward(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        return self.choose(batch, rng)[0]
