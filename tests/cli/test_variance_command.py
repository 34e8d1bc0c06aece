"""``gssl variance`` as its users call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gssl.cli.main import main

QUICK = ["--batch-size", "64", "--draws", "4", "--warmup", "2", "--views", "1", "--set", "encoder.hidden_dim=8"]


def test_json_has_both_variances_by_layer(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plot = tmp_path / "variance.svg"
    samplers = "uniform+exact,graphsage,minvar+adjoint"
    words = ["variance", "supervised", "digits", "--samplers", samplers, *QUICK, "--plot", str(plot), "--json"]
    assert main(words) == 0
    found = json.loads(capfd.readouterr().out.strip().splitlines()[-1])
    assert list(found["samplers"]) == samplers.split(",")
    for name, error in found["samplers"].items():
        assert {"bias2", "variance", "mse", "layers", "ms_per_batch", "nodes", "edges", "embedding"} <= set(error)
        assert error["mse"] == pytest.approx(error["bias2"] + error["variance"])
        assert {layer["name"] for layer in error["layers"]} >= {"layer 1", "layer 2"}, name
    assert found["samplers"]["uniform+exact"]["embedding"][-1] < 1e-8
    assert plot.read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_the_table_names_every_sampler(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["variance", "BGRL", "digits", "--samplers", "mvs,uniform+neighbor", *QUICK]) == 0
    out = capsys.readouterr().out
    assert "mvs" in out
    assert "uniform+neighbor" in out
    assert "ms/batch" in out


def test_two_losses_of_unlike_masses_have_no_bias(capfd: pytest.CaptureFixture[str]) -> None:
    """Auxiliary learning under exact propagation: the mean over batches is the gradient of the whole graph."""
    words = ["--setting", "auxiliary", "--labels", "0.2", "--samplers", "uniform+exact,degree+exact", "--json"]
    assert main(["variance", "DGI", "digits", *QUICK, *words, "--draws", "60", "--batch-size", "400"]) == 0
    found = json.loads(capfd.readouterr().out.strip().splitlines()[-1])
    assert (found["task"], found["setting"]) == ("node", "auxiliary")
    for name, error in found["samplers"].items():
        assert error["bias2"] < error["variance"] / 5, name


def test_gradients_on_a_graph_whose_test_edges_are_gone(capfd: pytest.CaptureFixture[str]) -> None:
    edges = []
    for words in ([], ["--task", "link", "--set", "task.test=0.7"]):
        assert main(["variance", "BGRL", "digits", "--samplers", "uniform+induced", *QUICK, *words, "--json"]) == 0
        found = json.loads(capfd.readouterr().out.strip().splitlines()[-1])
        edges.append(found["samplers"]["uniform+induced"]["edges"])
    assert found["task"] == "link"
    assert edges[1] < 0.5 * edges[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--samplers", "mvz"], "did you mean 'mvs'"),
        (["--samplers", "minvarr+exact"], "did you mean 'minvar'"),
        (["--samplers", "uniform+neighbour"], "did you mean 'neighbor'"),
        (["--samplers", "full"], "has no variance to measure"),
        (["--samplers", "mvs", "--set", "sampler.gama=0.5"], "did you mean 'gamma'"),
        (["--samplers", "mvs", "--set", "sampler.gamma=1.5"], "gamma"),
        (
            ["--samplers", "uniform+exact,graphsage", "--batch-size", "64", "--set", "sampler.fanouts=[5,5,5]"],
            "fanouts",
        ),
        (["--samplers", "uniform+exact", "--batch-size", "100000"], "--batch-size"),
        (["--samplers", "uniform+exact", "--draws", "1"], "--draws"),
        (["--samplers", "uniform+exact", "--task", "link"], "--task link has no labels to train on"),
        (["--samplers", "uniform+exact", "--labels", "100000"], "ask for fewer"),
        (["--samplers", "uniform+exact", "--setting", "finetune"], "--setting finetune does not fit the method"),
    ],
)
def test_wrong_input_is_answered(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["variance", "supervised", "digits", "--draws", "2", "--warmup", "0", "--set", "encoder.hidden_dim=8"]
    if "--draws" in words:
        base = [word for word in base if word not in ("--draws", "2")]
    assert main([*base, *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert ": 2 batches" not in err, "refused before anything is measured"


def test_a_format_that_cannot_be_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["variance", "supervised", "digits", "--samplers", "uniform+exact", *QUICK]
    assert main([*words, "--plot", str(tmp_path / "x.nothing")]) == 2
    assert "cannot be drawn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--setting", "finetune"], "--setting finetune goes on from one training to another"),
        (["--set", "setting.pretrain_on=digits"], "setting.pretrain_on goes on from one training to another"),
    ],
)
def test_what_is_more_than_one_training_is_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["variance", "BGRL", "digits", "--samplers", "graphsage", *QUICK, *words]) == 2
    assert message in capsys.readouterr().err
