"""Numbers in buffers that the host knows."""

import copy

import torch
from torch import nn

from gssl.models.known import KnownNumbers
from gssl.testing.emulated.cuda import emulated_cuda, needs_emulated_cuda


class Counter(nn.Module):
    count: torch.Tensor
    begun: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("begun", torch.tensor(False))
        self.numbers = KnownNumbers(self)


def test_what_is_written_is_in_the_buffer() -> None:
    counter = Counter()
    counter.numbers["count"] = 3
    counter.numbers["begun"] = True
    assert (int(counter.count), bool(counter.begun)) == (3, True)
    assert (counter.numbers["count"], counter.numbers["begun"]) == (3, True)


def test_what_was_loaded_counts_within_another_module_too() -> None:
    trained, fresh = Counter(), Counter()
    trained.numbers["count"] = 5
    assert fresh.numbers["count"] == 0
    nn.ModuleList([fresh]).load_state_dict(nn.ModuleList([trained]).state_dict())
    assert fresh.numbers["count"] == 5


def test_a_copy_has_its_own() -> None:
    counter = Counter()
    counter.numbers["count"] = 1
    other = copy.deepcopy(counter)
    other.numbers["count"] = 2
    assert (int(counter.count), int(other.count)) == (1, 2)
    other.load_state_dict(counter.state_dict())
    assert (counter.numbers["count"], other.numbers["count"]) == (1, 1)


@needs_emulated_cuda()
def test_a_device_is_asked_once() -> None:
    with emulated_cuda() as ledger:
        counter = Counter().to("cuda")
        ledger.clear()
        seen = [counter.numbers["count"] for _ in range(3)]
        counter.numbers["count"] = 4
        assert [*seen, counter.numbers["count"]] == [0, 0, 0, 4]
        assert ledger.counts().waits == 1
