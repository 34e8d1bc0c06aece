"""Items that a thread makes ahead of whoever takes them."""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


def prefetched(make: Callable[[], Iterator[tuple[T, bool]]], depth: int) -> Generator[T, None, None]:
    """The items of an iterator that a thread runs ahead by at most ``depth`` items; the same ones in the same order.

    Kernels that release the GIL make the thread worth its while. An item may *decide* those after it: what is done
    with it, such as telling a sampler what was observed of it, changes what the iterator yields next. The thread then
    goes on only when the next item is asked for, as an iterator without a thread does for every item.

    Args:
        make: called in the thread; its iterator yields each item and whether it decides those after it.
        depth: items that may lie ready, at least 1.

    Yields:
        The items. An exception in the thread is raised here, after the items before it. Closing this generator, or
        dropping it, ends the thread after the item that it is making, and so does the end of the program.
    """
    ahead = _Ahead(make, depth)
    thread = threading.Thread(target=ahead.run, name="gssl-prefetch", daemon=True)

    def end() -> None:
        ahead.stop()
        thread.join()

    thread.start()
    atexit.register(end)  # an interpreter that goes away under a thread in a kernel aborts
    try:
        while (item := ahead.take()) is not None:
            yield item[0]
    finally:
        atexit.unregister(end)
        end()


class _Ahead(Generic[T]):
    """What both threads share; every field but ``make`` and ``depth`` is guarded by the condition."""

    def __init__(self, make: Callable[[], Iterator[tuple[T, bool]]], depth: int) -> None:
        self.make = make
        self.depth = depth
        self.changed = threading.Condition()
        self.ready: deque[tuple[T]] = deque()
        self.waiting = False  # whoever takes has nothing left, and is done with what it took
        self.stopped = self.ended = False
        self.error: BaseException | None = None

    def run(self) -> None:
        """What the thread does."""
        try:
            items = self.make()
            try:
                while self.may_go_on(waits=False) and (made := next(items, None)) is not None:
                    item, decides = made
                    self.put(item)
                    if decides and not self.may_go_on(waits=True):
                        break
            finally:
                if close := getattr(items, "close", None):
                    close()
        except BaseException as error:
            self.error = error
        finally:
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def may_go_on(self, *, waits: bool) -> bool:
        """Wait for room, or until the other side has used all there is; false if it wants no more."""
        with self.changed:
            while not self.stopped and not (self.waiting if waits else len(self.ready) < self.depth):
                self.changed.wait()
            return not self.stopped

    def put(self, item: T) -> None:
        with self.changed:
            self.ready.append((item,))
            self.waiting = False
            self.changed.notify_all()

    def take(self) -> tuple[T] | None:
        """The next item, as a tuple; None after the last.

        Raises:
            BaseException: what the thread raised.
        """
        with self.changed:
            self.waiting = not self.ready
            self.changed.notify_all()
            while not self.ready and not self.ended:
                self.changed.wait()
            if self.ready:
                self.waiting = False
                item = self.ready.popleft()
                self.changed.notify_all()
                return item
        if self.error is not None:
            raise self.error
        return None

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            self.ready.clear()
            self.changed.notify_all()
