"""Any PyG module as an encoder."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import PositiveInt
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.models.encoder import Encoder, Readout


class PyGEncoder(Encoder):
    """Adapter for a PyG module that is called as ``module(x, edge_index)``.

    Args:
        module: for example ``torch_geometric.nn.GraphSAGE(16, 64, 2)``.
        in_dim: feature dimension of the input.
        out_dim: dimension of the module's output.
        num_layers: message-passing layers.
        readout: how node embeddings become graph embeddings.
    """

    def __init__(
        self, module: nn.Module, *, in_dim: int, out_dim: int, num_layers: int, readout: Readout = "sum"
    ) -> None:
        super().__init__()
        self.module = module
        self.in_dim, self.out_dim, self.num_layers, self.readout = in_dim, out_dim, num_layers, readout
        accepted = inspect.signature(module.forward).parameters
        self._takes_weight = "edge_weight" in accepted
        self._takes_attributes = "edge_attr" in accepted

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
            extra["edge_attr"] = block.edge_attr
        out: Tensor = self.module(dense_features(batch.x), block.edge_index, **extra)
        return out[: batch.num_targets]


def adapt(module_class: Callable[..., nn.Module]) -> Callable[..., PyGEncoder]:
    """A maker of encoders from a PyG class with the usual constructor.

    Args:
        module_class: takes ``in_channels``, and ``hidden_channels`` with ``num_layers`` (as the models of
            ``torch_geometric.nn`` do) or ``out_channels`` (as its layers do).

    Returns:
        A function ``make(in_dim, *, hidden_dim, num_layers, readout)``.

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

    def make(
        in_dim: int, *, hidden_dim: PositiveInt = 256, num_layers: PositiveInt = 2, readout: Readout = "sum"
    ) -> PyGEncoder:
        if deep:
            module = module_class(in_channels=in_dim, hidden_channels=hidden_dim, num_layers=num_layers)
            return PyGEncoder(module, in_dim=in_dim, out_dim=hidden_dim, num_layers=num_layers, readout=readout)
        if num_layers != 1:
            raise InputError(f"{module_class.__name__} is a single layer; say --set encoder.num_layers=1")
        module = module_class(in_channels=in_dim, out_channels=hidden_dim)
        return PyGEncoder(module, in_dim=in_dim, out_dim=hidden_dim, num_layers=1, readout=readout)

    return make
