"""The sets of HeCo's repository: small ones in its layout, damaged ones, and the real ACM."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from gssl.common.errors import InputError
from gssl.datasets.catalog import find_spec, is_path
from gssl.datasets.convert import as_dataset
from gssl.datasets.declared import Declared
from gssl.datasets.heco import LAYOUTS
from gssl.datasets.load import load_dataset
from gssl.graph.sparse import Pattern, dense_features

COUNT = 12
SETS = tuple(LAYOUTS)


def written(root: Path, name: str) -> Path:
    """A small set in the layout of ``name``: 12 nodes of the target type, four ids of every other type in use."""
    layout = LAYOUTS[name]
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    np.save(raw / "labels.npy", (np.arange(COUNT) % 3).astype(np.float64))
    for pair in layout.relations:
        sizes = [COUNT if letter == layout.target else 4 for letter in pair]
        ids = np.stack([np.arange(COUNT) % size for size in sizes], axis=1)
        np.savetxt(raw / f"{pair}.txt", ids, fmt="%d", delimiter="\t")
    for number, path in enumerate(layout.meta_paths):
        joined = rng.random((COUNT, COUNT)) < 0.2 + 0.1 * number
        joined = joined | joined.T | np.eye(COUNT, dtype=bool)
        sp.save_npz(raw / f"{path}.npz", sp.coo_matrix(joined))
    sp.save_npz(raw / "pos.npz", sp.coo_matrix(np.eye(COUNT)))
    if layout.features:
        sp.save_npz(raw / f"{layout.target}_feat.npz", sp.csr_matrix(rng.random((COUNT, 70)) < 0.03, dtype=np.float64))
    for amount, size in (("20", 3), ("40", 4), ("60", 5)):
        order = rng.permutation(COUNT)
        for part, ids in zip(("train", "val", "test"), np.split(order, [size, size + 3]), strict=True):
            np.save(raw / f"{part}_{amount}.npy", ids)
    return raw


@pytest.fixture
def place(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root whose files no checksum refuses before they are read."""
    monkeypatch.setattr("gssl.datasets.checksums._known", lambda: {"publisher": {}, "copy": {}})
    return root


def places(pattern: Pattern) -> set[tuple[int, int]]:
    return set(zip(pattern.row.tolist(), pattern.col.tolist(), strict=True))


@pytest.mark.parametrize("name", SETS)
def test_each_set_is_read_by_its_name(place: Path, name: str) -> None:
    raw, layout = written(place, name), LAYOUTS[name]
    data = load_dataset(name.upper())
    assert (data.name, data.num_items, data.metric, data.probe) == (name, COUNT, "macro_f1", "HeCo")
    assert [split.name for split in data.splits] == ["20", "40", "60"]
    assert data.splits[0].train.tolist() == sorted(np.load(raw / "train_20.npy").tolist())
    parts = data.graph.hetero
    assert parts is not None
    names = {letter: kind for letter, (kind, _) in layout.types.items()}
    assert parts.target == names[layout.target]
    assert {other.name: other.x.shape[0] for other in parts.others} == {
        kind: size for letter, (kind, size) in layout.types.items() if letter != layout.target
    }
    assert all(torch.equal(_head(other.x), torch.eye(5)) for other in parts.others)  # ids
    for path in parts.meta_paths:
        whole = sp.load_npz(raw / f"{path.name}.npz").toarray()
        assert places(path.pattern) == set(zip(*np.nonzero(whole * ~np.eye(COUNT, dtype=bool)), strict=True))
    assert places(data.graph.block.pattern) == set().union(*(places(path.pattern) for path in parts.meta_paths))
    assert parts.positives is not None
    assert places(parts.positives) == {(i, i) for i in range(COUNT)}
    beside = {pair.replace(layout.target, "") for pair in layout.relations if layout.target in pair}
    assert parts.neighbors.keys() == {names[letter] for letter in beside}
    assert len(parts.relations) == 2 * len(layout.relations)


def _head(x: object) -> torch.Tensor:
    return dense_features(x)[:5, :5]  # type: ignore[arg-type]  # of any kind


@pytest.mark.parametrize(("name", "features"), [("HeCo/acm", True), ("HeCo/freebase", False)])
def test_types_without_features_have_ids_and_it_is_said(place: Path, name: str, features: bool) -> None:
    raw = written(place, name)
    data = load_dataset(name)
    told = " ".join(data.notes)
    if not features:
        assert torch.equal(dense_features(data.graph.x), torch.eye(COUNT))
        assert "nodes of type movie, director, actor, writer have their ids for features" in told
        assert "--set probe.lr=0.01" in told
        return
    words = sp.load_npz(raw / "p_feat.npz").toarray()
    words = words / np.maximum(words.sum(1, keepdims=True), 1)
    np.testing.assert_allclose(dense_features(data.graph.x), words, rtol=1e-6)
    assert "nodes of type author, subject have their ids for features" in told
    assert "probe.lr" not in told, "the default of the probe is the rate for ACM"


Damage = Callable[[Path], object]


def _labels(values: np.ndarray) -> Damage:
    return lambda raw: np.save(raw / "labels.npy", values)


def _pairs(text: str) -> Damage:
    return lambda raw: (raw / "pa.txt").write_text(text)


def _matrix(name: str, **changes: object) -> Damage:
    def damage(raw: Path) -> None:
        with np.load(raw / name) as old:
            parts = {**{key: old[key] for key in old.files}, **changes}
        np.savez(raw / name, **parts)

    return damage


DAMAGES: list[tuple[Damage, str]] = [
    (lambda raw: (raw / "psp.npz").unlink(), r"raw files of HeCo/acm are not in .*psp\.npz|GSSL_MIRROR"),
    (_labels(np.arange(COUNT - 1) % 3), r"pap\.npz has shape \(12, 12\), but there are 11 labels|ids from 0 to 10"),
    (_labels(np.arange(COUNT) % 3 + 0.5), r"labels\.npy must hold the number of a class"),
    (_labels(np.zeros((COUNT, 2))), r"labels\.npy is no list of numbers"),
    (_labels(np.array([None] * COUNT)), r"labels\.npy is damaged"),
    (_pairs("0\t0\n12\t1\n"), r"pa\.txt has the id 12 where there are 12 nodes"),
    (_pairs("0\t7167\n"), r"pa\.txt has the id 7167 where there are 7167 nodes"),
    (_pairs("0\t-1\n"), r"pa\.txt has the id -1"),
    (_pairs("0\t0\t1\n"), r"pa\.txt must have two ids in each line"),
    (_pairs("0\tx\n"), r"pa\.txt is damaged"),
    (_pairs("0\t0.5\n"), r"pa\.txt must have two ids"),
    (_pairs(""), r"pa\.txt is empty"),
    (_matrix("pap.npz", row=np.array([99]), col=np.array([0]), data=np.ones(1)), "row 99 where there are 12"),
    (_matrix("pap.npz", row=np.array([0, 1])), r"its row is no list of \d+ whole numbers"),
    (_matrix("pap.npz", shape=np.array([12, 13])), r"pap\.npz has shape \(12, 13\)"),
    (_matrix("pap.npz", format=np.array(b"csc")), "no sparse matrix of SciPy"),
    (_matrix("pap.npz", data=np.array(["a"])), "no sparse matrix of SciPy"),
    (_matrix("p_feat.npz", indices=np.array([10**6])), "damaged"),
    (_matrix("p_feat.npz", shape=np.array([11, 70])), "damaged"),
    (lambda raw: np.save(raw / "train_20.npy", np.array([0, COUNT])), r"train_20\.npy must hold ids from 0 to 11"),
    (lambda raw: np.save(raw / "val_40.npy", np.load(raw / "test_40.npy")), r"split '40' has item \d+ in val and in t"),
    (lambda raw: (raw / "pos.npz").write_bytes(b"PK\x03\x04 nothing"), r"pos\.npz"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=range(len(DAMAGES)))
def test_damaged_folders(place: Path, damage: Damage, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("gssl.datasets.heco.download", unreachable)
    damage(written(place, "HeCo/acm"))
    with pytest.raises(InputError, match=message):
        load_dataset("HeCo/acm")


def test_pickles_are_not_opened(place: Path) -> None:
    """An array of objects would be loaded by pickle, which runs what it holds."""
    raw = written(place, "HeCo/acm")
    np.save(raw / "labels.npy", np.array([print] * COUNT, dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="allow_pickle=False"):
        load_dataset("HeCo/acm")


def test_files_that_are_not_the_released_ones_are_refused(root: Path) -> None:
    written(root, "HeCo/acm")
    with pytest.raises(InputError, match="is not the released file"):
        load_dataset("HeCo/acm")


def test_a_name_with_a_slash_is_no_path() -> None:
    assert find_spec("heco/ACM") is not None
    with pytest.raises(InputError, match=r"unknown dataset 'HeCo/amc'.*'HeCo/acm'"):
        load_dataset("HeCo/amc")
    assert [is_path(name) for name in ("HeCo/acm", "HeCo/nothing", "my/graph.npz", "Cora")] == [
        False,
        True,
        True,
        False,
    ]


def test_the_real_acm(mirror: Path) -> None:
    data = load_dataset("HeCo/acm")
    assert (data.num_items, data.graph.in_dim) == (4019, 1902)
    assert data.labels is not None
    assert data.labels.y.bincount().tolist() == [1993, 965, 1061]
    assert [(len(s.train), len(s.val), len(s.test)) for s in data.splits] == [(n, 1000, 1000) for n in (60, 120, 180)]
    parts = data.graph.hetero
    assert parts is not None
    assert {path.name: path.pattern.nnz for path in parts.meta_paths} == {"pap": 53834, "psp": 4334194}
    assert {name: pattern.nnz for name, pattern in parts.neighbors.items()} == {"author": 13407, "subject": 4019}
    rows = dense_features(data.graph.x).sum(1)
    torch.testing.assert_close(rows, torch.ones(4019))


def test_the_meta_paths_of_acm_are_those_that_pyg_derives(mirror: Path) -> None:
    """The same papers and authors as a ``HeteroData`` of one's own: its paths are those of the file."""
    parts = load_dataset("HeCo/acm").graph.hetero
    assert parts is not None
    own = HeteroData()
    own["paper"].num_nodes, own["author"].num_nodes = 4019, 7167
    pairs = parts.neighbors["author"]
    own["author", "writes", "paper"].edge_index = torch.stack([pairs.col.long(), pairs.row.long()])
    found = as_dataset(own, declared=Declared(target_type="paper")).graph.hetero
    assert found is not None
    assert torch.equal(found.meta_paths[0].pattern.col, parts.meta_paths[0].pattern.col)
    assert torch.equal(found.meta_paths[0].pattern.rowptr, parts.meta_paths[0].pattern.rowptr)
