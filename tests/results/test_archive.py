"""Runs as one file: they come back the same, and a file that is not as it should be changes nothing."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from gssl.cli.main import main
from gssl.common.errors import InputError
from gssl.results.archive import export_run, import_run
from gssl.results.store import Store

KINDS = ("tar.gz", "zip")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the folder of one run of two seeds, and its store."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GSSL_RUNS", str(root))
        patch.delenv("GSSL_DB", raising=False)
        small = ("--set", "encoder.hidden_dim=8", "--set", "encoder.out_dim=8")
        assert main(["run", "BGRL", "digits", "--epochs", "1", "--seeds", "2", *small]) == 0
    return root


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("GSSL_RUNS", "GSSL_DB"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(finished, tmp_path / "runs")
    return next((tmp_path / "runs").glob("BGRL-*"))


def gssl(capfd: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capfd.readouterr()
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capfd.readouterr().out)
    return found


def files(folder: Path) -> dict[str, bytes]:
    kept = (path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", "result.json"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in kept}


def rows(url: str) -> list[dict[str, Any]]:
    with Store(url) as store:
        return [{**asdict(row), "run_dir": ""} for row in store.rows()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_comes_back_with_its_files_and_rows(
    run: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    file, db = tmp_path / f"shared.{kind}", f"sqlite:///{tmp_path}/there.db"
    assert gssl(capfd, "export-run", str(run), str(file))["seeds"] == 2
    found = gssl(capfd, "import-run", str(file), "--out", "there/run", "--db", db)
    there = Path(found["run_dir"])
    assert (there, found["new"], found["added"]) == (tmp_path / "there" / "run", True, 2)
    assert files(there) == files(run)
    assert json.loads((there / "result.json").read_text())["run_dir"] == str(there)
    assert rows(db) == rows(f"sqlite:///{tmp_path}/runs/results.db")
    gssl(capfd, "embed", str(there))
    again = gssl(capfd, "import-run", str(file), "--out", "there/run", "--db", db)
    assert (again["new"], again["added"]) == (False, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_run_is_the_same_file(run: Path, tmp_path: Path, kind: str) -> None:
    for name in ("one", "two"):
        export_run(run, tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_what_is_there_is_not_overwritten(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "shared.zip"
    export_run(run, file)
    with pytest.raises(InputError, match="is there already"):
        export_run(run, file)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match="holds something else"):
        import_run(file, tmp_path, tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]
    assert import_run(file, run.parent) == (run, False)


def test_links_and_hidden_files_stay_out(run: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (run / "link").symlink_to(tmp_path / "secret")
    export_run(run, tmp_path / "shared.zip")
    with zipfile.ZipFile(tmp_path / "shared.zip") as shared:
        assert not {"run/link", "run/.lock"} & set(shared.namelist())


def test_only_finished_runs_are_shared(run: Path, tmp_path: Path) -> None:
    (run / "result.json").unlink()
    with pytest.raises(InputError, match="no finished run"):
        export_run(run, tmp_path / "shared.zip")
    with pytest.raises(InputError, match=r"must end in \.tar\.gz or \.zip"):
        export_run(run, tmp_path / "shared.rar")
    assert not list(tmp_path.glob("shared*"))


Content = dict[str, bytes]


def _manifest(content: Content, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads(content["manifest.json"])
    change(manifest)
    content["manifest.json"] = json.dumps(manifest).encode()


def _listed(content: Content, name: str, data: bytes) -> None:
    facts = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    content[f"run/{name}"] = data
    _manifest(content, lambda manifest: manifest["files"].__setitem__(name, facts))


HOSTILE: dict[str, tuple[Callable[[Content], object], str]] = {
    "out of the folder": (lambda c: _listed(c, "../../out.txt", b"x"), "leads out of its folder"),
    "absolute": (lambda c: _listed(c, "/etc/out.txt", b"x"), "leads out of its folder"),
    "name of the run": (lambda c: _manifest(c, lambda m: m.update(name="../out")), "no name of a run"),
    "changed": (lambda c: c.update({"run/config.yaml": b"y" * len(c["run/config.yaml"])}), "not what it was"),
    "longer": (lambda c: c.update({"run/config.yaml": c["run/config.yaml"] + b"#"}), "not listed so"),
    "missing": (lambda c: c.pop("run/seed-0/metrics.json"), "is missing"),
    "not listed": (lambda c: c.update({"run/more.txt": b"x"}), "not listed so"),
    "beside": (lambda c: c.update({"more.txt": b"x"}), "not listed so"),
    "no list": (lambda c: c.pop("manifest.json"), "does not begin with"),
    "no sizes": (lambda c: _manifest(c, lambda m: m["files"].update({"a": {}})), "states no size"),
    "no numbers": (lambda c: _manifest(c, lambda m: m["files"].update({"a": {"bytes": True}})), "states no size"),
    "too large": (lambda c: _manifest(c, lambda m: m["files"].update(a={"bytes": 1 << 60})), "unpacks to"),
    "newer": (lambda c: _manifest(c, lambda m: m.update(format=2)), "another version"),
    "no json": (lambda c: c.update({"manifest.json": b"{"}), "damaged"),
    "no run": (lambda c: _listed(c, "result.json", b'{"per_seed": [{"seed": []}]}'), "damaged"),
    "wrong values": (lambda c: _listed(c, "seed-0/metrics.json", b'{"seed": "a"}'), "another version|damaged"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_leaves_nothing(run: Path, tmp_path: Path, kind: str, name: str) -> None:
    change, message = HOSTILE[name]
    export_run(run, tmp_path / "good.zip")
    with zipfile.ZipFile(tmp_path / "good.zip") as good:
        content = {entry: good.read(entry) for entry in good.namelist()}
    change(content)
    bad, place = tmp_path / f"bad.{kind}", tmp_path / "place"
    _pack(bad, content)
    place.mkdir()
    with pytest.raises(InputError, match=message):
        import_run(bad, place / "runs")
    assert [path for path in place.rglob("*") if path != place / "runs"] == []


def _pack(file: Path, content: Content) -> None:
    if file.suffix == ".zip":
        with zipfile.ZipFile(file, "w") as zipped:
            for name, data in content.items():
                zipped.writestr(name, data)
        return
    with tarfile.open(file, "w:gz") as tar:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_a_tar_holds_plain_files_only(tmp_path: Path, kind: bytes) -> None:
    file = tmp_path / "bad.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        entry = tarfile.TarInfo("manifest.json")
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(InputError, match="no plain file"):
        import_run(file, tmp_path / "runs")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_off_leaves_nothing(run: Path, tmp_path: Path, kind: str) -> None:
    export_run(run, tmp_path / f"good.{kind}")
    whole = (tmp_path / f"good.{kind}").read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) * 3 // 4):
        (tmp_path / f"bad.{kind}").write_bytes(whole[:length])
        with pytest.raises(InputError, match="damaged"):
            import_run(tmp_path / f"bad.{kind}", tmp_path / "place")
        assert not list((tmp_path / "place").rglob("*"))


def test_what_a_killed_import_left_is_removed(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_run(run, tmp_path / "good.zip")
    left = tmp_path / "place" / f".{run.name}.999999999.import"
    left.mkdir(parents=True)
    monkeypatch.setattr("psutil.pid_exists", lambda pid: pid != 999999999)
    import_run(tmp_path / "good.zip", tmp_path / "place")
    assert [path.name for path in (tmp_path / "place").iterdir()] == [run.name]
