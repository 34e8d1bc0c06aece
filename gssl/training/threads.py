"""On how many threads one operation computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def computing_on(threads: int | None) -> Iterator[None]:
    """Within it one operation takes as many threads; then as many as before, so that what follows gives the same bits.

    Args:
        threads: at least 1; None leaves the number as it is.
    """
    if threads is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)
