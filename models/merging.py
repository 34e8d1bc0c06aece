"""One encoder made of the weights of several: one set of weights for all inputs, or one that each input chooses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.sparse import Features
from gssl.models.encoder import Encoder
from gssl.models.layers import Layer
from gssl.models.ops import destination_rows, matmul
from gssl.models.stack import StackedEncoder

_GATE_STD = 0.01  # of a router's first weights, so that all inputs begin with the same share of every task vector


def merged_state(initial: nn.Module, others: Sequence[nn.Module], scale: float) -> dict[str, Tensor]:
    """Parameters and buffers of a module that others of its kind are merged to, by name.

    Parameters are ``initial + scale * sum of (other - initial)``: task arithmetic (Ilharco et al., 2023,
    arXiv:2212.04089), which with one over their number as scale is their average. Gradients flow to the others. Buffers
    are averages in either case, for running variances must not become negative; whole numbers are those of the first.

    Args:
        initial: what the others began as.
        others: at least one.
        scale: of the task vectors.
    """
    merged = {}
    named = [dict(other.named_parameters()) for other in others]
    for name, start in initial.named_parameters():
        total = torch.stack([parameters[name] for parameters in named]).sum(0)
        merged[name] = (1 - scale * len(others)) * start + scale * total
    held = [dict(other.named_buffers()) for other in others]
    for name, value in held[0].items():
        values = [buffers[name] for buffers in held]
        merged[name] = torch.stack(values).mean(0) if value.is_floating_point() else value.clone()
    return merged


class MergedModule(nn.Module):
    """A module that computes with merged weights, those of :func:`merged_state` at the time of the call.

    Args:
        initial: what the others began as; it stands still.
        others: whose weights are merged; they are not copied.
        scale: of the task vectors.
    """

    def __init__(self, initial: nn.Module, others: Sequence[nn.Module], *, scale: float) -> None:
        super().__init__()
        self.initial = initial.requires_grad_(False)
        self.others = nn.ModuleList(others)
        self.scale = scale

    def forward(self, *inputs: Any) -> Any:
        """What the others would give of ``inputs`` with the merged weights."""
        state = merged_state(self.initial, list(self.others), self.scale)
        return functional_call(self.others[0], state, inputs)


class MergedEncoder(Encoder):
    """An encoder of any class that computes with the merged weights of others of that class.

    Args:
        initial: what the others began as; it stands still.
        others: whose weights are merged; they are not copied.
        scale: of the task vectors.
    """

    def __init__(self, initial: Encoder, others: Sequence[Encoder], *, scale: float) -> None:
        super().__init__()
        self.merged = MergedModule(initial, others, scale=scale)
        self.in_dim, self.out_dim, self.num_layers = initial.in_dim, initial.out_dim, initial.num_layers
        self.readout, self.spec = initial.readout, initial.spec
        self.uses_edge_attr, self.edge_attr = initial.uses_edge_attr, initial.edge_attr

    @property
    def title(self) -> str:
        return f"merged {self._initial.title}"

    @property
    def takes_edge_weight(self) -> bool:
        return self._initial.takes_edge_weight

    @property
    def _initial(self) -> Encoder:
        return self.merged.initial  # type: ignore[return-value]  # an attribute of a module may be any module

    def forward(self, batch: MiniBatch) -> Tensor:
        nodes: Tensor = self.merged(batch)
        return nodes


class Router(nn.Module):
    """How much of each task vector a node gets, from its own row (Tang et al., 2024, arXiv:2402.00433, sec. 3.2).

    Two linear maps with a ReLU between them; nothing bounds the outcome. It begins with the same share of all.

    Args:
        in_dim: columns of the rows.
        num_vectors: task vectors.
        hidden_dim: width between the maps; 0 leaves the first one out.
        start: share of each task vector before training.
    """

    def __init__(self, in_dim: int, num_vectors: int, *, hidden_dim: int, start: float) -> None:
        super().__init__()
        self.first: nn.Parameter | None = None
        if hidden_dim:
            self.first = nn.Parameter(nn.init.normal_(torch.empty(in_dim, hidden_dim), std=_GATE_STD))
            self.first_bias = nn.Parameter(torch.zeros(hidden_dim))
        self.last = nn.Parameter(nn.init.normal_(torch.empty(hidden_dim or in_dim, num_vectors), std=_GATE_STD))
        self.last_bias = nn.Parameter(torch.full((num_vectors,), start))

    def forward(self, rows: Features) -> Tensor:
        """Shape (n, num_vectors), from rows of shape (n, in_dim)."""
        if self.first is not None:
            rows = torch.relu(matmul(rows, self.first) + self.first_bias)
        return matmul(rows, self.last) + self.last_bias


class RoutedLayer(Layer):
    """A layer whose weights are another mixture of task vectors for each destination.

    Where a layer is linear in its weights, the output with ``initial + sum of share_k (other_k - initial)`` is the same
    mixture of the outputs, so that no weights are made for each node.

    Args:
        initial: what the others began as; it stands still.
        others: whose task vectors are mixed; they are not copied.
        router: gives the shares.
    """

    def __init__(self, initial: Layer, others: Sequence[Layer], router: Router) -> None:
        super().__init__()
        self.initial = initial.requires_grad_(False)
        self.others = nn.ModuleList(others)
        self.router = router
        self.takes_edge_weight = initial.takes_edge_weight

    def forward(self, block: Block, x: Features) -> Tensor:
        share = self.router(destination_rows(block, x))
        out: Tensor = self.initial(block, x) * (1 - share.sum(1, keepdim=True))
        for k, other in enumerate(self.others):
            out = torch.addcmul(out, share[:, k : k + 1], other(block, x))
        return out


def routed_encoder(initial: Encoder, others: Sequence[Encoder], *, hidden_dim: int, start: float) -> StackedEncoder:
    """An encoder in every layer of which each node mixes task vectors by a router of that layer.

    Norms and activations, which are not linear in their weights, are averaged.

    Args:
        initial: what the others began as.
        others: whose task vectors are mixed; they are not copied.
        hidden_dim: width of the routers.
        start: share of each task vector before training.

    Raises:
        InputError: the encoder is no stack of layers that are linear in their weights.
    """
    layers = [initial.layer(i) for i in range(initial.num_layers)] if isinstance(initial, StackedEncoder) else []
    if not isinstance(initial, StackedEncoder) or not all(layer.is_linear for layer in layers):
        raise InputError(
            f"a router mixes the outputs of layers that are linear in their weights, which those of {initial.title} "
            "are not; use --encoder GCN or SAGE, or merge=average or arithmetic"
        )
    mixed, count = copy.deepcopy(initial), len(others)
    widths = (initial.in_dim, *initial.layer_dims)

    def parts(name: str, make: Callable[[int, nn.Module, list[nn.Module]], nn.Module]) -> nn.ModuleList:
        own = list(getattr(mixed, name))
        return nn.ModuleList(make(i, own[i], [getattr(o, name)[i] for o in others]) for i in range(len(own)))

    def routed(index: int, first: nn.Module, rest: list[nn.Module]) -> nn.Module:
        router = Router(widths[index], count, hidden_dim=hidden_dim, start=start)
        return RoutedLayer(first, rest, router)  # type: ignore[arg-type]  # they are layers

    def averaged(index: int, first: nn.Module, rest: list[nn.Module]) -> nn.Module:
        return MergedModule(first, rest, scale=1 / count)

    mixed.layers = parts("layers", routed)
    mixed.norms, mixed.activations = parts("norms", averaged), parts("activations", averaged)
    return mixed
