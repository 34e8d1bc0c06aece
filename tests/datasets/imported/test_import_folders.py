"""From raw folders to datasets: the same data as in memory, and a clear answer to everything that is wrong."""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gssl.common.errors import InputError, StorageError
from gssl.datasets.declared import NOTHING, Declared
from gssl.datasets.imported import write
from gssl.datasets.imported.edges import sort_edges
from gssl.datasets.imported.manifest import described
from gssl.datasets.imported.read import load_ranges
from gssl.datasets.imported.streams import PIECE_BYTES
from gssl.datasets.imported.write import Imported, import_folder
from gssl.datasets.load import load_dataset
from gssl.datasets.store import GRAPH, Store
from gssl.graph.sparse import dense_features
from gssl.registry import SAMPLERS

_spec = importlib.util.spec_from_file_location("raw_folders", Path(__file__).with_name("raw_folders.py"))
assert _spec is not None
assert _spec.loader is not None
raw = importlib.util.module_from_spec(_spec)
sys.modules["raw_folders"] = raw
_spec.loader.exec_module(raw)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A data root of the test's own."""
    monkeypatch.setenv("GSSL_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("GSSL_MIRROR", raising=False)
    return Store.locate()


BOTH = Declared(task="multiclass", undirected=True)


def take(source: Path, store: Store, declared: Declared = NOTHING, **options: object) -> Imported:
    return import_folder(source, store, declared=declared, memory_mib=8, **options)  # type: ignore[arg-type]


def test_products_is_the_dataset_that_ogb_loads(tmp_path: Path, store: Store) -> None:
    source = raw.products(tmp_path)
    shutil.copytree(source, tmp_path / "whole" / "ogb" / "ogbn_products")
    whole = load_dataset("ogbn-products", root=tmp_path / "whole")
    done = take(source, store)
    mapped = load_dataset("OGBN-products")
    assert done.folder == store.root / "imported" / "ogbn-products"
    assert mapped.checksum == whole.checksum
    assert mapped.splits[0].hash == whole.splits[0].hash
    assert (mapped.spec, mapped.probe, mapped.metric) == (whole.spec, whole.probe, whole.metric)
    assert set(whole.notes) < set(mapped.notes)


@pytest.mark.parametrize("compressed", [False, True])
def test_papers_from_half_precision_is_the_folder_of_the_same_arrays(
    tmp_path: Path, store: Store, compressed: bool
) -> None:
    take(raw.papers(tmp_path, half=True, compressed=compressed), store)
    data = load_dataset("ogbn-papers100M")
    rounded = raw.drawn()["x"].astype(np.float16).astype(np.float32)
    whole = load_dataset(raw.arrays(tmp_path, x=rounded), declared=BOTH)
    assert data.checksum == whole.checksum
    assert data.splits[0].hash == whole.splits[0].hash
    assert "not read: node_year" in data.notes
    assert any(note.endswith("self-loops removed") for note in data.notes)


@pytest.mark.parametrize(
    "edges",
    [lambda e: e, np.asfortranarray, lambda e: np.ascontiguousarray(e.T), lambda e: np.asfortranarray(e.T)],
    ids=["rows", "columns", "pairs", "pairs by columns"],
)
def test_edges_in_every_layout(tmp_path: Path, store: Store, edges: Callable[[np.ndarray], np.ndarray]) -> None:
    given = edges(raw.drawn()["edge_index"].astype(np.int32))
    pairs = given.shape[1] == 2
    whole = load_dataset(raw.arrays(tmp_path / "a"), declared=BOTH)
    changed = {"edge_index": None, "edge_list": given} if pairs else {"edge_index": given}
    take(raw.arrays(tmp_path / "b", **changed), store, BOTH)
    assert load_dataset("mine").checksum == whole.checksum


def test_one_feature_of_another_byte_order(tmp_path: Path, store: Store) -> None:
    x = raw.drawn()["x"][:, :1].astype(">f8")
    done = take(raw.arrays(tmp_path, x=x), store)
    assert torch.equal(dense_features(load_dataset(done.folder).graph.x), torch.from_numpy(x.astype(np.float32)))


def test_nothing_is_read_before_it_is_used(tmp_path: Path, store: Store) -> None:
    data = load_dataset(take(raw.arrays(tmp_path), store, BOTH).folder)
    for name, tensor in (("x", data.graph.x), ("col", data.graph.block.pattern.col)):
        path = store.root / "imported" / "mine" / f"{name}.npy"
        with path.open("r+b") as file:  # a change shows, so nothing was copied
            file.seek(-4, 2)
            file.write(np.float32(99).tobytes())
        assert isinstance(tensor, torch.Tensor)
        assert tensor.reshape(-1)[-1].view(torch.float32) == 99


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="reads what Linux says of a mapping")
def test_a_row_is_read_without_its_surroundings(tmp_path: Path, store: Store) -> None:
    data = load_dataset(take(raw.arrays(tmp_path), store, BOTH).folder)
    maps = Path("/proc/self/smaps").read_text().split("\n")
    place = next(i for i, line in enumerate(maps) if line.endswith("imported/mine/x.npy"))
    flags = next(line for line in maps[place:] if line.startswith("VmFlags"))
    assert "rr" in flags.split()  # MADV_RANDOM
    assert data.graph.num_nodes == raw.NODES


def test_ranges_are_the_graph(tmp_path: Path, store: Store) -> None:
    done = take(raw.arrays(tmp_path), store, BOTH)
    pattern, parts = load_dataset(done.folder).graph.block.pattern, list(load_ranges(done.folder, 128))
    assert [len(part.nodes) for part in parts] == [128, 128, 44]
    assert torch.equal(torch.cat([part.col for part in parts]), pattern.col.long())
    assert torch.equal(torch.cat([part.rowptr.diff() for part in parts]), pattern.counts.long())
    assert np.array_equal(np.concatenate([part.x.numpy() for part in parts]), raw.drawn()["x"])


@pytest.mark.parametrize("name", [name for name in SAMPLERS.names() if name not in ("full", "graphs")])
def test_every_sampler_draws_the_batches_of_memory(tmp_path: Path, store: Store, name: str) -> None:
    source = raw.arrays(tmp_path)
    near, far = load_dataset(source, declared=BOTH), load_dataset(take(source, store, BOTH).folder)
    options = {"num_layers": 2, "batch_size": 32, "seed": 1} | ({"norms": "online"} if name == "mvs" else {})
    for one, other in zip(*(SAMPLERS.get(name)(data.graph, **options).epoch(0) for data in (near, far)), strict=True):
        assert torch.equal(one.node_ids, other.node_ids)
        assert torch.equal(one.blocks[0].pattern.col, other.blocks[0].pattern.col)
        assert torch.equal(dense_features(one.x), dense_features(other.x))


def test_the_same_import_is_there_already_and_another_is_in_the_way(tmp_path: Path, store: Store) -> None:
    source = raw.arrays(tmp_path)
    assert take(source, store, BOTH).new
    assert not take(source, store, BOTH).new
    with pytest.raises(InputError, match="is there already, made of something else: delete it, or give another --name"):
        take(source, store)
    other = tmp_path / "other"
    (other / "kept").mkdir(parents=True)
    with pytest.raises(InputError, match="is there already"):
        take(source, store, into=other)
    assert (other / "kept").is_dir()


def test_an_import_goes_on_where_it_was_stopped(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    source, sorted_times = raw.arrays(tmp_path), []

    def counted(*args: object, **options: object) -> object:
        sorted_times.append(1)
        return sort_edges(*args, **options)  # type: ignore[arg-type]

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "sort_edges", counted)
    with monkeypatch.context() as patched:
        patched.setattr(write, "_features", killed)
        with pytest.raises(KeyboardInterrupt):
            take(source, store, BOTH)
    with pytest.raises(InputError, match="unknown dataset"):  # half of it is no dataset
        load_dataset("mine")
    take(source, store, BOTH)
    assert len(sorted_times) == 1
    assert load_dataset("mine").checksum == load_dataset(source, declared=BOTH).checksum
    assert [path.name for path in (store.root / "imported").iterdir() if path.is_dir()] == ["mine"]


def test_what_another_source_left_is_not_gone_on_with(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = raw.arrays(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(write, "_features", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            take(source, store, BOTH)
    edges = raw.drawn(seed=1)["edge_index"]
    np.save(source / "edge_index.npy", edges)
    take(source, store, BOTH)
    assert load_dataset("mine").checksum == load_dataset(source, declared=BOTH).checksum


def _truncate(folder: Path) -> None:
    with (folder / "x.npy").open("r+b") as file:
        file.truncate(1000)


def _change(folder: Path) -> None:
    with (folder / "x.npy").open("r+b") as file:
        file.seek(500)
        file.write(b"\1\2")


def _other_version(folder: Path) -> None:
    _manifest(folder, version=99)


def _escape(folder: Path) -> None:
    files = json.loads((folder / GRAPH).read_text())["files"]
    _manifest(folder, files={**files, "../../x.npy": files["x.npy"]})


def _fewer_nodes(folder: Path) -> None:
    _manifest(folder, num_nodes=raw.NODES - 1)


def _no_labels_file(folder: Path) -> None:
    (folder / "y.npy").unlink()


def _manifest(folder: Path, **changed: object) -> None:
    content = json.loads((folder / GRAPH).read_text())
    (folder / GRAPH).write_text(json.dumps({**content, **changed}))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_truncate, "x.npy has 1000 bytes instead of 8528"),
        (_change, r"x.npy has changed since the import \(its SHA-256 is another\)"),
        (_other_version, "writes form 99 of it, this one reads 1: import the graph again"),
        (_escape, "leads out of its folder"),
        (_fewer_nodes, "holds int32 of shape"),
        (_no_labels_file, "y.npy is missing"),
        (lambda folder: (folder / GRAPH).write_text("{"), "is damaged"),
        (lambda folder: _manifest(folder, notes=3), "is damaged"),
    ],
)
def test_a_folder_that_is_not_as_it_was_is_refused(
    tmp_path: Path, store: Store, harm: Callable[[Path], None], message: str
) -> None:
    folder = take(raw.arrays(tmp_path), store, BOTH).folder
    load_dataset(folder)
    harm(folder)
    with pytest.raises(InputError, match=message):
        load_dataset("mine")


@pytest.mark.parametrize(("name", "value"), [("col", 300), ("col", -1), ("rowptr", 7600), ("x", np.nan), ("y", 5)])
def test_a_folder_made_by_hand_does_no_harm(tmp_path: Path, store: Store, name: str, value: float) -> None:
    """Checksums alone prove nothing where whoever made the files made the manifest."""
    folder = take(raw.arrays(tmp_path), store, BOTH).folder
    array = np.load(folder / f"{name}.npy")
    array.reshape(-1)[3] = value
    np.save(folder / f"{name}.npy", array)
    file = json.loads((folder / GRAPH).read_text())["files"]
    _manifest(folder, files={**file, **described(folder, {f"{name}.npy": None})})
    with pytest.raises(InputError, match=f"{name}.npy"):
        load_dataset(folder)


def test_a_copy_is_checked_once(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = take(raw.arrays(tmp_path), store, BOTH).folder
    shutil.copytree(folder, tmp_path / "copy")
    checks: list[Path] = []
    monkeypatch.setattr("gssl.datasets.imported.read.check_content", lambda folder, manifest: checks.append(folder))
    for place in (folder, tmp_path / "copy", tmp_path / "copy"):
        load_dataset(place)
    assert checks == [tmp_path / "copy"]


def test_a_full_disk_is_seen_before_anything_is_written(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(StorageError, match=r"takes up to .* GB of disk .*, but 0\.00 GB are free"):
        take(raw.arrays(tmp_path), store)
    assert not list((store.root / "imported" / ".mine.partial").iterdir())


def test_a_disk_that_fills_up_leaves_nothing_that_looks_whole(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "_features", full)
    with pytest.raises(StorageError, match="no space is left"):
        take(raw.arrays(tmp_path), store)
    assert not store.imported_folders()


def _bomb(root: Path) -> Path:
    """A few kilobytes that state ten terabytes of zeros."""
    folder = Path(raw.papers(root))
    with zipfile.ZipFile(folder / "raw" / "data.npz") as old:
        parts = {name: old.read(name) for name in old.namelist()}
    head = parts["node_feat.npy"][:128].replace(b"(300, 7), ", b"(300, 9999999999), ")
    parts["node_feat.npy"] = head[:128] + bytes(1 << 20)
    with zipfile.ZipFile(folder / "raw" / "data.npz", "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return folder


def _endless_line(root: Path) -> Path:
    folder = Path(raw.products(root))
    with gzip.open(folder / "raw" / "edge.csv.gz", "wb") as file:
        for _ in range(40):
            file.write(b"1" * (1 << 20))
    return folder


def _cut_short(root: Path) -> Path:
    folder = Path(raw.products(root))
    path = folder / "raw" / "node-feat.csv.gz"
    path.write_bytes(path.read_bytes()[:-2000])
    return folder


def _objects(root: Path) -> Path:
    return Path(raw.papers(root, node_feat=np.array([[None] * 7] * raw.NODES)))


def _broken_member(root: Path) -> Path:
    folder = Path(raw.papers(root))
    path = folder / "raw" / "data.npz"
    content = bytearray(path.read_bytes())
    content[3000:3004] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(content))
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_bomb, "states shape"),
        (_endless_line, "has a line of more than 1048576 bytes"),
        (_cut_short, "is damaged, not a whole gzip file"),
        (_objects, "has dtype object"),
        (_broken_member, "is damaged"),
        (lambda root: raw.papers(root, num_nodes_list=np.array([200, 100])), "num_nodes_list is"),
        (lambda root: raw.papers(root, edge_index=np.zeros((3, raw.EDGES), int)), "must have shape"),
        (lambda root: raw.papers(root, edge_index=np.zeros((2, raw.EDGES))), "has dtype float64: save node ids"),
        (lambda root: raw.papers(root, node_feat=np.asfortranarray(raw.drawn()["x"])), "stored column by column"),
        (lambda root: raw.papers(root, node_feat=np.full((raw.NODES, 7), np.inf)), "NaN, infinite or too large"),
        (lambda root: raw.arrays(root, x=None), "has no x.npy"),
        (lambda root: raw.arrays(root, x=raw.drawn()["x"] * 1e39), "in row 0, column 0"),
        (lambda root: raw.arrays(root, edge_weight=np.ones(raw.EDGES)), "edge_weight, which cannot be imported"),
        (lambda root: raw.arrays(root, fold=np.ones(raw.NODES)), "fold looks like a split"),
        (lambda root: root / "nowhere", "there is no folder"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_cannot_be_imported_is_refused(
    tmp_path: Path, store: Store, make: Callable[[Path], Path], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        take(make(tmp_path), store)
    assert not store.imported_folders()


def test_a_name_that_is_nearly_one_of_ogb(tmp_path: Path, store: Store) -> None:
    with pytest.raises(InputError, match="ogbn-products"):
        take(raw.products(tmp_path), store, name="ogbn-prodcts")


def test_rows_of_features_and_labels_must_be_as_many_as_nodes(tmp_path: Path, store: Store) -> None:
    source = raw.products(tmp_path)
    data = raw.drawn()
    for name, rows in (("node-feat", data["x"]), ("node-label", np.zeros(raw.NODES, np.int64))):
        for changed in (rows[:-1], np.concatenate([rows, rows[:1]])):
            raw.write_csv(source / "raw" / f"{name}.csv.gz", changed)
            with pytest.raises(InputError, match=f"ogbn-products|{raw.NODES} nodes"):
                take(source, store)
        raw.write_csv(source / "raw" / f"{name}.csv.gz", rows)
    assert take(source, store).new


def test_memory_does_not_grow_with_the_edges(tmp_path: Path, store: Store) -> None:
    """Two million edges are 32 MB as numbers that are sorted; the budget is 8 MiB."""
    rng = np.random.default_rng(0)
    edges = rng.integers(0, raw.NODES * 40, (2, 2_000_000))
    x = np.zeros((raw.NODES * 40, 2), np.float32)
    source = raw.arrays(tmp_path, edge_index=edges, x=x, y=None, train_mask=None, valid_mask=None, test_mask=None)
    del edges
    tracemalloc.start()
    try:
        import_folder(source, store, memory_mib=8)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * PIECE_BYTES  # a piece of the input, its sources and targets as numbers, and those sorted
