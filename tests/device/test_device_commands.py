"""``--device`` of the commands that compare samplers decides where they work, here on an emulated device."""

import json
from pathlib import Path

import numpy as np
import pytest

from gssl.cli.main import main
from gssl.testing.emulated.cuda import emulated_cuda, needs_emulated_cuda
from gssl.testing.toy import toy_dataset

pytestmark = needs_emulated_cuda()
CONVERGE = ("--samplers", "graphsage", "--lr", "0.01", "--seconds", "0.01", "--steps", "2", "--points", "1")
VARIANCE = ("--samplers", "graphsage", "--draws", "2", "--warmup", "1", "--set", "sampler.fanouts=2")
SMALL = ("--set", "encoder.hidden_dim=4", "--batch-size", "6", "--json")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with a graph of sixty nodes."""
    monkeypatch.chdir(tmp_path)
    found = toy_dataset("node")
    pattern = found.graph.block.pattern
    assert found.labels is not None
    edges = np.stack([pattern.col.numpy(), pattern.row.numpy()]).astype(np.int64)
    x = np.asarray(found.graph.x)
    np.savez(tmp_path / "graph.npz", x=x, edge_index=edges, y=found.labels.y.numpy())
    return "graph.npz"


@pytest.mark.parametrize("command", ["converge", "variance"])
def test_work_is_done_where_it_was_asked_for(command: str, data: str, capfd: pytest.CaptureFixture[str]) -> None:
    """There is a device both times, which ``auto`` would take."""
    options = CONVERGE if command == "converge" else VARIANCE
    with emulated_cuda() as ledger:
        for device in ("cpu", "cuda"):
            ledger.clear()
            assert main([command, "supervised", data, *options, *SMALL, "--device", device]) == 0
            found = json.loads(capfd.readouterr().out)
            assert bool(ledger.kernels["mm"] + ledger.kernels["addmm"]) == (device == "cuda"), ledger.kernels
            assert bool(ledger.bytes_in) == (device == "cuda")
            if command == "converge":
                assert [training["device"] for training in found["trainings"]] == [device]
