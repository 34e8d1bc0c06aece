"""Unpacking archives that nobody vouches for."""

from __future__ import annotations

import contextlib
import errno
import gzip
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

from gssl.common.errors import InputError
from gssl.common.files import inside, require_regular
from gssl.datasets.npy_header import Header, headers_in

MAX_UNPACKED = 16 << 30
_DEFLATE_MOST = 1032  # bytes that one compressed byte can stand for


def safe_unzip(archive: Path, target: Path, *, strip: int = 0, max_bytes: int = MAX_UNPACKED) -> None:
    """Unpack a zip below ``target``; nothing is written if any member is unsafe.

    Args:
        archive: the zip.
        target: folder, made if it is missing.
        strip: leading folders to drop from every member's name; members that have no more are dropped.
        max_bytes: most that all members together may unpack to.

    Raises:
        InputError: not a zip, damaged, or a member is absolute, leads out of the folder, is a link, is encrypted,
            or all together are larger than ``max_bytes``.
    """
    with _opened(archive) as zipped:
        members = [(member, _relative(archive, member)) for member in zipped.infolist()]
        _check_size(archive, zipped, max_bytes)
        for member, relative in members:
            if member.is_dir() or len(relative.parts) <= strip:
                continue
            path = target.joinpath(*relative.parts[strip:])
            path.parent.mkdir(parents=True, exist_ok=True)
            with zipped.open(member) as source, path.open("wb") as sink:  # reads no more than the stated size
                shutil.copyfileobj(source, sink, 1 << 20)


def names_in(archive: Path) -> list[str]:
    """The names of a zip's members, as they stand there.

    Raises:
        InputError: not a whole zip.
    """
    require_regular(archive)
    with _opened(archive) as zipped:
        return zipped.namelist()


def unpack_texts(archive: Path, target: Path, *, strip: int = 1) -> None:
    """Unpack the zip of a TU set without its outer folders; its texts will be read as a whole, so they must fit.

    Raises:
        InputError: as :func:`safe_unzip`.
    """
    safe_unzip(archive, target, strip=strip, max_bytes=min(MAX_UNPACKED, psutil.virtual_memory().available))


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip does (``zipfile.is_zipfile`` raises on some damaged ones).

    Raises:
        InputError: it is no regular file.
    """
    require_regular(path)
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def check_fits_memory(path: Path) -> None:
    """Refuse a zipped array or tensor file that states more bytes than the machine has free, or than it holds.

    Raises:
        InputError: it is too large, not a whole zip, or no regular file.
    """
    array_headers(path)


def array_headers(path: Path) -> dict[str, Header]:
    """The headers of the arrays in an ``.npz``, which has been checked as :func:`check_fits_memory` does.

    Raises:
        InputError: see there.
    """
    require_regular(path)
    with _opened(path) as zipped:
        _check_size(path, zipped, psutil.virtual_memory().available)
        return headers_in(zipped, path)


@contextlib.contextmanager
def arrays_in(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Header]]]:
    """An ``.npz`` whose arrays are read piece by piece, so that they may be larger than the memory; and their headers.

    Raises:
        InputError: not a whole zip, or an array states more numbers than the archive holds of it.
    """
    require_regular(path)
    with _opened(path) as zipped:
        yield zipped, headers_in(zipped, path)


def check_gzip_fits_memory(path: Path) -> None:
    """Refuse a compressed file that unpacks to more bytes than the machine has free.

    Nothing in the file says how many those are, so it is unpacked once where it could be too many.

    Raises:
        InputError: it is too large, or damaged.
    """
    require_regular(path)
    room = psutil.virtual_memory().available
    if path.stat().st_size * _DEFLATE_MOST <= room:
        return
    unpacked = 0
    try:
        with gzip.open(path, "rb") as file:
            while piece := file.read(1 << 20):
                unpacked += len(piece)
                if unpacked > room:
                    raise InputError(f"{path} unpacks to more than the {room / 1e9:.1f} GB of memory that are free")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is damaged, not a whole gzip file ({error}): provide it again") from None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as zipped:
            yield zipped
    except InputError:
        raise
    except Exception as error:  # a damaged zip can fail in any way; the system's own errors have a number
        if isinstance(error, OSError) and error.errno is not None and error.errno != errno.EINVAL:
            raise
        raise InputError(f"{path} is damaged, not a whole zip file ({error}): provide it again") from None


def _check_size(archive: Path, zipped: zipfile.ZipFile, max_bytes: int) -> None:
    total = sum(member.file_size for member in zipped.infolist())
    if total > max_bytes:
        raise InputError(f"{archive} unpacks to {total / 1e9:.1f} GB, more than the {max_bytes / 1e9:.1f} GB allowed")


def _relative(archive: Path, member: zipfile.ZipInfo) -> PurePosixPath:
    name = member.filename
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(f"{archive} holds a symbolic link ({name!r}): do not use this file")
    if member.flag_bits & 0x1:
        raise InputError(f"{archive} is encrypted ({name!r}): provide it without a password")
    return PurePosixPath(inside(Path(), name, archive))
