"""The processes that train together, and how they agree: on values, on errors, on stopping."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from gssl.common.errors import InputError, Interrupted, LostProcessError, TrainingError
from gssl.common.launch import Launch, launched
from gssl.training import pulse

T = TypeVar("T")
_MEET = timedelta(minutes=5)  # for all processes to be there
_STEP = timedelta(minutes=10)  # for the slowest one in a step; one that is gone is noticed before
_WORK = timedelta(days=7)  # while one works alone (a probe), and the others wait; likewise
_LOOK_SECONDS = 0.02
_SPEAK_SECONDS = 10.0  # for the first process to say what all know to have gone wrong
_LISTEN_SECONDS = 2.0  # for any process to say what it alone knows
_PRINT_SECONDS = 0.5
_FAILURE, _SPOKEN = "gssl/failure", "gssl/spoken"


class Group:
    """This process among those that train together; alone, it agrees with itself at no cost.

    What the processes tell each other outside of gradients goes over the CPU (gloo), so that a GPU is not waited for.

    Args:
        launch: which process this is.
        control: the process group for that; None where this process is alone.
        store: where a process that fails leaves its message, and all leave signs of life; likewise.
    """

    def __init__(self, launch: Launch, control: Any = None, store: Any = None) -> None:
        self.launch = launch
        self.rank, self.world = launch.rank, launch.world
        self._control = control
        self._store = store
        self._pulse = None if store is None else pulse.Pulse(store, launch.rank, launch.world)
        self._settled: BaseException | None = None
        self._obeyed = False  # the others carry out an order, and hear no other

    @property
    def name(self) -> str:
        """What messages call this process."""
        return f"process {self.rank} on {socket.gethostname()}"

    def most(self, *values: float) -> list[float]:
        """The largest that any process gives, one by one."""
        return self.asked_most(*values)()

    def asked_most(self, *values: float) -> Callable[[], list[float]]:
        """Begin to ask for the largest that any process gives; what is returned waits for the answer."""
        return self._asked(values, dist.ReduceOp.MAX)

    def every(self, flag: bool) -> bool:
        """Whether something holds on all processes."""
        return not self.most(not flag)[0]

    def total(self, *values: float) -> list[float]:
        """The sums over all processes, one by one."""
        return self._asked(values, dist.ReduceOp.SUM)()

    def means(self, values: list[float]) -> list[float]:
        """The means over all processes, one by one; the same bits on each."""
        return [value / self.world for value in self.total(*values)]

    def gathered(self, value: T) -> list[T]:
        """What each process gives, in their order."""
        if self.world == 1:
            return [value]
        found: list[Any] = [None] * self.world
        with self.watched(pulse.WORK_SECONDS):
            self._together()
            dist.all_gather_object(found, value, group=self._control)
        return found

    def agreed(self, work: Callable[[], T]) -> T:
        """The result of work that every process does, once it is known that all could do it.

        Raises:
            InputError: one could not; the message is that of the first of them. So for TrainingError.
        """
        if self.world == 1:
            return work()
        value, failure = cast("T", None), None
        try:
            value = work()
        except (InputError, TrainingError) as error:
            failure = error
        told = None if failure is None else (_code(failure), str(failure), self.name)
        failures = [(rank, entry) for rank, entry in enumerate(self.gathered(told)) if entry is not None]
        if not failures:
            return value
        rank, (code, text, name) = failures[0]
        raise self._settle(failure if failure is not None and rank == self.rank else _error(code, f"{name}: {text}"))

    def first(self, work: Callable[[], T]) -> T:
        """The result of work that the first process alone does, while the others wait.

        Raises:
            InputError: it failed, as on the first process. So for TrainingError.
        """
        if self.world == 1:
            return work()
        if self.rank:
            return cast("T", self._heard())
        try:
            with self._waiting(None):
                value = work()
        except (InputError, TrainingError) as error:
            self._tell_failure(error)
            raise self._settle(error) from None
        self._tell(("value", value))
        return value

    @contextmanager
    def ordered(self, what: object) -> Iterator[None]:
        """Tell the others, who :meth:`obey`, what comes next, and take part in it while this is entered."""
        if self.world > 1:
            self._tell(("value", what))
        self._obeyed = True
        with self.watched():
            yield
        self._obeyed = False

    def obey(self) -> Any:
        """What the first process says comes next; None means that nothing does.

        Raises:
            InputError: it failed. So for TrainingError.
        """
        return self._heard()

    @contextmanager
    def leading(self) -> Iterator[None]:
        """While entered, the first process gives orders; the others are told of the end, however it comes."""
        try:
            yield
        except BaseException as error:
            known = error is self._settled or isinstance(error, LostProcessError)
            if self.world > 1 and not known and not self._obeyed:
                with suppress(RuntimeError):  # they may be gone
                    self._tell_failure(error)
                self._settle(error)
            raise
        if self.world > 1:
            self._tell(("value", None))

    @contextmanager
    def watched(self, silence: float | None = None) -> Iterator[None]:
        """While entered, a process that is gone is an error that says so, and one that falls silent ends this one.

        Args:
            silence: seconds after which it does; None for those of a step.

        Raises:
            LostProcessError: another process ended or cannot be reached.
        """
        with self._waiting(pulse.SILENT_SECONDS if silence is None else silence):
            try:
                yield
            except RuntimeError as error:
                if self.world == 1 or not _of_a_lost_process(error):
                    raise
                _stand_signals()
                raise LostProcessError(self._why()) from error

    def _waiting(self, silence: float | None) -> AbstractContextManager[None]:
        return nullcontext() if self._pulse is None else self._pulse.waiting(silence)

    def _asked(self, values: tuple[float, ...], operation: Any) -> Callable[[], list[float]]:
        if self.world == 1:
            return lambda: list(values)
        numbers = torch.tensor(values, dtype=torch.float64)
        with self.watched():
            asked = dist.all_reduce(numbers, operation, group=self._control, async_op=True)

        def answer() -> list[float]:
            with self.watched():
                asked.wait()
            return numbers.tolist()

        return answer

    def _together(self) -> None:
        """Wait until all are here, in a way that signals interrupt."""
        _wait(dist.all_reduce(torch.zeros(1), group=self._control, async_op=True))

    def _tell(self, message: object) -> None:
        with self.watched():
            self._together()
            dist.broadcast_object_list([message], 0, group=self._control)

    def _tell_failure(self, error: BaseException) -> None:
        self._tell(("failure", (_code(error), str(error))))

    def _heard(self) -> Any:
        held: list[Any] = [None]
        with self.watched(pulse.WORK_SECONDS):
            self._together()
            dist.broadcast_object_list(held, 0, group=self._control)
        kind, content = held[0]
        if kind == "failure":
            raise self._settle(_error(*content))
        return content

    def _settle(self, error: BaseException) -> BaseException:
        """The error itself, which all processes know from now on."""
        self._settled = error
        return error

    def _why(self) -> str:
        """What a process that failed has left to be said."""
        reason = self._left(_FAILURE, _LISTEN_SECONDS)
        reason = reason or "a process of this training was killed, or cannot be reached any more"
        return f"{reason}; all processes stop, and the same command goes on from the last checkpoint"

    def knows(self, error: BaseException) -> bool:
        """Whether all processes that are still there know of an error, or will notice by themselves."""
        return error is self._settled or isinstance(error, LostProcessError | KeyboardInterrupt)

    def ended(self, error: BaseException) -> bool:
        """Let the others know of an error that ends this process; whether it should keep silent about it.

        It should if the first process says the same.
        """
        with self._waiting(pulse.SILENT_SECONDS):
            return self._ended(error)

    def _ended(self, error: BaseException) -> bool:
        _stand_signals()
        text, known = str(error) or type(error).__name__, self.knows(error)
        if self.rank == 0:
            self._leave(_SPOKEN, text)
        if not known:
            self._leave(_FAILURE, f"{self.name} failed: {text}")
        if self.rank == 0:
            return False
        said = self._left(_SPOKEN, _SPEAK_SECONDS if known else _LISTEN_SECONDS)
        time.sleep(_PRINT_SECONDS)  # a launcher ends all processes as soon as one has failed
        return said is not None if known else said == text

    def close(self) -> None:
        """Give no signs of life any more."""
        if self._pulse is not None:
            self._pulse.end()

    def _leave(self, key: str, text: str) -> None:
        with suppress(Exception):  # whoever keeps the store may be gone
            self._store.set(key, text)

    def _left(self, key: str, seconds: float) -> str | None:
        """What a process left, if it does so soon."""
        with suppress(Exception):
            self._store.wait([key], timedelta(seconds=seconds))
            return str(self._store.get(key).decode())
        return None


ALONE = Group(Launch())


@contextmanager
def opened(environment: Mapping[str, str] = os.environ) -> Iterator[Group]:
    """The processes that a launcher started together with this one, connected; one that was started alone is alone.

    The first process speaks for all: where the others end with an error that it knows too, they do so silently.

    Args:
        environment: variables of this process.

    Raises:
        InputError: variables are missing.
        LostProcessError: not all processes came.
    """
    launch = launched(environment)
    if launch.world == 1:
        yield ALONE
        return
    group = _connected(launch)
    with warnings.catch_warnings():
        if group.rank:
            warnings.simplefilter("ignore")
        try:
            yield group
        except BaseException as error:
            silent = group.ended(error)
            if group.knows(error) and not isinstance(error, LostProcessError):  # else others may be in the middle of it
                dist.destroy_process_group()
            if silent:
                raise SystemExit(_code(error)) from None
            raise
        finally:
            group.close()
    dist.destroy_process_group()


def _connected(launch: Launch) -> Group:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if dist.is_initialized():  # by a run before in this process, which failed
        dist.destroy_process_group()
    try:
        store, *_ = next(iter(rendezvous("env://", launch.rank, launch.world, timeout=_MEET)))
        dist.init_process_group(backend, store=store, rank=launch.rank, world_size=launch.world, timeout=_STEP)
        control = dist.new_group(backend="gloo", timeout=_WORK)
    except (RuntimeError, ValueError) as error:
        raise LostProcessError(
            f"the {launch.world} processes of this training did not find each other: {str(error).splitlines()[0]}"
        ) from error
    return Group(launch, control, store)


def _stand_signals() -> None:
    """Ignore from now on that a launcher, which sees one process fail, tells the others to end: this one does anyway,
    and has something to say before.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _wait(work: Any) -> None:
    pause = 1e-4
    while not work.is_completed():
        time.sleep(pause)
        pause = min(2 * pause, _LOOK_SECONDS)
    work.wait()


def _of_a_lost_process(error: RuntimeError) -> bool:
    """Whether a collective failed, which PyTorch says by its own errors for NCCL and by text for gloo."""
    text = str(error)
    return isinstance(error, dist.DistError) or "gloo" in text or "Connection closed by peer" in text


def _code(error: BaseException) -> int:
    """The exit code of the command line."""
    if isinstance(error, InputError):
        return 2
    if isinstance(error, Interrupted):
        return 128 + error.signum
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _error(code: int, text: str) -> BaseException:
    if code == 2:
        return InputError(text)
    return TrainingError(text) if code == 1 else Interrupted(code - 128)
