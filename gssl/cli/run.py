"""``gssl run``: pretrain a method, judge its embeddings, store the result."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from gssl.cli.command import Answer, Command, Table
from gssl.cli.output import say
from gssl.cli.parser import add_json, choice, integer

_EXAMPLES = (
    "gssl run GRACE Cora --seeds 5                    with the published settings for Cora, if there are any",
    "gssl run GRACE Cora --set temperature=0.5 --set encoder.hidden_dim=256 --set train.lr=1e-3",
    "gssl run BGRL graph.npz --epochs 500             your own graph: edge_index, x and optionally y",
    "gssl run my_file:MyMethod Cora                   your own method, a class in my_file.py",
    "gssl run GRACE Cora --out results/grace          a second call resumes there, or returns the stored result",
    "gssl run DGI Cora --json                         the result as one JSON object",
)


def run(args: Namespace) -> Answer:
    """Pretrain, judge, store."""
    from gssl.config.resolve import Request
    from gssl.experiment.prepare import prepare
    from gssl.experiment.run import run_experiment
    from gssl.training.device import resolve_device
    from gssl.training.progress import Quiet, RichProgress

    request = Request(
        method=args.method,
        sampler=args.sampler,
        encoder=args.encoder,
        probe=args.probe,
        seeds=args.seeds,
        seed=args.seed,
        epochs=args.epochs,
        batch_size=args.batch_size,
        assignments=tuple(args.set),
        file=args.config,
        preset=args.preset,
    )
    device = resolve_device(args.device)
    config, dataset = prepare(request, args.dataset)
    quiet = args.json or not sys.stderr.isatty()
    result = run_experiment(
        config,
        dataset,
        device=device,
        threads=args.threads,
        out=args.out,
        db=args.db,
        display=lambda title: Quiet() if quiet else RichProgress(title),
        say=say,
    )
    return Answer(result, [_table(result), *_remarks(result)])


def _table(result: dict[str, Any]) -> Table:
    rows = [
        ("dataset", result["dataset"]),
        ("method", result["method"] + (f" (preset {result['preset']})" if result["preset"] else "")),
        ("probe", f"{result['probe']} version {result['probe_version']}, {result['metric']}"),
        ("validation", _score(result["val_mean"], result["val_std"], result)),
        ("test", _score(result["test_mean"], result["test_std"], result)),
        ("epochs", str(result["epochs"])),
        ("pretraining", f"{result['pretrain_seconds']:.1f} s, {result['seconds_per_epoch'] * 1000:.1f} ms per epoch"),
        ("probing", f"{result['probe_seconds']:.1f} s"),
        ("peak memory", f"{result['peak_memory_mb']:.0f} MiB"),
        ("configuration", result["config_hash"]),
        ("split", result["split_hash"] or "none"),
        ("folder", result["run_dir"]),
    ]
    if result.get("staleness_mean") is not None:
        age = f"{result['staleness_mean']:.1f} steps old on average, {result['staleness_max']} at most"
        rows.insert(-3, ("history rows read", age))
    if result.get("empty_draws"):
        rows.insert(-3, ("empty draws", str(result["empty_draws"])))
    return Table("", ("", ""), rows)


def _score(mean: float | None, std: float | None, result: dict[str, Any]) -> str:
    if mean is None:
        return "none"
    return f"{mean:.4f}" if result["seeds"] == 1 else f"{mean:.4f} ± {std:.4f} ({result['seeds']} seeds)"


def _remarks(result: dict[str, Any]) -> list[str]:
    return ["\n".join(f"note: {note}" for note in result["notes"])] if result["notes"] else []


def _arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("method", metavar="METHOD", help="name (see `gssl list methods`) or package.module:Class")
    add("dataset", metavar="DATASET", help="name (see `gssl list datasets`) or path of your own graph")
    what = parser.add_argument_group("what runs")
    add = what.add_argument
    add("--sampler", metavar="NAME", help="where batches come from (default: the whole graph, or batches of graphs)")
    add("--encoder", metavar="NAME", help="name or import path (default: the preset's, or the method's own)")
    add("--probe", metavar="NAME", help="protocol that judges the embeddings (default: the dataset's)")
    add("--preset", metavar="NAME", help="published settings: a name, or `none` (default: that of the dataset)")
    add("--config", metavar="FILE", type=Path, help="settings in YAML or JSON, laid out like a run's config.yaml")
    add(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="one setting: temperature=0.5 for the method, encoder.X, train.X, probe.X, sampler.X for the rest; "
        "drop_edge.0=0.3 for one item of a list; may be repeated (see `gssl show METHOD`)",
    )
    add("--epochs", metavar="N", type=integer(0), help="passes over the data")
    add("--batch-size", metavar="B", type=integer(1), help="items in a batch")
    add("--seeds", metavar="N", type=integer(1), help="repetitions (default: 1)")
    add("--seed", metavar="N", type=integer(0), help="seed of the first repetition (default: 0)")
    where = parser.add_argument_group("where and how")
    add = where.add_argument
    add("--device", metavar="auto|cpu|cuda", type=choice("auto", "cpu", "cuda"), default="auto")
    add("--threads", metavar="N", type=integer(1), help="threads of one operation (default: all cores)")
    add("--out", metavar="DIR", type=Path, help="folder of this run (default: a new one in $GSSL_RUNS or ./runs)")
    add("--db", metavar="URL", help="results store (default: $GSSL_DB or results.db beside the runs)")
    add_json(parser)


COMMAND = Command("run", "pretrain a method, judge its embeddings, store the result", _EXAMPLES, _arguments, run)
