from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml

if TYPE_CHECKING:
    from conftest import Lab


REQUIRED = {
    "method": str,
    "dataset": str,
    "sampler": str,
    "probe": str,
    "metric": str,
    "val_mean": float,
    "val_std": float,
    "test_mean": float,
    "test_std": float,
    "seeds": int,
    "epochs": int,
    "pretrain_seconds": float,
    "seconds_per_epoch": float,
    "probe_seconds": float,
    "peak_memory_mb": float,
    "config_hash": str,
    "split_hash": str,
    "run_dir": str,
}
Read = Callable[..., np.ndarray]


def rows(folder: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(folder / "runs" / "results.db") as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM runs ORDER BY seed")]


def test_result_has_the_promised_keys_and_plausible_values(lab: Lab) -> None:
    result = lab.run("--seeds", "2")
    assert {key: type(result[key]) for key in REQUIRED} == REQUIRED
    assert (result["method"], result["dataset"], result["sampler"]) == ("tiny:Denoise", "graph", "full")
    assert (result["seeds"], result["epochs"], result["probe"]) == (2, 5, "LBFGS")
    assert 0.5 < result["test_mean"] <= 1.0  # the classes differ by one unit in every feature
    assert result["test_std"] == pytest.approx(np.std([seed["test"] for seed in result["per_seed"]], ddof=1))
    assert result["peak_memory_mb"] > 50
    assert result["pretrain_seconds"] > 0
    assert 0 < result["pretrain_cpu_seconds"] < 100 * result["pretrain_seconds"]
    assert result["load"] is None or result["load"] >= 0


def test_folder_and_store_hold_what_the_result_says(lab: Lab, embeddings: Read) -> None:
    result = lab.run("--seeds", "2", "--seed", "3")
    run = Path(result["run_dir"])
    assert run.parent == lab.folder / "runs"
    assert run.name == f"Denoise-graph-{result['config_hash'][:8]}"
    assert json.loads((run / "result.json").read_text()) == result
    environment = json.loads((run / "environment.json").read_text())
    assert environment["libraries"]["torch"] == torch.__version__
    assert list(environment["plugins"]) == ["tiny:Denoise"]
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["encoder"]["hidden_dim"] == 8
    assert (config["train"]["epochs"], config["seeds"]) == (5, [3, 4])
    for seed in (3, 4):
        curve = [json.loads(line) for line in (run / f"seed-{seed}" / "curve.jsonl").read_text().splitlines()]
        assert [point["epoch"] for point in curve] == list(range(5))
        assert embeddings(run, seed).shape == (120, 8)
        torch.load(run / f"seed-{seed}" / "checkpoint.pt", weights_only=True)
    stored = rows(lab.folder)
    assert [(row["seed"], row["status"]) for row in stored] == [(3, "done"), (4, "done")]
    assert [row["test"] for row in stored] == [seed["test"] for seed in result["per_seed"]]
    assert {row["split_hash"] for row in stored} == {seed["split_hash"] for seed in result["per_seed"]}
    assert stored[0]["environment_hash"] == environment["hash"]
    assert not list(run.rglob("*.tmp"))


def test_seeds_do_not_depend_on_those_before_them(lab: Lab, embeddings: Read) -> None:
    lab.run("--seeds", "2", "--out", "both")
    lab.run("--seed", "1", "--out", "second")
    np.testing.assert_array_equal(embeddings("both", 1), embeddings("second", 1))
    assert not np.array_equal(embeddings("both", 0), embeddings("both", 1))


def test_finished_run_gets_a_fresh_folder_by_default(lab: Lab) -> None:
    first, second, third = (lab.run() for _ in range(3))
    assert second["run_dir"] == f"{first['run_dir']}-2"
    assert third["run_dir"] == f"{first['run_dir']}-3"
    assert len(rows(lab.folder)) == 1  # the same measurement


def test_named_folder_returns_the_stored_result(lab: Lab) -> None:
    first = lab.run("--out", "mine")
    before = (lab.folder / "mine" / "result.json").stat().st_mtime_ns
    arguments = ("--set", "encoder.hidden_dim=8", "--epochs", "5", "--out", "mine", "--json")
    out, err = lab.gssl("run", "tiny:Denoise", "graph.npz", *arguments)
    assert json.loads(out) == first
    assert "nothing was done" in err
    assert (lab.folder / "mine" / "result.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", [("--epochs", "6"), ("--seeds", "2"), ("--seed", "1"), ("--set", "noise=0.3")])
def test_named_folder_with_another_run_is_refused(lab: Lab, change: tuple[str, ...]) -> None:
    common = ("run", "tiny:Denoise", "graph.npz", "--set", "encoder.hidden_dim=8", "--out", "mine")
    lab.gssl(*common, "--epochs", "1")
    extra = change if change[0] == "--epochs" else ("--epochs", "1", *change)
    _, err = lab.gssl(*common, *extra, code=2)
    assert "holds another run" in err


def test_other_data_or_other_code_under_the_same_name_is_another_run(lab: Lab) -> None:
    lab.run("--out", "mine")
    source = lab.folder / "tiny.py"
    source.write_text(source.read_text().replace("0.2", "0.3"))
    assert "your own code" in lab.refused("--out", "mine")
    first = lab.run("--out", "data")
    arrays = dict(np.load("graph.npz"))
    arrays["x"][0, 0] += 1
    np.savez("graph.npz", **arrays)
    assert "holds another run" in lab.refused("--out", "data")
    assert lab.run()["config_hash"] == first["config_hash"]


def test_graph_without_labels_is_embedded_and_not_judged(lab: Lab, embeddings: Read) -> None:
    result = lab.run(data="unlabelled.npz")
    assert [result[key] for key in ("val_mean", "val_std", "test_mean", "test_std")] == [None] * 4
    assert result["split_hash"] == ""
    assert any("no labels" in note for note in result["notes"])
    assert embeddings(result["run_dir"]).shape == (120, 8)
    assert rows(lab.folder)[0]["test"] is None
    _, err = lab.gssl("run", "supervised", "unlabelled.npz", code=2)
    assert "learns from labels" in err


def test_failing_training_exits_with_1_and_leaves_a_row_that_says_why(lab: Lab) -> None:
    _, err = lab.gssl("run", "tiny:Denoise", "graph.npz", "--set", "explode=true", code=1)
    assert "epoch 0" in err
    (row,) = rows(lab.folder)
    assert (row["status"], row["test"]) == ("failed", None)
    assert "epoch 0" in row["message"]
    assert row["split_hash"] != ""


@pytest.mark.parametrize("method", ["raw", "untrained", "supervised"])
@pytest.mark.parametrize("data", ["graph.npz", "digit-graphs"])
def test_reference_rows_on_both_levels(lab: Lab, method: str, data: str) -> None:
    result = lab.run("--epochs", "2", method=method, data=data)
    assert 0 <= result["test_mean"] <= 1
    assert (result["epochs"] > 0) is (method == "supervised")
    assert result["sampler"] == ("full" if data == "graph.npz" else "graphs")


def test_supervised_row_learns_from_training_labels_only(lab: Lab) -> None:
    """Permuting the labels of the test items changes the test score and nothing else."""
    arrays = dict(np.load("graph.npz"))
    masks = np.zeros((3, 120), bool)
    order = np.random.default_rng(1).permutation(120)
    for mask, ids in zip(masks, np.split(order, [40, 80]), strict=True):
        mask[ids] = True
    arrays |= dict(zip(("train_mask", "val_mask", "test_mask"), masks, strict=True))
    np.savez("graph.npz", **arrays)
    plain = lab.run(method="supervised")
    y = arrays["y"].copy()
    y[masks[2]] = (y[masks[2]] + 1) % 3
    np.savez("graph.npz", **{**arrays, "y": y})
    permuted = lab.run(method="supervised")
    assert permuted["val_mean"] == plain["val_mean"]
    assert permuted["test_mean"] != plain["test_mean"]
    first, second = (np.load(Path(r["run_dir"]) / "seed-0" / "embeddings.npz")["embeddings"] for r in (plain, permuted))
    np.testing.assert_array_equal(first, second)


def test_folder_with_other_things_in_it_is_left_alone(lab: Lab) -> None:
    (lab.folder / "mine").mkdir()
    (lab.folder / "mine" / "thesis.tex").write_text("precious")
    _, err = lab.gssl("run", "tiny:Denoise", "graph.npz", "--out", "mine", code=2)
    assert "holds no run" in err
    assert (lab.folder / "mine" / "thesis.tex").read_text() == "precious"
    (lab.folder / "file").write_text("")
    _, err = lab.gssl("run", "tiny:Denoise", "graph.npz", "--out", "file", code=2)
    assert "in the way" in err
    _, err = lab.gssl("run", "tiny:Denoise", "graph.npz", "--out", "file/below", code=2)
    assert "in the way" in err


def test_full_disk_says_so_and_the_same_command_goes_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills when the second seed wants to write its metrics."""
    real = os.fsync
    written = []

    def full(handle: int) -> None:
        target = Path(f"/proc/self/fd/{handle}").readlink().name
        if "metrics.json" in target:
            written.append(target)
            if len(written) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    arguments = ("run", "tiny:Denoise", "graph.npz", "--epochs", "2", "--seeds", "2", "--out", "mine")
    _, err = lab.gssl(*arguments, code=2)
    assert "No space left on device" in err
    assert "free some space" in err
    assert not list((lab.folder / "mine").rglob("*.tmp"))
    assert not (lab.folder / "mine" / "seed-1" / "metrics.json").exists()
    _, err = lab.gssl(*arguments)
    assert "seed 0 is finished" in err
    assert len(rows(lab.folder)) == 2


def test_disk_that_cannot_hold_the_run_is_noticed_before_work(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))
    monkeypatch.setattr("gssl.experiment.run.pretrain", lambda *_, **__: pytest.fail("work began"))
    _, err = lab.gssl("run", "tiny:Denoise", "graph.npz", code=2)
    assert "free some space" in err


def test_table_for_people(lab: Lab) -> None:
    out, err = lab.gssl("run", "tiny:Denoise", "graph.npz", "--epochs", "2", "--seeds", "2")
    assert "LBFGS version" in out
    assert "(2 seeds)" in out
    assert "\x1b" not in out + err  # no colours where there is no terminal
    assert err == ""


SYS = Path("/sys/kernel")  # nobody may write there, not even root


@pytest.mark.skipif(not SYS.is_dir(), reason="needs Linux's /sys")
@pytest.mark.parametrize(
    "arguments", [("--out", f"{SYS}/run"), ("--db", f"sqlite:///{SYS}/results.db"), ("--out", f"{SYS}/a/b")]
)
def test_no_permission_to_write(lab: Lab, arguments: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gssl.experiment.run.pretrain", lambda *_, **__: pytest.fail("work began"))
    err = lab.refused(*arguments)
    assert str(SYS) in err
    assert "choose another" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(lab: Lab) -> None:
    (lab.folder / "closed").mkdir(mode=0o500)
    assert "Permission denied" in lab.refused("--out", "closed/run")


def test_module_of_pyg_as_encoder(lab: Lab) -> None:
    common = ("--encoder", "torch_geometric.nn:GraphSAGE", "--set", "encoder.num_layers=1")
    result = lab.run(*common)
    assert result["encoder"] == "torch_geometric.nn:GraphSAGE"
    assert json.loads((Path(result["run_dir"]) / "environment.json").read_text())["plugins"].keys() == {"tiny:Denoise"}
    assert "did you mean 'hidden_dim'" in lab.refused("--encoder", common[1], "--set", "encoder.hidden_dims=2")
    assert "cannot be adapted" in lab.refused("--encoder", "torch.nn:Linear")


def test_fault_in_a_method_is_recorded_and_shown(lab: Lab) -> None:
    source = lab.folder / "tiny.py"
    source.write_text(source.read_text().replace("self.watched()\n", "raise ZeroDivisionError('my own bug')\n", 1))
    with pytest.raises(ZeroDivisionError):
        lab.run()
    assert rows(lab.folder)[0]["message"] == "ZeroDivisionError: my own bug"


def test_exhausted_memory_is_explained(lab: Lab) -> None:
    source = lab.folder / "tiny.py"
    source.write_text(source.read_text().replace("self.watched()\n", "raise torch.OutOfMemoryError('gone')\n", 1))
    _, err = lab.gssl("run", "tiny:Denoise", "graph.npz", code=1)
    assert "encoder.hidden_dim" in err
    assert rows(lab.folder)[0]["status"] == "failed"


def test_loss_is_at_most_four_calls_below_the_command_line(lab: Lab) -> None:
    """The program's own frames between ``main`` and the method: what a stranger meets in a debugger."""
    source = lab.folder / "tiny.py"
    look = (
        "import sys; frame, names = sys._getframe(), []\n"
        "        while frame := frame.f_back:\n"
        "            module = frame.f_globals.get('__name__', '')\n"
        "            names += [frame.f_code.co_name] * module.startswith('gssl.')\n"
        "        Path('frames').write_text(' '.join(names))\n"
    )
    source.write_text(source.read_text().replace("self.watched()\n", look, 1))
    lab.run("--epochs", "1")
    assert Path("frames").read_text().split() == ["_epoch", "pretrain", "run_experiment", "run", "main"]


COLLAPSING = """
from gssl.method import Method


class Shrink(Method):
    def embed(self, batch):
        return self.encoder(batch) * 0 + self.scale

    def __init__(self, encoder, *, scale: float = 0.0) -> None:
        super().__init__(encoder)
        self.scale = scale

    def loss(self, batch):
        return self.encoder(batch).square().mean()
"""


@pytest.mark.parametrize(("scale", "told"), [("0", "all embeddings are zero"), ("1", "point the same way")])
def test_collapse_and_results_below_raw_features_are_said(lab: Lab, scale: str, told: str) -> None:
    (lab.folder / "shrinking.py").write_text(COLLAPSING)
    raw = lab.gssl("run", "raw", "graph.npz", "--json")[0]
    assert not any("collapsed" in note or "worse" in note for note in json.loads(raw)["notes"])
    notes = lab.run("--set", f"scale={scale}", method="shrinking:Shrink")["notes"]
    assert any("seed 0 collapsed" in note and told in note for note in notes)
    assert any("worse than 0." in note and "of the raw features on the same splits" in note for note in notes)


def test_facts_about_the_data_are_part_of_the_run_and_come_back_with_it(lab: Lab) -> None:
    plain = lab.run()
    told = lab.run("--data", "metric=macro_f1,undirected=true")
    assert (told["metric"], told["config_hash"] != plain["config_hash"]) == ("macro_f1", True)
    assert any("have no reverse" in note for note in plain["notes"])
    assert any("made undirected" in note for note in told["notes"])
    again = lab.run("--config", str(Path(told["run_dir"]) / "config.yaml"))
    assert again["config_hash"] == told["config_hash"]
    lab.gssl("embed", told["run_dir"])
    assert "'metrics'" in lab.refused("--data", "metrics=macro_f1")
    assert "must look like" in lab.refused("--data", "metric")
    assert "'rmse' does not fit" in lab.refused("--data", "metric=rmse")
    assert "cannot be declared" in lab.gssl("run", "raw", "digits", "--data", "metric=macro_f1", code=2)[1]
