"""Entry point of ``gssl``: parse, run one command, turn errors into messages and exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from gssl.cli import bench, converge, data, doctor, embed, listing, perf, report, run, share, show, tune, variance
from gssl.cli.output import reserved_stdout, say
from gssl.cli.output import show as show_answer
from gssl.cli.parser import parse
from gssl.common.errors import InputError, Interrupted, TrainingError
from gssl.common.launch import require_one_process
from gssl.common.links import REPAIR, broken_links

COMMANDS = (
    run.COMMAND,
    embed.COMMAND,
    listing.COMMAND,
    show.COMMAND,
    data.COMMAND,
    tune.COMMAND,
    variance.COMMAND,
    converge.COMMAND,
    bench.COMMAND,
    perf.COMMAND,
    report.COMMAND,
    share.EXPORT,
    share.IMPORT,
    doctor.COMMAND,
)

# Trouble with the user's disk or permissions, as opposed to a fault of the program.
_ENVIRONMENT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (``sys.argv`` by default) and return its exit code."""
    # A first touch of memory in small pages costs more than many operations on it. torch looks at its first tensor.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if "RANK" in os.environ:  # DistributedDataParallel warns that a method might be faster, which it cannot know
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if "_ARGCOMPLETE" in os.environ:  # the shell asks; argcomplete answers and leaves
        from gssl.cli.completion import complete

        complete(COMMANDS)
    with _errors_as_exit_codes() as outcome, _sigterm_as_exception():
        command, parsed = parse(sys.argv[1:] if arguments is None else arguments, COMMANDS)
        if not (command.reads_only or command.parallel):
            require_one_process(os.environ)
        if command.trains:
            from gssl.cli.early import refuse_early

            refuse_early(parsed)
        if parsed.json:
            with reserved_stdout() as write:
                answer = command.run(parsed)
                if not answer.silent:
                    write(answer.data)
        else:
            answer = command.run(parsed)
            show_answer(answer)
        if answer.failure:
            raise TrainingError(answer.failure)
    return outcome.code


class _Outcome:
    code = 0


@contextmanager
def _errors_as_exit_codes() -> Iterator[_Outcome]:
    outcome = _Outcome()
    try:
        yield outcome
    except InputError as error:
        outcome.code = _fail(2, str(error))
    except TrainingError as error:
        outcome.code = _fail(1, str(error))
    except Interrupted as error:
        outcome.code = _fail(128 + error.signum, str(error))
    except KeyboardInterrupt:
        outcome.code = _fail(130, "interrupted; the same command resumes where this one stopped")
    except MemoryError as error:
        reason = str(error).rstrip(".") or "an array is too large"
        outcome.code = _fail(2, f"not enough memory: {reason}; ask for less, or use a machine with more")
    except BrokenPipeError:
        # The reader of our output has left. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        outcome.code = 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno not in _ENVIRONMENT_ERRORS:
            raise
        outcome.code = _fail(2, f"{error.strerror}: {error.filename or 'while writing'}")
    except ModuleNotFoundError:
        if not broken_links():
            raise
        outcome.code = _fail(2, REPAIR)


def _fail(code: int, message: str) -> int:
    say(f"error: {message}" if code in (1, 2) else message)
    return code


@contextmanager
def _sigterm_as_exception() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
