"""Processes of cells: their answers, limits and deaths."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from gssl.benchmarks.bench.process import Limits, Processes
from gssl.benchmarks.bench.work import _judged
from gssl.common.errors import InputError, StorageError

WORK = """
import os, signal, time
from pathlib import Path
from gssl.common.errors import InputError

def answer(*values):
    print("noise")
    return values, os.environ.get("GSSL_OF_THIS_TEST")

def refuse():
    raise InputError("change it")

def crash():
    os.kill(os.getpid(), signal.SIGSEGV)

def sleep(file):
    Path(file).write_text(str(os.getpid()))
    time.sleep(60)

def family(file):
    # a child, one in a session of its own, and one whose parent has left
    import subprocess, sys
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    own = subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)
    script = f"import subprocess; print(subprocess.Popen({sleep!r}, stdout=-3, stderr=-3).pid)"
    orphan = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout
    Path(file + "~").write_text(f"{os.getpid()} {own[0].pid} {own[1].pid} {orphan}")
    Path(file + "~").rename(file)
    time.sleep(60)

def grow():
    blocks = []
    while True:
        blocks.append(bytearray(b"x") * 2**24)
        time.sleep(0.01)
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    (tmp_path / "work_of_a_cell.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    import work_of_a_cell  # type: ignore[import-not-found]  # made above

    yield work_of_a_cell
    del sys.modules["work_of_a_cell"]


def test_an_answer_comes_back_and_noise_goes_to_the_log(
    work: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GSSL_OF_THIS_TEST", "now")  # the fork server may be older than this
    end = Processes().call(work.answer, 1, "two", log=tmp_path / "log")  # type: ignore[attr-defined]
    assert (end.cause, end.answer) == ("reported", ((1, "two"), "now"))
    assert "noise" in (tmp_path / "log").read_text()
    assert "noise" not in "".join(capfd.readouterr())


def test_bad_input_comes_back_as_what_it_is(work: object, tmp_path: Path) -> None:
    end = Processes().call(work.refuse, log=tmp_path / "log")  # type: ignore[attr-defined]
    assert isinstance(end.answer, InputError)
    assert str(end.answer) == "change it"


def test_a_log_that_cannot_be_written_is_storage_trouble(work: object, tmp_path: Path) -> None:
    end = Processes().call(work.answer, log=tmp_path / "none" / "log")  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match="No such file"):
        _judged(end, Limits(), tmp_path / "log")


def test_a_crash_is_told_from_a_kill(work: object, tmp_path: Path) -> None:
    end = Processes().call(work.crash, log=tmp_path / "log")  # type: ignore[attr-defined]
    assert end.cause == "crashed"
    assert "SIGSEGV" in end.message
    assert _judged(end, Limits(), tmp_path / "log").status == "failed"

    pid = tmp_path / "pid"

    def kill() -> None:
        if pid.exists() and (number := pid.read_text()):
            pid.unlink()  # once: the next beat may come when the process is gone
            os.kill(int(number), signal.SIGKILL)

    end = Processes().call(work.sleep, str(pid), log=tmp_path / "log", beat=kill)  # type: ignore[attr-defined]
    assert end.cause == "killed"


def test_limits_end_a_process(work: object, tmp_path: Path) -> None:
    processes, log = Processes(), tmp_path / "log"
    slow = processes.call(work.sleep, str(tmp_path / "pid"), log=log, limits=Limits(seconds=2.0))  # type: ignore[attr-defined]
    assert _judged(slow, Limits(seconds=2.0), log).status == "timed out"
    assert "limit 2 s" in slow.message
    large = processes.call(work.grow, log=log, limits=Limits(memory_mb=1500.0))  # type: ignore[attr-defined]
    ending = _judged(large, Limits(memory_mb=1500.0), log)
    assert (ending.status, ending.memory_limit) == ("out of memory", 1500.0)
    assert "limit 1500 MiB" in ending.message
    if (tmp_path / "pid").exists():  # on a busy machine the time was over before it began
        assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_a_runner_that_stops_stops_its_processes(work: object, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    end = Processes().call(work.sleep, str(pid), log=tmp_path / "log", stopping=pid.exists)  # type: ignore[attr-defined]
    assert end.cause == "stopped"
    assert not psutil.pid_exists(int(pid.read_text()))


def gone(pids: Path) -> bool:
    """Whether all of these processes end within seconds."""
    alive = [psutil.Process(int(pid)) for pid in pids.read_text().split() if psutil.pid_exists(int(pid))]
    _, left = psutil.wait_procs([process for process in alive if process.status() != "zombie"], timeout=20)
    return not left


def test_what_a_cell_has_started_ends_with_it(work: object, tmp_path: Path) -> None:
    """A plug-in may leave children behind, also in a session of their own, and orphans."""
    pids = tmp_path / "pids"
    end = Processes().call(work.family, str(pids), log=tmp_path / "log", stopping=pids.exists)  # type: ignore[attr-defined]
    assert end.cause == "stopped"
    assert len(pids.read_text().split()) == 4
    assert gone(pids)


def test_a_process_and_what_it_has_started_do_not_outlive_a_killed_runner(work: object, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = (
        "import sys, work_of_a_cell; from pathlib import Path; from gssl.benchmarks.bench.process import Processes\n"
        f"Processes().call(work_of_a_cell.family, {str(pids)!r}, log=Path({str(tmp_path / 'log')!r}))"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    runner = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path})
    while not pids.exists():
        assert runner.poll() is None
        time.sleep(0.05)
    runner.kill()
    runner.wait()
    assert gone(pids)
