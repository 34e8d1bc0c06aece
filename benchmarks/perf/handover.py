"""What it costs the host to gather the features of a batch and hand them to a device, in copies of these features."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from statistics import median

import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.graph.block import Block
from gssl.graph.gathered import GatheredRows
from gssl.graph.sparse import Pattern, dense_features
from gssl.samplers.delivery import Arrival, Delivery, SlowLane


class _Fetched(SlowLane):
    """A device that fetches from the buffers by itself and at once, so that the work of the host is left."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self._done: Future[None] = self._copier.submit(time.sleep, 0)

    def send(self, host: Tensor) -> Tensor:
        return host

    def arrival(self) -> Arrival:
        return self.arrived(self._done)


def handover_figures(nodes: int, dim: int, rows: int, repeats: int, threads: int) -> dict[str, float]:
    """Milliseconds of gathering and handing over the rows of a batch, and how many copies that is.

    ``handover_ratio`` is over one gather of the same rows into memory that is there; ``handover_plain_ratio`` over a
    copy of as many bytes that lie together; ``two_copies_ratio`` says the same as the first of a gather into new memory
    and a copy from there, which is what a batch in pinned memory took before.

    Args:
        nodes: rows of the matrix.
        dim: its columns, float32.
        rows: of a batch, drawn with repeats.
        repeats: of each, in turns.
        threads: of all.
    """
    torch.set_num_threads(threads)
    rng = torch.Generator().manual_seed(0)
    table = torch.rand(nodes, dim, generator=rng)
    index = torch.randint(nodes, (rows,), generator=rng)
    delivery, there, plain = Delivery(_Fetched()), torch.empty(rows, dim), torch.rand(rows, dim, generator=rng)
    empty = Block(Pattern(torch.zeros(1, dtype=torch.int32), torch.zeros(0, dtype=torch.int32), 0))
    batch = MiniBatch(GatheredRows(table, index), (empty,), index, num_targets=1)
    steps: list[Callable[[], object]] = [
        lambda: delivery.send(batch).taken(),
        lambda: torch.index_select(table, 0, index, out=there),
        lambda: there.copy_(plain),
        lambda: there.copy_(table.index_select(0, index)),
    ]
    assert torch.equal(dense_features(delivery.send(batch).taken().x), table[index])
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(repeats + 2):  # both buffers, and the pages of all, are there after two rounds
        for step, seconds in zip(steps, times, strict=True):
            begin = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begin)
    ours, once, together, twice = (median(seconds[2:]) for seconds in times)
    return {
        "handover_milliseconds": 1e3 * ours,
        "handover_ratio": ours / once,
        "handover_plain_ratio": ours / together,
        "two_copies_ratio": twice / once,
    }
