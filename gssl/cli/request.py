"""What ``gssl run`` and the commands that train like it are asked for."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _ArgumentGroup
from pathlib import Path
from typing import TYPE_CHECKING

from gssl.cli.parser import integer

if TYPE_CHECKING:
    from gssl.config.resolve import Request

_SET = (
    "one setting: temperature=0.5 for the method, encoder.X, train.X, probe.X, sampler.X for the rest; "
    "drop_edge.0=0.3 for one item of a list; may be repeated (see `gssl show METHOD`)"
)


def add_subject(parser: ArgumentParser) -> None:
    """The method and the dataset, first on the line."""
    add = parser.add_argument
    add("method", metavar="METHOD", help="name (see `gssl list methods`) or package.module:Class")
    add("dataset", metavar="DATASET", help="name (see `gssl list datasets`) or path of your own graph")


def add_settings(group: _ArgumentGroup, *, searched: bool = False) -> None:
    """Every option that decides what is trained and how it is judged, but for the seeds.

    Args:
        group: where they are listed.
        searched: whether the settings that are not given are searched for.
    """
    add = group.add_argument
    add("--sampler", metavar="NAME", help="where batches come from (default: the whole graph, or batches of graphs)")
    add("--encoder", metavar="NAME", help="name or import path (default: the preset's, or the method's own)")
    add("--probe", metavar="NAME", help="protocol that judges the embeddings (default: the dataset's)")
    add("--preset", metavar="NAME", help="published settings: a name, or `none` (default: that of the dataset)")
    add("--config", metavar="FILE", type=Path, help="settings in YAML or JSON, laid out like a run's config.yaml")
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
        assignments=tuple(args.set),
        file=args.config,
        preset=args.preset,
    )
