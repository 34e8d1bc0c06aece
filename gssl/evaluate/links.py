"""Judges of links: scores of pairs of nodes from frozen embeddings."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import PositiveInt
from gssl.common.seeds import derive_seed
from gssl.datasets.links import non_edges
from gssl.datasets.types import LinkSplit, Metric
from gssl.evaluate.base import Judge, ProbeScore
from gssl.evaluate.metrics import hits_cutoff
from gssl.evaluate.ranking import evaluate_links

Scorer = Callable[[Tensor, Tensor], Tensor]
PairDecoder = Callable[[Tensor, Tensor], Tensor]
"""Logits (m,) of pairs (2, m), int64, from embeddings (n, dim); see ``Method.pair_decoder``."""

_CHUNK = 1 << 21  # numbers that are gathered together
_GROUPED: tuple[Metric, ...] = ("mrr", "hits@1", "hits@3", "hits@10")  # what OGB's Evaluator gives for such negatives


class LinkProbe(Judge):
    """One protocol: how pairs are scored, and what is chosen on validation pairs.

    The configuration is the keyword-only ``__init__``; ``version`` is raised whenever scores could change.

    Attributes:
        metrics: what is reported, as far as it is defined; the first is what choices are made on.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        "roc_auc",
        "average_precision",
        "hits@10",
        "hits@20",
        "hits@50",
        "hits@100",
        "mrr",
    )

    @classmethod
    def tasks(cls) -> tuple[str, ...]:
        return ("link",)

    def using(self, decoder: PairDecoder | None) -> LinkProbe:
        """The probe for embeddings of a method with this decoder; most judge embeddings alone.

        Raises:
            InputError: the probe needs a decoder, and the method has none.
        """
        return self

    @abstractmethod
    def scorer(
        self, embeddings: Tensor, split: LinkSplit, seed: int, metric: Metric
    ) -> tuple[Scorer, dict[str, float]]:
        """A function of pairs, and what was chosen for it by ``metric`` on the validation pairs.

        The function takes the embeddings of sources and of targets, both of shape (n, dim), float64, and gives the
        scores of the pairs, shape (n,).
        """

    def metrics_of(self, split: LinkSplit, metric: Metric | None = None) -> tuple[Metric, ...]:
        """What is reported of a split: ``metric`` first, if given, then all others that are defined for it.

        Hits@K is defined where validation and test have K negatives. Where each pair has negatives of its own, OGB's
        metrics for them are reported, of which MRR is the first.

        Raises:
            InputError: ``metric`` is a Hits@K for which there are too few negatives.
        """
        sizes = [part.shape[1] for part in (split.val_negatives, split.test_negatives)]
        names = (metric,) if metric is not None else ()
        if metric is not None and (hits_cutoff(metric) or 0) > min(sizes):
            raise InputError(
                f"{metric} needs as many negatives, but split {split.name!r} has {min(sizes)}: choose a smaller number"
            )
        usual = _GROUPED if split.grouped else self.metrics
        return names + tuple(each for each in usual if each != metric and (hits_cutoff(each) or 0) <= min(sizes))

    def score(self, embeddings: Tensor, split: LinkSplit, seed: int, metric: Metric | None = None) -> ProbeScore:
        """Fit, choose on validation pairs, and score the pairs of the test once.

        Args:
            embeddings: shape (num_nodes, dim), float32, detached, finite, on the CPU; of a graph without the
                validation and test pairs.
            split: where to fit, choose and score. Test pairs and their negatives move the test score only.
            seed: makes the result repeatable.
            metric: first of the metrics; None for the first that is defined.

        Returns:
            Scores by the first metric, with the others beside them.
        """
        names = self.metrics_of(split, metric)
        score, chosen = self.scorer(embeddings, split, seed, names[0])
        val = measure(score, embeddings, split, names, of_test=False)
        test = measure(score, embeddings, split, names, of_test=True)
        others = {name: (val[name], test[name]) for name in names[1:]}
        return ProbeScore(val[names[0]], test[names[0]], chosen, others)


class Dot(LinkProbe):
    """Pairs by the inner product of their embeddings (GAE, Kipf and Welling, 2016, arXiv:1611.07308).

    GAE's probability is the sigmoid of it, which ranks pairs alike; without it large products do not become equal
    in floating point. Nothing is fitted, hence nothing chosen.
    """

    name = "Dot"

    def scorer(
        self, embeddings: Tensor, split: LinkSplit, seed: int, metric: Metric
    ) -> tuple[Scorer, dict[str, float]]:
        return _dot, {}


class Hadamard(LinkProbe):
    """Logistic regression on the product of two embeddings (node2vec, Grover and Leskovec, 2016, arXiv:1607.00653).

    The product is elementwise.

    scikit-learn's, by L-BFGS, on products that are standardised with the mean and deviation of what it is fitted to:
    the training pairs and as many pairs, drawn with the seed, that are joined neither by a training nor by a
    validation pair (that some of them are test pairs, nobody knows at this point). C comes from 1e-6, 1e-5, ..., 10
    by the validation pairs; the smallest of the best is kept.

    Args:
        max_pairs: training pairs that are used; of more, so many are drawn with the seed.
    """

    name = "Hadamard"
    penalties: ClassVar[tuple[float, ...]] = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)

    def __init__(self, *, max_pairs: PositiveInt = 50_000) -> None:
        self.max_pairs = max_pairs

    def scorer(
        self, embeddings: Tensor, split: LinkSplit, seed: int, metric: Metric
    ) -> tuple[Scorer, dict[str, float]]:
        joined = _some(split.train, self.max_pairs, derive_seed(seed, "pairs of Hadamard"))
        known = torch.cat([split.train, split.val], dim=1)
        apart = non_edges(
            known, embeddings.shape[0], joined.shape[1], seed=derive_seed(seed, "other pairs of Hadamard")
        )
        pairs = torch.cat([joined, apart], dim=1)
        x = torch.cat([_products(embeddings, part) for part in pairs.split(_rows(embeddings), dim=1)])
        y = torch.arange(pairs.shape[1]) < joined.shape[1]
        path = [_weighted(weight) for weight in _regressions(x, y, self.penalties)]
        val = [measure(score, embeddings, split, (metric,), of_test=False)[metric] for score in path]
        best = int(np.argmax(val))
        return path[best], {"C": self.penalties[best]}


class Decoder(LinkProbe):
    """Pairs by the decoder that the method itself trained, as papers of masked autoencoders of edges judge theirs.

    So each method has a judge of its own: what they reach says how well encoder and decoder do together, and is not to
    be compared with scores of embeddings alone.
    """

    name = "Decoder"

    def __init__(self) -> None:
        self.decoder: PairDecoder | None = None

    def using(self, decoder: PairDecoder | None) -> Decoder:
        if decoder is None:
            raise InputError(
                "probe Decoder scores pairs by what the method trained for that, but this method, with these options, "
                "has no decoder of pairs of its embeddings; those of MaskGAE and Bandana read the last layer (--set "
                "embedding=last --set normalize=false), or choose --probe Dot or Hadamard"
            )
        probe = Decoder()
        probe.decoder = decoder
        return probe

    def scorer(
        self, embeddings: Tensor, split: LinkSplit, seed: int, metric: Metric
    ) -> tuple[Scorer, dict[str, float]]:
        decoder = self.decoder
        if decoder is None:
            raise InputError("probe Decoder needs the method's decoder: give it to `using` first")
        device = next((values.device for values in _parameters(decoder)), embeddings.device)

        @torch.no_grad()
        def score(source: Tensor, target: Tensor) -> Tensor:
            rows = torch.cat([source, target]).to(device, embeddings.dtype)
            first = torch.arange(len(source), device=device)
            return decoder(rows, torch.stack([first, first + len(source)])).double().cpu()

        return score, {}


def measure(
    score: Scorer, embeddings: Tensor, split: LinkSplit, metrics: Sequence[Metric], *, of_test: bool
) -> dict[Metric, float]:
    """Metrics of the validation or the test pairs.

    Args:
        score: as :meth:`LinkProbe.scorer` gives it.
        embeddings: shape (num_nodes, dim), float32.
        split: which pairs.
        metrics: names that :func:`gssl.evaluate.ranking.evaluate_links` knows.
        of_test: test pairs instead of validation pairs.
    """
    pairs, others = (split.test, split.test_negatives) if of_test else (split.val, split.val_negatives)
    positive = score_pairs(score, embeddings, pairs)
    if split.grouped:
        rows = max(1, _rows(embeddings) // others.shape[1])
        negative = torch.cat(
            [
                score_pairs(score, embeddings, _own(sources, targets)).view_as(targets)
                for sources, targets in zip(pairs[0].split(rows), others.split(rows), strict=True)
            ]
        )
    else:
        negative = score_pairs(score, embeddings, others)
    return {name: evaluate_links(name, positive, negative) for name in metrics}


def score_pairs(score: Scorer, embeddings: Tensor, pairs: Tensor) -> Tensor:
    """Scores of pairs (2, n), shape (n,), float64; few embeddings are gathered at a time."""
    chunks = pairs.split(_rows(embeddings), dim=1)
    return torch.cat([score(embeddings[chunk[0]].double(), embeddings[chunk[1]].double()) for chunk in chunks])


def _parameters(decoder: PairDecoder) -> Iterator[Tensor]:
    return iter(decoder.parameters()) if isinstance(decoder, nn.Module) else iter(())


def _own(sources: Tensor, targets: Tensor) -> Tensor:
    """The pairs of each source (n,) with its targets (n, k), shape (2, n * k)."""
    return torch.stack([sources.unsqueeze(1).expand_as(targets).flatten(), targets.flatten()])


def _rows(embeddings: Tensor) -> int:
    return max(1, _CHUNK // embeddings.shape[1])


def _dot(source: Tensor, target: Tensor) -> Tensor:
    return (source * target).sum(dim=1)


def _weighted(weight: Tensor) -> Scorer:
    return lambda source, target: (source * target) @ weight


def _products(embeddings: Tensor, pairs: Tensor) -> Tensor:
    return embeddings[pairs[0]] * embeddings[pairs[1]]


def _some(pairs: Tensor, count: int, seed: int) -> Tensor:
    if pairs.shape[1] <= count:
        return pairs
    order = np.random.RandomState(seed % 2**32).permutation(pairs.shape[1])[:count]
    return pairs[:, torch.from_numpy(np.sort(order))]


def _regressions(x: Tensor, y: Tensor, penalties: Sequence[float]) -> list[Tensor]:
    """Weights (dim,), float64, of a logistic regression for each penalty, without the intercept, which ranks nothing.

    ``x`` is standardised in place.
    """
    center, spread = x.mean(dim=0), x.std(dim=0, correction=0)
    spread = torch.where(spread > 1e-6 * center.abs(), spread, 1.0)  # a constant column carries nothing
    x.sub_(center).div_(spread)
    model = LogisticRegression(max_iter=1000, warm_start=True)
    with (
        warnings.catch_warnings()
    ):  # of few pairs, L-BFGS finds nothing better in float32; validation judges what it has
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        fitted = [model.set_params(C=penalty).fit(x.numpy(), y.numpy()).coef_[0] for penalty in penalties]
    return [torch.from_numpy(weight).double() / spread.double() for weight in fitted]
