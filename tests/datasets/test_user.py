"""Files of the user's own: whole ones load, all others say what is wrong and run nothing."""

import contextlib
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data, HeteroData

from gssl.common.errors import InputError
from gssl.datasets.load import load_dataset
from gssl.graph.sparse import dense_features

EDGES = np.array([[0, 1, 2], [1, 2, 0]])
X = np.eye(3, 4, dtype=np.float32)


def _save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **{"edge_index": EDGES, "x": X, **arrays})
    return path


def test_graph_npz(root: Path, tmp_path: Path) -> None:
    masks = {f"{part}_mask": np.arange(3) == i for i, part in enumerate(("train", "val", "test"))}
    data = load_dataset(_save(tmp_path / "mine.npz", y=np.array([0, 1, 0]), edge_attr=np.ones((3, 2)), **masks))
    assert (data.name, data.level, data.graph.num_edges, data.metric) == ("mine", "node", 3, "accuracy")
    assert np.array_equal(dense_features(data.graph.x).numpy(), X)
    assert data.labels is not None
    assert data.labels.y.tolist() == [0, 1, 0]
    assert [part.tolist() for part in (data.splits[0].train, data.splits[0].val, data.splits[0].test)] == [
        [0],
        [1],
        [2],
    ]
    assert data.graph.block.edge_attr is not None
    assert not root.exists()


def test_a_file_in_the_working_folder(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _save(tmp_path / "graph.npz")
    monkeypatch.chdir(tmp_path)
    assert load_dataset("graph.npz").labels is None


def test_several_splits(root: Path, tmp_path: Path) -> None:
    masks = {
        f"{part}_mask": np.roll(np.eye(3, 2), i, axis=0).astype(np.uint8)
        for i, part in enumerate(("train", "val", "test"))
    }
    data = load_dataset(_save(tmp_path / "mine.npz", **masks))
    assert [split.train.tolist() for split in data.splits] == [[0], [1]]
    assert [split.test.tolist() for split in data.splits] == [[2], [0]]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"edge_index": np.array([[0, 9], [1, 2]])}, "node 9 at edge 1, but there are 3 nodes"),
        ({"x": np.full((3, 4), np.nan)}, "12 values that are NaN or infinite in 3 rows and 4 columns"),
        ({"x": np.array([{}, [], None], dtype=object)}, "Python objects"),
        ({"edge_index": EDGES.T}, "transpose"),
        ({"x": np.ones(3)}, r"shape \(num_nodes, features\)"),
        ({"x": np.array(["a", "b", "c"])}, r"shape \(num_nodes, features\)"),
        ({"x": np.array([["a"], ["b"], ["c"]])}, "objects or text"),
        ({"y": np.array([0, 1])}, "there are 3 items"),
        ({"y": np.array([0, -2, 1])}, "negative class"),
        ({"train_mask": np.ones(3, bool)}, "train_mask only"),
        ({"train_mask": np.ones(3, bool), "test_mask": np.ones(3, bool)}, "in train and in test"),
    ],
)
def test_arrays_that_are_no_graph(root: Path, tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = _save(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        load_dataset(path)
    assert "bad.npz" in str(caught.value)


def test_a_missing_key_lists_what_is_there(root: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", links=EDGES, x=X)
    with pytest.raises(InputError, match=r"bad\.npz: there is no edge_index.*found: links, x; expected"):
        load_dataset(tmp_path / "bad.npz")


@pytest.mark.parametrize("name", ["no/such.npz", "no/such.pt", "such.npz", "~/no-such-graph.npz", "/no/such/folder"])
def test_paths_that_lead_nowhere(root: Path, name: str) -> None:
    with pytest.raises(InputError, match="there is no file or folder"):
        load_dataset(name)


def test_other_kinds_of_files(root: Path, tmp_path: Path) -> None:
    (tmp_path / "graph.xyz").write_text("0 1")
    with pytest.raises(InputError, match=r"no known kind: known are \.npz, \.pt.*from_networkx.*my_file:function"):
        load_dataset(tmp_path / "graph.xyz")
    with pytest.raises(InputError, match=r"neither meta\.json"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("suffix", ["npz", "pt"])
@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk", b"PK\x05\x06" + bytes(18), b"\x80\x04."])
def test_junk(root: Path, tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"junk.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"junk\.{suffix}"):
        load_dataset(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example(cut=1.0, flip=0.115234375, value=0, kind="pt")  # a Data without its store
@example(cut=1.0, flip=0.984375, value=1, kind="pt")  # more than one disk
@example(cut=1.0, flip=0.890625, value=128, kind="pt")  # a member's name in no encoding
@given(cut=st.floats(0, 1), flip=st.floats(0, 1), value=st.integers(0, 255), kind=st.sampled_from(["npz", "pt"]))
def test_damage_anywhere_is_found_or_harmless(tmp_path: Path, cut: float, flip: float, value: int, kind: str) -> None:
    whole = tmp_path / f"whole.{kind}"
    if not whole.exists():
        data = Data(edge_index=torch.from_numpy(EDGES), x=torch.from_numpy(X))
        _save(whole) if kind == "npz" else torch.save(data, whole)
    content = bytearray(whole.read_bytes())
    content[int(flip * (len(content) - 1))] = value
    damaged = tmp_path / f"damaged.{kind}"
    damaged.write_bytes(bytes(content[: max(1, int(cut * len(content)))]) if cut < 0.5 else bytes(content))
    with contextlib.suppress(InputError):  # anything else fails the test
        assert load_dataset(damaged).graph.num_edges <= 3


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("where", ["x", "num_nodes", "extra"])
def test_a_pickle_in_an_npz_is_never_run(root: Path, tmp_path: Path, where: str) -> None:
    bomb = np.array([Bomb(tmp_path / "run")], dtype=object)
    path = _save(tmp_path / "hostile.npz", **{where: bomb})
    if where == "extra":  # an array that nobody reads does no harm
        load_dataset(path)
    else:
        with pytest.raises(InputError, match="Python objects"):
            load_dataset(path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("how", ["torch", "old torch", "pickle", "inside data"])
def test_a_pickle_bomb_in_a_pt_is_never_run(root: Path, tmp_path: Path, how: str) -> None:
    path, bomb = tmp_path / "hostile.pt", Bomb(tmp_path / "run")
    if how == "pickle":
        path.write_bytes(pickle.dumps(bomb))
    elif how == "inside data":
        torch.save(Data(edge_index=torch.from_numpy(EDGES), x=torch.from_numpy(X), bomb=bomb), path)
    else:
        torch.save(bomb, path, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(InputError, match=r"hostile\.pt (is damaged or )?holds more than tensors"):
        load_dataset(path)
    assert not (tmp_path / "run").exists()


def test_an_npz_larger_than_the_memory(root: Path, tmp_path: Path) -> None:
    header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 4), }"
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("x.npy", header + text.ljust(117) + b"\n")
        archive.writestr("edge_index.npy", b"")
    with pytest.raises(InputError, match=r"huge\.npz is damaged"):
        load_dataset(tmp_path / "huge.npz")


def test_saved_pyg_data(root: Path, tmp_path: Path) -> None:
    data = Data(edge_index=torch.from_numpy(EDGES), x=torch.from_numpy(X), y=torch.tensor([2, 0, 0]))
    for content in (data, data.to_dict()):
        torch.save(content, tmp_path / "mine.pt")
        loaded = load_dataset(tmp_path / "mine.pt")
        assert loaded.labels is not None
        assert loaded.labels.y.tolist() == [1, 0, 0]  # classes 0 and 2, renumbered
        assert (loaded.name, loaded.graph.num_edges) == ("mine", 3)
    data.y = torch.tensor([1])
    torch.save([data, data], tmp_path / "set.pt")
    assert load_dataset(tmp_path / "set.pt").num_items == 2


def test_an_edge_index_of_pygs_own_type(root: Path, tmp_path: Path) -> None:
    from torch_geometric import EdgeIndex

    data = Data(edge_index=EdgeIndex(torch.from_numpy(EDGES)), x=torch.from_numpy(X))
    torch.save(data, tmp_path / "mine.pt")
    assert load_dataset(tmp_path / "mine.pt").graph.num_edges == 3


@pytest.mark.parametrize("content", [torch.ones(3), {"x": torch.ones(3, 2)}, [torch.ones(2)], "text", HeteroData()])
def test_saved_things_that_are_no_graph(root: Path, tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "bad.pt")
    with pytest.raises(InputError, match=r"bad\.pt.*(is no graph|no edge_index|has no edges|more than tensors)"):
        load_dataset(tmp_path / "bad.pt")


def test_a_file_that_may_not_be_read(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _save(tmp_path / "mine.npz")

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gssl.datasets.formats.npz_file.load_npz", refuse)
    with pytest.raises(InputError, match="may not be read"):
        load_dataset(path)


def test_loading_leaves_no_class_allowed(root: Path, tmp_path: Path) -> None:
    import torch_geometric.data

    before = set(torch.serialization.get_safe_globals())
    torch.save(Data(edge_index=torch.from_numpy(EDGES), x=torch.from_numpy(X)), tmp_path / "mine.pt")
    load_dataset(tmp_path / "mine.pt")
    assert set(torch.serialization.get_safe_globals()) == before
    assert torch_geometric.data.Data in before  # PyG allows it on import, and still does
