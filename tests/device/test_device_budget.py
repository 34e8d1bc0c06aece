"""What a training is said to need is what it puts on the emulated device, and is asked for before its first step."""

from typing import Any

import pytest
import torch

from gssl.common.errors import InputError
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.registry import SAMPLERS
from gssl.samplers.pair import PairSampler
from gssl.testing.emulated.cuda import emulated_cuda, needs_emulated_cuda
from gssl.testing.toy import toy_graph
from gssl.training.budget import estimate
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

pytestmark = needs_emulated_cuda()
GRAPH = toy_graph(num_nodes=60, in_dim=64)
CUDA = torch.device("cuda", 0)
CONFIG = TrainConfig(epochs=1, optimizer="sgd")


def parts(name: str = "uniform+exact", **options: Any) -> tuple[BGRL, PairSampler]:
    torch.manual_seed(0)
    sampler = SAMPLERS.get(name)(GRAPH, num_layers=2, batch_size=4, items=torch.arange(20), seed=0, **options)
    assert isinstance(sampler, PairSampler)
    return BGRL(GCN(64, hidden_dim=8), predictor_dim=8), sampler


@pytest.mark.parametrize("options", [{}, {"features_on": "host"}, {"backend": "numba"}])
def test_bytes_of_a_graph_are_those_that_are_copied(options: dict[str, Any]) -> None:
    with emulated_cuda() as ledger:
        method, sampler = parts(**options)
        free, _ = torch.cuda.mem_get_info(CUDA)
        needed = estimate(method, sampler, CONFIG, free=free)
        assert not ledger.bytes_in, "nothing is there before it is known to fit"
        sampler.place(CUDA)
        assert ledger.bytes_in == needed.graph
        again = estimate(method, sampler, CONFIG, free=free)
        assert (again.graph, again.batch) == (0, needed.batch), "it is there, and counts no second time"


def test_a_batch_that_is_too_large_is_refused_before_anything_is_on_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its targets alone would fit."""
    with emulated_cuda() as ledger:
        method, sampler = parts(features_on="host")
        needed = estimate(method, sampler, CONFIG, free=2**36)
        assert needed.batch > needed.total / 2 > 4 * 4 * 64
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (needed.total - 1, 2**36))
        with pytest.raises(InputError, match="for a batch: lower --batch-size, or draw neighbors"):
            pretrain(method, sampler, CONFIG, seed=0, device="cuda")
        assert not ledger.bytes_in
        assert (next(method.parameters()).device.type, sampler.propagation.graph.device.type) == ("cpu", "cpu")
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**36, 2**36))
        first = pretrain(method, sampler, CONFIG, seed=0, device="cuda")
        again = parts(features_on="host")[0]
        second = pretrain(again, sampler, CONFIG, seed=0, device="cuda")  # by a sampler that is there already
        assert [r.loss for r in first.curve] == [r.loss for r in second.curve]
