"""A made-up store with everything that a page must cope with, hostile text included, for its tests."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from gssl.benchmarks.report.site import write_report
from gssl.results.cells import Cells, Ending, NewCell
from gssl.results.owner import Owner
from gssl.results.seed import SeedMetrics, SplitMetrics
from gssl.results.store import RunRow, Store

HOSTILE = "<script>window.owned = 1</script>'\"&</script><img src=x onerror=window.owned=1>"
ITEMS, DIM = 1797, 6  # as many as digits has, so that its classes fit


EPOCHS = 3000  # more than any preset of what is in the sample


def row(
    method: str = "GRACE", dataset: str = "digits", seed: int = 0, *, epochs: int = EPOCHS, **changes: object
) -> RunRow:
    """A finished row; the hash of its configuration follows from method, dataset and ``config_hash``."""
    config = {
        "dataset": dataset,
        "method": {"name": method, "temperature": 0.4},
        "encoder": {"name": "GCN", "hidden_dim": 64},
        "sampler": {"name": "full"},
        "train": {"epochs": epochs, "lr": 0.001, "batch_size": None},
        "probe": {"name": "LBFGS"},
        "seeds": [0, 1, 2],
    }
    base = RunRow(
        method=method,
        config_hash="a" * 16,
        dataset=dataset,
        dataset_checksum="d" * 16,
        split_hash="s" * 16,
        probe="LBFGS",
        probe_version=1,
        seed=seed,
        environment_hash="e" * 16,
        status="done",
        metric="accuracy",
        val=0.8,
        test=0.8,
        epochs=epochs,
        pretrain_seconds=2.0,
        probe_seconds=0.5,
        peak_memory_mb=300.0,
        encoder="GCN",
        sampler="full",
        preset="",
        run_dir="",
        date="2026-01-01T00:00:00+00:00",
        git_hash="c" * 40,
        config=json.dumps(config),
        environment=json.dumps({"gssl": "0.1.0", "plugins": {}}),
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields by name


def run_folder(
    path: Path, seed: int, test: float, *, splits: int = 1, watched: bool = False, collapsed: bool = False
) -> None:
    """What a finished seed leaves: perhaps with scores on the way, or with embeddings that are nearly all the same."""
    folder = path / f"seed-{seed}"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    curve = [{"epoch": n, "loss": 5.0 / (n + 1), "lr": 0.001, "seconds": 0.1, "val": None} for n in range(20)]
    if watched:
        curve = [{**line, "val": 0.9 - 0.5 / (n + 1) + 0.01 * seed} for n, line in enumerate(curve)]
    (folder / "curve.jsonl").write_text("".join(json.dumps(line) + "\n" for line in curve))
    embeddings = rng.normal(size=(ITEMS, DIM)) * (1e-3 if collapsed else 1) + float(collapsed)
    np.savez(folder / "embeddings.npz", embeddings=embeddings.astype("float32"))
    scores = tuple(SplitMetrics(f"split {n}", f"{n:016}", 0.8, test + 0.01 * n, {"l2": 0.01}) for n in range(splits))
    metrics = SeedMetrics(seed, 0.8, test, scores, "s" * 16, 20, 2.0, 0.1, 0.5, 300.0, {}, "2026-01-01", ("a remark",))
    (folder / "metrics.json").write_text(json.dumps(metrics.mapping()))


def everything(folder: Path) -> Iterator[RunRow]:
    """Rows of two protocols and three levels of quality, and what can go wrong with them."""
    rng = np.random.default_rng(0)
    quality = {"GRACE": 0.90, "BGRL": 0.88, "DGI": 0.86, "GAE": 0.80, "raw": 0.7, "untrained": 0.72, "supervised": 0.95}
    for dataset, probe in (("digits", "LBFGS"), ("csbm", "LBFGS"), ("Cora", "P1"), ("CiteSeer", "P1")):
        for n, (method, mean) in enumerate(quality.items()):
            for seed in range(3):
                score = round(mean - 0.05 * (dataset == "CiteSeer") + 0.01 * float(rng.normal()), 4)
                place = folder / f"{method}-{dataset}"
                if dataset == "digits" and method in ("GRACE", "raw", "BGRL", "supervised"):
                    watched = method in ("BGRL", "supervised")
                    run_folder(place, seed, score, splits=2 if method == "BGRL" else 1, watched=watched)
                yield row(
                    method,
                    dataset,
                    seed,
                    probe=probe,
                    test=score,
                    val=score,
                    pretrain_seconds=0.0 if method in ("raw", "untrained") else 1.0 + n,
                    peak_memory_mb=300.0 + 20 * n,
                    run_dir=str(place),
                )
    for n in range(130):
        score = 0.5 + n / 1000
        yield row("DGI", "many", config_hash=f"{n:016x}", test=score, val=score, split_hash="m" * 16)
    for n, status in enumerate(("timeout", "oom", "skipped", "failed")):
        yield row("GraphMAE", "digits", n, status=status, val=None, test=None, message=f"{status}: {HOSTILE}")
    yield row(f"mine:{HOSTILE}", f"../{HOSTILE}", preset=HOSTILE, encoder=HOSTILE, sampler=HOSTILE, config="not JSON")
    yield from several_metrics()
    yield from not_headlines(folder / "collapsed")
    yield row("=cmd|' /C calc'!A0", "ESOL", metric="rmse", test=1.1, val=1.3)
    yield row("raw", "ESOL", metric="rmse", test=1.25, val=1.5)
    yield row("GraphCL", "ESOL", metric="rmse", test=0.75, val=1.0)


def not_headlines(folder: Path) -> Iterator[RunRow]:
    """A lucky try of one seed and one epoch, and a method that collapsed."""
    yield row("GRACE", "digits", config_hash="1" * 16, epochs=1, val=0.99, test=0.97)
    for seed in range(3):
        run_folder(folder, seed, 0.3, collapsed=True)
        yield row("MVGRL", "digits", seed, val=0.3, test=0.3, run_dir=str(folder))


def several_metrics() -> Iterator[RunRow]:
    """Links, and fine-tuning on a tenth of the labels beside the supervised row with as few."""
    for n, method in enumerate(("GAE", "DGI")):
        for seed in range(3):
            auc = 0.9 - 0.05 * n + 0.01 * seed
            links = {"roc_auc": (auc, auc), "average_precision": (None, auc - 0.1), "hits@50": (0.25, 0.5 + 0.1 * n)}
            found = row(method, "csbm", seed, task="link", probe="Dot", split_hash="k" * 16, metric="roc_auc")
            yield replace(found, val=auc, test=auc, metrics=json.dumps(links))
    for method, setting in (("GRACE", "finetune"), ("supervised", "supervised")):
        config = json.dumps({"dataset": "csbm", "setting": {"name": setting, "labels": 0.1}})
        classes = {"accuracy": (0.7, 0.7), "macro_f1": (0.6, 0.65)}
        found = row(method, "csbm", config_hash="b" * 16, setting=setting, config=config)
        yield replace(found, val=0.7, test=0.7, metrics=json.dumps(classes))


def unfinished(cells: Cells) -> None:
    """Cells of a suite: one out of memory, one skipped, one that nobody has worked on."""
    endings = {"0" * 16: Ending("out of memory", f"too large: {HOSTILE}", 3.0, memory_limit=512.0)}
    endings["1" * 16] = Ending("skipped", "the method needs edge features")
    keys = [*endings, "2" * 16]
    cells.register([NewCell(key, "small", "GraphMAE", HOSTILE, n, "{}") for n, key in enumerate(keys)])
    for key, ending in endings.items():
        claim = cells.claim(key, Owner.this())
        assert claim is not None
        cells.finish(claim, ending)


def search(folder: Path) -> Path:
    """What ``gssl tune`` leaves."""
    rng = np.random.default_rng(0)
    trials: list[dict[str, object]] = [
        {"number": 0, "state": "complete", "values": [0.8], "params": {"train.lr": 0.001}, "default": True},
        {"number": 1, "state": "complete", "values": [0.85], "params": {"train.lr": 0.01, HOSTILE: HOSTILE}},
        {"number": 2, "state": "pruned", "values": None, "params": {"train.lr": 0.1}, "seconds": 1.5},
    ]
    for n in range(3, 12):
        params = {"train.lr": 10 ** float(rng.uniform(-4, -1)), "encoder.norm": ["none", "batch"][n % 2]}
        reports = {str(epoch): 0.7 + 0.01 * n for epoch in (1, 3, 9)[: 1 + n % 3]}
        state = {"state": "pruned" if n % 3 == 0 else "complete", "values": [0.7 + 0.01 * n], "seconds": 1.0}
        trials.append({"number": n, **state, "params": params, "reports": reports, "epochs": 27})
    study = {"study": HOSTILE, "method": {"name": "GRACE"}, "dataset": HOSTILE, "metric": "accuracy"}
    how = {"objective": ["val"], "directions": ["maximize"], "algorithm": "tpe", "pruner": "halving"}
    space = {"train.lr": {"type": "float", "low": 1e-4, "high": 0.1, "log": True}}
    (folder / "study.json").write_text(json.dumps({**study, **how, "space": space, "trials": trials}))
    return folder / "study.json"


def write_sample(folder: Path) -> Path:
    """Fill a store in a folder and make its page, which is returned."""
    url = f"sqlite:///{folder}/results.db"
    with Store(url) as store:
        for each in everything(folder / "runs"):
            store.record(each)
        unfinished(Cells(store))
    numbers = {"bias2": 0.1, "variance": 0.5, "ms_per_batch": 3.0}
    variance = {"method": "GRACE", "dataset": HOSTILE, "batch_size": 64, "draws": 10, "warmup": 5}
    (folder / "variance.json").write_text(
        json.dumps({**variance, "samplers": {"graphsage": numbers, HOSTILE: {**numbers, "bias2": 0.3}}})
    )
    point = {"step": 10, "seconds": 1.0, "loss": 2.0, "val": 0.7}
    training = {"method": "GRACE", "dataset": "digits", "sampler": "labor", "batch_size": 64, "lr": 0.01, "seed": 0}
    more = {"clock": "wall", "metric": "accuracy", "seconds": 2.0, "steps": 20, "config_hash": "x", "config": {}}
    points = [point, {**point, "step": 20, "seconds": 2.0, "val": 0.8}]
    (folder / "curves.jsonl").write_text(json.dumps({**training, **more, "environment": {}, "points": points}) + "\n")
    extras = [folder / "variance.json", folder / "curves.jsonl", search(folder)]
    write_report(url, folder / "page", extras=extras)
    return folder / "page"
