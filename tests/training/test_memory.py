import sys

import psutil
import pytest
import torch

from gssl.training.memory import PeakMemory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can restart the high-water mark")
def test_peak_is_of_the_stretch_not_of_the_life_of_the_process() -> None:
    before = psutil.Process().memory_info().rss / 2**20
    first = PeakMemory(torch.device("cpu"))
    block = torch.ones(100 * 2**18)  # 100 MiB of float32
    del block
    assert first.mib() == pytest.approx(before + 100, abs=20)
    second = PeakMemory(torch.device("cpu"))
    assert second.mib() < first.mib() or second.mib() == pytest.approx(before, abs=20)
    assert second.mib() < before + 50
