"""A method at frozen weights: its full gradient, and samplers in a state that fits these weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from gssl.common.seeds import derive_seed
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import Method, scalar
from gssl.models.stack import StackedEncoder
from gssl.samplers.pair import PairSampler
from gssl.samplers.propagation.stored import StoredPropagation
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.training.embed import device_of
from gssl.training.norms import GradientNorms


@dataclass(frozen=True, eq=False)
class FrozenMethod:
    """A method whose weights do not change, in evaluation mode (no dropout, stored batch statistics).

    Attributes:
        method: the method.
        graph: what it was trained on.
        seed: of the views that it draws.
    """

    method: Method
    graph: Graph
    seed: int

    @property
    def parameters(self) -> list[tuple[str, torch.nn.Parameter]]:
        """What the gradient is taken of."""
        return [(name, p) for name, p in self.method.named_parameters() if p.requires_grad]

    @cached_property
    def full(self) -> MiniBatch:
        """The whole graph, where the method is."""
        return self.placed(self.graph.full_batch())

    def placed(self, batch: MiniBatch) -> MiniBatch:
        """A batch where the method is."""
        return batch.to(device_of(self.method))

    def groups(self) -> dict[str, list[int]]:
        """Layer name to positions of its parameters: one group per encoder layer, one per module of the rest."""
        found: dict[str, list[int]] = {}
        for index, (name, _) in enumerate(self.parameters):
            found.setdefault(_group(name), []).append(index)
        return found

    def gradient(self, batch: MiniBatch, number: int) -> list[Tensor]:
        """The gradient of one batch, one tensor per parameter; ``number`` decides the views."""
        method, batch = self.method, self.placed(batch)
        method.zero_grad(set_to_none=True)
        method.reseed(derive_seed(self.seed, "views", number), batch.device)
        torch.manual_seed(derive_seed(self.seed, "noise", number))
        (scalar(method.loss(batch)) * method.mass(batch)).backward()
        return [torch.zeros_like(p) if p.grad is None else p.grad for _, p in self.parameters]

    def full_gradient(self, views: int) -> list[Tensor]:
        """The gradient of the whole graph, a mean over ``views`` draws of the views."""
        total = [torch.zeros_like(p, dtype=torch.float64) for _, p in self.parameters]
        for number in range(views):
            for value, own in zip(total, self.gradient(self.full, -1 - number), strict=True):
                value += own.double() / views
        return total

    def settle(self, sampler: PairSampler) -> None:
        """Make history and learnt norms those of the frozen weights, and keep the history so.

        The history is filled by passes over all nodes (one more than layers, since adjoints become exact from the
        last layer down); what the selection learns are the norms of such a pass.
        """
        everyone = torch.arange(self.graph.num_nodes)
        draw = Draw(everyone, torch.ones(len(everyone), dtype=torch.float64), Key(0, 0, 0), measure=True)
        propagation, passes = sampler.propagation, 1
        if isinstance(propagation, StoredPropagation):
            passes = propagation.num_layers + 1
        batch = self.full
        for number in range(passes):
            if isinstance(propagation, StoredPropagation):
                batch = self.placed(propagation.stored_batch(draw))
            plan = replace(batch.plan, measure=True, population=self.graph.num_nodes)
            batch = replace(batch, plan=plan, weight=torch.ones(len(everyone), device=batch.device))
            with GradientNorms(self.method, active=True) as norms:
                self.gradient(batch, number)
        if isinstance(propagation, StoredPropagation):
            propagation.frozen = True
        known = torch.isin(everyone, sampler.selection.items)
        sampler.selection.observe(everyone[known], norms.of(batch).cpu()[known])

    def layer_outputs(self, batch: MiniBatch) -> list[Tensor]:
        """Output of each layer of a stacked encoder on the batch as it is (no views), targets first; else the last."""
        found: list[Tensor] = []
        encoder = self.method.encoder
        watched = list(encoder.activations) if isinstance(encoder, StackedEncoder) else []
        handles = [m.register_forward_hook(lambda _module, _inputs, out: found.append(out)) for m in watched]
        try:
            with torch.no_grad():
                history = None if batch.plan.history is None else replace(batch.plan.history)
                last: Tensor = encoder(batch.planned(history=history))
        finally:
            for handle in handles:
                handle.remove()
        return found or [last]


def _group(name: str) -> str:
    parts = name.split(".")
    if parts[0] == "encoder" and len(parts) > 2 and parts[2].isdecimal():
        return f"layer {int(parts[2]) + 1}"
    return parts[0]
