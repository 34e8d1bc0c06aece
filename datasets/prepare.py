"""From raw files to a processed set in the data root: whole or absent, whoever else is at it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from gssl.common.errors import InputError, StorageError
from gssl.common.files import parse_json
from gssl.datasets.checksums import is_copy, verify
from gssl.datasets.npy_header import check_array_file
from gssl.datasets.source import Source
from gssl.datasets.sparse_check import check_archive
from gssl.datasets.store import Store
from gssl.datasets.unzip import check_fits_memory, check_gzip_fits_memory

T = TypeVar("T")

MANIFEST = "gssl.json"
_LOCK_SECONDS = 3600.0
_NETWORK_SECONDS = 60.0
_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
_LITTLE_SPACE = 1 << 20


def prepared(source: Source, store: Store, read: Callable[[Path], T]) -> T:
    """Read a processed set, making it first if need be, and once again if it turns out damaged.

    Args:
        source: the dataset.
        store: where its raw files may be.
        read: reads the processed files in the folder that it is given.

    Raises:
        InputError: no raw files, damaged or hostile ones, no network, no space, or no permission to write.
    """
    folder = store.root / source.folder
    fresh = not _complete(source, folder)
    if fresh:
        _make(source, store, again=False)
    try:
        return read(folder)
    except (InputError, LookupError, ValueError, TypeError, AttributeError):
        if fresh:
            raise
    _make(source, store, again=True)
    return read(folder)


def origin_notes(source: Source, store: Store) -> tuple[str, ...]:
    """What should be said about the raw files that a processed set was made from."""
    manifest = store.root / source.folder / _manifest_name(source)
    try:
        record = parse_json(manifest.read_text(encoding="utf-8"))
        notes, raw = list(record["notes"]), dict(record["raw"])
    except (OSError, ValueError, LookupError, TypeError):  # a set that PyG alone has processed has none
        return ()
    if any(is_copy(name, sha256) for name, sha256 in raw.items()):
        notes.append("raw files are a rebuilt or re-packed copy, not the publisher's bytes")
    return tuple(notes)


def _complete(source: Source, folder: Path) -> bool:
    return all((folder / name).is_file() for name in source.processed)


def _manifest_name(source: Source) -> Path:
    return Path(source.processed[0]).parent / MANIFEST


def _make(source: Source, store: Store, *, again: bool) -> None:
    final = store.root / source.folder
    with _explained(source, store), _exclusive(source, store):
        if _complete(source, final) and not again:  # another process was faster
            return
        with _partial(source, store) as partial:
            origin = _gather(source, store, partial)
            hashes = _verify_raw(source, partial, origin)
            messages = _process(source, partial, origin)
            manifest = partial / _manifest_name(source)
            manifest.write_text(json.dumps({"raw": hashes, "notes": messages}, indent=1), encoding="utf-8")
            _publish(source, partial, final, with_raw=origin != store.root)


@contextlib.contextmanager
def _exclusive(source: Source, store: Store) -> Iterator[None]:
    lock = store.root / ".locks" / f"{source.folder.replace('/', '--')}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=_LOCK_SECONDS):
            yield
    except Timeout:
        raise InputError(f"another process has been preparing {source.folder} for an hour; stop it first") from None


@contextlib.contextmanager
def _partial(source: Source, store: Store) -> Iterator[Path]:
    # Only the holder of the lock comes here, so whatever lies here was left by a process that died.
    work = store.root / ".partial" / source.folder.replace("/", "--")
    shutil.rmtree(work, ignore_errors=True)
    folder = work / "new" / Path(source.folder).name
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _gather(source: Source, store: Store, into: Path) -> Path | None:
    """Raw files from the root, the mirror or the network; returns the place, or None for the network."""
    for place in store.places:
        if source.adopt(place, into):
            return place
    try:
        with _network_timeout(), contextlib.redirect_stdout(sys.stderr):
            source.download(into)
    except OSError as error:
        if error.errno in (*_FULL, *_READ_ONLY):
            raise
        raise _nowhere(source, store, error) from None
    except InputError:
        raise
    except Exception as error:  # whatever the HTTP library raises
        raise _nowhere(source, store, error) from None
    missing = [name for name in source.raw if not (into / name).is_file()]
    if missing:
        raise _nowhere(source, store, FileNotFoundError(f"the download holds no {missing[0]}"))
    return None


def _nowhere(source: Source, store: Store, error: Exception) -> InputError:
    wanted = ", ".join(source.raw[:3]) + (", ..." if len(source.raw) > 3 else "")
    places = f"the data root {store.root}" + (f" or the mirror {store.mirror}" if store.mirror else "")
    reason = str(error).partition("\n")[0] or type(error).__name__
    return InputError(
        f"the raw files of {source.folder} are not in {places}, and the download failed: {reason}. "
        f"Without a network, put {wanted} below {source.folder}/ in a folder and set GSSL_MIRROR to that folder"
    )


def _verify_raw(source: Source, partial: Path, origin: Path | None) -> dict[str, str]:
    hashes = {}
    for part in source.parts:
        for path in sorted((partial / part).rglob("*") if (partial / part).is_dir() else [partial / part]):
            if path.is_file():
                relative = path.relative_to(partial).as_posix()
                name = f"{source.folder}/{relative}"
                hashes[name] = verify(name, path, path if origin is None else origin / name)
    return hashes


def _process(source: Source, partial: Path, origin: Path | None) -> list[str]:
    """Let PyG or ogb process; returns what their warnings say, each kind once with its count."""
    place = source.origin or (partial if origin is None else origin / source.folder)
    files = f"the raw files of {source.folder} ({f'in {place}' if origin else 'downloaded'})"
    try:
        _check_arrays(partial)
        source.inspect(partial)
        skipped = _processed(source, partial, str(source.origin) if source.origin else files)
    except InputError as error:  # the copy is about to vanish: name the file that it was made from
        raise InputError(str(error).replace(str(partial), str(place))) from error
    return [f"{skipped} molecules left out that RDKit cannot read"] if skipped else []


def _check_arrays(folder: Path) -> None:
    """Look at arrays and tables before a library reads them: none may be larger than the memory, or lie about it."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".npz":
            check_fits_memory(path)
            check_archive(path)
        elif path.suffix == ".npy":
            check_array_file(path)
        elif path.suffix == ".gz":
            check_gzip_fits_memory(path)


def _processed(source: Source, partial: Path, files: str) -> int:
    """Let PyG or ogb process ``files``; returns how many molecules they say they have left out."""
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("always", UserWarning)
        try:
            source.process(partial)
            skipped = sum(str(warning.message).startswith("Skipping molecule") for warning in caught)
            source.check(partial, skipped)
            return skipped
        except (InputError, MemoryError):
            raise
        except Exception as error:  # a damaged file can make PyG fail in any way
            if isinstance(error, OSError) and error.errno is not None:
                raise
            if shutil.disk_usage(partial).free < _LITTLE_SPACE:
                raise OSError(errno.ENOSPC, str(error)) from None
            remedy = "mend it, or provide it again" if source.origin else "delete them and provide them again"
            raise InputError(f"{files} cannot be read, {type(error).__name__}: {error}; {remedy}") from error


def _publish(source: Source, partial: Path, final: Path, *, with_raw: bool) -> None:
    if not final.exists():
        final.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(final)
        return
    processed = {Path(name).parts[0] for name in source.processed}
    if with_raw:  # file by file over an incomplete set: nothing of the user's is ever removed
        for path in (path for path in partial.rglob("*") if path.is_file()):
            relative = path.relative_to(partial)
            if relative.parts[0] not in processed:
                (final / relative).parent.mkdir(parents=True, exist_ok=True)
                path.replace(final / relative)
    for name in processed:  # last, because they mark the set as complete
        if (final / name).exists():
            (final / name).replace(partial.parent / f"{name}.old")
        (partial / name).replace(final / name)


@contextlib.contextmanager
def _network_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _explained(source: Source, store: Store) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageError(
                f"no space is left for {source.folder} in the data root {store.root} (nothing half-written was "
                "kept): free some, or set GSSL_DATA to a folder on a larger disk"
            ) from None
        if error.errno in _READ_ONLY or isinstance(error, NotADirectoryError | FileExistsError):
            raise StorageError(
                f"cannot write {source.folder} to the data root {store.root} "
                f"({os.strerror(error.errno or errno.EACCES)}): set GSSL_DATA to a folder that you may write to"
            ) from None
        raise InputError(f"cannot prepare {source.folder} in {store.root}: {error}") from error
    except MemoryError:
        raise InputError(f"not enough memory to process {source.folder}") from None
