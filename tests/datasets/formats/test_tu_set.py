"""TU sets by path: a zip, its files in a folder, and names beyond those that are listed."""

import zipfile
from pathlib import Path

import pytest

from gssl.common.errors import InputError
from gssl.datasets.declared import Declared
from gssl.datasets.load import load_dataset

FILES = {
    "A": "1, 2\n2, 1\n3, 4\n4, 3\n",
    "graph_indicator": "1\n1\n2\n2",
    "graph_labels": "-1\n1\n",
    "node_labels": "5\n6\n8\n5\n",
}


def _folder(path: Path, name: str, **changes: str | None) -> Path:
    path.mkdir(parents=True)
    for key, text in {**FILES, **changes}.items():
        if text is not None:
            (path / f"{name}_{key}.txt").write_text(text)
    return path


@pytest.mark.parametrize("around", ["", "MINE/", "a/b/"])
def test_a_zip_and_a_folder_are_the_same_set(root: Path, tmp_path: Path, around: str) -> None:
    folder = _folder(tmp_path / "set" / "raw", "MINE")
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr("__MACOSX/._MINE_A.txt", "")
        for path in sorted(folder.iterdir()):
            archive.write(path, around + path.name)
    found = [load_dataset(path) for path in (tmp_path / "mine.zip", folder, folder.parent)]
    assert {(data.name, data.level, data.num_items, data.checksum) for data in found} == {
        ("MINE", "graph", 2, found[0].checksum)
    }
    assert found[0].labels is not None
    assert found[0].labels.y.tolist() == [0, 1]


def test_changed_files_are_read_again(root: Path, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "set", "MINE")
    before = load_dataset(folder)
    (folder / "MINE_A.txt").write_text("1, 2\n2, 1\n")
    assert load_dataset(folder).graph.num_edges == before.graph.num_edges - 2


def test_real_targets_no_targets_and_declared_ones(root: Path, tmp_path: Path) -> None:
    real = load_dataset(_folder(tmp_path / "a", "REAL", graph_labels=None, graph_attributes="0.5\n1.5\n"))
    assert real.labels is not None
    assert real.labels.kind == "regression"
    assert load_dataset(_folder(tmp_path / "b", "NONE", graph_labels=None)).labels is None
    said = load_dataset(_folder(tmp_path / "c", "SAID"), declared=Declared(metric="roc_auc"))
    assert said.metric == "roc_auc"


def test_sets_that_cannot_be_read(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lacks one of .*MINE_graph_indicator\.txt"):
        load_dataset(_folder(tmp_path / "a", "MINE", graph_indicator=None))
    both = _folder(tmp_path / "b", "ONE")
    (both / "TWO_A.txt").write_text("1, 2\n")
    with pytest.raises(InputError, match="2 sets"):
        load_dataset(both)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("graph.npz", b"")
    with pytest.raises(InputError, match=r"no files NAME_A\.txt.*unpack it"):
        load_dataset(tmp_path / "other.zip")
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
        archive.writestr("../../OUT_A.txt", "1, 2\n")
    with pytest.raises(InputError, match="leads out of its folder"):
        load_dataset(tmp_path / "out.zip")
    assert not (tmp_path / "OUT_A.txt").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"node_labels": "5\n6\n1e99\n5\n"}, "MINE_node_labels.txt holds '1e99' in line 3, but needs whole numbers"),
        ({"node_labels": "5\n6\n\n8\n5\n"}, "MINE_node_labels.txt holds '' in line 3"),
        ({"edge_labels": "1\n1,2\n1\n1\n"}, "MINE_edge_labels.txt has 2 numbers in line 2, but 1 in the first line"),
        ({"node_attributes": "5\n6\nx\n5\n"}, "MINE_node_attributes.txt holds 'x' in line 3, but needs numbers there"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_line_that_is_no_number_is_named_in_the_users_file(
    change: dict[str, str], message: str, root: Path, tmp_path: Path, *, zipped: bool
) -> None:
    path = _folder(tmp_path / "set", "MINE", **change)
    if zipped:
        folder, path = path, tmp_path / "mine.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, file.name)
    with pytest.raises(InputError) as caught:
        load_dataset(path)
    assert f"{path}/{message}" in str(caught.value)
    assert "tu-files" not in str(caught.value), "the copy in the store is gone when the message is read"


def test_files_that_the_library_alone_cannot_read_are_the_users(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no idea")

    monkeypatch.setattr("gssl.datasets.source.PygSource.process", fail)
    path = _folder(tmp_path / "set", "MINE")
    with pytest.raises(InputError, match=rf"^{path} cannot be read, RuntimeError: no idea; mend it") as caught:
        load_dataset(path)
    assert "tu-files" not in str(caught.value)


@pytest.mark.parametrize(("name", "targets"), [("ptc_fm", "graph_labels"), ("QM9", "graph_attributes")])
def test_names_that_are_not_listed(root: Path, name: str, targets: str) -> None:
    spelled = {"ptc_fm": "PTC_FM"}.get(name, name)
    text = {"graph_labels": "-1\n1\n", "graph_attributes": "0.5, 1\n1.5, 2\n"}[targets]
    _folder(root / "TUDataset" / spelled / "raw", spelled, **{"graph_labels": None, targets: text})
    data = load_dataset(name)
    assert (data.name, data.num_items, data.level) == (spelled, 2, "graph")
    assert (data.metric, data.probe) == (("accuracy", "P5-RBF") if spelled == "PTC_FM" else ("mae", "LBFGS"))


def _zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"MINE/{file.name}")
    return path


@pytest.mark.parametrize("zipped", [False, True])
def test_of_two_files_with_labels_the_one_that_is_read_is_said_and_can_be_chosen(
    root: Path, tmp_path: Path, zipped: bool
) -> None:
    path = _folder(tmp_path / "set", "MINE", graph_attributes="0.5\n1.5\n")
    path = _zipped(path, tmp_path / "mine.zip") if zipped else path
    reals = load_dataset(path)
    assert reals.labels is not None
    assert (reals.labels.kind, reals.labels.y.tolist()) == ("regression", [[0.5], [1.5]])
    assert any(
        "MINE_graph_attributes.txt is read as labels and MINE_graph_labels.txt is not: --data task=multiclass" in note
        for note in reals.notes
    )
    assert "graph_attributes holds real numbers: read as regression" in reals.notes
    classes = load_dataset(path, declared=Declared(task="multiclass"))
    assert classes.labels is not None
    assert (classes.labels.kind, classes.labels.y.tolist()) == ("multiclass", [0, 1])
    assert any(
        "MINE_graph_labels.txt is read as labels and MINE_graph_attributes.txt" in note for note in classes.notes
    )
    again = load_dataset(path, declared=Declared(task="regression"))
    assert again.checksum == reals.checksum


def test_messages_name_the_users_file_and_where_real_targets_belong(root: Path, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a", "MINE", graph_labels="0.5\nnan\n")
    with pytest.raises(
        InputError, match=r"MINE_graph_labels.txt holds '0.5' in line 1.*MINE_graph_attributes.txt"
    ) as caught:
        load_dataset(folder)
    assert "delete" not in str(caught.value)
    edges = _folder(tmp_path / "b", "MINE", A="1, 9\n")
    with pytest.raises(InputError) as caught:
        load_dataset(edges)
    assert str(edges / "MINE_A.txt") in str(caught.value)
    assert str(root) not in str(caught.value).replace(str(edges), "")
