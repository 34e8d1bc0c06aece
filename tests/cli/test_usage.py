import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gssl
from gssl.cli.listing import FAMILIES
from gssl.cli.main import main
from gssl.common.errors import InputError
from gssl.common.links import LINKED

if TYPE_CHECKING:
    from conftest import Lab

HEAVY = ("torch", "sklearn", "scipy", "pandas", "sqlalchemy", "pydantic", "numpy", "ogb", "numba", "rich", "requests")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["list"],
        ["list", "datasets", "--json"],
        ["show", "GRACE"],
        ["show", "link"],
        ["show", "mvs"],
        ["show", "Cora"],
        ["run", "GRACE", "MUTAG"],
        ["tune", "GRACE", "Cora", "--trials", "2", "--set", "tempreature=1"],
    ],
)
def test_nothing_heavy_is_imported_to_tell_what_there_is(arguments: list[str]) -> None:
    code = (
        "import sys, contextlib, io\nfrom gssl.cli.main import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        f"    main({arguments!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [(["--help"], 0.5), (["list"], 1.5), (["show", "GRACE"], 1.5), (["run", "GRACE", "MUTAG"], 1.5)],
)
def test_what_needs_no_tensors_is_quick(arguments: list[str], limit: float) -> None:
    """The best of five processor times, which do not depend on what else the machine does."""
    times = []
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, "-m", "gssl", *arguments], capture_output=True, check=False)
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
        time.sleep(0.01)
    assert min(times) < limit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "unknown command 'rnu'; did you mean 'run'?"),
        ([], "say what to do"),
        (["run"], "the following arguments are required: METHOD, DATASET"),
        (["run", "GRACE", "digits", "--seeds", "1000000000"], "must be at most 10000 (got 1000000000)"),
        (["bench", "demo", "--seeds", "1000000000"], "must be at most 10000"),
        (["run", "GRACE", "Cora", "extra"], "too many arguments: extra"),
        (["run", "GRACE", "Cora", "temperature=0.2"], "say --set temperature=0.2"),
        (["run", "GRACE", "temperature=0.2", "Cora"], "say --set temperature=0.2"),
        (["run", "GRACE", "Cora", "--temperature", "0.2"], "is given by --set temperature=0.2"),
        (["tune", "GRACE", "Cora", "--trials", "2", "--drop-edge=0.3"], "is given by --set drop_edge=0.3"),
        (["run", "GRACE", "Cora", "--set", "drop_edge=0.3"], "must be a list of 2, as in drop_edge=[0.3, 0.3]"),
        (["run", "GRACE", "digits", "--set", "encoder.hidden_dim=1000000000"], "smaller encoder.hidden_dim"),
        (["run", "GRACE", "Cora", "--epoch", "3"], "did you mean '--epochs'"),
        (["run", "GRACE", "Cora", "--epoch=3"], "unknown option of `gssl run` '--epoch'"),
        (["run", "GRACE", "Cora", "--seeds", "0"], "argument --seeds: must be at least 1 (got 0)"),
        (["run", "GRACE", "Cora", "--seeds", "two"], "argument --seeds: must be a whole number (got 'two')"),
        (["run", "GRACE", "Cora", "--seed", "-1"], "argument --seed: must be at least 0"),
        (["run", "GRACE", "Cora", "--device", "cdua"], "did you mean 'cuda'"),
        (["run", "GRACE", "Cora", "--threads", "0"], "must be at least 1"),
        (["list", "methds"], "did you mean 'methods'"),
        (["show", "GRAC"], "did you mean 'GRACE'"),
        (["show", "no.such:Thing"], "there is no module"),
        (["perf", "spm"], "did you mean 'spmm'"),
        (["perf", "spmm", "--set", "node=3"], "did you mean 'nodes'"),
        (["embed", "nowhere"], "nowhere"),
        (["embed", "x", "--format", "npy"], "did you mean 'npz'"),
        (["run", "GRACEE", "Cora"], "did you mean 'GRACE'"),
        (["run", "GRACE", "Coraa"], "did you mean"),
        (["run", "GRACE", "MUTAG"], "methods that fit"),
        (["run", "GRACE", "no/such.npz"], "no/such.npz"),
        (["run", "GRACE", "Cora", "--device", "cuda"], "cuda"),
        (["run", "GRACE", "Cora", "--config", "absent.yaml"], "absent.yaml"),
        (["run", "GRACE", "Cora", "--probe", "P5-RBF"], "probes that fit"),
    ],
)
def test_bad_usage_exits_with_2_and_says_what_to_change(
    arguments: list[str],
    message: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("gssl: error: ")
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []  # nothing was begun


def test_every_command_explains_itself_with_examples(capfd: pytest.CaptureFixture[str]) -> None:
    from gssl.cli.main import COMMANDS

    for command in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main([command.name, "--help"])
        assert stop.value.code == 0
        text = capfd.readouterr().out
        assert f"gssl {command.name}" in text.partition("examples:")[2]
        assert command.summary in text


def test_list_json_names_everything_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    data = json.loads(capfd.readouterr().out)
    families = [
        "methods",
        "datasets",
        "samplers",
        "encoders",
        "probes",
        "augmenters",
        "objectives",
        "parts",
        "tasks",
        "settings",
    ]
    assert set(data) == {*families, "suites"}
    for entries in data.values():
        names = [entry["name"].lower() for entry in entries]
        assert len(names) == len(set(names))
    assert all(entry["summary"] for entry in data["methods"])
    assert {"raw", "untrained", "supervised"} <= {entry["name"] for entry in data["methods"]}


def test_family_in_plain_text_has_one_line_per_entry(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "Encoders"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "encoders"
    assert lines[1].split() == ["name", "summary"]
    assert any(line.startswith("GCN ") for line in lines[2:])


def test_interruption_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    from gssl.common.errors import Interrupted

    for error, code in ((KeyboardInterrupt(), 130), (Interrupted(15), 143)):

        def stop(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setitem(FAMILIES, "suites", stop)
        assert main(["list", "suites"]) == code
        assert "the same command" in capfd.readouterr().err


def test_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m gssl list --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_prints_of_libraries_do_not_reach_the_json(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Python prints, C prints that wait in a buffer, and child processes."""

    def noisy() -> list[dict[str, str]]:
        print("from python")
        ctypes.CDLL(None).puts(b"from C")
        subprocess.run(["echo", "from a child"], check=True)
        return []

    monkeypatch.setitem(FAMILIES, "suites", noisy)
    assert main(["list", "suites", "--json"]) == 0
    out, err = capfd.readouterr()
    assert out == '{"suites": []}\n'
    for sentence in ("from python", "from C", "from a child"):
        assert sentence in err


def test_clone_without_links_says_how_to_repair_it(tmp_path: Path) -> None:
    package = Path(gssl.__file__).parent
    for path in package.rglob("*.py"):  # does not descend into links
        copy = tmp_path / "gssl" / path.relative_to(package)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    for name in LINKED:
        (tmp_path / "gssl" / name).write_text(f"../{name}")  # what git leaves without core.symlinks
    for arguments in (["list"], ["doctor"], ["run", "GRACE", "Cora"]):
        done = subprocess.run(
            [sys.executable, "-m", "gssl", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2, done.stderr
        assert "git config core.symlinks true" in done.stderr
        assert "Traceback" not in done.stderr


def test_doctor_reports_folders_and_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GSSL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GSSL_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("GSSL_MIRROR", str(tmp_path / "absent"))
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["data_root"] == str(tmp_path / "data")
    assert report["data_root_writable"] is True
    assert any("GSSL_MIRROR" in problem for problem in report["problems"])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GSSL_MIRROR", str(tmp_path))
    monkeypatch.setenv("GSSL_DATA", str(tmp_path / "file" / "data"))
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["data_root_writable"] is False
    assert any("GSSL_DATA" in problem for problem in report["problems"])


def test_input_error_of_a_command_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise InputError("change this")

    monkeypatch.setitem(FAMILIES, "suites", refuse)
    assert main(["list", "suites", "--json"]) == 2
    out, err = capfd.readouterr()
    assert (out, err) == ("", "gssl: error: change this\n")


@pytest.mark.skipif(sys.platform != "linux", reason="torch asks Linux for huge pages")
@pytest.mark.parametrize(("wanted", "aligned"), [(None, True), ("0", False)])
def test_large_tensors_of_a_command_lie_in_huge_pages_unless_the_user_says_no(
    wanted: str | None, aligned: bool
) -> None:
    """They begin at a page; torch decides at its first tensor, which no import may make before."""
    code = (
        "import contextlib, io\nfrom gssl.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n    main(['show', 'GRACE'])\n"
        "import torch\nprint(all(torch.empty(2**20 + i).data_ptr() % 4096 == 0 for i in range(20)))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    if wanted is not None:
        environment["THP_MEM_ALLOC_ENABLE"] = wanted
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == str(aligned)


def test_what_would_end_the_command_without_a_word_or_with_a_traceback(lab: "Lab") -> None:
    (lab.folder / "leaving.py").write_text("import sys\nsys.exit(0)\nclass X: pass\ndef load(): return None\n")
    for words in (["show", "leaving:X"], ["run", "leaving:X", "digits"], ["run", "raw", "leaving:load"]):
        _, err = lab.gssl(*words, code=2)
        assert "importing leaving for" in err
        assert "failed: SystemExit" in err
    _, err = lab.gssl("variance", "raw", "digits", "--samplers", "graphsage", code=2)
    assert "raw does not train, so it has no gradients to compare" in err
    _, err = lab.gssl("run", "raw", "digits", "--threads", "100000", code=2)
    assert "must be at most 1024" in err
    _, err = lab.gssl("run", "raw", "csbm:nodes=10000000000000", code=2)
    assert "not enough memory" in err
    _, err = lab.gssl("run", "raw", "csbm:nodes=10,nodes=20", code=2)
    assert "nodes is given twice" in err
