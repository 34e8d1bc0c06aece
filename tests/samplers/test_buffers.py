"""Memory of large batches is used again, and never while something refers to it."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from gssl.samplers import buffers
from gssl.samplers.buffers import Buffers
from gssl.samplers.pair import make_pair
from gssl.samplers.propagation.base import Propagation
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.propagation.history import HistoryPropagation
from gssl.samplers.propagation.neighbor import Neighbor
from gssl.samplers.selection.uniform import Uniform
from gssl.samplers.sparse import dense_features
from gssl.testing.toy import toy_graph


@pytest.fixture(autouse=True)
def every_matrix_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "KEPT_BY_MALLOC", 0)


def test_memory_that_nothing_refers_to_is_used_again() -> None:
    pool = Buffers()
    first = pool.empty(100, 8)
    place = first.data_ptr()
    del first
    again = pool.empty(90, 8)
    assert (again.shape, again.dtype) == ((90, 8), torch.float32)
    assert again.data_ptr() == place


@pytest.mark.parametrize("keep", [lambda x: x[3:5], lambda x: x.numpy()[1:], lambda x: x.detach(), lambda x: (x,)])
def test_memory_is_not_used_again_while_a_view_of_it_lives(keep: object) -> None:
    pool = Buffers()
    first = pool.empty(100, 8)
    place, view = first.data_ptr(), keep(first)  # type: ignore[operator]
    del first
    second = pool.empty(100, 8)
    assert second.data_ptr() != place
    del view, second
    third, fourth = pool.empty(100, 8), pool.empty(100, 8)
    assert third.data_ptr() != fourth.data_ptr()
    assert place in {third.data_ptr(), fourth.data_ptr()}


def test_what_the_backward_pass_needs_is_in_use() -> None:
    pool, weight = Buffers(), torch.ones(8, 1, requires_grad=True)
    loss = (pool.empty(100, 8).fill_(2.0) @ weight).sum()
    pool.empty(100, 8).fill_(7.0)
    loss.backward()
    assert weight.grad is not None
    assert weight.grad.squeeze(1).tolist() == [200.0] * 8


def test_no_more_memory_is_held_than_was_in_use_at_once() -> None:
    pool = Buffers()
    for rows in range(10, 200, 10):  # each too large for what is free
        pool.empty(rows, 8)
        assert len(pool._loans) == 1


def test_threads_never_share_memory() -> None:
    pool = Buffers()

    def work(number: int) -> bool:
        matrix = pool.empty(500, 16).fill_(float(number))
        return bool((matrix * 1.0 == number).all() and (matrix == number).all())

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(300)))


def test_a_copy_begins_empty() -> None:
    pool = Buffers()
    held = pool.empty(10, 2)
    copy: Buffers = pickle.loads(pickle.dumps(pool))
    assert copy.empty(10, 2).data_ptr() != held.data_ptr()


@pytest.mark.parametrize("propagation", [Exact, Neighbor, HistoryPropagation])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_batches_that_are_kept_stay_as_they_were(propagation: type[Propagation], prefetch: int) -> None:
    graph = toy_graph(num_nodes=300)
    sampler = make_pair(Uniform, propagation)(graph, num_layers=2, batch_size=30, prefetch=prefetch)
    kept = list(sampler.epoch(0))
    assert len(kept) == 10
    for batch in kept:
        assert torch.equal(dense_features(batch.x), dense_features(graph.x)[batch.node_ids])
