"""``gssl tune``: search for better settings on validation items, then judge them on fresh seeds."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from gssl.cards.answer import Answer, Table
from gssl.cards.texts import number_text
from gssl.cli.command import Command
from gssl.cli.output import say
from gssl.cli.parser import add_json, choice, integer, positive, threads
from gssl.cli.request import add_settings, add_subject, request_of
from gssl.common.seeds import MOST_SEEDS

_EXAMPLES = (
    "gssl tune GRACE Cora --trials 30 --workers 2     its declared search space, by TPE, with pruning",
    "gssl tune GRACE Cora --trials 60 --workers 2     goes on: 30 more trials of the same study",
    "gssl tune GRACE Cora --trials 30 --space my.yaml --set temperature=0.4     your ranges; what is set is fixed",
    "gssl tune BGRL Photo --trials 50 --objective val,seconds --algorithm nsgaii     quality against time",
    "gssl tune GRACE Cora --trials 200 --storage postgresql://host/studies     the same command on every machine",
    "gssl run GRACE Cora --config runs/tune-GRACE-Cora/preset.yaml --seeds 5     what was found",
)


def run(args: Namespace) -> Answer:
    """Search, and judge what was found."""
    from gssl.search.tuning import Order, tune

    order = Order(
        base=request_of(args),
        data=args.dataset,
        trials=args.trials,
        workers=args.workers,
        space=args.space,
        storage=args.storage,
        study=args.study,
        out=args.out,
        timeout=args.timeout,
        algorithm=args.algorithm,
        pruner=args.pruner,
        objective=args.objective,
        device=args.device,
        db=args.db,
        threads=args.threads,
    )
    result = tune(order, say)
    return Answer(result, [_summary(result), _params(result), *_pareto(result), *_remarks(result)])


def _summary(result: dict[str, Any]) -> Table:
    trials, default, tuned = result["trials"], result["runs"]["default"], result["runs"]["tuned"]
    rows = [
        ("study", f"{result['study']} in {result['storage']}"),
        ("trials", f"{trials['complete']} complete, {trials['pruned']} pruned, {trials['failed']} failed"),
        ("best trial", f"{result['best']['number']}, validation {result['metric']} {result['best']['values'][0]:.4f}"),
        ("fresh seeds", f"{result['fresh_seeds'][0]} to {result['fresh_seeds'][-1]}, which the search has not used"),
        ("validation", f"{_score(tuned, 'val')}, defaults {_score(default, 'val')}"),
        ("test", f"{_score(tuned, 'test')}, defaults {_score(default, 'test')}"),
        ("preset", f"{result['preset']} (gssl run {result['method']} {result['dataset']} --config ...)"),
        ("time", f"{result['seconds']:.0f} s, of which {result['search_seconds']:.0f} s search"),
        ("folder", result["out"]),
    ]
    return Table(f"{result['method']} on {result['dataset']}", ("", ""), rows)


def _params(result: dict[str, Any]) -> Table:
    return Table("found", ("option", "value"), [(key, _text(v)) for key, v in result["best"]["params"].items()])


def _pareto(result: dict[str, Any]) -> list[Table]:
    if not result["pareto"]:
        return []
    rows = [
        (str(trial["number"]), *(f"{value:.4g}" for value in trial["values"]), _values(trial))
        for trial in result["pareto"]
    ]
    return [Table("not beaten in both", ("trial", result["metric"], "seconds", "values"), rows)]


def _values(trial: dict[str, Any]) -> str:
    return ", ".join(f"{key}={_text(value)}" for key, value in trial["params"].items())


def _text(value: object) -> str:
    return number_text(value, 4) if isinstance(value, float) else str(value)


def _score(run: dict[str, Any], part: str) -> str:
    mean, std = run[f"{part}_mean"], run[f"{part}_std"]
    return "none" if mean is None else f"{mean:.4f} ± {std:.4f}" if run["seeds"] > 1 else f"{mean:.4f}"


def _remarks(result: dict[str, Any]) -> list[str]:
    return ["\n".join(f"note: {note}" for note in result["notes"])] if result["notes"] else []


def _arguments(parser: ArgumentParser) -> None:
    add_subject(parser)
    _search_arguments(parser)
    what = parser.add_argument_group("what all trials share, as for `gssl run`")
    add_settings(what, searched=True)
    add = what.add_argument
    add("--seed", metavar="N", type=integer(0), help="seed of the search and its trials (default: 0)")
    add(
        "--seeds",
        metavar="N",
        type=integer(1, MOST_SEEDS),
        default=3,
        help="fresh seeds of the final runs (default: 3)",
    )
    add("--device", metavar="auto|cpu|cuda", type=choice("auto", "cpu", "cuda"), default="auto")
    add("--db", metavar="URL", help="results store of the final runs (default: as for `gssl run`)")
    add_json(parser)


def _search_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("search").add_argument
    add("--trials", metavar="N", type=integer(1), required=True, help="trials that the study is to have in the end")
    add("--workers", metavar="N", type=integer(1), default=1, help="local processes (default: 1)")
    add("--threads", metavar="N", type=threads, default=1, help="threads of one operation in each (default: 1); "
        "part of what a study is, as they may decide last bits")  # fmt: skip
    add("--timeout", metavar="S", type=positive, help="seconds after which no trial begins")
    add("--space", metavar="FILE", type=Path, help="parameters to add, to change or (null) to leave alone, in YAML")
    add("--algorithm", "--sampler-algorithm", metavar="NAME", default="tpe", help="tpe (default), random, gp, cmaes, "
        "nsgaii, nsgaiii or qmc")  # fmt: skip
    add("--pruner", metavar="NAME", default="halving", help="halving (default), hyperband, median or none: ends "
        "trials early by their validation score on the way")  # fmt: skip
    add("--objective", metavar="NAME", default="val", help="val (default), or val,seconds for quality against time")
    add("--storage", metavar="URL", help="sqlite:///FILE, journal:///FILE, postgresql://HOST/NAME or grpc://HOST:PORT "
        "(default: study.db in the folder of the study)")  # fmt: skip
    add("--study", metavar="NAME", help="name of the study (default: METHOD-DATASET)")
    add("--out", metavar="DIR", type=Path, help="folder of preset, pictures, trials and final runs "
        "(default: tune-NAME in $GSSL_RUNS or ./runs)")  # fmt: skip


COMMAND = Command(
    "tune",
    "search for better settings on validation items, judge them on fresh seeds",
    _EXAMPLES,
    _arguments,
    run,
    trains=True,
)
