"""Raw files to processed sets: lookup order, whole or absent, and every way in which it can go wrong."""

import errno
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets import prepare
from gssl.datasets.catalog import SPECS, find_spec
from gssl.datasets.load import load_dataset

SET = "IMDB-BINARY"  # two tiny graphs stand in for it here: a triangle, and a path of three nodes


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would go out fails at once, as on a machine without a network."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(-2, "no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(autouse=True)
def unknown_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny files below bear the names of real ones."""
    monkeypatch.setattr("gssl.datasets.checksums._known", lambda: {"publisher": {}, "copy": {}})


def _raw_files(classes: str = "1\n2\n") -> dict[str, str]:
    return {
        f"{SET}_A.txt": "1, 2\n2, 1\n2, 3\n3, 2\n1, 3\n3, 1\n4, 5\n5, 4\n5, 6\n6, 5\n",
        f"{SET}_graph_indicator.txt": "1\n1\n1\n2\n2\n2\n",
        f"{SET}_graph_labels.txt": classes,
    }


def _write_zip(place: Path, files: dict[str, str] | None = None) -> Path:
    path = place / "TUDataset" / f"{SET}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (files or _raw_files()).items():
            archive.writestr(f"{SET}/{name}", text)
    return path


def _write_raw(place: Path, classes: str = "1\n2\n") -> Path:
    raw = place / "TUDataset" / SET / "raw"
    raw.mkdir(parents=True)
    for name, text in _raw_files(classes).items():
        (raw / name).write_text(text)
    return raw


@pytest.fixture
def small_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> Path:
    place = tmp_path / "mirror"
    _write_zip(place)
    monkeypatch.setenv("GSSL_MIRROR", str(place))
    return place


def _classes(name: str = SET) -> list[int]:
    labels = load_dataset(name).labels
    assert labels is not None
    return labels.y.tolist()


def test_mirror_is_copied_processed_and_left_alone(small_mirror: Path, root: Path) -> None:
    before = sorted(path.relative_to(small_mirror) for path in small_mirror.rglob("*"))
    data = load_dataset(SET)
    assert (data.num_items, data.graph.num_nodes, data.graph.num_edges) == (2, 6, 10)
    assert sorted(path.relative_to(small_mirror) for path in small_mirror.rglob("*")) == before
    assert (root / "TUDataset" / SET / "raw" / f"{SET}_A.txt").is_file()
    assert not list((root / ".partial").iterdir())


def test_root_comes_before_mirror(small_mirror: Path, root: Path) -> None:
    _write_raw(root, classes="2\n1\n")
    assert _classes() == [1, 0]


def test_incomplete_root_is_filled_from_the_mirror(small_mirror: Path, root: Path) -> None:
    raw = _write_raw(root, classes="2\n1\n")
    (raw / f"{SET}_A.txt").unlink()
    (raw / "my notes.txt").write_text("keep me")
    assert _classes() == [0, 1]
    assert (raw / "my notes.txt").read_text() == "keep me"
    assert (raw / f"{SET}_A.txt").is_file()


def test_processed_set_needs_neither_raw_files_nor_mirror(
    small_mirror: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_dataset(SET).checksum
    shutil.rmtree(small_mirror)
    monkeypatch.delenv("GSSL_MIRROR")
    shutil.rmtree(root / "TUDataset" / SET / "raw")
    assert load_dataset(SET).checksum == first


def test_explicit_folders_come_before_the_environment(small_mirror: Path, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other mirror"
    _write_zip(other, _raw_files(classes="2\n1\n"))
    labels = load_dataset(SET, root=tmp_path / "other root", mirror=other).labels
    assert labels is not None
    assert labels.y.tolist() == [1, 0]
    assert not root.exists()


def test_no_raw_files_and_no_network_says_what_to_do(root: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_dataset("Cora")
    message = str(caught.value)
    for part in (str(root), "GSSL_MIRROR", "download failed", "raw/ind.cora.x", "Planetoid/Cora"):
        assert part in message
    assert not (root / "Planetoid").exists()


@pytest.mark.parametrize("name", ["Photo", "CS", "WikiCS", "Tolokers", "PPI", "Flickr", "ZINC", "ESOL", "ogbn-arxiv"])
def test_every_family_fails_clearly_without_a_network(root: Path, name: str) -> None:
    with pytest.raises(InputError, match="GSSL_MIRROR"):
        load_dataset(name)


def test_mirror_that_is_no_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSSL_MIRROR", "/no/such/mirror")
    with pytest.raises(InputError, match="GSSL_MIRROR"):
        load_dataset("digits")


def test_wrong_checksum_names_the_file(small_mirror: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"publisher": {f"TUDataset/{SET}.zip": "0" * 64}, "copy": {}}
    monkeypatch.setattr("gssl.datasets.checksums._known", lambda: known)
    with pytest.raises(InputError, match=r"is not the released file.*delete it") as caught:
        load_dataset(SET)
    assert str(small_mirror / "TUDataset" / f"{SET}.zip") in str(caught.value)
    assert not (root / "TUDataset").exists()


def test_wrong_checksum_of_a_single_raw_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = _write_raw(root)
    known = {"publisher": {f"TUDataset/{SET}/raw/{SET}_A.txt": "0" * 64}, "copy": {}}
    monkeypatch.setattr("gssl.datasets.checksums._known", lambda: known)
    with pytest.raises(InputError) as caught:
        load_dataset(SET)
    assert str(raw / f"{SET}_A.txt") in str(caught.value)


def test_table_of_checksums_is_well_formed() -> None:
    table = json.loads(Path(prepare.__file__).with_name("checksums.json").read_text())
    assert set(table) == {"publisher", "copy"}
    hashes = {**table["publisher"], **table["copy"]}
    assert len(hashes) == len(table["publisher"]) + len(table["copy"]) > 30
    assert all(len(value) == 64 and int(value, 16) >= 0 for value in hashes.values())
    assert {name.partition("/")[0] for name in hashes} <= {spec.family for spec in SPECS}


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half an archive", b"junk"])
def test_damaged_processed_file_is_made_anew(small_mirror: Path, root: Path, damage: bytes) -> None:
    first = load_dataset(SET).checksum
    (root / "TUDataset" / SET / "processed" / "data.pt").write_bytes(damage)
    assert load_dataset(SET).checksum == first


@pytest.mark.parametrize("text", [None, "", "{}", '{"raw": 1, "notes": 2}'])
def test_a_set_without_a_whole_record_of_its_origin_loads(small_mirror: Path, root: Path, text: str | None) -> None:
    first = load_dataset(SET).checksum
    record = root / "TUDataset" / SET / "processed" / prepare.MANIFEST
    record.unlink() if text is None else record.write_text(text)
    assert load_dataset(SET).checksum == first


class _Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def test_hostile_processed_file_is_made_anew_and_never_run(small_mirror: Path, root: Path, tmp_path: Path) -> None:
    first = load_dataset(SET).checksum
    torch.save(_Bomb(tmp_path / "run"), root / "TUDataset" / SET / "processed" / "data.pt")
    assert load_dataset(SET).checksum == first
    assert not (tmp_path / "run").exists()


def test_hostile_planetoid_pickle_is_never_run(root: Path, tmp_path: Path) -> None:
    raw = root / "Planetoid" / "CiteSeer" / "raw"
    raw.mkdir(parents=True)
    for part in ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index"):
        (raw / f"ind.citeseer.{part}").write_bytes(pickle.dumps(_Bomb(tmp_path / "run")))
    with pytest.raises(
        InputError, match=r"ind\.citeseer\.x: the file asks for .*mkdir.*nothing in it was run"
    ) as caught:
        load_dataset("CiteSeer")
    assert str(raw) in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_damaged_raw_file_names_the_folder(small_mirror: Path, root: Path) -> None:
    files = _raw_files()
    files[f"{SET}_A.txt"] = "1, 2\n2, one\n"
    _write_zip(small_mirror, files)
    with pytest.raises(InputError, match=f"{small_mirror}.*{SET}_A.txt holds more than whole numbers"):
        load_dataset(SET)
    assert not (root / "TUDataset").exists()


def test_loading_leaves_safe_loading_as_it_was(small_mirror: Path, root: Path) -> None:
    import torch_geometric.data

    assert torch_geometric.data.Data in torch.serialization.get_safe_globals()
    before = set(torch.serialization.get_safe_globals())
    load_dataset(SET)
    assert set(torch.serialization.get_safe_globals()) == before


def _full_disk(*args: Any, **kwargs: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "where",
    [
        "gssl.datasets.source.shutil.copyfile",
        "gssl.datasets.unzip.shutil.copyfileobj",
        "torch_geometric.io.fs.torch_save",
    ],
)
def test_full_disk_leaves_nothing_half_written(
    small_mirror: Path, root: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where.endswith("copyfile"):
        _write_raw(small_mirror)
    with monkeypatch.context() as patch:
        patch.setattr(where, _full_disk)
        with pytest.raises(InputError, match=r"no space is left .* GSSL_DATA"):
            load_dataset(SET)
    assert not (root / "TUDataset").exists()
    assert not list((root / ".partial").iterdir())
    assert _classes() == [0, 1]


def test_full_disk_that_torch_reports_in_its_own_way(
    small_mirror: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    monkeypatch.setattr("torch_geometric.io.fs.torch_save", fail)
    usage = shutil.disk_usage(root.parent)
    monkeypatch.setattr("gssl.datasets.prepare.shutil.disk_usage", lambda _: usage._replace(free=0))
    with pytest.raises(InputError, match="no space is left"):
        load_dataset(SET)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_read_only_root_names_the_variable(
    small_mirror: Path, root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError(number, os.strerror(number))

    checksum = load_dataset(SET).checksum
    monkeypatch.setattr(prepare, "FileLock", refuse)
    assert load_dataset(SET).checksum == checksum  # a processed set needs no writing
    shutil.rmtree(root / "TUDataset" / SET / "processed")
    with pytest.raises(InputError, match=r"cannot write TUDataset/IMDB-BINARY to the data root .* set GSSL_DATA"):
        load_dataset(SET)


def test_root_below_a_file(small_mirror: Path, root: Path) -> None:
    root.write_text("in the way")
    with pytest.raises(InputError, match="set GSSL_DATA"):
        load_dataset(SET)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no sysfs, which refuses new folders to everyone")
def test_root_that_refuses_even_the_superuser(small_mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSSL_DATA", "/sys/kernel/gssl")
    with pytest.raises(InputError, match="set GSSL_DATA"):
        load_dataset(SET)


_THREE_AT_ONCE = """
import os, sys
import torch, torch_geometric.datasets
from gssl.datasets import checksums
from gssl.datasets.load import load_dataset
checksums._known = lambda: {"publisher": {}, "copy": {}}
torch.set_num_threads(1)
gate, opens = os.pipe()
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        os.close(opens)
        os.read(gate, 1)  # returns when the parent closes its end: all start together
        try:
            os.write(1, (load_dataset(sys.argv[1]).checksum + "\\n").encode())
            os._exit(0)
        finally:
            os._exit(1)
    children.append(child)
os.close(opens)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}  # PyG is silent under it


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the three processes are forks")
def test_three_processes_at_once_process_once(small_mirror: Path, root: Path) -> None:
    command = [sys.executable, "-c", _THREE_AT_ONCE, SET]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [load_dataset(SET).checksum] * 3
    assert done.stderr.count("Processing...") == 1


_STOP_HALF_WAY = """
import sys, time
from pathlib import Path
from gssl.datasets import checksums
from gssl.datasets.load import load_dataset
from gssl.datasets.source import PygSource
checksums._known = lambda: {"publisher": {}, "copy": {}}
def half(self, folder):
    (folder / "processed").mkdir()
    (folder / "processed" / "data.pt").write_bytes(b"half")
    Path(sys.argv[1]).touch()
    time.sleep(600)
PygSource.process = half
load_dataset(sys.argv[2])
"""


def test_a_killed_run_is_taken_up_by_the_next(small_mirror: Path, root: Path, tmp_path: Path) -> None:
    mark = tmp_path / "half-way"
    process = subprocess.Popen([sys.executable, "-c", _STOP_HALF_WAY, str(mark), SET], env=_environment())
    try:
        while not mark.exists():
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert list((root / ".partial").iterdir())  # it was stopped half-way
    assert not (root / "TUDataset").exists()
    assert _classes() == [0, 1]
    assert not list((root / ".partial").iterdir())


def test_nothing_is_printed_to_standard_output(
    small_mirror: Path, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load_dataset(SET)
    assert capfd.readouterr().out == ""


def test_default_root_is_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from gssl.datasets.store import Store

    monkeypatch.delenv("GSSL_DATA", raising=False)
    monkeypatch.delenv("GSSL_MIRROR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert Store.locate().root == tmp_path / "gssl"


def test_missing_rdkit_names_the_extra(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = root / "MoleculeNet" / "esol" / "raw"
    raw.mkdir(parents=True)
    (raw / "delaney-processed.csv").write_text("head\nx,0.5,CC\n")
    monkeypatch.setattr("gssl.datasets.molecules.importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'gssl\[chem\]'"):
        load_dataset("ESOL")
    assert find_spec("ESOL") is not None
