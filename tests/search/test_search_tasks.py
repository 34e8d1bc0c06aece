"""Searches in other tasks and settings: what they are scored by, and what stays hidden from them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from conftest import Lab, Tuner

DATA = """
from dataclasses import replace
from pathlib import Path
from gssl.datasets.checksums import dataset_checksum
from gssl.datasets.links import random_link_split, visible_graph
from gssl.testing.toy import toy_dataset

def links():
    '''Training edges in the graph, a fixed split beside it; the file `swapped` exchanges test pairs and negatives.'''
    dataset = toy_dataset("node", name="linked")
    split = random_link_split(dataset.graph, val=0.1, test=0.2, seed=4)
    graph = visible_graph(dataset.graph, split)
    if Path("swapped").exists():
        split = replace(split, test=split.test_negatives, test_negatives=split.test)
    return replace(dataset, graph=graph, labels=None, splits=(), links=split, metric="roc_auc", probe="Dot")
"""


def study_of(result: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(result["study_file"]).read_text())
    return found


@pytest.mark.parametrize("probe", ["Dot", "Hadamard"])
def test_trials_do_not_change_with_the_test_edges(probe: str, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negatives of a random split avoid all edges, so the split is a fixed one, whose negatives stay."""
    monkeypatch.setattr("gssl.search.tuning.draw", lambda job, study, folder: [])
    (lab.folder / "toy_links.py").write_text(DATA)
    found = []
    for name in ("true", "false"):
        words = ("--task", "link", "--probe", probe, "--trials", "3", "--epochs", "3", "--seeds", "1", "--out", name)
        out, _ = lab.gssl("tune", "GAE", "toy_links:links", *words, "--json")
        found.append(json.loads(out))
        (lab.folder / "swapped").touch()
    sys.modules.pop("toy_links", None)
    studies = [study_of(result) for result in found]
    trials = [[(t["params"], t["reports"], t["values"]) for t in study["trials"]] for study in studies]
    assert trials[0] == trials[1]
    assert len({str(trial) for trial in trials[0]}) == 3
    assert studies[0]["labelled_items"] > 200  # pairs of training and validation
    assert found[0]["val_mean"] == found[1]["val_mean"]
    assert found[0]["test_mean"] == pytest.approx(1 - found[1]["test_mean"])  # they did change


def test_fine_tuning_is_scored_by_its_own_predictions_and_reports_on_the_way(tuner: Tuner) -> None:
    words = ("--setting", "finetune", "--labels", "4", "--set", "finetune.epochs=9", "--set", "finetune.lr=0.05")
    result = tuner.tune(*words, "--out", "tuned", trials=4)
    study = study_of(result)
    assert study["setting"] == {"name": "finetune", "labels": 4, "dropout": 0.0, "pretrain_on": None}
    reported = {step for trial in study["trials"] for step in trial["reports"]}
    assert reported <= {"1", "3"}  # a ninth and a third of the second training
    assert "1" in reported
    assert result["runs"]["tuned"]["epochs"] == 9
    assert 0 <= result["val_mean"] <= 1


def test_a_search_of_fine_tuning_does_not_see_test_labels(tuner: Tuner) -> None:
    def reverse(y: np.ndarray, test: np.ndarray) -> None:
        y[test] = (y[test] + 1) % 3

    words = ("--setting", "finetune", "--labels", "0.5", "--set", "finetune.epochs=3")
    true = tuner.tune(*words, "--out", "true")
    tuner.write(change=reverse)
    false = tuner.tune(*words, "--out", "false")
    assert tuner.trials(true) == tuner.trials(false)
    assert true["val_mean"] == false["val_mean"]
    assert true["test_mean"] != false["test_mean"]


def test_the_weight_of_an_auxiliary_loss_can_be_searched(tuner: Tuner) -> None:
    space = tuner.lab.folder / "space.yaml"
    space.write_text("setting.weight: {type: float, low: 0.1, high: 10.0, log: true}\n")
    result = tuner.tune("--setting", "auxiliary", "--labels", "0.5")
    params = [trial["params"] for trial in study_of(result)["trials"]]
    assert params[0] == {"setting.weight": 1.0}  # the default comes first
    assert len({value["setting.weight"] for value in params}) == 3
    preset = Path(result["preset"]).read_text()
    assert f"weight: {result['best']['params']['setting.weight']}" in preset


@pytest.mark.parametrize(
    ("key", "values"),
    [("task.val", [0.1, 0.2]), ("setting.labels", [0.1, 0.5]), ("setting.pretrain_on", ["a", "b"])],
)
def test_what_is_judged_and_what_is_seen_are_not_searched(key: str, values: list[object], tuner: Tuner) -> None:
    (tuner.lab.folder / "space.yaml").write_text(f"{key}: {{type: choice, values: {json.dumps(values)}}}\n")
    extra = ("--task", "link") if key.startswith("task") else ("--setting", "finetune")
    err = tuner.refused(*extra, "--space", "space.yaml")
    assert f"{key}: " in err
    assert "is not searched; give it a value" in err


def test_one_thread_is_left_to_the_other_tests() -> None:
    """A search computes on one thread and puts the number back."""
    assert torch.get_num_threads() == 1
