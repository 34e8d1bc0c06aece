"""Inputs that are damaged at random, for tests of whatever reads them."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import random
import signal
import warnings
import zipfile
from collections.abc import Callable, Iterator
from types import FrameType

from gssl.common.errors import InputError

SECONDS = 60  # for one input
_TOKENS = (
    b"-1", b"0", b"999999999999", b"1e400", b"nan", b"inf", b"", b"\0", b"\xff\xfe", b"[", b"{", b"*a", b"&a ", b"../",
    b"\r\n", b"\n\n", b",", b'"', b"null", b"true", b"!!python/name:os.system", b"1" * 5000, b"[" * 2000, b".5", b"=",
)  # fmt: skip


def numbers(usual: int) -> range:
    """Numbers of the inputs of one kind.

    Args:
        usual: how many there are; ``GSSL_MUTATED=5`` makes them five times as many.
    """
    return range(usual * int(os.environ.get("GSSL_MUTATED") or 1))


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content with one to three faults: cut, doubled, replaced or in another order."""
    for _ in range(rng.randint(1, 3)):
        at, to = sorted(rng.randrange(len(content) + 1) for _ in range(2))
        token = rng.choice(_TOKENS)
        content = rng.choice([
            content[:at],
            content[:at] + content[to:],
            content[:at] + token + content[at:],
            content[:at] + token + content[at + len(token):],
            content[:at] + bytes([rng.randrange(256)]) + content[at + 1:],
            content[:to] + content[at:],
            b"\n".join(rng.sample(lines, len(lines))) if len(lines := content.split(b"\n")) < 50 else content[:to],
        ])  # fmt: skip
    return content


def damaged_file(name: str, content: bytes, rng: random.Random) -> bytes:
    """The same of a file; one that is compressed, or an archive, is mostly damaged inside."""
    inside = rng.random() < 0.7
    if inside and name.endswith(".gz"):
        return gzip.compress(damaged(gzip.decompress(content), rng), mtime=0)
    if inside and zipfile.is_zipfile(io.BytesIO(content)):
        return _with_damaged_member(content, rng)
    return damaged(content, rng)


def _with_damaged_member(content: bytes, rng: random.Random) -> bytes:
    """An archive that is whole, but for what one of its files holds."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        members = [member for member in old.infolist() if member.file_size]
        victim = rng.choice(members).filename
        for member in old.infolist():
            held = old.read(member)
            plain = zipfile.ZipInfo(member.filename)  # without a date, so that the same number gives the same bytes
            new.writestr(plain, damaged(held, rng) if member.filename == victim else held)
    return made.getvalue()


def must_answer(work: Callable[[], object], what: str) -> None:
    """See to it that work ends in time, and ends well or with an :class:`~gssl.common.errors.InputError`.

    Args:
        work: what reads the input.
        what: names the input, for the message.

    Raises:
        AssertionError: it did not.
    """
    try:
        with _in_time(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work()
    except InputError:
        pass
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"still at it after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
