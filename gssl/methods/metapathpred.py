"""MetaPathPred."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gssl.common.card import Card
from gssl.common.errors import InputError, unknown
from gssl.common.options import PositiveInt
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.hetero import MetaPath
from gssl.method import Method
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head
from gssl.models.typed import TypedEncoder
from gssl.objectives.edges import edge_reconstruction, uniform_negatives
from gssl.samplers.base import Sampler


class MetaPathPred(Method):
    """Meta-path prediction on heterogeneous graphs (Hwang et al., 2020, arXiv:2007.08294).

    Two nodes of the target type are joined by a meta-path or not: the inner product of their embeddings, behind a
    perceptron for each meta-path, tells, by cross-entropy of joined pairs against as many uniform ones that are not.

    These are the auxiliary tasks of SELAR. Its learned weights of the tasks need the labels of a primary task; here all
    tasks count the same. In the authors' code (mlvlab/SELAR) meta-paths join users and items, and labelled pairs of
    each are read from files; here they join nodes of the target type, and pairs are drawn at each step. An encoder that
    aggregates along meta-paths (``MetaPathGCN``, ``HAN``) sees what it has to tell; the code's encoder reads single
    relations, as ``RGCN`` does.

    Args:
        encoder: of the relations.
        meta_paths: names of those that are predicted; empty for all.
        pairs: joined pairs of each meta-path that are drawn in a step, with replacement, and as many others.
        head_dim: width of the hidden layer of each perceptron.
    """

    needs_types: ClassVar[bool] = True
    default_encoder: ClassVar[str] = "RGCN"
    card: ClassVar[Card] = Card(
        family="property prediction",
        views="the graph with its relations",
        encoders="one of relations, with a perceptron for each meta-path; inner products decode",
        objective="cross-entropy of pairs that a meta-path joins against uniform pairs that it does not",
        time="(n d h + k d) p (p meta-paths, k pairs of each, h: width of the perceptrons)",
        memory="(n (d + h) + k d) p",
        whole_graph="relations are those of all nodes, of which a sampled batch has none",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "pairs": Choice((1000, 4000)),
        "head_dim": Choice((64, 100)),
        "encoder.hidden_dim": Choice((64, 128)),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        meta_paths: tuple[str, ...] = (),
        pairs: PositiveInt = 4000,
        head_dim: PositiveInt = 100,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TypedEncoder):
            raise InputError("MetaPathPred needs an encoder that reads relations: use --encoder RGCN")
        known = encoder.types.meta_paths
        for name in meta_paths:
            if name not in known:
                raise unknown("meta-path", name, known)
        self.meta_paths, self.pairs = meta_paths or known, pairs
        dim = encoder.out_dim
        self.heads = nn.ModuleList(mlp_head(dim, head_dim, dim) for _ in self.meta_paths)

    def check_sampler(self, sampler: Sampler) -> None:
        super().check_sampler(sampler)
        parts = sampler.graph.hetero
        joined = () if parts is None else parts.meta_paths
        if not any(path.pattern.nnz for path in joined if path.name in self.meta_paths):
            raise InputError(
                f"none of the meta-paths {', '.join(self.meta_paths)} joins two nodes, so there is nothing to predict"
            )

    def loss(self, batch: MiniBatch) -> Tensor:
        embedding: Tensor = self.encoder(batch)
        assert isinstance(self.encoder, TypedEncoder)
        paths = {path.name: path for path in self.encoder.parts(batch).meta_paths}
        terms = [
            self._told(head(embedding), paths[name], batch.weight)
            for name, head in zip(self.meta_paths, self.heads, strict=True)
            if paths[name].pattern.nnz
        ]
        return torch.stack(terms).mean() if terms else embedding.sum() * 0.0

    def _told(self, rows: Tensor, path: MetaPath, weight: Tensor | None) -> Tensor:
        """Cross-entropy by one meta-path, joined pairs and others alike."""
        pattern = path.pattern
        drawn = torch.randint(pattern.nnz, (self.pairs,), generator=self.rng, device=rows.device)
        positive = torch.stack([pattern.col[drawn], pattern.row[drawn]]).long()
        negative = uniform_negatives(pattern, self.pairs, self.rng, undirected=True)
        weights = [None if weight is None else weight[pair].prod(0) for pair in (positive, negative)]
        return 0.5 * edge_reconstruction(
            rows, positive, negative, positive_weight=weights[0], negative_weight=weights[1]
        )
