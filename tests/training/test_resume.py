"""A run that was stopped, politely or not, ends with the same bits as one that was not."""

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from gssl.common.errors import InputError, Interrupted, TrainingError
from gssl.common.files import write_whole
from gssl.graph.batch import MiniBatch
from gssl.method import Method
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.samplers.full import GraphBatches
from gssl.testing.toy import toy_graphs
from gssl.training import checkpoint as checkpoint_module
from gssl.training.checkpoint import load_checkpoint, save_checkpoint
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain
from gssl.training.result import TrainResult

CONFIG = TrainConfig(epochs=6, lr=0.02, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_epochs=2)
BATCHES = 3  # of the fixture, per epoch


@pytest.fixture
def batches() -> GraphBatches:
    """Ten graphs in three batches of at most four graphs."""
    return GraphBatches(toy_graphs(num_graphs=10, in_dim=8), batch_size=4, seed=5)


def make_bgrl() -> BGRL:
    """A method with everything that resuming must get right: augmentation, dropout, batch norm, EMA."""
    torch.manual_seed(3)
    return BGRL(GCN(8, hidden_dim=6, norm="batch", dropout=0.3), predictor_dim=5)


def plain(state: Any) -> Any:
    """A checkpoint without times and with comparable tensors."""
    if isinstance(state, Tensor):
        return (state.dtype, state.tolist())
    if isinstance(state, dict):
        return {key: plain(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [plain(value) for value in state]
    return state


def everything(path: Path) -> dict[str, Any]:
    state = load_checkpoint(path, config_key="")
    assert state is not None
    state["curve"] = [(*record[:3], *record[4:7]) for record in state["curve"]]  # without times and loads
    state["position"] = state["position"][:-1]
    found: dict[str, Any] = plain(state)
    return found


def call_in_loss(method: Method, at: int, action: Callable[[], float | None]) -> None:
    """Run ``action`` inside the ``at``-th call of the loss, after the forward pass; it may give a factor."""
    calls, loss = count(), method.loss

    def wrapped(batch: MiniBatch) -> Tensor:
        value = loss(batch)
        return value * (action() or 1.0) if next(calls) == at else value

    method.loss = wrapped  # type: ignore[method-assign]


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def train(method: Method, batches: GraphBatches, path: Path | None, config: TrainConfig = CONFIG) -> TrainResult:
    return pretrain(method, batches, config, seed=11, checkpoint=path)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stops=st.lists(st.integers(0, 7), min_size=1, max_size=2),
    patience=st.sampled_from([None, 1, 2]),
    number=st.sampled_from([signal.SIGTERM, signal.SIGINT]),
)
def test_resuming_is_bit_identical(
    stops: list[int],
    patience: int | None,
    number: signal.Signals,
    batches: GraphBatches,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("resume")
    config = replace(CONFIG, patience=patience)
    whole = make_bgrl()
    expected = train(whole, batches, folder / "whole.pt", config)

    for at in stops:
        method = make_bgrl()
        call_in_loss(method, at, lambda: os.kill(os.getpid(), number))
        with suppress(KeyboardInterrupt):
            train(method, batches, folder / "parts.pt", config)
    method = make_bgrl()
    result = train(method, batches, folder / "parts.pt", config)

    assert everything(folder / "parts.pt") == everything(folder / "whole.pt")
    assert plain(method.state_dict()) == plain(whole.state_dict())
    assert [r.loss for r in result.curve] == [r.loss for r in expected.curve]
    assert (result.best_epoch, result.stopped_early) == (expected.best_epoch, expected.stopped_early)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Interrupted)])
def test_a_signal_waits_for_the_update_and_no_longer(
    number: int, error: type[KeyboardInterrupt], batches: GraphBatches, tmp_path: Path
) -> None:
    method = make_bgrl()
    call_in_loss(method, 4, lambda: os.kill(os.getpid(), number))
    with pytest.raises(KeyboardInterrupt) as caught:
        train(method, batches, tmp_path / "c.pt")
    assert type(caught.value) is error
    state = load_checkpoint(tmp_path / "c.pt", config_key="")
    assert state is not None
    assert state["position"][:2] == (1, 2)  # the second batch of the second epoch is done
    assert plain(state["method"]) == plain(method.state_dict())


def test_a_second_signal_does_not_wait(batches: GraphBatches, tmp_path: Path) -> None:
    def twice() -> None:
        terminate()
        terminate()

    method = make_bgrl()
    before = plain(method.encoder.state_dict()["layers.0.weight"])
    call_in_loss(method, 0, twice)
    with pytest.raises(Interrupted):
        train(method, batches, tmp_path / "c.pt")
    assert plain(method.encoder.state_dict()["layers.0.weight"]) == before
    assert not (tmp_path / "c.pt").exists()


def test_handlers_of_the_program_are_used_and_come_back(batches: GraphBatches, tmp_path: Path) -> None:
    class Terminated(KeyboardInterrupt):
        pass

    def handler(number: int, frame: FrameType | None) -> None:
        raise Terminated

    method = make_bgrl()
    call_in_loss(method, 1, terminate)
    interrupt = signal.getsignal(signal.SIGINT)
    former = signal.signal(signal.SIGTERM, handler)
    try:
        with pytest.raises(Terminated):
            train(method, batches, tmp_path / "c.pt")
        assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGINT) is interrupt
        assert (tmp_path / "c.pt").exists()
        train(method, batches, tmp_path / "c.pt")
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, former)


def test_a_signal_during_the_last_save_is_not_lost(
    batches: GraphBatches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*args: Any, **options: Any) -> None:
        save_checkpoint(*args, **options)
        terminate()

    monkeypatch.setattr("gssl.training.saver.save_checkpoint", save)
    with pytest.raises(Interrupted):
        train(make_bgrl(), batches, tmp_path / "c.pt")


def test_other_threads_leave_signals_alone(batches: GraphBatches, tmp_path: Path) -> None:
    results: list[TrainResult] = []
    thread = threading.Thread(target=lambda: results.append(train(make_bgrl(), batches, tmp_path / "c.pt")))
    thread.start()
    thread.join()
    assert results[0].epochs == CONFIG.epochs


def test_a_finished_run_is_not_trained_again(batches: GraphBatches, tmp_path: Path) -> None:
    config = replace(CONFIG, patience=1, lr=1e-9)
    first = train(make_bgrl(), batches, tmp_path / "c.pt", config)
    method = make_bgrl()
    call_in_loss(method, 0, lambda: pytest.fail("trained again"))
    again = train(method, batches, tmp_path / "c.pt", config)
    assert (again.curve, again.best_epoch) == (first.curve, first.best_epoch)


def test_checkpoints_come_by_the_clock(batches: GraphBatches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "gssl.training.saver.save_checkpoint", lambda path, state, config_key: saved.append(state["position"][:2])
    )
    train(make_bgrl(), batches, tmp_path / "c.pt")
    assert saved == [(6, 0)]
    saved.clear()
    clock = count(step=20)
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    train(make_bgrl(), batches, tmp_path / "c.pt", replace(CONFIG, epochs=1, checkpoint_seconds=30.0))
    assert saved == [(0, 2), (1, 0), (1, 0)]


def test_failing_leaves_the_checkpoint_before(batches: GraphBatches, tmp_path: Path) -> None:
    method = make_bgrl()

    call_in_loss(method, 2 * BATCHES + 1, lambda: math.nan)
    with pytest.raises(TrainingError, match="epoch 2"):
        train(method, batches, tmp_path / "c.pt", replace(CONFIG, checkpoint_seconds=1e-9))
    whole = make_bgrl()
    train(whole, batches, None)
    resumed = make_bgrl()
    train(resumed, batches, tmp_path / "c.pt")
    assert plain(resumed.state_dict()) == plain(whole.state_dict())


def test_another_configuration_is_refused(batches: GraphBatches, tmp_path: Path) -> None:
    pretrain(make_bgrl(), batches, CONFIG, seed=0, checkpoint=tmp_path / "c.pt", config_key="one")
    with pytest.raises(InputError, match="belongs to another configuration"):
        pretrain(make_bgrl(), batches, CONFIG, seed=0, checkpoint=tmp_path / "c.pt", config_key="two")


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.marker,)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    torch.save({"format": 1, "config_key": "", "state": Hostile(marker)}, tmp_path / "c.pt")
    with pytest.raises(InputError, match="read safely"):
        load_checkpoint(tmp_path / "c.pt", config_key="")
    assert not marker.exists()
    torch.load(tmp_path / "c.pt", weights_only=False)
    assert marker.exists()  # the file was as hostile as intended


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_damaged_file_is_refused(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"a": torch.arange(1000)}, config_key="")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="delete it to train from the start"):
        load_checkpoint(path, config_key="")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, tmp_path / "c.pt")
    with pytest.raises(InputError, match="not a checkpoint of this version"):
        load_checkpoint(tmp_path / "c.pt", config_key="")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot read"):
        load_checkpoint(tmp_path / "folder", config_key="")


def test_a_full_disk_is_said_and_keeps_the_former_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"a": 1}, config_key="")

    def full(where: Path, write: Any) -> None:
        with Path("/dev/full").open("wb", buffering=0) as file:
            write_whole(where, lambda _: write(file))

    monkeypatch.setattr(checkpoint_module, "write_whole", full)
    with pytest.raises(InputError, match="No space left on device"):
        save_checkpoint(path, {"a": 2}, config_key="")
    assert load_checkpoint(path, config_key="") == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["c.pt"]


WORKER = """
import os, signal, sys
from itertools import count
from pathlib import Path
import torch
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.samplers.full import GraphBatches
from gssl.testing.toy import toy_graphs
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

batches = GraphBatches(toy_graphs(num_graphs=10, in_dim=8), batch_size=4, seed=5)
torch.manual_seed(3)
method = BGRL(GCN(8, hidden_dim=6, norm="batch", dropout=0.3), predictor_dim=5)
config = TrainConfig(
    epochs=6, lr=0.02, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_epochs=2, checkpoint_seconds=1e-9
)
path, kill_at = Path(sys.argv[1]), int(sys.argv[2])
if kill_at:  # in the middle of a write: the new file is there, but not yet in place
    calls, sync = count(1), os.fsync
    os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL) if next(calls) == kill_at else sync(handle)
pretrain(method, batches, config, seed=11, checkpoint=path)
torch.save(method.state_dict(), path.with_suffix(".weights"))
"""


def test_killed_in_the_middle_of_a_write_and_resumed_elsewhere(batches: GraphBatches, tmp_path: Path) -> None:
    def work(kill_at: int) -> int:
        arguments = [sys.executable, "-c", WORKER, str(tmp_path / "c.pt"), str(kill_at)]
        return subprocess.run(arguments, check=False, timeout=300).returncode

    assert work(kill_at=15) == -signal.SIGKILL  # each save syncs the file and the folder
    state = load_checkpoint(tmp_path / "c.pt", config_key="")
    assert state is not None
    assert state["position"][:2] == (1, 3)
    assert work(kill_at=0) == 0
    whole = make_bgrl()
    train(whole, batches, None)
    other_process = torch.load(tmp_path / "c.weights", weights_only=True)
    assert plain(other_process) == plain(whole.state_dict())
