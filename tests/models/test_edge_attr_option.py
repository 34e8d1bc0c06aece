"""The option ``edge_attr`` of every encoder, and PyG's modules that take edge attributes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch_geometric.nn as pyg

from gssl.common.errors import InputError
from gssl.common.options import neutral_of, options_of
from gssl.graph.spec import GraphSpec
from gssl.models.adapter import PyGEncoder, adapt
from gssl.models.encoder import Encoder, edge_attr_note, encoder_for
from gssl.registry import ENCODERS
from gssl.testing.toy import toy_graph

GRAPH = toy_graph(attributes=True)
SPEC = GraphSpec.of(GRAPH)
NAMES = [name for name in ENCODERS.names() if not ENCODERS.get(name).needs_types]  # meta-paths have no attributes


@pytest.mark.parametrize("name", NAMES)
def test_every_encoder_has_it_and_at_its_default_it_is_neutral(name: str) -> None:
    option = options_of(ENCODERS.get(name))["edge_attr"]
    mark = neutral_of(option)
    assert mark is not None
    assert (mark.value, option.default) == (None, None)


@pytest.mark.parametrize("name", NAMES)
def test_an_encoder_uses_them_or_says_that_it_does_not(name: str) -> None:
    """What is said is true: with other attributes the embedding is another exactly where no note is."""
    batch = GRAPH.full_batch()
    attr = GRAPH.block.edge_attr
    assert attr is not None
    other = batch.map_blocks(lambda block: replace(block, edge_attr=attr.flip(0)))
    for options in ({}, {"edge_attr": False}):
        torch.manual_seed(0)
        encoder = encoder_for(ENCODERS.get(name), SPEC, hidden_dim=8, **options).eval()
        assert (encoder.spec, encoder.uses_edge_attr) == (SPEC, not torch.equal(encoder(batch), encoder(other)))
        silent = encoder.uses_edge_attr or options == {"edge_attr": False}
        assert (edge_attr_note(encoder, GRAPH) is None) == silent
        assert edge_attr_note(encoder, toy_graph()) is None
    factory: Callable[..., Encoder] = ENCODERS.get(name)
    if encoder_for(factory, SPEC, hidden_dim=8).can_use_edge_attr:
        assert encoder_for(factory, SPEC, hidden_dim=8, edge_attr=True).uses_edge_attr
    else:
        with pytest.raises(InputError, match="has no use for edge attributes"):
            encoder_for(factory, SPEC, hidden_dim=8, edge_attr=True)


def test_the_option_changes_no_weights() -> None:
    for name in NAMES:
        found = []
        for options in ({}, {"edge_attr": False}):
            torch.manual_seed(0)
            found.append(ENCODERS.get(name)(24, hidden_dim=8, **options).state_dict())
        assert all(torch.equal(value, found[1][key]) for key, value in found[0].items()), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_a_pyg_module_gets_them(dtype: torch.dtype) -> None:
    assert GRAPH.block.edge_attr is not None
    attr = (GRAPH.block.edge_attr > 0.5).to(dtype)
    batch = GRAPH.full_batch().map_blocks(lambda block: replace(block, edge_attr=attr, weight=None))
    torch.manual_seed(0)
    encoder = encoder_for(adapt(pyg.GAT), SPEC, hidden_dim=8, edge_attr=True).eval()
    assert isinstance(encoder, PyGEncoder)
    assert isinstance(GRAPH.x, torch.Tensor)
    wanted = encoder.module(GRAPH.x, batch.blocks[0].edge_index, edge_attr=attr.float())
    torch.testing.assert_close(encoder(batch), wanted)
    assert encoder.uses_edge_attr
    torch.manual_seed(0)
    without: Any = encoder_for(adapt(pyg.GAT), SPEC, hidden_dim=8, edge_attr=False)
    assert not without.uses_edge_attr
    assert edge_attr_note(without, GRAPH) is None


def test_pyg_modules_that_take_none() -> None:
    note = edge_attr_note(encoder_for(adapt(pyg.GraphSAGE), SPEC, hidden_dim=8), GRAPH) or ""
    assert "GraphSAGE leaves out the 2 edge attributes" in note
    assert "GAT leaves out" in (edge_attr_note(encoder_for(adapt(pyg.GAT), SPEC, hidden_dim=8), GRAPH) or "")
    with pytest.raises(InputError, match="GraphSAGE has no use for edge attributes"):
        encoder_for(adapt(pyg.GraphSAGE), SPEC, hidden_dim=8, edge_attr=True)
