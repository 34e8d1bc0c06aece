"""Archives that nobody vouches for cannot leave their folder or fill the disk."""

import gzip
import io
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from gssl.common.errors import InputError
from gssl.datasets.load import load_dataset
from gssl.datasets.npy_header import check_array_file
from gssl.datasets.unzip import check_fits_memory, check_gzip_fits_memory, safe_unzip


def _zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_members_land_below_the_target(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"A//A_x.txt": b"1", "A/deep/y.txt": b"2", "A/": b"", "top.txt": b"3"})
    safe_unzip(archive, tmp_path / "plain")
    assert (tmp_path / "plain" / "A" / "A_x.txt").read_bytes() == b"1"
    assert (tmp_path / "plain" / "top.txt").read_bytes() == b"3"
    safe_unzip(archive, tmp_path / "flat", strip=1)
    found = sorted(path.relative_to(tmp_path / "flat").as_posix() for path in (tmp_path / "flat").rglob("*.txt"))
    assert found == ["A_x.txt", "deep/y.txt"]


@pytest.mark.parametrize(
    "name", ["../evil.txt", "a/../../evil.txt", "/evil.txt", "C:/evil.txt", "..\\evil.txt", "\\evil.txt", "a/b/.."]
)
def test_zip_slip(tmp_path: Path, name: str) -> None:
    archive = _zip(tmp_path / "evil.zip", {"good.txt": b"", name: b"evil"})
    with pytest.raises(InputError, match="leads out of its folder"):
        safe_unzip(archive, tmp_path / "in" / "target")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["evil.zip"]


def test_symbolic_links_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("passwd")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="symbolic link"):
        safe_unzip(path, tmp_path / "target")


def test_bombs_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "bomb.zip", {f"{i}": bytes(1 << 20) for i in range(20)})
    assert archive.stat().st_size < 1 << 16
    with pytest.raises(InputError, match="unpacks to"):
        safe_unzip(archive, tmp_path / "target", max_bytes=10 << 20)
    assert not (tmp_path / "target").exists()


def _state_less(path: Path, stated: int) -> None:
    """Make the central directory and the local header state fewer bytes than the member has."""
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(signature) + offset
        data[at : at + 4] = stated.to_bytes(4, "little")
    path.write_bytes(data)


def test_bombs_that_lie_about_their_size(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "liar.zip", {"zeros": bytes(64 << 20)})
    _state_less(archive, 10)
    with pytest.raises(InputError, match="not a whole zip"):
        safe_unzip(archive, tmp_path / "target", max_bytes=1 << 20)
    assert sum(path.stat().st_size for path in (tmp_path / "target").rglob("*")) < 1 << 20


def test_damaged_archives(tmp_path: Path) -> None:
    whole = _zip(tmp_path / "whole.zip", {"a.txt": b"0123456789" * 100}, zipfile.ZIP_STORED)
    data = bytearray(whole.read_bytes())
    data[100] ^= 0xFF
    for name, content in {"cut.zip": whole.read_bytes()[:-30], "junk.zip": b"junk", "flipped.zip": bytes(data)}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            safe_unzip(tmp_path / name, tmp_path / "target")


def test_array_files_larger_than_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "big.npz"
    np.savez_compressed(archive, x=np.zeros(2 << 20, dtype=np.uint8))
    check_fits_memory(archive)
    monkeypatch.setattr("gssl.datasets.unzip.psutil.virtual_memory", lambda: type("M", (), {"available": 1 << 20}))
    with pytest.raises(InputError, match=r"big\.npz unpacks to"):
        check_fits_memory(archive)


@pytest.mark.parametrize("name", ["graph.npz", "data.pt", "molecules.csv", "molecules.csv.gz"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="no regular file"):
        load_dataset(tmp_path / name)


def test_compressed_tables_larger_than_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"smiles\n" + b"C\n" * (1 << 20), mtime=0))
    check_gzip_fits_memory(path)
    monkeypatch.setattr("gssl.datasets.unzip.psutil.virtual_memory", lambda: type("M", (), {"available": 1 << 20}))
    with pytest.raises(InputError, match=r"bomb\.csv\.gz unpacks to more than"):
        load_dataset(path)


def test_an_array_that_states_more_than_it_holds(tmp_path: Path) -> None:
    """numpy would ask for the stated memory first."""
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**11,)})
    archive = _zip(tmp_path / "x.npz", {"x.npy": header.getvalue() + bytes(16)})
    with pytest.raises(InputError, match=r"x\.npz is damaged: the array x states shape \(100000000000,\)"):
        check_fits_memory(archive)
    (tmp_path / "x.npy").write_bytes(header.getvalue() + bytes(16))
    with pytest.raises(InputError, match=r"x\.npy is damaged: it states shape"):
        check_array_file(tmp_path / "x.npy")
