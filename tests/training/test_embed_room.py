"""Embeddings that do not fit the memory, and how much of it is free."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from gssl.common.errors import InputError, StorageError
from gssl.datasets.generators import csbm
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.training import embed, memory
from gssl.training.embed import embed_dataset


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> BGRL:
    """A method that embeds layer by layer, where 60 kB of memory are free."""
    monkeypatch.setattr(embed, "_NODES_AT_ONCE", 100)
    monkeypatch.setattr(embed, "free_memory", lambda: 60_000)
    torch.manual_seed(0)
    method = BGRL(GCN(16, hidden_dim=32)).eval()
    assert isinstance(method, BGRL)
    return method


def test_embeddings_in_a_file_are_those_of_memory(
    method: BGRL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = csbm(nodes=300, features=16)
    shared = embed_dataset(method, data, folder=tmp_path)
    assert not list(tmp_path.iterdir())  # the file has no name any more
    monkeypatch.setattr(embed, "free_memory", lambda: 1 << 40)
    assert torch.equal(embed_dataset(method, data), shared)


def test_without_a_place_they_are_refused(method: BGRL) -> None:
    with pytest.raises(InputError, match="embeddings of 300 nodes take"):
        embed_dataset(method, csbm(nodes=300, features=16))


def test_a_full_disk_is_told_before_a_page_is_missing(
    method: BGRL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(StorageError, match="No space left on device"):
        embed_dataset(method, csbm(nodes=300, features=16), folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("version", [1, 2])
def test_the_narrowest_control_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    if version == 2:
        root, line = tmp_path, "0::/outer/inner"
        limit, used, file = "memory.max", "memory.current", "inactive_file"
        none = "max"
    else:
        root, line = tmp_path / "memory", "4:memory:/outer/inner"
        limit, used, file = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        none = "9223372036854771712"
    for group, most in (("outer", "5000"), ("outer/inner", none)):
        (root / group).mkdir(parents=True)
        (root / group / limit).write_text(f"{most}\n")
        (root / group / used).write_text("4000\n")
        (root / group / "memory.stat").write_text(f"{file} 500\nother 9\n")
    table = tmp_path / "cgroup"
    table.write_text(f"{line}\n")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_GROUPS", table)
    assert memory.group_limit() == 5000
    assert memory.free_memory() == 1500  # pages of files are given up when need be
    shutil.rmtree(root / "outer")
    assert memory.group_limit() is None
