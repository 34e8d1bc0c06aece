"""Seconds of training steps of a supervised GraphSAGE by some sampler, through the program's own loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from gssl.benchmarks.gpu.clock import Clock
from gssl.benchmarks.gpu.setup import Setup
from gssl.datasets.types import Labels, Split
from gssl.graph.storage import Graph
from gssl.methods.supervised import Supervised
from gssl.models.sage import SAGE
from gssl.registry import SAMPLERS
from gssl.training.config import TrainConfig
from gssl.training.countdown import Countdown
from gssl.training.loop import pretrain


class Steps:
    """A training of which any number of steps can be timed.

    Args:
        setup: device and sizes.
        graph: what is trained on, on the CPU.
        sampler: name.
        options: of the sampler.
    """

    def __init__(self, setup: Setup, graph: Graph, sampler: str, options: Mapping[str, Any]) -> None:
        sizes = setup.sizes
        rng = torch.Generator().manual_seed(3)
        labels = torch.randint(sizes.classes, (sizes.nodes,), generator=rng)
        train = torch.randperm(sizes.nodes, generator=rng)[: sizes.train].sort().values
        torch.manual_seed(0)
        layers = len(sizes.fanouts)
        encoder = SAGE(sizes.features, hidden_dim=sizes.hidden, num_layers=layers)
        self.method = Supervised(encoder)
        self.method.fit_labels(Labels(labels, "multiclass", sizes.classes), Split("drawn", train, train[:0], train[:0]))
        maker = SAMPLERS.get(sampler)
        self.sampler = maker(graph, num_layers=layers, batch_size=sizes.batch, items=train, seed=0, **options)
        self._device = setup.device
        self._clock = Clock(setup.place)

    @property
    def per_epoch(self) -> int:
        """Updates of an epoch."""
        return self.sampler.batches_per_epoch

    def seconds(self, steps: int) -> float:
        """Seconds of so many updates from the start of an epoch, with all that the sampler does between them."""
        return self._clock.once(lambda: self.take(steps))

    def take(self, steps: int) -> None:
        """Make so many updates, by a new optimizer."""
        epochs = -(-steps // self.per_epoch) + 1
        pretrain(
            self.method,
            self.sampler,
            TrainConfig(epochs=epochs),
            seed=0,
            device=self._device,
            watch=Countdown(steps),
        )
