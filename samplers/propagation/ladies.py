"""Layer-wise sampling with importance that depends on the layer above."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from gssl.common.options import PositiveInt
from gssl.graph.storage import Graph
from gssl.samplers.probability import inclusion_probability
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.growing import Expansion, Hop
from gssl.samplers.propagation.importance import Candidates, column_sums, squared_entries
from gssl.samplers.propagation.layered import LayeredPropagation, per_layer, positive
from gssl.samplers.rng import uniform

Design = Literal["debiased", "poisson"]


class Ladies(LayeredPropagation):
    """LADIES (Zou et al., 2019, arXiv:1911.07323) with weights that are right: ``n`` sources for a whole layer.

    The candidates are the in-neighbors of the layer above, their importance is in proportion to the squared norm of
    their columns of the normalised adjacency, restricted to the rows of that layer; ``calibrated`` takes the norm
    itself (Chen et al., 2023, arXiv:2206.00583), which has less variance. Every edge of a drawn source into the
    layer is kept. Two designs, both unbiased for sums over neighbors, and so for the embeddings of an encoder
    without activations:

    - ``debiased``: ``n`` sources one after the other without replacement, as in the paper, with the weights of Chen
      et al. (algorithm 1; a mean of Des Raj's estimators that is exact once every candidate is drawn). The paper's
      own weights, ``1 / (n q_u)`` and then a normalisation of the rows, are biased and not offered.
    - ``poisson``: each candidate independently with probability ``min(1, c q_u)``, ``n`` expected, with inverse
      probabilities as weights (PLADIES, Balin and Çatalyürek, 2023, arXiv:2210.13339).

    The destinations stay among the sources with their self loops exact.

    Args:
        graph: where messages flow.
        num_layers: message-passing layers of the encoder.
        nodes_per_layer: sources ``n``, first those for the targets' layer; one number serves every layer.
        design: how they are drawn.
        calibrated: whether importance is the norm of a column instead of its square.
        backend: of the engine; the batches are the same.

    Raises:
        InputError: a number that is not positive, or as many of them as the encoder has not layers.
    """

    unbiased: ClassVar[tuple[Literal["embedding", "gradient"], ...]] = ("embedding",)

    def __init__(
        self,
        graph: Graph,
        *,
        num_layers: int,
        nodes_per_layer: PositiveInt | tuple[PositiveInt, ...] = 512,
        design: Design = "debiased",
        calibrated: bool = False,
        backend: Backend = "auto",
    ) -> None:
        super().__init__(graph, num_layers=num_layers, backend=backend)
        self.nodes_per_layer = positive(per_layer(nodes_per_layer, num_layers, "nodes_per_layer"), "nodes_per_layer")
        self.design = design
        self.calibrated = calibrated

    def hop(self, batch: Expansion, layer: int, stream: int) -> tuple[Hop, Tensor | None]:
        count = self.nodes_per_layer[self.num_layers - 1 - layer]
        nodes, block = batch.nodes, self.graph.block
        rows, position = block.pattern.select_rows(nodes, total=batch.in_edges())
        found = Candidates.of(rows.col.long(), exactly=self.design == "poisson")
        importance = column_sums(squared_entries(block, rows, nodes, position), found.source, len(found.ids))
        if self.calibrated:
            importance = importance.sqrt()
        importance = importance.clamp(min=1e-300)
        number = uniform(stream, found.ids)
        if self.design == "debiased":
            factor = debiased(importance, number, count, found)
        elif len(found.ids) <= count:
            factor = torch.ones_like(importance)
        else:
            chance = inclusion_probability(importance, count).to(number.device)
            factor = torch.where(included(number, chance), 1 / chance, 0.0)
        hop, left = batch.take_kept(rows, position, factor[found.source] > 0)
        return hop, factor[found.source[left]].float()


def debiased(importance: Tensor, number: Tensor, count: int, found: Candidates) -> Tensor:
    """The weight of each candidate, 0 for those that are not drawn, without waiting for a device.

    Args:
        importance: shape (n,), float64, positive.
        number: uniform numbers in [0, 1), shape (n,), float64.
        count: draws.
        found: the candidates.

    Returns:
        Shape (n,), float64; all ones where there are no more candidates than draws.
    """
    if isinstance(found.number, int) and found.number <= count:
        return torch.ones_like(importance)
    real = found.real
    importance = torch.where(real, importance, 0.0)
    chance = importance / importance.cumsum(0)[-1]  # a sum in order, whatever room there is behind
    drawn = successive(torch.where(real, chance, 1.0), torch.where(real, number, 1.0), count)
    factor = torch.zeros_like(chance).index_copy(0, drawn, debiased_weights(chance[drawn], found.number))
    return torch.where(torch.as_tensor(found.number <= count, device=factor.device), 1.0, factor)


def included(number: Tensor, chance: Tensor) -> Tensor:
    """Which items are drawn, each independently of the others; bool, shape (n,)."""
    return number < chance


def successive(chance: Tensor, number: Tensor, count: int) -> Tensor:
    """Items drawn one after the other without replacement, each in proportion to its chance among those left.

    By exponential clocks: item ``i`` rings at rate ``chance[i]``, and the first ``count`` to ring are drawn.

    Args:
        chance: shape (n,), float64, positive.
        number: uniform numbers in [0, 1), shape (n,), float64; 1 for what is drawn last.
        count: draws, at most n.

    Returns:
        Shape (count,), int64, in the order of the draws.
    """
    return torch.argsort(-torch.log1p(-number) / chance, stable=True)[:count]


def debiased_weights(chance: Tensor, population: int | Tensor) -> Tensor:
    """Weights that make ``sum(weight * value)`` unbiased for the sum over the population (Chen et al., 2023, alg. 1).

    The k-th draw gives Des Raj's estimate, the values before it plus ``(1 - their chances) / chance_k`` times its
    own. It enters with share ``alpha_k = n / (k (n - k + 1))``, everything before with the rest. In closed form the
    weight of draw k is ``1 + (alpha_k (1 - sum of chances before) / chance_k - 1) prod_{j > k} (1 - alpha_j)``.

    Args:
        chance: of each draw, in order, shape (count,), float64; the chances of the population sum to 1.
        population: items that could be drawn, at least ``count``.

    Returns:
        Shape (count,), float64, positive.
    """
    k = torch.arange(1, len(chance) + 1, dtype=torch.float64, device=chance.device)
    share = population / (k * (population - k + 1))
    left = 1 - (chance.cumsum(0) - chance)
    later = torch.ones_like(share)
    later[:-1] = (1 - share[1:]).flip(0).cumprod(0).flip(0)
    return 1 + (share * left / chance - 1) * later
