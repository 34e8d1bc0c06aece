"""Known results of plain features on real data."""

from pathlib import Path

import pytest

from gssl.config.components import item_probe
from gssl.datasets.load import load_dataset
from gssl.evaluate.judge import judge
from gssl.graph.sparse import dense_features

DGI = {"steps": 100, "weight_decay": 0.0, "select": "last", "init": "xavier", "restarts": 50}


@pytest.mark.parametrize(
    ("probe", "options", "low", "high"),
    [
        pytest.param("P1", {}, 0.52, 0.56, id="graphmae"),
        pytest.param("P1", DGI, 0.475, 0.483, id="dgi"),  # 47.9 +- 0.4 in the paper (arXiv:1809.10341, table 2)
        pytest.param("LBFGS", {}, 0.43, 0.60, id="lbfgs"),  # unit variance does bags of words no good
    ],
)
def test_raw_features_on_the_public_split_of_cora(
    mirror: Path, processed: Path, probe: str, options: dict[str, object], low: float, high: float
) -> None:
    dataset = load_dataset("Cora", root=processed)
    verdict = judge(item_probe(probe, options), dense_features(dataset.graph.x), dataset, 0)
    (split,) = verdict.splits
    assert [len(part) for part in (split.train, split.val, split.test)] == [140, 500, 1000]
    assert low < verdict.test < high


def test_raw_features_on_random_splits_of_cora(mirror: Path, processed: Path) -> None:
    dataset = load_dataset("Cora", root=processed)
    verdict = judge(item_probe("P2", {}), dense_features(dataset.graph.x), dataset, 0)
    assert verdict.metric == "micro_f1"
    assert 0.63 < verdict.test < 0.665  # 64.8 in GRACE's paper (arXiv:2006.04131, table 1)
