import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from gssl.benchmarks.perf.measure import Side, in_fresh_process, measure, peak_memory, single_step, take_turns
from gssl.benchmarks.perf.registry import BENCHMARKS
from gssl.benchmarks.perf.result import Measured, compare
from gssl.benchmarks.perf.stand_ins import StandIn, stand_in
from gssl.common.errors import TrainingError
from gssl.common.options import options_of

MIB = 2**20


def filling(mebibytes: int) -> Side:
    """A side whose step fills a buffer of that size; it travels to other processes without this module."""
    return Side(f"{mebibytes} MiB", partial(partial, torch.ones, mebibytes * MIB // 4))


def test_sides_take_turns_and_lead_in_turn() -> None:
    calls: list[str] = []

    def side(name: str) -> Side:
        def build() -> Callable[[], None]:
            calls.append(f"build {name}")
            return lambda: calls.append(name)

        return Side(name, build)

    before = torch.get_num_threads()
    try:
        times, figures = take_turns([side("a"), side("b"), side("c")], lambda: {"difference": 0.5}, 3, before)
    finally:
        torch.set_num_threads(before)
    assert figures == {"difference": 0.5}
    assert [len(seconds) for seconds in times] == [3, 3, 3]
    assert calls[:6] == ["build a", "build b", "build c", "a", "b", "c"]  # one turn of each is not measured
    rounds = [calls[start : start + 3] for start in range(6, 15, 3)]
    assert rounds == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]


def test_peak_memory_is_that_of_the_step_alone() -> None:
    small, large = (in_fresh_process(peak_memory, filling(size), 1) for size in (32, 256))
    assert 31 <= small <= 64
    assert 255 <= large <= 288


def test_memory_held_by_what_was_built_does_not_count() -> None:
    held = Side("held", partial(partial, np.sum, np.ones(64 * MIB // 8)))
    assert in_fresh_process(peak_memory, held, 1) < 32


def test_a_single_step_reports_seconds_and_memory() -> None:
    seconds, memory_mb = in_fresh_process(single_step, filling(64), 1)
    assert seconds > 0
    assert memory_mb >= 63


def test_a_killed_step_is_an_error_of_the_work() -> None:
    with pytest.raises(TrainingError, match="killed"):
        measure([Side("dies", partial(partial, os._exit, 9))], partial(dict[str, float]), repeats=1, threads=1)


def test_ratios_are_theirs_over_ours_and_the_first_peer_leads() -> None:
    ours = Measured("gssl", (3.0, 1.0, 2.0), 10.0)
    peers = [Measured("first", (9.0, 8.0, 7.0), 40.0), Measured("second", (1.0, 1.0, 1.0), 5.0)]
    result = compare("x", ours, peers, absent={"third": "why"}, figures={}, config={}, environment={})
    assert (result.ours, result.peer, result.peer_name) == (2.0, 8.0, "first")
    assert (result.ratio, result.memory_ratio) == (4.0, 4.0)
    assert [(p.name, p.ratio, p.memory_ratio, p.seconds_min) for p in result.peers] == [
        ("first", 4.0, 4.0, 7.0),
        ("second", 0.5, 0.5, 1.0),
    ]
    assert result.ours_min == 1.0
    assert result.mapping()["absent"] == {"third": "why"}


def test_without_peers_there_is_no_ratio() -> None:
    result = compare("x", Measured("gssl", (1.0,), 10.0), [], absent={}, figures={}, config={}, environment={})
    assert (result.peer, result.ratio, result.memory_ratio, result.peer_name) == (None, None, None, None)


def test_the_registry_names_the_benchmarks_without_importing_torch() -> None:
    code = (
        "import sys; from gssl.benchmarks.perf.registry import BENCHMARKS; "
        "print(*BENCHMARKS.names()); print(*map(BENCHMARKS.summary, BENCHMARKS.names()), sep='\\n'); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, *summaries = done.stdout.splitlines()
    assert {"spmm", "infonce", "grace-step"} <= set(names.split())
    assert len(summaries) == len(names.split())
    assert all(summaries)


@pytest.mark.parametrize("name", BENCHMARKS.names())
def test_every_benchmark_runs_without_options_and_takes_repeats_and_threads(name: str) -> None:
    options = options_of(BENCHMARKS.get(name))
    assert not any(option.required for option in options.values())
    assert {"repeats", "threads"} <= set(options)


def test_a_stand_in_can_be_imported_from_but_not_used() -> None:
    module = StandIn("absent")
    with pytest.raises(NotImplementedError, match=r"absent\.thing is needed, but absent is not installed"):
        module.thing(1, key=2)
    assert not hasattr(module, "__path__")  # or it would pass for a package


def test_only_what_is_missing_gets_a_stand_in() -> None:
    stand_in("no_such_package_at_all", "statistics", "torch")
    try:
        assert isinstance(sys.modules["no_such_package_at_all"], StandIn)
        assert sys.modules["torch"] is torch
        assert sys.modules["statistics"] is statistics
    finally:
        del sys.modules["no_such_package_at_all"]


def test_a_package_that_is_there_in_part_gets_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "half_there"
    package.mkdir()
    (package / "__init__.py").write_text("import half_there.part\nimport no_such_package_at_all\n")
    (package / "part.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    stand_in("half_there")
    try:
        assert isinstance(sys.modules["half_there"], StandIn)
        assert "half_there.part" not in sys.modules
    finally:
        del sys.modules["half_there"]
