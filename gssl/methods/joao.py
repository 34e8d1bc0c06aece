"""JOAO and JOAOv2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import ClassVar, Literal, NamedTuple, SupportsInt

import torch
from torch import Tensor, nn

from gssl.augment.drop_node import DropNode
from gssl.augment.graphwise import GraphwiseAugmenter, Step
from gssl.augment.mask_attribute import MaskAttribute
from gssl.augment.perturb_edge import PerturbEdge
from gssl.augment.subgraph import WalkSubgraph
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Fraction, NonNegative, Positive, Probability
from gssl.common.space import Choice, Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.graph.crossing import sent
from gssl.graph.kept import Later, occurrences
from gssl.method import ContrastiveMethod, OverItems
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.objectives.nt_xent import nt_xent
from gssl.objectives.simplex import project_to_simplex

KINDS = ("dropN", "permE", "subgraph", "maskN", "none")
"""The augmentations, by the names of GraphCL's code, in the order of the distribution."""

_NONE = KINDS.index("none")
# Augmentations are compared on batches as large as those of the authors' code. Their number shifts all losses alike,
# and the projection does not see that.
_GRAPHS_AT_ONCE = 128


class Plan(NamedTuple):
    """How a view is made.

    Attributes:
        steps: of each kind but the last, which changes nothing.
        counts: how many graphs are of each kind.
    """

    steps: Sequence[Step]
    counts: Sequence[SupportsInt]


class JOAO(ContrastiveMethod):
    """Graph contrastive learning automated (You et al., 2021, arXiv:2106.07594).

    GraphCL whose pair of augmentations is drawn for each graph from a distribution that training learns: it moves
    towards the pairs with the greatest loss, and ``gamma`` pulls it back to the uniform one (projected gradient
    ascent). The distribution is renewed before each epoch but the first. Losses are those of batches of all graphs in a
    random order; the authors' code takes a fifth of them, and divides by the size of a full batch where the last one is
    smaller. Augmentations, features and batches are those of :class:`~gssl.methods.graphcl.GraphCL`, which says how
    its code, from which theirs is made, has them.

    Args:
        encoder: shared by both views.
        augmented: which views are augmented: ``second`` leaves the first one as it is and learns a distribution over 5
            augmentations, as the authors' code does in unsupervised learning; ``both`` learns one over 25 pairs, as in
            the paper and in their code for semi-supervised learning.
        gamma: weight of the squared distance from the uniform distribution.
        step: of the ascent.
        ratio: share of nodes dropped, of edges replaced, of nodes masked.
        keep: share of nodes kept by ``subgraph``.
        temperature: of the cosine similarity.
        symmetric: whether graphs of both views are anchors; those of the code are of the first view only.

    Raises:
        InputError: ``gamma * step`` exceeds 2.
    """

    levels: ClassVar[tuple[Level, ...]] = ("graph",)
    least_items: ClassVar[int] = 2
    default_encoder: ClassVar[str] = "GIN"
    card: ClassVar[Card] = Card(
        family="cross-view",
        views="those of GraphCL, drawn for each graph from a distribution that moves to the pairs of greatest loss",
        encoders="one for both views, with a projection head",
        objective="NT-Xent of a graph in both views, the other graphs of the batch as negatives",
        time="n² d; before an epoch a pass over all graphs for each augmentation",
        memory="n²; N d for the projections of all N graphs",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "augmented": Choice(("second", "both")),
        "gamma": Float(0.01, 1.0, log=True),
        "ratio": Float(0.05, 0.5),
        "keep": Float(0.1, 0.9),
        "temperature": Float(0.1, 1.0),
        "encoder.num_layers": Int(2, 5),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.epochs": Int(10, 100, log=True),
    }

    probability: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        augmented: Literal["second", "both"] = "second",
        gamma: NonNegative = 0.1,
        step: Positive = 1.0,
        ratio: Probability = 0.2,
        keep: Fraction = 0.8,
        temperature: Positive = 0.2,
        symmetric: bool = False,
    ) -> None:
        if gamma * step > 2:
            raise InputError(
                f"{self.title} with gamma={gamma:g} and step={step:g} would leap ever farther over the "
                "uniform distribution; make gamma * step 2 at most"
            )
        super().__init__(encoder, ())
        self.gamma, self.step = gamma, step
        self.temperature, self.symmetric = temperature, symmetric
        self.options: tuple[GraphwiseAugmenter, ...] = (
            DropNode(ratio=ratio),
            PerturbEdge(ratio=ratio),
            WalkSubgraph(keep=keep),
            MaskAttribute(ratio=ratio),
        )
        every = range(len(KINDS))
        self.pairs = tuple(product(every if augmented == "both" else (_NONE,), every))
        self.register_buffer("probability", torch.full((len(self.pairs),), 1 / len(self.pairs)))
        self.head = self.make_head(encoder.out_dim)

    def make_head(self, dim: int) -> nn.Module:
        """What :meth:`project_as` projects embeddings of ``dim`` columns with."""
        return mlp_head(dim, dim, dim, glorot=True)

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        """One step of the distribution, from the weights as the epoch before has left them."""
        if not epoch:
            return
        old = self.probability.double()
        reward = self.pair_losses(over_items).to(old) - self.gamma * (old - 1 / len(self.pairs))
        self.probability.copy_(project_to_simplex(old + self.step * reward))

    def pair_losses(self, over_items: OverItems) -> Tensor:
        """Loss of each pair if all graphs were augmented by it, with dropout and norms as in training.

        Args:
            over_items: as in :meth:`begin_epoch`.

        Returns:
            Shape (num_pairs,), float64.
        """
        losses: dict[int, Tensor] = {}
        with in_training(self):
            rows = {
                kind: over_items(partial(self._projected, kind=kind)) for kind in sorted({i for i, _ in self.pairs})
            }
            order = torch.randperm(len(rows[_NONE]), generator=self.rng, device=self.rng.device)
            for kind in range(len(KINDS)):
                second = over_items(partial(self._projected, kind=kind))
                for number, (i, j) in enumerate(self.pairs):
                    if j == kind:
                        losses[number] = self._mean_loss(rows[i], second, order)
        return torch.stack([losses[number] for number in range(len(self.pairs))])

    def _projected(self, batch: MiniBatch, *, kind: int) -> Tensor:
        kinds = torch.full((batch.num_graphs,), kind, device=batch.device)
        everywhere = [batch.num_graphs if number == kind else 0 for number in range(len(KINDS))]
        return self.view(batch, kinds, self._plan(batch, kinds, everywhere))

    def _mean_loss(self, first: Tensor, second: Tensor, order: Tensor) -> Tensor:
        parts = order.split(_GRAPHS_AT_ONCE)
        terms = [len(part) * self.objective(first[part], second[part]).double() for part in parts]
        return torch.stack(terms).sum() / len(order)

    def view(self, batch: MiniBatch, kinds: Tensor, plan: Plan | None = None) -> Tensor:
        """Projections of views.

        Args:
            batch: of graphs.
            kinds: number of the augmentation of each graph in ``KINDS``, shape (num_graphs,), int64.
            plan: of the view, if it was made before.

        Returns:
            Shape (num_graphs, dim), float.
        """
        steps, counts = plan or self._plan(batch, kinds)
        for step, count in zip(steps, counts, strict=False):
            if int(count):  # it is dear to walk for nothing
                batch = step(batch, self.rng)
        return self.project_as(self.embed(batch), kinds, [int(count) for count in counts])

    def _plan(self, batch: MiniBatch, kinds: Tensor, counts: Sequence[SupportsInt] = ()) -> Plan:
        """How to make a view; ``counts`` says how many graphs are of each kind, where that is known."""
        counts = counts or [Later(count) for count in occurrences(kinds, len(KINDS)).unbind()]
        return Plan([option.planned(batch, kinds == n) for n, option in enumerate(self.options)], counts)

    def project_as(self, embedding: Tensor, kinds: Tensor, counts: Sequence[int]) -> Tensor:
        """Projections of views.

        Args:
            embedding: of the views, shape (num_graphs, out_dim).
            kinds: what augmented each, shape (num_graphs,), int64.
            counts: how many graphs are of each kind.

        Returns:
            Shape (num_graphs, dim), float.
        """
        projection: Tensor = self.head(embedding)
        return projection

    def objective(self, first: Tensor, second: Tensor, weight: Tensor | None = None) -> Tensor:
        """NT-Xent of two views, a scalar."""
        return nt_xent(first, second, temperature=self.temperature, symmetric=self.symmetric, weight=weight)

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        first, second = projections
        return self.objective(first, second, batch.weight)

    def loss(self, batch: MiniBatch) -> Tensor:
        drawn = self._drawn(batch.num_graphs)
        pairs = sent(torch.tensor(self.pairs), drawn.device)[drawn].unbind(1)
        plans = [self._plan(batch, kinds) for kinds in pairs]  # both before the host waits for what one of them asks
        views = (self.view(batch, kinds, plan) for kinds, plan in zip(pairs, plans, strict=True))
        return self.contrast(batch, *views)

    def _drawn(self, count: int) -> Tensor:
        """Numbers of pairs, shape (count,), int64, drawn by their probabilities."""
        if self.probability.device.type == "cpu" or count < 2:
            return torch.multinomial(self.probability, count, replacement=True, generator=self.rng)
        # A device would be asked whether these are probabilities.
        ends = self.probability.cumsum(0)
        luck = torch.rand(count, dtype=torch.float64, generator=self.rng, device=ends.device)
        return torch.searchsorted((ends / ends[-1]).double(), luck)


class JOAOv2(JOAO):
    """JOAO with a projection head for each augmentation (You et al., 2021, arXiv:2106.07594).

    The head of a view is that of the augmentation that made it. The authors' code draws the augmentation of each graph
    but the head once for an epoch, independently of them, and compares augmentations through the first head alone; this
    is the paper's definition.

    Its options are those of ``JOAO``.
    """

    card: ClassVar[Card] = Card(
        family="cross-view",
        views="those of GraphCL, drawn for each graph from a distribution that moves to the pairs of greatest loss",
        encoders="one for both views, with a projection head for each augmentation",
        objective="NT-Xent of a graph in both views, the other graphs of the batch as negatives",
        time="n² d; before an epoch a pass over all graphs for each augmentation",
        memory="n²; N d for the projections of all N graphs",
    )

    def make_head(self, dim: int) -> nn.Module:
        return nn.ModuleList([mlp_head(dim, dim, dim, glorot=True) for _ in KINDS])

    def project_as(self, embedding: Tensor, kinds: Tensor, counts: Sequence[int]) -> Tensor:
        assert isinstance(self.head, nn.ModuleList)
        order = torch.argsort(kinds, stable=True)
        parts = embedding[order].split(list(counts))
        projected = torch.cat([head(part) for head, part in zip(self.head, parts, strict=True)])
        return projected[torch.argsort(order)]


@contextmanager
def in_training(method: nn.Module) -> Iterator[None]:
    """While entered, the method is in training mode; statistics of batches are put back at the end."""
    before = method.training
    kept = {name: buffer.clone() for name, buffer in method.named_buffers()}
    method.train()
    try:
        yield
    finally:
        method.train(before)
        for name, buffer in method.named_buffers():
            buffer.copy_(kept[name])
