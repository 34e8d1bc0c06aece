"""History with forward and backward compensation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from gssl.common.options import Fraction, Neutral
from gssl.graph.batch import MiniBatch
from gssl.graph.history import Mode, Precision, Storage
from gssl.graph.plan import Plan
from gssl.graph.sparse import select_features
from gssl.graph.storage import Graph
from gssl.samplers.propagation.base import Backend
from gssl.samplers.propagation.stored import StoredPropagation
from gssl.samplers.selection.base import Draw

Score = Literal["const", "linear", "quadratic", "sine", "concave"]


class LMCPropagation(StoredPropagation):
    """Local message compensation (Shi et al., 2023, arXiv:2302.00924).

    The halo (neighbours of the targets) takes part with what the batch knows of its neighbourhood, mixed with the
    history of its embeddings on the way forward and of its adjoints on the way back. Biased by staleness, by
    the mixing, and because the halo's activations are differentiated at values that the batch knows in part; much
    less than a truncated backward pass.

    Args:
        beta: share of the value computed in the batch where a halo node's whole neighbourhood is in it.
        score: how that share falls with the part ``x`` of the neighbourhood that is: ``const`` 1, ``linear`` x,
            ``quadratic`` x^2, ``sine`` sin(pi x / 2), ``concave`` 2 x - x^2.

    The other options are those of ``StoredPropagation``.
    """

    mode: ClassVar[Mode] = "compensated"

    def __init__(
        self,
        graph: Graph,
        *,
        num_layers: int,
        beta: Fraction = 0.4,
        score: Score = "linear",
        history_storage: Storage = "device",
        history_precision: Precision = "float32",
        history_folder: str | Path | None = None,
        backend: Annotated[Backend, Neutral("auto")] = "auto",
    ) -> None:
        super().__init__(
            graph,
            num_layers=num_layers,
            history_storage=history_storage,
            history_precision=history_precision,
            history_folder=history_folder,
            backend=backend,
        )
        self.beta = beta
        self.score = score

    def stored_batch(self, draw: Draw) -> MiniBatch:
        growing = self.engine.start(draw.ids, self.engine.into(draw.here))
        growing.uniform(-1, 0)
        inner, sources = growing.inner(), growing.nodes
        block = self.exact.block(inner, None, self.graph.block.degree[sources])
        share = _score(self.score, block.pattern.counts / inner.degree.clamp(min=1))
        return MiniBatch(
            x=select_features(self.graph.x, sources),
            blocks=(block,) * self.num_layers,
            node_ids=sources,
            num_targets=len(draw.ids),
            weight=self.target_weight(draw),
            plan=Plan(history=replace(self.handle(sources, len(draw.ids)), beta=self.beta * share)),
        )


def _score(kind: Score, x: Tensor) -> Tensor:
    if kind == "const":
        return torch.ones_like(x)
    if kind == "sine":
        return torch.sin(torch.pi * x / 2)
    if kind == "concave":
        return 2 * x - x.square()
    return x if kind == "linear" else x.square()
