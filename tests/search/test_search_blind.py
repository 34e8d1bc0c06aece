"""The proof: a whole study, every value and score of every trial, does not change when test labels do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from gssl.common.space import Choice, Float, Space
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.splits import random_split
from gssl.datasets.types import Dataset, Split
from gssl.evaluate.base import Probe
from gssl.registry import PROBES, SETTINGS
from gssl.search.job import Job
from gssl.search.workers import search
from gssl.settings.parts import make_probe
from gssl.settings.problem import Problem
from gssl.tasks.items import GraphTask, NodeTask
from gssl.testing.toy import toy_dataset

if TYPE_CHECKING:
    from conftest import Tuner


def reverse(y: np.ndarray, test: np.ndarray) -> None:
    y[test] = (y[test] + 1) % 3


def test_through_the_command_line(tuner: Tuner) -> None:
    """Preset split; the labels of all its test items are wrong in the second file."""
    true = tuner.tune("--out", "true")
    tuner.write(change=reverse)
    false = tuner.tune("--out", "false")
    assert tuner.trials(true) == tuner.trials(false)
    assert true["val_mean"] == false["val_mean"]
    assert true["test_mean"] != false["test_mean"]  # the test labels did change


def test_random_split_through_the_command_line(tuner: Tuner) -> None:
    """P3-BGRL: the split depends on the seed and the number of nodes."""
    folder = tuner.lab.folder
    test = random_split(120, train=0.2, val=0.0, seed=0).test.numpy()
    true = tuner.tune("--probe", "P3-BGRL", "--out", "true", data="graph.npz")
    with np.load(folder / "graph.npz") as archive:
        arrays = dict(archive)
    reverse(arrays["y"], test)
    np.savez(folder / "graph.npz", **arrays)
    false = tuner.tune("--probe", "P3-BGRL", "--out", "false", data="graph.npz")
    assert tuner.trials(true) == tuner.trials(false)
    assert any("% of their test items" in note for note in true["notes"])


SPACES: dict[str, dict[str, Space]] = {"supervised": {"dropout": Float(0.0, 0.5)}}


def study(dataset: Dataset, splits: list[Split], probe: str, method: str, path: Path) -> list[tuple[object, ...]]:
    """Three trials on the sealed data."""
    space: dict[str, Space] = {
        "train.lr": Float(1e-4, 1e-1, log=True),
        "encoder.hidden_dim": Choice((8, 16)),
        **SPACES.get(method, {}),
    }
    base, subject = (
        Request(method, epochs=4, seeds=1, probe=probe, preset="none"),
        Subject("toy", "toy", dataset.level, "LBFGS"),
    )
    config = resolve(base, subject)
    judge = make_probe(config)
    assert isinstance(judge, Probe)
    task = (NodeTask if dataset.level == "node" else GraphTask)(dataset, judge, fixed=tuple(splits))
    job = Job(
        base=base,
        subject=subject,
        space=space,
        problem=Problem(config, task, SETTINGS.get(config.setting.name)()).sealed(0),
        metric="accuracy",
        objectives=("val",),
        seed=0,
        rungs=(1, 2),
        algorithm="random",
        pruner="halving",
        storage=f"sqlite:///{path}",
        study="toy",
        trials=3,
        device="cpu",
        deadline=None,
        say=lambda _: None,
    )
    return [(t.params, t.intermediate_values, t.value, t.state) for t in search(job, 1).get_trials()]


@pytest.mark.parametrize(
    ("level", "probe", "method"),
    [
        ("node", "P1", "GRACE"),
        ("node", "LBFGS", "supervised"),
        ("graph", "P5-RBF", "InfoGraph"),
        ("graph", "P5-linear", "GraphCL"),
    ],
)
def test_for_nodes_and_graphs(level: str, probe: str, method: str, tmp_path: Path) -> None:
    """The split is drawn first and kept: folds are stratified by all labels, which says who is a test item."""
    dataset = toy_dataset(level)  # type: ignore[arg-type]
    assert dataset.labels is not None
    protocol = PROBES.get(probe)()
    assert isinstance(protocol, Probe)
    splits = list(protocol.splits(dataset, 0))
    y = dataset.labels.y.clone()
    y[splits[0].test] = 1 - y[splits[0].test]
    other = replace(dataset, labels=replace(dataset.labels, y=y))
    found = [study(data, splits, probe, method, tmp_path / name) for name, data in (("a", dataset), ("b", other))]
    assert found[0] == found[1]
    assert len({str(row) for row in found[0]}) == 3
    assert not torch.equal(y, dataset.labels.y)
