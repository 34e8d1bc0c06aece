"""ProGCL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gssl.augment.centrality import Centrality, Ends
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Fraction, Positive, PositiveInt, Probability, UsedWith
from gssl.common.seeds import derive_seed
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.crossing import sent
from gssl.graph.storage import Graph
from gssl.method import OverItems
from gssl.methods.gca import GCA
from gssl.models.encoder import Encoder
from gssl.models.known import KnownNumbers
from gssl.objectives.beta_mixture import BetaMixture
from gssl.objectives.hardness import mixed_info_nce, reweighted_info_nce
from gssl.samplers.base import Sampler


class ProGCL(GCA):
    """Rethinking hard negative mining in graph contrastive learning (Xia et al., 2022, arXiv:2110.02027).

    GCA for a share ``start`` of the training. Then a mixture of two beta distributions is fitted to the similarities of
    nodes in two views, of which the lower one is taken for those of true negatives. From then on a negative is as hard
    as it is similar, times its probability of being a true one, and counts by that (``weight``), or the hardest are
    mixed into further negatives (``mix``).

    As in the authors' code (junxia97/ProGCL) the mixture is fitted once, and hardness stays that of the start epoch,
    with the pair (i, j) of the first and the second view for all four kinds of pairs of i and j. The code begins at a
    given epoch and keeps a matrix of all pairs in float64; here the projections of that epoch are kept, and hardness is
    made of them piece by piece. They are those of two augmented views with the encoder as in evaluation, where the code
    takes those of the step. Centrality is that of eigenvectors, which the code starts from and no file of its
    parameters changes.

    Args:
        encoder: shared by both views.
        mode: whether hard negatives count more, or are mixed into further ones.
        start: share of the training after which hardness counts, from the next epoch on; the epochs before are GCA's,
            which alone is what a share of 1 would be.
        upper_share: share of the upper distribution where fitting begins, ``weight_init`` of the code.
        fit_steps: of expectation and maximisation.
        fit_columns: nodes whose similarities to all others the mixture is fitted to.
        synthetic: negatives that are mixed for each node by ``mix``; a batch with fewer nodes mixes all of them.
        drop_edge: mean edge-drop probability of each view.
        mask_feature: mean feature-mask probability of each view.
        temperature: of the cosine similarity.
        projector_dim: width of the two-layer ELU projection head.
        centrality: what makes a node important.
        cutoff: greatest probability of dropping an edge or masking a feature.
        ends: whether the importance of an edge is that of the node that it points to, or the mean of both ends.
        binary: whether a node has a feature or not, for words; false counts absolute values, for continuous features.
    """

    card: ClassVar[Card] = Card(
        family="cross-view",
        views="edges and columns of features dropped by centrality, as in GCA; two draws",
        encoders="one for both views, with a projection head",
        objective="InfoNCE whose negatives count by similarity times the probability of being true ones (a mixture of "
        "two beta distributions), or with further negatives mixed of hard ones",
        time="n² d",
        memory="n d (similarities are made piece by piece)",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        **{name: space for name, space in GCA.search_space.items() if name != "centrality"},
        "mode": Choice(("weight", "mix")),
        "upper_share": Float(0.01, 0.3, log=True),
    }

    first: Tensor
    second: Tensor
    mixture: Tensor
    started: Tensor
    progress: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        mode: Literal["weight", "mix"] = "weight",
        start: Probability = 0.16,
        upper_share: Fraction = 0.05,
        fit_steps: PositiveInt = 10,
        fit_columns: PositiveInt = 100,
        synthetic: Annotated[PositiveInt, UsedWith("mode", "mix")] = 1000,
        drop_edge: tuple[Probability, Probability] = (0.3, 0.4),
        mask_feature: tuple[Probability, Probability] = (0.1, 0.0),
        temperature: Positive = 0.4,
        projector_dim: PositiveInt = 128,
        centrality: Centrality = "eigenvector",
        cutoff: Fraction = 0.7,
        ends: Ends = "target",
        binary: bool = True,
    ) -> None:
        super().__init__(
            encoder,
            drop_edge=drop_edge,
            mask_feature=mask_feature,
            temperature=temperature,
            projector_dim=projector_dim,
            centrality=centrality,
            cutoff=cutoff,
            ends=ends,
            binary=binary,
        )
        if not 0 < upper_share < 1:
            raise InputError(f"upper_share must be above 0 and below 1, so that there is a mixture (got {upper_share})")
        self.mode, self.start, self.temperature, self.synthetic = mode, start, temperature, synthetic
        self.upper_share, self.fit_steps, self.fit_columns = upper_share, fit_steps, fit_columns
        self.numbers = KnownNumbers(self)

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        nodes = sampler.graph.num_nodes
        if self.mode == "mix" and self.synthetic >= nodes:
            raise InputError(
                f"ProGCL cannot mix the {self.synthetic} hardest of the {nodes - 1} negatives of a node; choose --set "
                f"synthetic of at most {nodes - 1}"
            )

    def prepare(self, graph: Graph, seed: int) -> None:
        super().prepare(graph, seed)
        self._seed = seed
        for name in ("first", "second"):
            self.register_buffer(name, torch.zeros(graph.num_nodes, self.encoder.out_dim))
        self.register_buffer("mixture", torch.ones(3, 2, dtype=torch.float64))
        self.register_buffer("started", torch.tensor(False))
        self.register_buffer("progress", torch.tensor(0.0, dtype=torch.float64))
        self.numbers.forget()

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        if self.numbers["started"] or self.numbers["progress"] < self.start:
            return
        both = over_items(lambda batch: torch.cat([self._unit(view) for view in self.drawn_views(batch)], dim=1))
        first, second = both.to(self.first.dtype).chunk(2, dim=1)
        rng = torch.Generator().manual_seed(derive_seed(self._seed, "mixture"))
        columns = sent(torch.randint(len(second), (self.fit_columns,), generator=rng), second.device)
        start = BetaMixture.start(self.upper_share).sent(second.device)
        found = start.fitted(_similarity(first, second[columns]).flatten(), steps=self.fit_steps)
        self.first.copy_(first)
        self.second.copy_(second)
        self.mixture.copy_(torch.stack([found.alpha, found.beta, found.share]))
        self.numbers["started"] = True

    def _unit(self, view: MiniBatch) -> Tensor:
        return normalize(self.project(self.embed(view)), dim=1)

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        if not self.numbers["started"]:
            return super().contrast(batch, *projections)
        ids, mixture = batch.node_ids[: batch.num_targets], BetaMixture(*self.mixture)
        first, second = self.first[ids], self.second[ids]

        def hardness(rows: slice) -> Tensor:
            similarity = _similarity(first[rows], second)
            return mixture.lower(similarity).mul_(similarity)

        one, two = projections
        if self.mode == "weight":
            return reweighted_info_nce(one, two, hardness, temperature=self.temperature, weight=batch.weight)
        mixed = min(self.synthetic, len(ids) - 1)
        order = torch.randperm(mixed, generator=self.rng, device=ids.device)
        return mixed_info_nce(one, two, hardness, order, temperature=self.temperature, weight=batch.weight)

    def after_step(self, progress: float) -> None:
        self.numbers["progress"] = progress


def _similarity(rows: Tensor, others: Tensor) -> Tensor:
    """Cosines of unit vectors, moved to [0, 1], shape (rows, others)."""
    return (rows @ others.T).add_(1).div_(2)
