"""The store of embeddings and adjoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gssl.common.errors import InputError
from gssl.graph.history import BatchHistory, History, Place, Precision, Storage
from gssl.graph.staleness import Staleness, StalenessLog, overall

PLACE = Place("embedding", 0, 1)
IDS = torch.tensor([4, 0, 7])


def rows(count: int = 3, dim: int = 5) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("storage", ["device", "pinned", "mmap"])
@pytest.mark.parametrize(("precision", "rtol"), [("float32", 0.0), ("bfloat16", 1e-2)])
def test_rows_come_back_in_every_storage(storage: Storage, precision: Precision, rtol: float, tmp_path: Path) -> None:
    store = History(10, storage=storage, precision=precision, folder=tmp_path / "history")
    written = rows()
    store.push(PLACE, IDS, written)
    found = store.pull(PLACE, torch.tensor([7, 4, 1]), written)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[:2], written[[2, 0]], rtol=rtol, atol=0)
    assert not found[2].any()
    assert store.nbytes == 10 * 5 * (4 if precision == "float32" else 2)
    assert (tmp_path / "history").exists() == (storage == "mmap")


def test_places_do_not_share_rows() -> None:
    store, written = History(10), rows()
    store.push(PLACE, IDS, written)
    for other in (replace(PLACE, kind="adjoint"), replace(PLACE, slot=1), replace(PLACE, layer=0)):
        assert not store.pull(other, IDS, written).any()


def test_what_is_stored_is_a_copy_without_a_graph() -> None:
    store, written = History(10), rows().requires_grad_()
    store.push(PLACE, IDS, written)
    with torch.no_grad():
        written.zero_()
    found = store.pull(PLACE, IDS, written)
    assert found.any()
    assert not found.requires_grad


def test_staleness_counts_steps_since_a_row_was_written() -> None:
    store, written = History(10), rows()
    assert store.staleness(PLACE, IDS).isinf().all()
    store.push(PLACE, IDS, written)
    store.tick()
    store.push(PLACE, IDS[:1], written[:1])
    store.tick()
    assert store.staleness(PLACE, torch.tensor([4, 0, 7, 1])).tolist() == [1.0, 2.0, 2.0, float("inf")]


def test_state_travels() -> None:
    store, other = History(10, signature="a"), History(10, signature="a")
    store.push(PLACE, IDS, rows())
    store.tick()
    other.load_state_dict(store.state_dict())
    assert torch.equal(other.pull(PLACE, IDS, rows()), rows())
    assert torch.equal(other.staleness(PLACE, IDS), store.staleness(PLACE, IDS))


@pytest.mark.parametrize("other", [History(11, signature="a"), History(10, signature="b")])
def test_a_history_of_something_else_is_refused(other: History) -> None:
    store = History(10, signature="a")
    store.push(PLACE, IDS, rows())
    with pytest.raises(InputError, match="another graph or another encoder"):
        other.load_state_dict(store.state_dict())


def test_files_need_a_folder() -> None:
    with pytest.raises(InputError, match="history_folder"):
        History(10, storage="mmap")


def test_a_frozen_batch_reads_only() -> None:
    store = History(10)
    batch = BatchHistory(store, "truncated", IDS, 3, frozen=True)
    batch.push(PLACE, rows())
    assert not store.places
    assert [batch.open(), batch.open()] == [0, 1]
    assert replace(batch).open() == 0, "a copy counts its own views"


def read(batch: BatchHistory, rows: slice) -> torch.Tensor:
    return batch.pull(PLACE, rows, torch.zeros(1, 5))


def test_what_a_batch_reads_is_dated() -> None:
    store = History(10)
    first = BatchHistory(store, "truncated", IDS, 3)
    first.open()
    first.push(PLACE, rows())
    for _ in range(2):
        BatchHistory(store, "truncated", IDS, 3).open()
    later = BatchHistory(store, "truncated", torch.tensor([1, 2, 4, 0]), 1)
    later.open()
    assert later.open() == 1, "a second view is not a second step"
    read(later, slice(1, 4))
    read(later, slice(3, 4))
    read(later, slice(0, 0))
    assert later.reads.report() == (Staleness("embedding", 1, rows=4, unwritten=1, mean=3.0, largest=3),)


def test_a_frozen_batch_is_no_step() -> None:
    store = History(10)
    BatchHistory(store, "truncated", IDS, 3, frozen=True).open()
    assert store.clock == 0


def test_logs_add_up() -> None:
    one, other = StalenessLog(), StalenessLog()
    one.add("adjoint", 1, torch.tensor([1.0, torch.inf]))
    other.add("adjoint", 1, torch.tensor([3.0, 8.0]))
    other.add("embedding", 0, torch.tensor([torch.inf]))
    one.merge(other)
    records = one.report()
    assert records == (Staleness("embedding", 0, 1, 1, None, None), Staleness("adjoint", 1, 4, 1, 4.0, 8))
    assert overall(records) == (4.0, 8)
    assert overall(records[:1]) == (None, None)


def mapped(folder: Path, signature: str, num_nodes: int = 10) -> History:
    store = History(num_nodes, storage="mmap", folder=folder)
    store.sign(signature)
    return store


def test_a_folder_belongs_to_the_graph_and_encoder_that_wrote_it(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    store = mapped(folder, "cora, GCN")
    store.push(PLACE, IDS, rows())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for signature, nodes in (("cora, GIN", 10), ("cora, GCN", 11), ("", 10)):
        with pytest.raises(InputError, match=r"another graph or another encoder \(cora, GCN, 10 nodes"):
            mapped(folder, signature, nodes)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not mapped(folder, "cora, GCN").pull(PLACE, IDS, rows()).any(), "a new training starts with nothing"


def test_a_history_that_was_never_signed_overwrites_nothing(tmp_path: Path) -> None:
    mapped(tmp_path, "cora, GCN").push(PLACE, IDS, rows())
    with pytest.raises(InputError, match="another graph or another encoder"):
        History(10, storage="mmap", folder=tmp_path).push(PLACE, IDS, rows())


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": "x", "signature": "", "num_nodes": 10}', b"\xff"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "history.json").write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        mapped(tmp_path, "")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="is not empty and holds no history"):
        mapped(tmp_path, "")
    with pytest.raises(InputError, match="needs a folder"):
        mapped(tmp_path / "thesis.tex", "")


def test_a_resumed_history_goes_on_in_its_folder(tmp_path: Path) -> None:
    store = mapped(tmp_path, "cora, GCN")
    store.push(PLACE, IDS, rows())
    state = store.state_dict()
    resumed = mapped(tmp_path, "cora, GCN")
    resumed.load_state_dict(state)
    assert torch.equal(resumed.pull(PLACE, IDS, rows()), rows())


def test_a_checkpoint_cannot_name_a_file_outside_the_folder(tmp_path: Path) -> None:
    store = mapped(tmp_path / "own", "cora, GCN")
    store.push(PLACE, IDS, rows())
    (tmp_path / "precious-0-0.bin").write_text("kept")
    hostile = {**store.state_dict(), "places": [["../precious", 0, 0]]}
    with pytest.raises(InputError, match="leads out of its folder"):
        mapped(tmp_path / "own", "cora, GCN").load_state_dict(hostile)
    assert (tmp_path / "precious-0-0.bin").read_text() == "kept"
