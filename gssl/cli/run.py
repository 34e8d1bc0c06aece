"""``gssl run``: pretrain a method, judge its embeddings, store the result."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gssl.cards.answer import Answer, Table
from gssl.cli.command import Command
from gssl.cli.output import say
from gssl.cli.parser import add_json, choice, integer, threads
from gssl.cli.request import add_settings, add_subject, request_of
from gssl.common.seeds import MOST_SEEDS

if TYPE_CHECKING:
    from gssl.config.record import RunConfig
    from gssl.datasets.types import Dataset
    from gssl.training.track import Tracker

_TRACKERS = ("tensorboard", "mlflow", "wandb")  # as in gssl.training.track, which needs torch
_EXAMPLES = (
    "gssl run GRACE Cora --seeds 5                    with the published settings for Cora, if there are any",
    "gssl run GRACE Cora --set temperature=0.5 --set encoder.hidden_dim=256 --set train.lr=1e-3",
    "gssl run BGRL graph.npz --epochs 500             your own graph: edge_index, x and optionally y",
    "gssl run BGRL my_file:my_graph                   a function that returns a graph of networkx or PyG",
    "gssl run my_file:MyMethod Cora                   your own method, a class in my_file.py",
    "gssl run GRACE Cora --out results/grace          a second call resumes there, or returns the stored result",
    "gssl run GRACE Cora --track tensorboard         then: tensorboard --logdir runs/tracked",
    "gssl run DGI Cora --json                         the result as one JSON object",
    "torchrun --nproc-per-node 2 -m gssl run BGRL Cora --sampler graphsage    one training by two processes",
)


def run(args: Namespace) -> Answer:
    """Pretrain, judge, store."""
    from gssl.experiment.run import run_experiment
    from gssl.experiment.together import follow, joined, require_same_mirror
    from gssl.training.group import opened
    from gssl.training.progress import Progress, Quiet, RichProgress
    from gssl.training.threads import computing_on
    from gssl.training.track import Tracked, scores_of

    quiet = args.json or not sys.stderr.isatty()
    with opened() as group, ExitStack() as closing:
        require_same_mirror(args.dataset, group)
        device, config, dataset = group.agreed(lambda: _asked(args))
        config = joined(config, dataset, group, device=device)
        closing.enter_context(computing_on(args.threads))
        if group.rank:
            follow(config, dataset, group, device=device)
            return Answer({}, [], silent=True)
        closing.enter_context(group.leading())
        trackers = _trackers(args, config, closing)

        def display(title: str) -> Progress:
            shown: Progress = Quiet() if quiet else RichProgress(title)
            for tracker in trackers:
                shown = Tracked(shown, tracker, title)
            return shown

        places = {"out": args.out, "db": args.db}
        result = run_experiment(config, dataset, device=device, display=display, say=say, group=group, **places)
        for tracker in trackers:
            tracker.finish(config.mapping(), scores_of(result))
    return Answer(result, [_table(result), *_remarks(result)])


def _asked(args: Namespace) -> tuple[str, RunConfig, Dataset]:
    """Device, configuration and data."""
    from gssl.experiment.prepare import prepare
    from gssl.training.device import resolve_device

    return resolve_device(args.device), *prepare(request_of(args), args.dataset)


def _trackers(args: Namespace, config: RunConfig, closing: ExitStack) -> list[Tracker]:
    """What is told of the run, closed however it ends."""
    from gssl.results.folder import folder_name
    from gssl.results.places import runs_root
    from gssl.training.track import TRACKERS

    name = folder_name(config) if args.out is None else args.out.absolute().name
    folder = (runs_root() if args.out is None else args.out.absolute().parent) / "tracked"
    found: list[Tracker] = []
    for kind in dict.fromkeys(args.track):
        found.append(TRACKERS[kind](name, folder))
        closing.callback(found[-1].close)
    return found


def _table(result: dict[str, Any]) -> Table:
    rows = [
        ("dataset", result["dataset"]),
        ("method", result["method"] + (f" (preset {result['preset']})" if result["preset"] else "")),
        ("probe", f"{result['probe']} version {result['probe_version']}, {result['metric']}"),
        ("validation", _score(result["val_mean"], result["val_std"], result)),
        ("test", _score(result["test_mean"], result["test_std"], result)),
        ("epochs", str(result["epochs"])),
        ("pretraining", _cost(result)),
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


def _cost(result: dict[str, Any]) -> str:
    """Wall time, and what tells how much of it was waiting for others on the machine."""
    cpu, load = result.get("pretrain_cpu_seconds"), result.get("load")
    parts = [f"{result['pretrain_seconds']:.1f} s", f"{result['seconds_per_epoch'] * 1000:.1f} ms per epoch"]
    parts += [] if cpu is None else [f"{cpu:.1f} s of CPU"]
    parts += [] if load is None else [f"load {load:.1f} on {os.cpu_count()} cores"]
    return ", ".join(parts)


def _score(mean: float | None, std: float | None, result: dict[str, Any]) -> str:
    if mean is None:
        return "none"
    return f"{mean:.4f}" if result["seeds"] == 1 else f"{mean:.4f} ± {std:.4f} ({result['seeds']} seeds)"


def _remarks(result: dict[str, Any]) -> list[str]:
    return ["\n".join(f"note: {note}" for note in result["notes"])] if result["notes"] else []


def _arguments(parser: ArgumentParser) -> None:
    add_subject(parser)
    what = parser.add_argument_group("what runs")
    add_settings(what)
    add = what.add_argument
    add("--seeds", metavar="N", type=integer(1, MOST_SEEDS), help="repetitions (default: 1)")
    add("--seed", metavar="N", type=integer(0), help="seed of the first repetition (default: 0)")
    where = parser.add_argument_group("where and how")
    add = where.add_argument
    add("--device", metavar="auto|cpu|cuda", type=choice("auto", "cpu", "cuda"), default="auto")
    add("--threads", metavar="N", type=threads, help="threads of one operation (default: all cores)")
    add("--out", metavar="DIR", type=Path, help="folder of this run (default: a new one in $GSSL_RUNS or ./runs)")
    add("--db", metavar="URL", help="results store (default: $GSSL_DB or results.db beside the runs)")
    add(
        "--track",
        metavar="|".join(_TRACKERS),
        type=choice(*_TRACKERS),
        action="append",
        default=[],
        help="also tell a tracker: curves, configuration, scores (pip install 'gssl[track]' for tensorboard, whose "
        "files go into tracked/ beside the run folder); may be repeated",
    )
    add_json(parser)


COMMAND = Command(
    "run",
    "pretrain a method, judge its embeddings, store the result",
    _EXAMPLES,
    _arguments,
    run,
    trains=True,
    parallel=True,
)
