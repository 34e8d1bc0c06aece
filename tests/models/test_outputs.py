"""Outputs of all layers: those of shorter encoders with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch_geometric.nn as pyg
from torch import Tensor

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.models import encoder as encoders
from gssl.models.adapter import adapt
from gssl.models.encoder import Encoder
from gssl.models.gat import GAT
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.models.gine import GINE
from gssl.models.layers import jump
from gssl.models.mlp import MLPEncoder
from gssl.models.resgcn import ResGCN
from gssl.models.sage import SAGE
from gssl.registry import ENCODERS
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.propagation.history import HistoryPropagation
from gssl.samplers.rng import Key
from gssl.samplers.selection.base import Draw
from gssl.testing.toy import toy_batch, toy_graph

STACKS = [GCN, SAGE, GIN, GAT, MLPEncoder]
Make = Callable[..., Encoder]


class OwnEncoder(Encoder):
    """A plug-in that says no more than it must."""

    num_layers = 0

    def __init__(self, in_dim: int) -> None:
        super().__init__()
        self.in_dim = self.out_dim = in_dim

    def forward(self, batch: MiniBatch) -> Tensor:
        assert isinstance(batch.x, Tensor)
        return batch.x[: batch.num_targets]


@pytest.mark.parametrize("make", [*STACKS, ResGCN])
def test_each_output_is_the_embedding_of_a_shorter_encoder(make: Make) -> None:
    batch = toy_batch("node")
    torch.manual_seed(0)
    options: dict[str, Any] = {} if make is ResGCN else {"jk": "last"}
    encoder = make(batch.in_dim, hidden_dim=8, num_layers=3, norm="batch", **options)
    encoder(batch)  # moves the running statistics
    encoder.eval()
    outputs = encoder.outputs(batch)
    assert len(outputs) == 3
    for depth, output in enumerate(outputs, start=1):
        shorter = make(batch.in_dim, hidden_dim=8, num_layers=depth, norm="batch", **options)
        weights = encoder.state_dict()
        shorter.load_state_dict({name: weights[name] for name in shorter.state_dict()})
        assert torch.equal(output, shorter.eval()(batch))


@pytest.mark.parametrize("make", STACKS)
@pytest.mark.parametrize("kind", ["last", "cat", "sum", "max"])
def test_the_embedding_is_made_of_the_outputs(make: Make, kind: Any) -> None:
    batch = toy_batch("node")
    encoder = make(batch.in_dim, hidden_dim=8, num_layers=3, jk=kind).eval()
    assert torch.equal(jump(encoder.outputs(batch), kind), encoder(batch))
    assert encoder.layer_dims == (8, 8, 8)


def test_dimensions_of_a_last_layer_of_its_own() -> None:
    encoder = GCN(24, hidden_dim=8, out_dim=5, num_layers=3, jk="cat")
    assert encoder.layer_dims == (8, 8, 5)
    assert [h.shape[1] for h in encoder.outputs(toy_batch("node"))] == [8, 8, 5]


@pytest.mark.parametrize("kind", [Exact, HistoryPropagation])
def test_outputs_of_sampled_batches_are_those_of_the_targets(kind: type[Any]) -> None:
    graph = toy_graph()
    encoder = GCN(24, hidden_dim=8, num_layers=3).eval()
    ids = torch.tensor([5, 0, 17])
    propagation, everyone = kind(graph, num_layers=3), torch.arange(graph.num_nodes)
    for part in (everyone, ids):  # the first one fills the history, if there is one
        draw = Draw(part, torch.ones(len(part), dtype=torch.float64), Key(0, 0, 0))
        outputs = encoder.outputs(propagation.batch(draw))
    for some, every in zip(outputs, encoder.outputs(graph.full_batch()), strict=True):
        torch.testing.assert_close(some, every[ids])


def test_a_loss_of_the_first_layer_leaves_the_others_alone() -> None:
    encoder = GCN(24, hidden_dim=8, num_layers=2)
    encoder.outputs(toy_batch("node"))[0].sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.layers[0].parameters())
    assert all(parameter.grad is None for parameter in encoder.layers[1].parameters())


@pytest.mark.parametrize("encoder", [OwnEncoder(24), adapt(pyg.GraphSAGE)(24)], ids=["own", "PyG"])
def test_encoders_without_them_say_which_have_them(encoder: Encoder) -> None:
    with pytest.raises(InputError, match=f"{encoder.title} does not give the output of each layer"):
        encoder.outputs(toy_batch("node"))
    with pytest.raises(InputError, match=encoders.LAYER_OUTPUT_ENCODERS):
        _ = encoder.layer_dims
    assert not encoder.takes_edge_weight


SHIPPED: dict[str, Make] = {
    "GCN": GCN, "SAGE": SAGE, "GIN": GIN, "GINE": GINE, "GAT": GAT, "MLP": MLPEncoder, "ResGCN": ResGCN,
}  # fmt: skip


def test_messages_name_the_encoders_that_can() -> None:
    of_one_type = {name for name in ENCODERS.names() if not ENCODERS.get(name).needs_types}
    assert of_one_type <= set(SHIPPED)
    made = {name: make(4) for name, make in SHIPPED.items()}
    assert encoders.LAYER_OUTPUT_ENCODERS.replace(" or ", ", ").split(", ") == list(made)
    weighted = [name for name, encoder in made.items() if encoder.takes_edge_weight]
    assert encoders.EDGE_WEIGHT_ENCODERS.replace(" or ", ", ").split(", ") == weighted
    for encoder in made.values():
        assert len(encoder.layer_dims) == encoder.num_layers
