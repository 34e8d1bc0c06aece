"""What ``gssl run`` and the commands that train like it are asked for."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _ArgumentGroup
from pathlib import Path
from typing import TYPE_CHECKING

from gssl.cli.parser import amount, integer

if TYPE_CHECKING:
    from gssl.config.resolve import Request

_SET = (
    "one setting: temperature=0.5 for the method, encoder.X, train.X, probe.X, sampler.X, task.X, setting.X, "
    "finetune.X for the rest; "
    "drop_edge.0=0.3 for one item of a list; may be repeated (see `gssl show METHOD`)"
)


def add_subject(parser: ArgumentParser) -> None:
    """The method and the dataset, first on the line."""
    add = parser.add_argument
    add("method", metavar="METHOD", help="name (see `gssl list methods`) or package.module:Class")
    add(
        "dataset",
        metavar="DATASET",
        help="name (see `gssl list datasets`), path of your own graph "
        "(.npz, .pt, .mat, .gml, .csv, ...; the README lists them), or my_file:function that returns a graph",
    )


def add_problem(group: _ArgumentGroup | ArgumentParser, *, one_training: bool = False) -> None:
    """What is judged, and what labels may train.

    Args:
        group: where they are listed.
        one_training: whether the command looks at a single training, so that nothing is fine-tuned.
    """
    add = group.add_argument
    names, takers = "frozen (default), finetune or auxiliary", "finetune and auxiliary"
    if one_training:
        names, takers = "frozen (default) or auxiliary", "auxiliary and the method supervised"
    add("--task", metavar="NAME", help="what is judged: node, graph, link or cluster (default: that of the dataset)")
    add("--setting", metavar="NAME", help=f"{names}: what labels may train")
    add(
        "--labels",
        metavar="SHARE|N",
        type=amount,
        help=f"labels that {takers} see: a share such as 0.1, or a whole number for each class",
    )


def add_settings(group: _ArgumentGroup, *, searched: bool = False) -> None:
    """Every option that decides what is trained and how it is judged, but for the seeds.

    Args:
        group: where they are listed.
        searched: whether the settings that are not given are searched for.
    """
    add = group.add_argument
    add("--sampler", metavar="NAME", help="where batches come from (default: the whole graph, or batches of graphs)")
    add("--encoder", metavar="NAME", help="name or import path (default: the preset's, or the method's own)")
    add("--probe", metavar="NAME", help="protocol that judges the embeddings (default: the dataset's, or the task's)")
    add_problem(group)
    add("--pretrain-on", metavar="DATASET", help="pretrain the encoder on this dataset, whose features mean the same")
    add(
        "--data",
        metavar="FACT=VALUE,...",
        action="append",
        default=[],
        help="what is known of your own data: task=multiclass|multilabel|regression, metric=NAME, "
        "undirected=true|false, normalize=row|standard",
    )
    add("--preset", metavar="NAME", help="published settings: a name, or `none` (default: that of the dataset)")
    add(
        "--config",
        metavar="FILE",
        type=Path,
        help="settings in YAML or JSON, laid out like a run's config.yaml; runs the code that it names",
    )
    told = "one setting; it is then not searched" if searched else _SET
    add("--set", metavar="KEY=VALUE", action="append", default=[], help=told)
    add("--epochs", metavar="N", type=integer(0), help="passes over the data")
    add("--batch-size", metavar="B", type=integer(1), help="items in a batch")


def request_of(args: Namespace) -> Request:
    """The request that these options make."""
    from gssl.config.resolve import Request

    return Request(
        method=args.method,
        sampler=args.sampler,
        encoder=args.encoder,
        probe=args.probe,
        seeds=args.seeds,
        seed=args.seed,
        epochs=args.epochs,
        batch_size=args.batch_size,
        assignments=(*args.set, *(f"declared.{fact}" for text in args.data for fact in text.split(","))),
        file=args.config,
        preset=args.preset,
        task=args.task,
        setting=args.setting,
        labels=args.labels,
        pretrain_on=args.pretrain_on,
    )
