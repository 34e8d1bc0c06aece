import torch

from gssl.testing.toy import toy_graph
from gssl.training.device import Mover

META = torch.device("meta")


def test_a_batch_that_comes_again_travels_once() -> None:
    move = Mover()
    batch = toy_graph(num_nodes=30).full_batch()
    moved = move(batch, META)
    assert moved.device.type == moved.blocks[0].pattern.col.device.type == "meta"
    assert move(batch, META) is moved
    assert move(toy_graph(num_nodes=20).full_batch(), META).num_nodes == 20
    assert move(batch, META).num_nodes == 30


def test_a_batch_in_place_is_left_alone() -> None:
    batch = toy_graph().full_batch()
    assert Mover()(batch, torch.device("cpu")) is batch
