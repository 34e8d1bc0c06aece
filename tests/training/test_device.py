import torch

from gssl.samplers.graph import Graph
from gssl.training.device import Mover


def test_a_batch_that_comes_again_travels_once(graph: Graph) -> None:
    move = Mover(torch.device("meta"))
    batch = graph.full_batch()
    moved = move(batch)
    assert moved.device.type == moved.blocks[0].pattern.col.device.type == "meta"
    assert move(batch) is moved
    other = Graph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), torch.ones(2, 3)).full_batch()
    assert move(other).num_nodes == 2
    assert move(batch).num_nodes == 30


def test_a_batch_in_place_is_left_alone(graph: Graph) -> None:
    batch = graph.full_batch()
    assert Mover(torch.device("cpu"))(batch) is batch
