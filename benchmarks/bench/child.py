"""What happens inside the process of a cell: it computes, reports once, and ends with the runner that started it.

The process leads a session of its own, so that whatever a part of the user's own starts in it ends with it.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from gssl.benchmarks.bench.cell import Cell
from gssl.common.errors import InputError, StorageError, TrainingError
from gssl.common.files import cannot_write
from gssl.results.session import descendants, end_strays, kill_session, lead_session
from gssl.results.store import RunKey

Verdict = Literal["done", "failed", "skipped", "out of memory", "interrupted", "busy", "storage"]
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


@dataclass(frozen=True)
class CellJob:
    """A cell with what its process needs to know.

    Attributes:
        cell: what to compute.
        token: end of the name of its folder.
        db: URL of the results store.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: threads of one operation.
    """

    cell: Cell
    token: str
    db: str
    device: str
    threads: int


@dataclass(frozen=True)
class Report:
    """What the process of a cell says at its end.

    Attributes:
        verdict: how it ended; ``busy`` if another process still holds its folder, ``storage`` if a disk or database
            refuses.
        message: the reason.
        seconds: wall time.
        run: which run it led to, if it is done.
    """

    verdict: Verdict
    message: str = ""
    seconds: float = 0.0
    run: RunKey | None = None


def main(
    link: Connection,
    log: Path,
    environment: dict[str, str],
    work: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    """Run ``work(*arguments)`` and send what it returns, or the InputError that it raised.

    Args:
        link: to the runner; when it closes there, this process ends at once.
        log: file for what libraries print.
        environment: variables of the runner; those of the fork server are of the time when it was started.
        work: what to do.
        arguments: of the work.
    """
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        link.send(cannot_write(log, error))
        return
    lead_session()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ.clear()
    os.environ.update(environment)
    threading.Thread(target=_end_with_the_runner, args=(link,), daemon=True).start()
    try:
        link.send(work(*arguments))
    except InputError as error:
        link.send(error)
    finally:
        end_strays()


def compute(job: CellJob) -> Report:
    """Carry out a cell: load, pretrain, judge, store.

    Returns:
        How it ended; nothing that goes wrong with the cell itself is raised.
    """
    started = time.perf_counter()

    def ended(verdict: Verdict, message: str = "", run: RunKey | None = None) -> Report:
        return Report(verdict, message, time.perf_counter() - started, run)

    try:
        return ended("done", run=_run(job))
    except _Unavailable as error:
        return ended("skipped", str(error))
    except KeyboardInterrupt:
        return ended("interrupted")
    except Exception as error:
        with suppress(OSError):  # the disk of the log may be what is full
            traceback.print_exc()
        return ended(*_verdict(error))


def _verdict(error: Exception) -> tuple[Verdict, str]:
    from gssl.results.folder import BusyError

    if isinstance(error, BusyError):
        return "busy", str(error)
    if isinstance(error, StorageError) or (isinstance(error, OSError) and error.errno in _FULL):
        return "storage", str(error)
    if _out_of_memory(error) or _out_of_memory(error.__cause__):
        return "out of memory", str(error) or "there is not enough memory"
    kind = "" if isinstance(error, InputError | TrainingError) else f"{type(error).__name__}: "
    return "failed", f"{kind}{error}"


def _out_of_memory(error: BaseException | None) -> bool:
    import torch

    # PyTorch's allocator for the CPU raises a plain RuntimeError.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error or "")


class _Unavailable(Exception):  # noqa: N818  not a fault of the cell
    """The data cannot be had here."""


def _run(job: CellJob) -> RunKey:
    from gssl.experiment.prepare import prepare
    from gssl.experiment.run import run_experiment
    from gssl.results.database import PATIENCE_SECONDS
    from gssl.results.folder import folder_name
    from gssl.results.places import runs_root
    from gssl.training.progress import Quiet
    from gssl.training.threads import computing_on

    try:  # that the request is right was checked before, so what can go wrong here is the data
        config, dataset = prepare(job.cell.request(), job.cell.dataset)
    except StorageError:
        raise
    except InputError as error:
        raise _Unavailable(str(error)) from None
    with computing_on(job.threads):
        result = run_experiment(
            config,
            dataset,
            device=job.device,
            display=lambda title: Quiet(),
            say=lambda message: print(message, file=sys.stderr),  # noqa: T201  the log
            out=runs_root() / f"{folder_name(config)}-{job.cell.seed}-{job.token}",
            db=job.db,
            patience=PATIENCE_SECONDS,
        )
    return RunKey(
        method=result["method"],
        config_hash=result["config_hash"],
        dataset=result["dataset"],
        dataset_checksum=dataset.checksum,
        split_hash=result["split_hash"],
        probe=result["probe"],
        probe_version=result["probe_version"],
        seed=job.cell.seed,
        environment_hash=result["environment_hash"],
    )


def _end_with_the_runner(link: Connection) -> None:
    try:
        link.recv()  # the runner sends nothing: this returns when it is gone
    except (EOFError, OSError):
        kill_session(os.getpid(), others=descendants(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
