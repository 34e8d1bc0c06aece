"""Tasks and settings that do not go together: one clear line, exit code 2, and nothing that was begun."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import Lab

# Dataset, method, further words, and what must be said.
REFUSED = [
    ("graph.npz", "raw", "--setting finetune", "raw has no encoder to fine-tune; use untrained"),
    ("graph.npz", "raw", "--setting auxiliary", "raw has no loss to learn beside labels"),
    ("graph.npz", "untrained", "--setting auxiliary", "untrained has no loss to learn beside labels"),
    ("unlabelled.npz", "tiny:Denoise", "--setting auxiliary", "auxiliary learns from labels, but unlabelled has none"),
    ("unlabelled.npz", "tiny:Denoise", "--setting finetune", "finetune learns from labels, but unlabelled has none"),
    ("unlabelled.npz", "supervised", "", "supervised learns from labels, but unlabelled has none"),
    (
        "unlabelled.npz",
        "tiny:Denoise",
        "--task cluster",
        "compares clusters with classes, but unlabelled has no labels",
    ),
    ("values.npz", "tiny:Denoise", "--task cluster", "but values has regression labels"),
    ("graph.npz", "tiny:Denoise", "--task link --setting finetune", "--task link has no labels to train on"),
    ("graph.npz", "tiny:Denoise", "--task link --setting auxiliary", "goes with --setting frozen alone"),
    ("graph.npz", "tiny:Denoise", "--task cluster --setting finetune", "--task cluster has no labels to train on"),
    ("graph.npz", "supervised", "--task link", "--task link has no labels to train on"),
    ("graph.npz", "tiny:Denoise", "--task link --probe LBFGS", "probes that fit: Dot, Hadamard, Decoder"),
    ("graph.npz", "tiny:Denoise", "--probe Dot", "probe Dot judges link tasks, but the task is node"),
    ("graph.npz", "tiny:Denoise", "--task graph", "--task graph judges graphs, but graph is node-level data"),
    ("digit-graphs", "GraphCL", "--task node", "--task node judges nodes, but digit-graphs is graph-level data"),
    ("few.npz", "tiny:Denoise", "--task link", "joins 4 pairs of nodes, too few for a share of 0.05 for validation"),
    ("graph.npz", "tiny:Denoise", "--labels 0.1", "--labels does not go with --setting frozen: no label is trained on"),
    ("graph.npz", "tiny:Denoise", "--setting finetune --labels 2.0", "argument --labels: must be a share above 0"),
    ("graph.npz", "tiny:Denoise", "--setting finetune --labels 0", "argument --labels: must be a share above 0"),
    ("graph.npz", "tiny:Denoise", "--setting finetune --labels half", "argument --labels: must be a share such as 0.1"),
    (
        "graph.npz",
        "tiny:Denoise",
        "--setting finetune --set setting.labels=2.0",
        "must be a share above 0 and at most 1, or a whole number of at least 1 (got 2.0)",
    ),
    ("graph.npz", "tiny:Denoise", "--setting finetune --labels 50", "asks for 50 labels in each class, but class 0"),
    ("graph.npz", "tiny:Denoise", "--setting auxiliary --labels 50", "ask for fewer"),
    ("graph.npz", "supervised", "--labels 50", "ask for fewer"),
    ("values.npz", "tiny:Denoise", "--setting finetune --labels 3", "these labels are no classes; give a share"),
    ("graph.npz", "tiny:Denoise", "--set finetune.epochs=3", "finetune.X does not go with --setting frozen"),
    ("graph.npz", "tiny:Denoise", "--setting auxiliary --set finetune.lr=1", "which has one training"),
    ("graph.npz", "tiny:Denoise", "--setting finetune --set finetune.epoch=3", "did you mean 'epochs'"),
    ("graph.npz", "tiny:Denoise", "--setting auxiliary --set setting.weights=3", "did you mean 'weight'"),
    (
        "graph.npz",
        "tiny:Denoise",
        "--setting auxiliary --set setting.weight=-1",
        "option 'weight' of setting auxiliary",
    ),
    ("graph.npz", "tiny:Denoise", "--set weight=3", "unknown option of method tiny:Denoise 'weight'"),
    ("graph.npz", "tiny:Denoise", "--task lnk", "unknown task 'lnk'; did you mean 'link'?"),
    ("graph.npz", "tiny:Denoise", "--setting finetuned", "unknown setting 'finetuned'; did you mean 'finetune'?"),
    ("graph.npz", "tiny:Denoise", "--setting supervised", "--setting supervised does not fit the method"),
    ("graph.npz", "supervised", "--setting finetune", "--setting finetune does not fit the method"),
    ("graph.npz", "tiny:Denoise", "--pretrain-on values.npz", "what those of values and graph stand for is not known"),
    ("graph.npz", "tiny:Denoise", "--pretrain-on wide.npz", "wide has 9 columns of node features, graph has 6"),
    ("graph.npz", "tiny:Denoise", "--pretrain-on absent.npz", "there is no file or folder absent.npz"),
    ("graph.npz", "supervised", "--pretrain-on values.npz", "--pretrain-on does not go with --setting supervised"),
    ("graph.npz", "tiny:Denoise", "--set task.split=scaffold", "unknown option of task node 'split'"),
    ("names.csv", "GraphCL", "", "names.csv"),
]


@pytest.fixture
def files(lab: Lab) -> set[str]:
    """More data beside those of the laboratory; the names of all files."""
    with np.load(lab.folder / "graph.npz") as archive:
        arrays = dict(archive)
    np.savez(lab.folder / "values.npz", **{**arrays, "y": arrays["y"] + np.linspace(0.1, 0.4, 120)})
    np.savez(lab.folder / "wide.npz", **{**arrays, "x": np.ones((120, 9), dtype="float32")})
    path = np.array([[0, 1, 2, 3], [1, 2, 3, 4]])
    np.savez(lab.folder / "few.npz", edge_index=np.concatenate([path, path[::-1]], axis=1), x=arrays["x"][:5])
    (lab.folder / "names.csv").write_text("name,weight\nwater,18\nethanol,46\n")
    return {entry.name for entry in lab.folder.iterdir()}


@pytest.mark.parametrize(("data", "method", "words", "message"), REFUSED)
def test_what_does_not_go_together_is_refused_before_anything_begins(
    data: str, method: str, words: str, message: str, lab: Lab, files: set[str]
) -> None:
    out, err = lab.gssl("run", method, data, "--epochs", "1", *words.split(), code=2)
    assert out == ""
    assert err.startswith("gssl: error: ")
    assert message in err
    assert "Traceback" not in err
    assert {entry.name for entry in lab.folder.iterdir()} - {"__pycache__"} == files


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--task cluster", "clustering sees no label before the score, so there is no validation score to search by"),
        ("--task link --setting finetune", "--task link has no labels to train on"),
        ("--setting finetune --labels 50", "ask for fewer"),
        ("--labels 0.5", "--labels does not go with --setting frozen"),
    ],
)
def test_a_search_refuses_the_same(words: str, message: str, lab: Lab, files: set[str]) -> None:
    out, err = lab.gssl("tune", "GRACE", "graph.npz", "--trials", "1", "--epochs", "1", *words.split(), code=2)
    assert (out, err.startswith("gssl: error: ")) == ("", True)
    assert message in err
    assert {entry.name for entry in lab.folder.iterdir()} - {"__pycache__"} == files


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", ("node", "frozen", "LBFGS", "accuracy")),
        ("--task link", ("link", "frozen", "Dot", "roc_auc")),
        ("--task link --probe Hadamard --set task.val=0.1", ("link", "frozen", "Hadamard", "roc_auc")),
        ("--task CLUSTER", ("cluster", "frozen", "KMeans", "nmi")),
        ("--setting finetune --labels 2 --set finetune.epochs=2", ("node", "finetune", "LBFGS", "accuracy")),
        ("--setting Auxiliary --labels 0.5", ("node", "auxiliary", "LBFGS", "accuracy")),
    ],
)
def test_the_json_names_task_setting_and_every_metric(words: str, expected: tuple[str, ...], lab: Lab) -> None:
    result = lab.run(*words.split())
    assert tuple(result[key] for key in ("task", "setting", "probe", "metric")) == expected
    first = result["metrics"][result["metric"]]
    assert first == {key: result[key] for key in ("val_mean", "val_std", "test_mean", "test_std")}
    assert all(set(values) == set(first) for values in result["metrics"].values())
    assert json.loads((lab.folder / result["run_dir"] / "result.json").read_text())["metrics"] == result["metrics"]
    files = sorted(Path(result["run_dir"]).rglob("embeddings.npz"))
    before = [np.load(file)["embeddings"] for file in files]
    assert len(json.loads(lab.gssl("embed", result["run_dir"], "--json")[0])["files"]) == len(files) == 1
    for file, rows in zip(files, before, strict=True):
        np.testing.assert_array_equal(np.load(file)["embeddings"], rows)
    again = lab.run(*words.split(), "--config", f"{result['run_dir']}/config.yaml")
    assert again["config_hash"] == result["config_hash"]
    assert again["metrics"] == result["metrics"]
