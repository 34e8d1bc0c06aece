"""Molecules of the user's own: the features are PyG's, and every kind of table says what it lacks."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets import categories
from gssl.datasets.load import load_dataset
from gssl.datasets.molecule_codes import Molecules, read_chunk, read_molecules
from gssl.datasets.smiles_table import read_table
from gssl.datasets.types import Dataset
from gssl.graph.sparse import dense_features

pytest.importorskip("rdkit")

# Stereo centres and double bonds, charges, radicals, isotopes, metals, rings, aromatics, a lone atom, several parts.
ODD = [
    "C[C@H](N)C(=O)O",
    "C[C@@H](N)C(=O)[O-]",
    "F/C=C/F",
    r"F/C=C\F",
    "[CH2]C",
    "[13CH4]",
    "[Na+].[Cl-]",
    "c1ccc2[nH]ccc2c1",
    "N#Cc1cc[n+]([O-])cc1",
    "O=S(=O)(O)C1CC1",
    "[NH3][Pt](Cl)(Cl)[NH3]",
    "FS(F)(F)(F)(F)F",
    "CC1=[O+][Cu-3]2([O+]=C(C)C1)[O+]=C(C)CC(C)=[O+]2",
    "*CC",
    "[He]",
    "B(O)(O)c1ccccc1",
]
TWELVE_BONDS = "[U](F)(F)(F)(F)(F)(F)(F)(F)(F)(F)(F)F"


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def pygs(smiles: list[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features, edges and bonds as the path of MoleculeNet's sets makes them, edges by target and then source."""
    from torch_geometric.utils.smiles import from_smiles

    parts = [from_smiles(text) for text in smiles]
    sizes = torch.tensor([part.num_nodes for part in parts])
    starts = sizes.cumsum(0) - sizes
    edges = torch.cat([part.edge_index + start for part, start in zip(parts, starts, strict=True)], dim=1)
    order = torch.argsort(edges[1] * int(sizes.sum()) + edges[0], stable=True)
    x = categories.atoms(torch.cat([part.x for part in parts]), categories.PYG).to_dense()
    bonds = categories.bonds(torch.cat([part.edge_attr for part in parts]), categories.PYG)
    return x, edges[:, order], bonds[order]


def assert_is_pygs(data: Dataset, smiles: list[str]) -> None:
    x, edges, bonds = pygs(smiles)
    assert data.smiles == tuple(smiles)
    assert torch.equal(dense_features(data.graph.x), x)
    assert torch.equal(data.graph.block.edge_index, edges)
    assert data.graph.block.edge_attr is not None
    assert torch.equal(data.graph.block.edge_attr.float(), bonds)
    assert data.spec.nodes == categories.PYG.nodes


def test_features_are_those_of_pyg(root: Path, tmp_path: Path) -> None:
    data = load_dataset(write(tmp_path / "odd.csv", "SMILES\n" + "\n".join(ODD)))
    assert (data.name, data.level, data.labels, data.splits) == ("odd", "graph", None, ())
    assert data.graph.num_graphs == len(ODD)
    assert_is_pygs(data, ODD)


def test_a_published_set_as_a_file_is_the_published_set(mirror: Path, processed: Path) -> None:
    wanted = load_dataset("BBBP", root=processed)
    data = load_dataset(mirror / "MoleculeNet" / "bbbp" / "raw" / "BBBP.csv", root=processed)
    assert (data.spec, data.smiles) == (wanted.spec, wanted.smiles)
    assert torch.equal(dense_features(data.graph.x), dense_features(wanted.graph.x))
    ours, theirs = data.graph.block, wanted.graph.block
    assert torch.equal(ours.pattern.col, theirs.pattern.col)
    assert torch.equal(ours.pattern.rowptr, theirs.pattern.rowptr)
    assert ours.edge_attr is not None
    assert theirs.edge_attr is not None
    assert torch.equal(ours.edge_attr.float(), theirs.edge_attr)
    assert data.labels is not None
    assert wanted.labels is not None
    assert torch.equal(data.labels.y, wanted.labels.y)
    assert "11 molecules left out that RDKit cannot read" in data.notes
    assert "columns that number the rows left out: num" in data.notes
    assert "columns without numbers left out: name" in data.notes


def test_what_cannot_be_read_is_skipped_counted_and_quiet(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = ["CCO,1", "no molecule,0", ",1", f"{TWELVE_BONDS},0", "c1ccccc1,0", "C(,1", "N,1"]
    data = load_dataset(write(tmp_path / "some.csv", "\n".join(["smiles,active", *rows])))
    assert data.smiles == ("CCO", "c1ccccc1", "N")
    assert data.labels is not None
    assert (data.labels.kind, data.labels.y.tolist()) == ("multiclass", [1, 0, 1])
    assert "3 molecules left out that RDKit cannot read" in data.notes
    assert "1 molecules left out with atoms or bonds that the vocabulary does not know" in data.notes
    assert "labels are the columns active" in data.notes
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("lines", "kind", "y"), [
    (["a,smiles", "0,C", "1,N", "1,O"], "multiclass", [0, 1, 1]),
    (["a,smiles", "0,C", "1,N", ",O"], "multiclass", [0, 1, -1]),
    (["smiles,a", "C,0.5", "N,1", "O,-2"], "regression", [[0.5], [1.0], [-2.0]]),
    (["smiles,a,b", "C,0,1", "N,1,", "O,0,0"], "multilabel", [[0.0, 1.0], [1.0, None], [0.0, 0.0]]),
    (["smiles,a,b", "C,True,1", "N,False,1", "O,True,0"], "multilabel", [[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]),
    (["a,Smiles,name", "3,C,x", "7,N,y", "3,O,z"], "multiclass", [0, 1, 0]),
])  # fmt: skip
def test_columns_of_numbers_are_labels(root: Path, tmp_path: Path, lines: list[str], kind: str, y: object) -> None:
    labels = load_dataset(write(tmp_path / "labelled.csv.gz", "\n".join(lines))).labels
    assert labels is not None
    found = [[None if np.isnan(v) else v for v in row] for row in labels.y.tolist()] if labels.y.dim() == 2 else None
    assert (labels.kind, found if found is not None else labels.y.tolist()) == (kind, y)


SIX = ["C", "N", "O", "CC", "CN", "CO"]
PARTS = ["train", "train", "val", "val", "test", "test"]


def table(path: Path, **columns: list[Any]) -> Path:
    rows = [",".join(map(str, row)) for row in zip(SIX, *columns.values(), strict=True)]
    return write(path, "\n".join([",".join(["smiles", *columns]), *rows]))


@pytest.mark.parametrize("columns", [
    {f"{part}_mask": [int(own == part) for own in PARTS] for part in ("train", "val", "test")},
    {f"{part}_mask": [own == part for own in PARTS] for part in ("train", "val", "test")},
    {"split": PARTS},
    {"Model": [part.title() for part in PARTS]},  # BACE's
])  # fmt: skip
def test_a_split_is_read_and_no_label(root: Path, tmp_path: Path, columns: dict[str, list[Any]]) -> None:
    data = load_dataset(table(tmp_path / "a.csv", y=[0, 1, 0, 1, 0, 1], **columns))
    assert data.labels is not None
    assert (data.labels.kind, data.labels.y.tolist()) == ("multiclass", [0, 1, 0, 1, 0, 1])
    (split,) = data.splits
    assert [split.train.tolist(), split.val.tolist(), split.test.tolist()] == [[0, 1], [2, 3], [4, 5]]


def test_the_split_is_of_the_molecules_that_are_kept_and_have_a_label(root: Path, tmp_path: Path) -> None:
    rows = ["nothing,1,train", "C,1,train", "N,0,train", "O,,val", "CC,1,val", "CN,0,test", "CO,0,"]
    (split,) = load_dataset(write(tmp_path / "a.csv", "\n".join(["smiles,y,split", *rows]))).splits
    assert [split.train.tolist(), split.val.tolist(), split.test.tolist()] == [[0, 1], [3], [4]]


@pytest.mark.parametrize(("name", "values"), [
    ("fold", [0, 1, 2, 0, 1, 2]), ("Split", [0, 0, 1, 1, 2, 2]), ("split", list("aabbcc")),
    ("partition", [1, 1, 1, 2, 2, 2]), ("train_mask", [1, 1, 0, 0, 0, 0]),
])  # fmt: skip
@pytest.mark.parametrize("label", ["y", "active"])
def test_what_looks_like_a_split_and_is_none_is_refused(
    root: Path, tmp_path: Path, name: str, values: list[Any], label: str
) -> None:
    with pytest.raises(InputError, match=f"{name} (looks like a split|only)"):
        load_dataset(table(tmp_path / "a.csv", **{label: [0, 1, 0, 1, 0, 1], name: values}))


def test_numbers_beside_a_named_label_are_no_labels(root: Path, tmp_path: Path) -> None:
    data = load_dataset(table(tmp_path / "a.csv", weight=[16.5] * 6, Label=[0, 1, 0, 1, 0, 1], test_score=[0.5] * 6))
    assert data.labels is not None
    assert data.labels.y.tolist() == [0, 1, 0, 1, 0, 1]
    assert "columns of numbers that are no labels, as there is Label: weight, test_score" in data.notes
    with pytest.raises(InputError, match="y and target may both be the labels"):
        load_dataset(table(tmp_path / "b.csv", y=[0, 1] * 3, target=[0, 1] * 3))


def test_names_of_classes(root: Path, tmp_path: Path) -> None:
    data = load_dataset(table(tmp_path / "a.csv", y=["NA", "b", "", "NA", "None", "b"], z=[1] * 6))
    assert data.labels is not None
    assert data.labels.y.tolist() == [0, 1, -1, 0, -1, 1]
    assert any("2 sorted values of y: NA, b; NA is one of them" in note for note in data.notes)
    rows = [f"C,m{i},{'active' if i % 2 else 'inactive'}" for i in range(10)]
    data = load_dataset(write(tmp_path / "b.csv", "\n".join(["smiles,name,activity", *rows])))
    assert data.labels is not None
    assert data.labels.y.tolist() == [1, 0] * 5
    assert "labels are the texts of the only column that repeats them: activity" in data.notes
    assert "columns without numbers left out: name" in data.notes


@pytest.mark.parametrize(("name", "text"), [
    ("a.csv", "molecule\nCCO\nN\n"),
    ("a.csv", "CCO\nN\n"),  # a list without a header
    ("a.csv", "\ufeffid,Smiles\n7,CCO\n9,N\n"),
    ("a.csv", '"smiles"\n" CCO "\n"N"\n'),
    ("a.smi", "CCO ethanol, the drink\nN\tammonia\n"),
    ("a.SMI", "\nCCO\n\nN\n"),
    ("a.smi.gz", "smiles id\nCCO first one\nN second\n"),
    ("a.b.csv.gz", "SMILES\nCCO\nN\n"),
])  # fmt: skip
def test_forms_of_tables(root: Path, tmp_path: Path, name: str, text: str) -> None:
    data = load_dataset(write(tmp_path / name, text))
    assert data.smiles == ("CCO", "N")
    assert data.name == ("a.b" if name.startswith("a.b") else "a")


def test_a_header_of_a_smi_names_its_labels(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "a.smi", "logp SMILES name\n0.5 C#N hydrogen cyanide\n-1 O water\n"))
    assert table.smiles == ["C#N", "O"]
    assert {name: values.tolist() for name, values in table.columns.items()} == {"logp": [0.5, -1.0]}
    assert table.notes == ("labels are the columns logp", "columns without numbers left out: name")


@pytest.mark.parametrize(("text", "message"), [
    ("a,b\n1,2\n", "its columns are a, b; a table of edges has the columns source and target.*called smiles"),
    ("smiles,SMILES\nC,C\n", "several of its columns are called smiles"),
    ("smiles\n", "it holds no molecules"),
    ("", "is empty"),
    ('smiles\n"C\n', "no whole table"),
    ("smiles,a\nnothing,1\nxyz,2\n", "none of its 2 molecules .*2 molecules left out that RDKit cannot read"),
    ("smiles,a\nC,-2\nN,1\n", "negative class"),
    ("smiles;a\nC;2\nN;1\n", "separated by semicolons"),
    ("smiles\ta\nC\t2\nN\t1\n", "separated by tabs"),
])  # fmt: skip
def test_tables_without_molecules(root: Path, tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "bad.csv", text)
    with pytest.raises(InputError, match=message) as caught:
        load_dataset(path)
    assert "bad.csv" in str(caught.value)


_CUT = gzip.compress(b"smiles\nC\n", mtime=0)[:-9]


@pytest.mark.parametrize("content", [b"\x1f\x8b junk", b"\x00\xff\xfe\x00" * 9, _CUT])
def test_damaged_tables(root: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.csv.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.csv\.gz.*(no whole table|damaged)"):
        load_dataset(path)


def test_a_file_is_read_once(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "mine.csv", "smiles,a\nCCO,1\nnothing,0\nN,0\n")
    first = load_dataset(path)
    calls: list[int] = []

    def counted(smiles: list[str]) -> Molecules:
        calls.append(len(smiles))
        return read_molecules(smiles)

    monkeypatch.setattr("gssl.datasets.smiles.read_molecules", counted)
    again = load_dataset(path)
    assert (calls, again.checksum, again.notes, again.smiles) == ([], first.checksum, first.notes, first.smiles)
    write(path, "smiles,a\nCCO,1\nO,0\n")  # the same name with another content
    assert load_dataset(path).smiles == ("CCO", "O")
    for damaged in root.rglob("*.npz"):
        damaged.write_bytes(b"PK junk")
    assert load_dataset(path).smiles == ("CCO", "O")
    assert calls == [2, 2]


def test_chunks_in_parallel_are_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    from joblib import parallel_config

    smiles = [*ODD, "nothing", TWELVE_BONDS, *reversed(ODD)]
    whole = read_chunk(smiles)
    monkeypatch.setattr("gssl.datasets.molecule_codes._CHUNK", 5)
    monkeypatch.setattr("gssl.datasets.molecule_codes._FEW", 6)
    with parallel_config(backend="threading"):
        parts = read_molecules(smiles)
    for name, value in vars(whole).items():
        assert np.array_equal(getattr(parts, name), value), name
    assert (whole.unreadable, whole.foreign) == (1, 1)


def test_moses_comes_from_the_mirror(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / "mirror" / "MOSES" / "raw"
    raw.mkdir(parents=True)
    write(raw / "smiles.csv.gz", "SMILES\nCCO\nN\n")
    monkeypatch.setenv("GSSL_MIRROR", str(tmp_path / "mirror"))
    data = load_dataset("moses")
    assert (data.name, data.smiles, data.labels) == ("MOSES", ("CCO", "N"), None)
    assert_is_pygs(data, ["CCO", "N"])


def test_moses_is_cut_out_of_the_published_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(url: str, path: Path) -> None:
        assert url.endswith("train.csv.gz")
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, "SMILES,SPLIT\nCCO,train\nN,train\nO,train\n")

    monkeypatch.setattr("gssl.datasets.smiles.download", fetch)
    monkeypatch.setattr("gssl.datasets.smiles._MOSES_ROWS", 2)
    assert load_dataset("MOSES").smiles == ("CCO", "N")


def test_without_rdkit(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"mine\.csv is read with RDKit, which is not installed"):
        load_dataset(write(tmp_path / "mine.csv", "smiles\nC\n"))
