"""Link prediction: some edges leave the graph before anything is trained, and are told from pairs without an edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets.links import has_degree_features, random_link_split, visible_graph
from gssl.datasets.types import Dataset, Level, LinkSplit, Metric
from gssl.evaluate.base import Judge, ProbeScore
from gssl.evaluate.judge import judgeable
from gssl.evaluate.links import LinkProbe, PairDecoder
from gssl.graph.storage import Graph
from gssl.tasks.base import AnySplit, Task

Share = Annotated[float, Field(gt=0, lt=1)]


class LinkTask(Task):
    """Held-out edges of one graph are told from fixed pairs without an edge (Kipf and Welling, 2016, arXiv:1611.07308).

    Validation and test edges are gone before pretraining, in both directions, for every method and sampler. A dataset
    with preset links (OGB's ``ogbl`` sets) keeps them. No label of a node is used.

    Args:
        dataset: one graph.
        probe: how pairs are scored.
        val: share of the edges that validate.
        test: share of the edges that are tested.
        fixed: split in place of a drawn one; that of a sealed task, whose metric it keeps.
    """

    name: ClassVar[str] = "link"
    levels: ClassVar[tuple[Level, ...]] = ("node",)
    default_judge: ClassVar[str | None] = "Dot"
    one_graph: ClassVar[bool] = False

    def __init__(
        self,
        dataset: Dataset,
        probe: LinkProbe,
        *,
        val: Share = 0.05,
        test: Share = 0.1,
        fixed: tuple[LinkSplit, Metric] | None = None,
    ) -> None:
        super().__init__(dataset)
        if dataset.level != "node":
            raise InputError(
                f"--task link holds out edges of one graph, but {dataset.name} is a set of graphs; use --task graph"
            )
        self.probe = probe
        self.val, self.test = val, test
        self._fixed: LinkSplit | None = None if fixed is None else fixed[0]
        self._metric: Metric | None = None if fixed is None else fixed[1]
        self._drawn: dict[int, LinkSplit] = {}

    @property
    def metric(self) -> Metric:
        return self._metric or (self.dataset.metric if self.dataset.links is not None else self.probe.metrics[0])

    @property
    def version(self) -> int:
        return self.probe.version

    def splits(self, seed: int) -> tuple[LinkSplit, ...]:
        preset = self._fixed or self.dataset.links
        if preset is not None:
            return (preset,)
        if seed not in self._drawn:
            self._drawn[seed] = random_link_split(self.dataset.graph, val=self.val, test=self.test, seed=seed)
        return (self._drawn[seed],)

    def visible(self, split: AnySplit) -> Dataset:
        """The graph of the training edges; the labels of its nodes, which nothing here needs, are left behind."""
        links = links_of(split)
        graph = self.dataset.graph
        if self._fixed is None and self.dataset.links is None:  # a preset's or sealed graph has training edges only
            graph = graph.derived(f"without {links.hash}", lambda: self._without(links))
        return replace(self.dataset, graph=graph, labels=None, splits=(), links=None)

    def _without(self, links: LinkSplit) -> Graph:
        # Features that count edges would tell how many were held out.
        return visible_graph(self.dataset.graph, links, degrees=has_degree_features(self.dataset))

    def score(self, embeddings: Tensor, split: AnySplit, seed: int) -> ProbeScore:
        return self.probe.score(judgeable(embeddings, self.dataset), links_of(split), seed, self.metric)

    def using(self, decoder: PairDecoder | None) -> Self:
        probe = self.probe.using(decoder)
        return self if probe is self.probe else self.under(probe)

    def sealed(self, seed: int) -> Self:
        (split,) = self.splits(seed)
        graph = self.visible(split).graph
        blind = replace(split, test=split.val, test_negatives=split.val_negatives)
        data = replace(self.dataset, graph=graph, labels=None, splits=(), links=None)
        return type(self)(data, self.probe, val=self.val, test=self.test, fixed=(blind, self.metric))

    def under(self, judge: Judge) -> Self:
        assert isinstance(judge, LinkProbe)
        return type(self)(self.dataset, judge, val=self.val, test=self.test, fixed=self._pair)

    @property
    def _pair(self) -> tuple[LinkSplit, Metric] | None:
        return None if self._fixed is None or self._metric is None else (self._fixed, self._metric)

    def shown(self) -> int:
        assert self._fixed is not None
        return int(self._fixed.train.shape[1] + self._fixed.val.shape[1])

    def overlap(self, splits: Sequence[AnySplit]) -> float:
        assert self._fixed is not None
        size = self.dataset.num_items
        shown = _keys(torch.cat([self._fixed.train, self._fixed.val], dim=1), size)
        tests = torch.cat([_keys(links_of(split).test, size) for split in splits])
        return float(torch.isin(tests, shown).double().mean()) if len(tests) else 0.0


def _keys(pairs: Tensor, num_nodes: int) -> Tensor:
    """One number for each undirected pair, shape (n,), int64."""
    return pairs.amin(0) * num_nodes + pairs.amax(0)


def links_of(split: AnySplit) -> LinkSplit:
    """The split, if it is one of links."""
    if not isinstance(split, LinkSplit):
        raise TypeError("a task of links was given a split of items")
    return split
