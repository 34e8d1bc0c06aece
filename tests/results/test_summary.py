from dataclasses import replace

import pytest

from gssl.common.errors import InputError
from gssl.config.resolve import Request, Subject, resolve
from gssl.results.seed import SeedMetrics, SplitMetrics
from gssl.results.summary import summarise

SEED = SeedMetrics(
    seed=4,
    val=0.5,
    test=0.25,
    splits=(SplitMetrics("public", "f" * 16, 0.5, 0.25, {"C": 1.0}, {"macro_f1": (0.5, 0.125), "nmi": (None, 0.5)}),),
    split_hash="f" * 16,
    epochs=10,
    pretrain_seconds=2.0,
    seconds_per_epoch=0.2,
    probe_seconds=1.0,
    peak_memory_mb=100.0,
    environment={"hash": "e" * 16},
    date="2026-01-01T00:00:00+00:00",
    notes=("degree features",),
)
OTHER = replace(SEED, seed=5, val=None, test=0.75, split_hash="a" * 16, epochs=21, peak_memory_mb=300.0, notes=("x",))
CONFIG = resolve(Request("GRACE", preset="none", seed=4, seeds=2), Subject("Cora", "Cora", "node", "P1"))


def test_means_deviations_and_costs() -> None:
    result = summarise(CONFIG, [SEED, OTHER], metric="accuracy", probe_version=3, notes=["degree features"])
    assert (result["test_mean"], result["test_std"]) == (0.5, pytest.approx(0.5 / 2**0.5))
    assert (result["val_mean"], result["val_std"]) == (None, None)  # not for every seed
    assert (result["seeds"], result["first_seed"], result["epochs"]) == (2, 4, 16)
    assert (result["pretrain_seconds"], result["peak_memory_mb"]) == (2.0, 300.0)
    assert (result["pretrain_cpu_seconds"], result["load"]) == (None, None)  # a seed of an earlier version
    known = [replace(seed, pretrain_cpu_seconds=1.0 + n, load=4.0) for n, seed in enumerate((SEED, OTHER))]
    result = summarise(CONFIG, known, metric="accuracy", probe_version=3, notes=[])
    assert (result["pretrain_cpu_seconds"], result["load"]) == (1.5, 4.0)
    result = summarise(CONFIG, [SEED, OTHER], metric="accuracy", probe_version=3, notes=["degree features"])
    assert result["split_hash"] not in ("f" * 16, "a" * 16)
    assert result["notes"] == ["degree features", "x"]
    alone = summarise(CONFIG, [SEED], metric="accuracy", probe_version=3, notes=[])
    assert (alone["test_std"], alone["val_mean"], alone["split_hash"]) == (0.0, 0.5, "f" * 16)


def test_every_metric_has_its_means_and_the_first_is_the_one_that_choices_are_made_on() -> None:
    later = replace(SEED, seed=5, test=0.75, splits=(replace(SEED.splits[0], others={"macro_f1": (0.25, 0.375)}),))
    result = summarise(CONFIG, [SEED, later], metric="accuracy", probe_version=1, notes=[])
    assert list(result["metrics"]) == ["accuracy", "macro_f1", "nmi"]
    assert result["metrics"]["accuracy"] == {
        key: result[key] for key in ("val_mean", "val_std", "test_mean", "test_std")
    }
    assert result["metrics"]["macro_f1"] == {
        "val_mean": 0.375,
        "val_std": pytest.approx(0.125 * 2**0.5),
        "test_mean": 0.25,
        "test_std": pytest.approx(0.125 * 2**0.5),
    }
    assert set(result["metrics"]["nmi"].values()) == {None}  # one seed has none
    assert result["per_seed"][0]["metrics"] == {
        "accuracy": {"val": 0.5, "test": 0.25},
        "macro_f1": {"val": 0.5, "test": 0.125},
        "nmi": {"val": None, "test": 0.5},
    }
    assert (result["task"], result["setting"], result["world_size"]) == ("node", "frozen", 1)


def test_metrics_of_a_seed_are_means_over_its_splits() -> None:
    first = SplitMetrics("one", "1", 0.5, 0.25, {}, {"roc_auc": (0.5, 0.75), "macro_f1": (None, 0.25)})
    second = replace(first, name="two", others={"roc_auc": (1.0, 0.25)})
    found = replace(SEED, splits=(first, second)).metrics("accuracy")
    assert found == {"accuracy": (0.5, 0.25), "roc_auc": (0.75, 0.5), "macro_f1": (None, None)}
    assert replace(SEED, val=None, test=None, splits=()).metrics("accuracy") == {"accuracy": (None, None)}  # no labels


def test_a_seed_without_further_metrics_is_read() -> None:
    data = SEED.mapping()
    former = {**data, "splits": [{k: v for k, v in split.items() if k != "others"} for split in data["splits"]]}
    assert SeedMetrics.read(former, "here") == replace(SEED, splits=(replace(SEED.splits[0], others={}),))


def test_record_of_a_seed_comes_back_as_it_was() -> None:
    import json

    assert SeedMetrics.read(json.loads(json.dumps(SEED.mapping())), "here") == SEED
    with pytest.raises(InputError, match="here was written by another version"):
        SeedMetrics.read({**SEED.mapping(), "new": 1}, "here")
    with pytest.raises(InputError, match="another version"):
        SeedMetrics.read({"seed": 1}, "here")
