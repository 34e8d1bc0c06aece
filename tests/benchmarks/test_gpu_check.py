"""The check of a device: parts end in time, fail alone, and stand in one file; bad input is refused."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from gssl.benchmarks.gpu import check as check_module
from gssl.benchmarks.gpu import processes
from gssl.benchmarks.gpu.check import check
from gssl.benchmarks.gpu.child import carry_out
from gssl.benchmarks.gpu.parts import PARTS, Part, chosen
from gssl.benchmarks.gpu.report import Case, Figure, Report
from gssl.benchmarks.gpu.setup import Setup, Sizes
from gssl.cli.main import main
from gssl.common.errors import InputError
from gssl.training.parallel import Loss, Shared

TINY = Setup("cpu", scale=0.0004)
KEYS = {
    *("schema", "name", "kind", "limit_seconds", "status", "message", "seconds"),
    *("cases", "figures", "numbers", "config", "environment"),
}
LAUNCHER = """
import sys
from pathlib import Path
from gssl.benchmarks.gpu.report import Case, Report
name, setup, limit, file = sys.argv[-4:]
report = Report(Path(file), name, "correctness", float(limit), {}, {})
report.add(Case("before", "same", 0.0, 0.0))
if name == "slow":
    import time
    print("what it printed", flush=True)
    time.sleep(60)
if name == "killed":
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
if name == "silent":
    Path(file).unlink()
    sys.exit(3)
report.add(Case("after", "differs" if name == "wrong" else "same", 0.5, 0.1))
report.end()
"""


def part(name: str, kind: Any = "correctness", seconds: float = 60) -> Part:
    return Part(name, kind, seconds, "none", "")


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Carries out parts that do nothing but what their names say."""
    script = tmp_path / "child.py"
    script.write_text(LAUNCHER)
    monkeypatch.setattr(check_module, "COMMAND", (sys.executable, str(script)))

    def run(*parts: Part, seconds: float = 480) -> Any:
        lines: list[str] = []
        checked = check(parts, TINY, tmp_path / "out", seconds, lines.append)
        stored = json.loads((tmp_path / "out" / "check.json").read_text())
        assert stored["parts"] == json.loads(json.dumps(checked.mapping()))["parts"]
        assert len(lines) == len(parts)
        return checked

    return run


def test_a_part_that_fails_costs_no_other(quick: Callable[..., Any]) -> None:
    found = quick(
        *(part(name) for name in ("wrong", "killed", "silent")),
        part("slow", seconds=2.5),
        part("right"),
        part("late", "figures"),
    )
    by_name = {p["name"]: p for p in found.parts}
    assert {name: p["status"] for name, p in by_name.items()} == {
        **{"wrong": "failed", "killed": "error", "silent": "error", "slow": "timeout"},
        **{"right": "passed", "late": "passed"},
    }
    assert all(set(p) - {"log"} == KEYS for p in found.parts)
    assert [case["name"] for case in by_name["slow"]["cases"]] == ["before"], "what was found before the end is kept"
    assert "what it printed" in by_name["slow"]["log"]
    assert by_name["slow"]["seconds"] >= 2.5
    assert len(found.problems) == 4
    assert "wrong: after differs" in found.problems


def test_figures_that_are_not_had_are_no_fault_of_the_device(quick: Callable[..., Any]) -> None:
    found = quick(part("right"), part("killed", "figures"))
    assert not found.problems
    assert len(found.remarks) == 1


def test_a_figure_whose_numbers_are_wrong_is(quick: Callable[..., Any]) -> None:
    assert quick(part("wrong", "figures")).problems == ("wrong: after differs",)


def test_what_there_is_no_time_for_is_said(quick: Callable[..., Any]) -> None:
    found = quick(part("right"), seconds=5)
    assert found.parts[0]["status"] == "skipped"
    assert found.problems == ("right: skipped, no time was left",)


def test_a_folder_with_results_is_refused(quick: Callable[..., Any]) -> None:
    quick(part("right"))
    with pytest.raises(InputError, match="former check"):
        quick(part("right"))


def test_all_parts_fit_into_nine_minutes() -> None:
    """With side by side what may be, on the sixteen cores that such machines have."""
    correctness = sorted((p.seconds for p in PARTS if p.kind == "correctness"), reverse=True)
    workers = [0.0] * 4
    for seconds in correctness:
        workers[workers.index(min(workers))] += seconds
    assert max(workers) + sum(p.seconds for p in PARTS if p.kind == "figures") <= check_module.USUAL_SECONDS < 540
    kinds = [p.kind for p in PARTS]
    assert kinds == sorted(kinds), "correctness comes first"


@pytest.mark.parametrize("name", [p.name for p in PARTS if p.kind == "figures"])
def test_figures_at_tiny_sizes(name: str, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    carry_out(name, TINY, 300, tmp_path / "found.json")
    torch.set_num_threads(threads)
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found) == KEYS
    assert found["status"] == "passed", found["message"] or found["cases"]
    assert found["figures"]
    for figure in found["figures"]:
        assert figure["value"] > 0
        assert figure["reached"] is None, "targets are for a GPU and the full size"
        if figure["ours"] and figure["peer"]:
            ratio = figure["peer"] / figure["ours"]
            assert figure["value"] == pytest.approx(ratio if name == "gcn" or "core" in figure["name"] else 1 / ratio)
    assert {"git_hash", "processor", "libraries"} <= set(found["environment"])
    assert found["config"]["scale"] == TINY.scale


@pytest.mark.parametrize("name", [p.name for p in PARTS if p.kind == "correctness"])
def test_the_cpu_is_as_the_cpu(name: str, tmp_path: Path) -> None:
    carry_out(name, Setup("cpu", TINY.scale, every=60), 300, tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found) == KEYS
    assert found["status"] == "passed", found["message"] or found["cases"]
    assert "same" in [case["verdict"] for case in found["cases"]]


def test_a_group_that_changes_gradients_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("WORLD_SIZE", "LOCAL_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
    before = [os.environ.get(name) for name in names]

    class Doubling(Shared):
        def of(self, loss: Loss) -> Loss:
            one = super().of(loss)
            return lambda batch: 2 * one(batch)

    monkeypatch.setattr(processes, "Shared", Doubling)
    case = processes.same_steps("GRACE", "cpu")
    assert (case.verdict, case.name) == ("differs", "GRACE by one process over gloo")
    assert [os.environ.get(name) for name in names] == before, "else this process would seem to be one of several"
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: False)
    without = processes.same_steps("GRACE", "cuda")
    assert (without.verdict, without.detail) == ("skipped", "this PyTorch has no NCCL")


def test_an_error_of_a_part_stands_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(setup: Setup, report: Report) -> None:
        report.add(Case("first", "same", 0.0, 0.0))
        raise ValueError("on purpose")

    module = ModuleType("broken_part_of_the_check")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(
        "gssl.benchmarks.gpu.child.part_named", lambda name: Part(name, "figures", 9, module.__name__, "")
    )
    carry_out("broken", TINY, 9, tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["status"], found["message"]) == ("error", "ValueError: on purpose")
    assert len(found["cases"]) == 1


def test_numbers_that_json_does_not_have_are_left_out(tmp_path: Path) -> None:
    report = Report(tmp_path / "found.json", "x", "figures", 9, {}, {})
    report.add(
        Case("away", "differs", float("inf"), 1e-4),
        Figure("none", float("nan"), "times", 3.0, True, True, ""),
    )
    report.note(rate=float("inf"))
    report.end()
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["cases"][0]["difference"] is None
    assert (found["figures"][0]["value"], found["figures"][0]["reached"]) == (None, None)
    assert found["numbers"]["rate"] is None
    assert found["status"] == "failed"


@pytest.mark.parametrize(("value", "at_least", "reached"), [(4.0, True, True), (2.0, True, False), (2.0, False, True)])
def test_targets(value: float, at_least: bool, reached: bool) -> None:
    def figure(judged: bool) -> Figure:
        return Figure("x", value, "times", 3.0, at_least, judged, "")

    assert figure(True).reached is reached
    assert figure(False).reached is None


def test_the_full_size_is_that_of_the_targets() -> None:
    full = Sizes.of(1.0)
    assert (full.nodes, full.edges, full.batch, full.rows) == (2_449_029, 123_718_280, 1024, 100_000)
    assert (full.gcn_nodes, full.gcn_edges, full.gcn_dim) == (1_000_000, 20_000_000, 128)
    assert Sizes.of(0.01).edges == pytest.approx(0.01 * full.edges, rel=0.01)


def test_some_parts() -> None:
    assert [p.name for p in chosen("gcn, methods")] == ["methods", "gcn"]
    with pytest.raises(InputError, match="did you mean 'pairs'"):
        chosen("pars")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--full", "--device", "cuda"], "finds no CUDA device: .*use --device cpu"),
        (["--full", "--device", "gpu"], "unknown device 'gpu'"),
        (["--full", "--parts", "pars"], "unknown part of the check 'pars'"),
        (["--full", "--device", "cpu", "--scale", "2"], "at most 1"),
        (["--device", "cpu"], "say gssl doctor --full --device cpu"),
        (["--seconds", "9"], "--seconds is for the full check"),
    ],
)
def test_bad_input(
    arguments: list[str], message: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any
) -> None:
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", *arguments]) == 2
    assert re.search(message, capfd.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_exit_code_and_tables(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "child.py"
    script.write_text(LAUNCHER)
    monkeypatch.setattr(check_module, "COMMAND", (sys.executable, str(script)))
    monkeypatch.setattr("gssl.benchmarks.gpu.parts.PARTS", (part("right"),))
    arguments = ["doctor", "--full", "--device", "cpu"]
    assert main([*arguments, "--out", str(tmp_path / "a")]) == 0
    assert "right  passed" in capfd.readouterr().out
    monkeypatch.setattr("gssl.benchmarks.gpu.parts.PARTS", (part("wrong"),))
    assert main([*arguments, "--out", str(tmp_path / "b"), "--json"]) == 1
    out, err = capfd.readouterr()
    assert json.loads(out)["problems"] == ["wrong: after differs"]
    assert "1 of the comparisons with the CPU failed" in err
