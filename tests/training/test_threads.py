"""The number of threads is what it was when a run is over."""

import torch

from gssl.training.threads import computing_on


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with computing_on(before + 1):
        assert torch.get_num_threads() == before + 1
        with computing_on(None):
            assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
