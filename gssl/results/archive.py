"""A finished run as one file that can be given away, and back again.

The file is a ``.tar.gz`` or a ``.zip``. Its first member, ``manifest.json``, lists the others with their sizes and
SHA-256 sums; these are the files of the run below ``run/``. Whoever unpacks it trusts nothing: names must stay inside
the folder, there are only plain files, sizes and sums must be those of the list, and the folder appears whole or not
at all. Loading such a run executes no code of it: checkpoints are read as plain tensors.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import psutil

from gssl import __version__
from gssl.common.errors import InputError, StorageError
from gssl.common.files import cannot_write, inside, require_regular, write_json, write_whole
from gssl.results.filed_rows import filed_rows

MOST_BYTES = 64 << 30
MOST_FILES = 100_000
_MOST_MANIFEST = 64 << 20
_FORMAT = 1
_FIRST = "manifest.json"
_BELOW = "run/"
_PIECE = 1 << 20
_NAME = re.compile(r"[\w.-]{1,200}")

Member = tuple[str, int, IO[bytes]]


def kind_of(file: Path) -> str:
    """``tar.gz`` or ``zip``, from the name.

    Raises:
        InputError: it is neither.
    """
    for kind in ("tar.gz", "zip"):
        if file.name.lower().endswith(f".{kind}"):
            return kind
    raise InputError(f"{file} must end in .tar.gz or .zip")


def export_run(folder: Path, file: Path) -> dict[str, Any]:
    """Write a finished run into one file; what is no plain file in its folder stays out.

    Returns:
        Name of the run, files and bytes.

    Raises:
        InputError: the folder holds no finished run, or the file is there already or has another ending.
    """
    kind = kind_of(file)
    if file.exists():
        raise InputError(f"{file} is there already; name another file, or delete it")
    if not file.parent.is_dir():
        raise InputError(f"there is no folder {file.parent}")
    name = folder.resolve().name
    rows = filed_rows(folder, Path(name))
    paths = sorted(path for path in folder.rglob("*") if _is_part(path, folder))
    content = {path.relative_to(folder).as_posix(): path for path in paths}
    result = _portable_result(folder, name)
    listed = {key: _facts(result if key == "result.json" else path) for key, path in content.items()}
    manifest = {"format": _FORMAT, "gssl": __version__, "name": name, "files": listed}
    head = json.dumps(manifest, indent=1).encode()

    def write(sink: BinaryIO) -> None:
        with _Writer(sink, kind) as archive:
            archive.add(_FIRST, io.BytesIO(head), len(head))
            for key, path in content.items():
                with io.BytesIO(result) if key == "result.json" else path.open("rb") as source:
                    archive.add(_BELOW + key, source, listed[key]["bytes"])

    write_whole(file, write)
    total = sum(entry["bytes"] for entry in listed.values())
    return {"run": name, "file": str(file.resolve()), "seeds": len(rows), "files": len(listed), "bytes": total}


def import_run(file: Path, root: Path, out: Path | None = None) -> tuple[Path, bool]:
    """Unpack a run into a folder of its own, which appears whole or not at all.

    Args:
        file: as :func:`export_run` writes it.
        root: where run folders are; made if it is missing.
        out: the folder itself; None for one of the run's name below ``root``.

    Returns:
        The folder, and whether it is new: the same run is not unpacked over itself.

    Raises:
        InputError: the file is unsafe, damaged, too large or holds no finished run, or another run is in the way.
    """
    kind = kind_of(file)
    require_regular(file)
    with _reading(file), _members(file, kind) as members:
        manifest = _manifest(file, members)
        target = out or root / manifest["name"]
        if target.exists():
            if _holds(target, manifest["files"]):
                return target, False
            raise InputError(f"{target} is there already and holds something else; choose another folder with --out")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _require_room(file, manifest["files"], target.parent)
            beside = _fresh_beside(target)
        except OSError as error:
            raise cannot_write(target, error) from error
        try:
            _unpack(file, members, manifest["files"], beside)
            filed_rows(beside, target)  # it must be a run
            write_json(beside / "result.json", {**_result(beside), "run_dir": str(target.resolve())})
            beside.rename(target)
        except OSError as error:
            raise cannot_write(target, error) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return target, True


def _is_part(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.is_file() and not path.is_symlink() and not hidden


def _result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_bytes())
    return found


def _portable_result(folder: Path, name: str) -> bytes:
    """The result without the path that the folder has here."""
    return (json.dumps({**_result(folder), "run_dir": name}, indent=2) + "\n").encode()


def _facts(content: Path | bytes) -> dict[str, Any]:
    if isinstance(content, bytes):
        return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with content.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return {"bytes": file.tell(), "sha256": digest.hexdigest()}


class _Writer:
    """A tar or zip whose bytes depend on its members alone."""

    def __init__(self, sink: BinaryIO, kind: str) -> None:
        self._gzip: Any = None
        if kind == "zip":
            self._archive: Any = zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED)
        else:
            self._gzip = gzip.GzipFile(filename="", mode="wb", fileobj=sink, mtime=0)
            self._archive = tarfile.TarFile(fileobj=self._gzip, mode="w", format=tarfile.PAX_FORMAT)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()
        if self._gzip is not None:
            self._gzip.close()

    def add(self, name: str, source: IO[bytes], size: int) -> None:
        if self._gzip is None:
            info = zipfile.ZipInfo(name)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, (stat.S_IFREG | 0o644) << 16
            with self._archive.open(info, "w", force_zip64=True) as sink:
                shutil.copyfileobj(source, sink, _PIECE)
        else:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = size, 0o644
            self._archive.addfile(entry, source)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Turn what readers of archives say of a damaged one into one error."""
    try:
        yield
    except (InputError, StorageError):
        raise
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, TypeError) as error:
        raise _damaged(file, str(error)) from error
    except (NotImplementedError, RuntimeError, RecursionError, OverflowError) as error:
        raise _damaged(file, str(error)) from error
    except OSError as error:
        if error.errno is not None:
            raise InputError(f"cannot read {file}: {error.strerror or error}") from error
        raise _damaged(file, str(error)) from error  # what gzip says


def _damaged(file: Path, why: str) -> InputError:
    return InputError(f"{file} is damaged or no archive of a run: {why}; export it again")


@contextmanager
def _members(file: Path, kind: str) -> Iterator[Iterator[Member]]:
    if kind == "zip":
        with zipfile.ZipFile(file) as zipped:
            yield _zipped(file, zipped)
    else:
        with tarfile.open(file, "r|gz") as tar:
            yield _tarred(file, tar)


def _zipped(file: Path, archive: zipfile.ZipFile) -> Iterator[Member]:
    for entry in archive.infolist():
        mode = entry.external_attr >> 16
        if entry.is_dir() or stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise _damaged(file, f"{entry.filename!r} is no plain file")
        with archive.open(entry) as source:
            yield entry.filename, entry.file_size, source


def _tarred(file: Path, archive: tarfile.TarFile) -> Iterator[Member]:
    for entry in archive:
        source = archive.extractfile(entry) if entry.isreg() and not entry.issparse() else None
        if source is None:
            raise _damaged(file, f"{entry.name!r} is no plain file")
        yield entry.name, entry.size, source


def _manifest(file: Path, members: Iterator[Member]) -> dict[str, Any]:
    """The list of the files, checked."""
    name, size, source = next(members, ("", 0, io.BytesIO()))
    if name != _FIRST or size > _MOST_MANIFEST:
        raise _damaged(file, f"it does not begin with {_FIRST}")
    manifest = json.loads(source.read(size))
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise InputError(f"{file} was written by another version of gssl, which this one cannot read")
    title, files = manifest.get("name"), manifest.get("files")
    if not isinstance(title, str) or not _NAME.fullmatch(title) or title.startswith("."):
        raise _damaged(file, f"{title!r} is no name of a run")
    if not isinstance(files, dict) or len(files) > MOST_FILES:
        raise _damaged(file, f"it must list at most {MOST_FILES:,} files")
    for key, facts in files.items():
        inside(Path(), key, file)
        if not isinstance(facts, dict) or type(facts.get("bytes")) is not int or facts["bytes"] < 0:
            raise _damaged(file, f"it states no size of {key!r}")
    return manifest


def _require_room(file: Path, files: dict[str, Any], place: Path) -> None:
    total, free = sum(facts["bytes"] for facts in files.values()), shutil.disk_usage(place).free
    if total > min(MOST_BYTES, free):
        raise InputError(
            f"{file} unpacks to {total / 1e9:.1f} GB; at most {MOST_BYTES / 1e9:.0f} GB are unpacked, and "
            f"{free / 1e9:.1f} GB are free in {place}"
        )


def _fresh_beside(target: Path) -> Path:
    """A folder to unpack into, once those of imports that were killed are gone."""
    for old in target.parent.glob(f".{target.name}.*.import"):
        owner = old.name.split(".")[-2]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.import")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    return beside


def _unpack(file: Path, members: Iterator[Member], files: dict[str, Any], folder: Path) -> None:
    missing = dict(files)
    for name, size, source in members:
        key = name.removeprefix(_BELOW)
        if name == key or key not in missing or size != missing[key]["bytes"]:
            raise _damaged(file, f"{name!r} is not listed so, or is there twice")
        path, digest = inside(folder, key, file), hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as sink:
            left = size
            while piece := source.read(min(_PIECE, left)):
                digest.update(piece)
                sink.write(piece)
                left -= len(piece)
        if left or digest.hexdigest() != missing.pop(key)["sha256"]:
            raise _damaged(file, f"{name!r} is not what it was")
    if missing:
        raise _damaged(file, f"{min(missing)!r} is missing")


def _holds(folder: Path, files: dict[str, Any]) -> bool:
    """Whether a folder holds just these files; the result differs in the path of the folder."""
    if not folder.is_dir() or not (folder / "result.json").is_file():
        return False
    there = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if _is_part(p, folder)}
    return there.keys() == files.keys() and all(
        key == "result.json" or _facts(path)["sha256"] == files[key].get("sha256") for key, path in there.items()
    )
