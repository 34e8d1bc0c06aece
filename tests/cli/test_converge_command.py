"""``gssl converge`` as its users call it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gssl.convergence.record import read
from gssl.evaluate.lbfgs import LbfgsProbe

QUICK = ("--batch-size", "24", "--seconds", "0.05", "--steps", "4", "--points", "2", "--lr", "0.01")
SMALL = ("--set", "encoder.hidden_dim=8")


@pytest.fixture
def converge(lab: Any) -> Any:
    """Runs the command on a small graph; returns its JSON object and what it said."""

    def call(*arguments: str, method: str = "tiny:Denoise") -> tuple[dict[str, Any], str]:
        out, err = lab.gssl("converge", method, "graph.npz", *QUICK, *SMALL, *arguments, "--json")
        assert out.count("\n") == 1
        return json.loads(out), err

    return call


def test_several_samplers_from_one_command(converge: Any, tmp_path: Path) -> None:
    plot = tmp_path / "curves.svg"
    names = ["full", "minvar+adjoint norms=online", "graphsage fanouts=[3,2]", "mvs gamma=0.5"]
    samplers = ("--samplers", "full", *(word for name in names[1:] for word in ("--sampler", *name.split())))
    found, _ = converge(*samplers, "--seeds", "2", "--gradient-error", "--plot", str(plot))
    assert [s["sampler"] for s in found["settings"]] == names
    assert (
        {s["sampler"] for s in found["best_at_seconds"]} == {s["sampler"] for s in found["best_at_steps"]} == set(names)
    )
    assert [s["batch_size"] for s in found["settings"]] == [120, 24, 24, 24]
    assert len(found["trainings"]) == 8
    for training in found["trainings"]:
        points = training["points"]
        assert points[0]["step"] == 0
        assert points[-1]["step"] >= 4
        assert points[-1]["seconds"] >= 0.05
        assert all(point["gradient_error"] > 0 for point in points)
        assert training["error"] == ""
    text = plot.read_text(encoding="utf-8")
    for label in ("loss of a batch", "validation score", "gradient error", "steps", "seconds (wall)"):
        assert f"<!-- {label} -->" in text


def test_the_tables_name_every_sampler(lab: Any) -> None:
    words = ("converge", "supervised", "graph.npz", *QUICK, *SMALL, "--samplers", "graphsage,uniform+exact")
    out, err = lab.gssl(*words, "--batch-size", "8", "--clock", "cpu")
    assert "best validation score within 0.05 s" in out
    assert "best validation score within 4 steps" in out
    assert out.count("graphsage") == out.count("uniform+exact") == 2
    assert err.count("steps in all") == 2


def test_a_probe_of_a_part_of_the_items(converge: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, score = list[tuple[tuple[int, ...], tuple[int, ...]]](), LbfgsProbe.score

    def watched(self: LbfgsProbe, *args: Any) -> Any:
        split = args[2]
        seen.append((tuple(split.train.tolist()), tuple(split.val.tolist())))
        return score(self, *args)

    monkeypatch.setattr(LbfgsProbe, "score", watched)
    path = tmp_path / "kept.jsonl"
    words = ("--samplers", "full,graphsage", "--out", str(path))
    converge(*words, "--probe-items", "10")
    assert len(set(seen)) == 1, "the same items at every point of every training"
    assert [len(set(items)) for items in seen[0]] == [10, 10]
    part = seen[0]
    seen.clear()
    converge(*words)
    assert set(part[0]) < set(seen[0][0]), "all items are another experiment"
    assert len(path.read_text(encoding="utf-8").splitlines()) == 4


def test_what_the_file_holds_is_not_repeated(converge: Any, tmp_path: Path) -> None:
    path = tmp_path / "trainings.jsonl"
    first, err = converge("--samplers", "graphsage", "--out", str(path))
    assert err.count("steps in all") == 1
    path.write_text(path.read_text() + '{"method": "tiny')  # killed while it wrote the next
    second, err = converge("--samplers", "graphsage,uniform+exact", "--seeds", "2", "--out", str(path))
    assert err.count("steps in all") == 3
    assert second["trainings"][0] == first["trainings"][0]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["sampler"], line["seed"]) for line in lines] == [
        ("graphsage", 0),
        ("uniform+exact", 0),
        ("graphsage", 1),
        ("uniform+exact", 1),
    ]
    assert lines[0]["config"]["sampler"]["name"] == "graphsage"
    assert lines[0]["environment"]
    again, err = converge("--samplers", "graphsage", "--out", str(path), "--clock", "cpu")
    assert err.count("steps in all") == 1, "seconds of another clock are another experiment"
    assert again["clock"] == again["trainings"][0]["clock"] == "cpu"


def test_a_training_that_fails_is_counted(converge: Any, lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "trainings.jsonl"
    sgd = ("--batch-size", "8", "--set", "train.optimizer=sgd", "--samplers", "graphsage")
    words = (*sgd, "--lr", "0.01,1e30", "--out", str(path))
    found, err = converge(*words, method="supervised")
    assert [s["failed"] for s in found["settings"]] == [0, 1]
    assert [s["lr"] for s in found["best_at_steps"]] == [0.01]
    assert "ended early" in err
    _, err = lab.gssl("converge", "supervised", "graph.npz", *QUICK, *SMALL, *sgd, "--lr", "1e30", code=1)
    assert "every training ended early" in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--task link", ("link", "frozen", "roc_auc")),
        ("--setting auxiliary --labels 0.5", ("node", "auxiliary", "accuracy")),
    ],
)
def test_tasks_and_settings_of_one_training(
    words: str, expected: tuple[str, ...], converge: Any, tmp_path: Path
) -> None:
    path = tmp_path / "kept.jsonl"
    found, _ = converge("--samplers", "full,graphsage", "--gradient-error", "--out", str(path), *words.split())
    assert tuple(found[key] for key in ("task", "setting", "metric")) == expected
    assert all(training["points"][-1]["gradient_error"] > 0 for training in found["trainings"])
    usual, err = converge("--samplers", "full", "--out", str(path))
    assert err.count("steps in all") == 1, "the usual task is another experiment"
    assert (usual["task"], usual["setting"]) == ("node", "frozen")
    assert len({line.problem for line in read(path)}) == 2


def test_held_out_edges_are_gone_from_every_sampler(lab: Any) -> None:
    """A comparison of samplers on links trains on what is visible, whose batches it draws."""
    words = ("converge", "GAE", "graph.npz", *QUICK, *SMALL, "--task", "link", "--set", "task.test=0.6")
    out, _ = lab.gssl(*words, "--samplers", "full,clustergcn", "--json")
    assert {training["batch_size"] for training in json.loads(out)["trainings"]} == {120, 24}
    _, err = lab.gssl(*words, "--set", "task.val=0.4", "--samplers", "full", code=2)
    assert "below 1 together" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "there is nothing to compare"),
        (("--samplers", "mvz"), "did you mean 'mvs'"),
        (("--samplers", "minvarr+exact"), "did you mean 'minvar'"),
        (("--samplers", "uniform+neighbour"), "did you mean 'neighbor'"),
        (("--sampler", "graphsage", "fanout=5"), "did you mean 'fanouts'"),
        (("--sampler", "graphsage", "fanouts=[5,5,5]"), "fewer layers than blocks"),
        (("--sampler", "graphsage", "fanouts=[5"), "not valid YAML"),
        (("--sampler", "graphsage", "fanouts"), "must look like KEY=VALUE"),
        (("--sampler", "mvs", "gamma=1.5"), "gamma"),
        (("--sampler", "mvs", "gamma=0.1"), "raise gamma to"),
        (("--samplers", "graphsage", "--batch-size", "24,121"), "a batch of 121 cannot be drawn"),
        (("--samplers", "graphsage", "--batch-size", "4.5"), "--batch-size takes positive numbers"),
        (("--samplers", "graphsage", "--lr", "0"), "--lr takes positive numbers"),
        (("--samplers", "graphsage", "--lr", "nan"), "--lr takes positive numbers"),
        (("--samplers", "graphsage", "--lr", "0.1,0.1"), "would be trained twice"),
        (("--samplers", "graphsage,GraphSAGE"), "would be trained twice"),
        (("--samplers", "graphsage", "--seconds", "0"), "above zero"),
        (("--samplers", "graphsage", "--clock", "sun"), "unknown value 'sun'"),
        (("--samplers", "graphsage", "--set", "train.lr=0.1"), "give learning rates with --lr"),
        (("--samplers", "graphsage", "--set", "train.patience=3"), "--set train.patience=3 does not go"),
        (("--samplers", "graphsage", "--plot", "curves.xyz"), "must end with one of"),
        (("--samplers", "graphsage", "--out", "."), "name another file with --out"),
        (("--samplers", "graphsage", "--task", "cluster"), "no validation score to compare by"),
        (("--samplers", "graphsage", "--task", "graph"), "--task graph judges graphs"),
        (("--samplers", "graphsage", "--labels", "0.5"), "--labels does not go with --setting frozen"),
        (("--samplers", "graphsage", "--setting", "finetune"), "--setting finetune goes on from one training to"),
        (("--samplers", "graphsage", "--set", "setting.pretrain_on=digits"), "mean"),
        (("--samplers", "graphsage", "--probe-items", "9", "--task", "link"), "--probe-items 9 is for a probe of"),
        (("--samplers", "graphsage", "--probe-items", "9", "--setting", "auxiliary"), "leave it out"),
    ],
    ids=str,
)
def test_wrong_input_is_answered_before_the_work(words: tuple[str, ...], message: str, lab: Any) -> None:
    out, err = lab.gssl("converge", "tiny:Denoise", "graph.npz", *QUICK, *SMALL, *words, code=2)
    assert message in err
    assert "steps in all" not in err
    assert not out


@pytest.mark.parametrize(
    ("method", "data", "message"),
    [
        ("untrained", "graph.npz", "a reference row that does not train"),
        ("tiny:Denoise", "unlabelled.npz", "no labels"),
        ("GraphCL", "graph.npz", "graph-level"),
        ("GRACEE", "graph.npz", "did you mean 'GRACE'"),
    ],
)
def test_methods_and_data_that_cannot_be_compared(method: str, data: str, message: str, lab: Any) -> None:
    _, err = lab.gssl("converge", method, data, "--samplers", "graphsage", *QUICK[:2], code=2)
    assert message in err


def test_epochs_are_steps_of_each_sampler(lab: Any) -> None:
    words = ("converge", "tiny:Denoise", "graph.npz", *SMALL, "--seconds", "0.05", "--points", "2", "--lr", "0.01")
    out, _ = lab.gssl(*words, "--samplers", "full,graphsage", "--batch-size", "24,60", "--epochs", "2", "--json")
    found = json.loads(out)
    assert [(t["batch_size"], t["steps"]) for t in found["trainings"]] == [(120, 2), (24, 10), (60, 4)]
    assert (found["epochs"], [s["at_steps"] is None for s in found["settings"]]) == (2, [False] * 3)
