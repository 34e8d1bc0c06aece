import io

import pytest
from rich.console import Console

from gssl.training.progress import Quiet, RichProgress
from gssl.training.result import EpochRecord


def run(display: Quiet | RichProgress) -> None:
    display.start(5, 2)
    for epoch in (2, 3, 4):
        display.epoch(EpochRecord(epoch, 0.125 * epoch, 0.1, 0.01))
    display.stop()


def test_rich_shows_title_epochs_loss_rate_and_time_left() -> None:
    out = io.StringIO()
    run(RichProgress("GRACE on Cora", console=Console(file=out, force_terminal=True, width=120)))
    drawn = out.getvalue()
    last = drawn[drawn.rindex("GRACE on Cora") :]  # it redraws one line
    for part in ("5/5", "loss 0.5", "epochs/s", "0:00:00"):
        assert part in last


def test_standard_output_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    run(RichProgress("GRACE"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "GRACE" in captured.err
    run(Quiet())
    assert capsys.readouterr() == ("", "")


def test_stopping_what_never_started_is_fine() -> None:
    RichProgress("GRACE").stop()
