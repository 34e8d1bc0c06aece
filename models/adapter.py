"""Any PyG module as an encoder."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import Neutral, NonNegativeInt, PositiveInt
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.models.encoder import EdgeAttr, Encoder, Readout


class PyGEncoder(Encoder):
    """Adapter for a PyG module that is called as ``module(x, edge_index)``.

    Args:
        module: for example ``torch_geometric.nn.GraphSAGE(16, 64, 2)``.
        in_dim: feature dimension of the input.
        out_dim: dimension of the module's output.
        num_layers: message-passing layers.
        readout: how node embeddings become graph embeddings.
        edge_attr: false leaves edge attributes out even if the module takes them.
    """

    can_use_edge_attr = True

    def __init__(
        self,
        module: nn.Module,
        *,
        in_dim: int,
        out_dim: int,
        num_layers: int,
        readout: Readout = "sum",
        edge_attr: EdgeAttr = None,
    ) -> None:
        super().__init__()
        self.module, self.edge_attr = module, edge_attr
        self.in_dim, self.out_dim, self.num_layers, self.readout = in_dim, out_dim, num_layers, readout
        accepted = inspect.signature(module.forward).parameters
        self._takes_weight = "edge_weight" in accepted
        self._takes_attributes = "edge_attr" in accepted and edge_attr is not False
        self.uses_edge_attr = self._takes_attributes and bool(getattr(module, "supports_edge_attr", True))

    @property
    def takes_edge_weight(self) -> bool:
        # PyG's models take the argument whatever their layers do with it, and ignore it if they cannot use it.
        return self._takes_weight and bool(getattr(self.module, "supports_edge_weight", True))

    @property
    def title(self) -> str:
        return type(self.module).__name__

    def forward(self, batch: MiniBatch) -> Tensor:
        """Embed the targets; edge weights and attributes are passed on if the module takes them.

        Raises:
            InputError: a batch whose layers have different nodes, which PyG modules cannot be run on, or one with
                aggregated features.
        """
        if batch.plan.first is not None:
            raise InputError("a PyG module aggregates the features itself; set sampler.precompute=false")
        if not batch.is_square:
            raise InputError("a PyG module needs one graph for all layers; use a subgraph sampler or gssl's encoders")
        block = batch.blocks[0]
        extra = {}
        if self._takes_weight and block.weight is not None:
            extra["edge_weight"] = block.weight
        if self._takes_attributes and block.edge_attr is not None:
            small = block.edge_attr.dtype in (torch.bool, torch.uint8)
            extra["edge_attr"] = block.edge_attr.to(batch.x.dtype) if small else block.edge_attr
        out: Tensor = self.module(dense_features(batch.x), block.edge_index, **extra)
        return out[: batch.num_targets]


def adapt(module_class: Callable[..., nn.Module]) -> Callable[..., PyGEncoder]:
    """A maker of encoders from a PyG class with the usual constructor.

    Args:
        module_class: takes ``in_channels``, and ``hidden_channels`` with ``num_layers`` (as the models of
            ``torch_geometric.nn`` do) or ``out_channels`` (as its layers do).

    Returns:
        A function ``make(in_dim, *, hidden_dim, num_layers, readout, edge_attr, edge_dim)``.

    Raises:
        InputError: the constructor is another one.
    """
    accepted = inspect.signature(module_class).parameters
    if "in_channels" not in accepted or not {"hidden_channels", "out_channels"} & set(accepted):
        raise InputError(
            f"{module_class.__name__} cannot be adapted: it must take in_channels and hidden_channels or "
            "out_channels; wrap it in a gssl.models.encoder.Encoder of your own"
        )
    deep = "hidden_channels" in accepted and "num_layers" in accepted
    takes_edge_dim = "edge_dim" in accepted or bool(getattr(module_class, "supports_edge_attr", False))

    def make(
        in_dim: int,
        *,
        hidden_dim: PositiveInt = 256,
        num_layers: PositiveInt = 2,
        readout: Readout = "sum",
        edge_attr: EdgeAttr = None,
        edge_dim: Annotated[NonNegativeInt, Neutral(0)] = 0,
    ) -> PyGEncoder:
        uses = edge_dim > 0 and edge_attr is not False
        if uses and not takes_edge_dim:
            raise InputError(f"{module_class.__name__} has no use for edge attributes; leave them out")
        sizes: dict[str, Any] = {"in_channels": in_dim, **({"edge_dim": edge_dim} if uses else {})}
        if deep:
            sizes |= {"hidden_channels": hidden_dim, "num_layers": num_layers}
        elif num_layers != 1:
            raise InputError(f"{module_class.__name__} is a single layer; say --set encoder.num_layers=1")
        else:
            sizes["out_channels"] = hidden_dim
        encoder = PyGEncoder(
            module_class(**sizes),
            in_dim=in_dim,
            out_dim=hidden_dim,
            num_layers=num_layers,
            readout=readout,
            edge_attr=edge_attr,
        )
        encoder.uses_edge_attr, encoder.can_use_edge_attr = uses, takes_edge_dim
        return encoder

    return make
