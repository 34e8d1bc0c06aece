"""The store of embeddings and adjoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gssl.common.errors import InputError
from gssl.samplers.history import BatchHistory, History, Place, Precision, Storage

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
