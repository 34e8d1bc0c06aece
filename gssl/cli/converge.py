"""``gssl converge``: train with several samplers, and compare at equal steps and at equal seconds."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gssl.cards.answer import Answer, Table
from gssl.cards.texts import number_text
from gssl.cli.command import Command
from gssl.cli.output import say
from gssl.cli.parser import add_json, choice, integer, positive
from gssl.cli.request import add_problem, add_subject
from gssl.common.seeds import MOST_SEEDS

if TYPE_CHECKING:
    from gssl.convergence.comparison import SamplerChoice, SamplerComparison
    from gssl.convergence.summary import By, Candidate

_EXAMPLES = (
    "gssl converge supervised Cora --samplers full,graphsage,minvar+adjoint --batch-size 64 --seconds 5",
    "gssl converge BGRL CS --sampler graphsage fanouts=[5,5] --sampler minvar+adjoint --lr 0.001,0.01 --seeds 3",
    "gssl converge supervised Cora --samplers full,graphsage --batch-size 64 --gradient-error --plot curves.svg",
    "gssl converge MaskGAE Cora --task link --samplers full,clustergcn --batch-size 512",
    "gssl converge GRACE Cora --samplers graphsage,labor --batch-size 128,512 --epochs 20 --seconds 1",
    "gssl converge GRACE Cora --samplers graphsage,mvs --batch-size 256 --out trainings.jsonl",
)


def run(args: Namespace) -> Answer:
    """Train, observe, compare."""
    from gssl.common.errors import TrainingError
    from gssl.convergence.comparison import trainings
    from gssl.convergence.plot import check, draw
    from gssl.convergence.summary import candidates, chosen

    comparison = _comparison(args)
    if args.plot is not None:
        check(args.plot)
    found = list(trainings(comparison, args.out, say))
    if all(training.error for training in found):
        raise TrainingError(f"every training ended early; the first: {found[0].error}")
    if args.plot is not None:
        draw(found, args.plot, title=f"{found[0].method} on {found[0].dataset}")
    every = candidates(found)
    length = f"{args.steps} steps" if args.epochs is None else f"{args.epochs} epochs"
    data: dict[str, Any] = {
        "method": found[0].method,
        "dataset": found[0].dataset,
        "task": found[0].task,
        "setting": found[0].setting,
        "metric": found[0].metric,
        "seconds": args.seconds,
        "steps": args.steps,
        "epochs": args.epochs,
        "clock": args.clock,
        "seeds": args.seeds,
        "settings": [asdict(setting) for setting in every],
        "best_at_seconds": [asdict(setting) for setting in chosen(every, "seconds")],
        "best_at_steps": [asdict(setting) for setting in chosen(every, "steps")],
        "trainings": [t.model_dump(mode="json", exclude={"config", "environment"}) for t in found],
    }
    return Answer(
        data,
        [
            _table(chosen(every, "seconds"), "seconds", f"best validation score within {args.seconds:g} s"),
            _table(chosen(every, "steps"), "steps", f"best validation score within {length}"),
        ],
    )


def _comparison(args: Namespace) -> SamplerComparison:
    from gssl.common.seeds import seed_range
    from gssl.config.resolve import Request
    from gssl.convergence.comparison import SamplerComparison
    from gssl.convergence.watch import ObservationPlan

    return SamplerComparison(
        base=Request(
            method=args.method,
            encoder=args.encoder,
            probe=args.probe,
            preset=args.preset,
            assignments=tuple(args.set),
            task=args.task,
            setting=args.setting,
            labels=args.labels,
        ),
        data=args.dataset,
        samplers=_samplers(args),
        batch_sizes=_numbers(args.batch_size, "--batch-size", int),
        rates=_numbers(args.lr, "--lr", float),
        seeds=seed_range(args.seed, args.seeds),
        plan=ObservationPlan(args.seconds, args.steps, args.points, args.clock),
        gradient_error=args.gradient_error,
        probe_items=args.probe_items,
        epochs=args.epochs,
        device=args.device,
    )


def _samplers(args: Namespace) -> tuple[SamplerChoice, ...]:
    from gssl.common.errors import InputError
    from gssl.convergence.comparison import SamplerChoice

    plain = filter(None, (name.strip() for name in args.samplers.split(",")))
    found = [SamplerChoice(name) for name in plain]
    found += [SamplerChoice(name, tuple(options)) for name, *options in args.sampler]
    if not found:
        raise InputError("there is nothing to compare; name samplers with --samplers A,B or --sampler A KEY=VALUE")
    return tuple(found)


def _numbers(text: str, flag: str, kind: type[int] | type[float]) -> tuple[Any, ...]:
    from gssl.common.errors import InputError

    try:
        values = tuple(kind(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(0 < value < float("inf") for value in values):
        raise InputError(f"{flag} takes positive numbers with commas between them (got {text!r})")
    return values


def _table(rows: list[Candidate], by: By, title: str) -> Table:
    columns = ("sampler", "batch", "lr", "validation", "steps/s", "failed")
    return Table(
        title,
        columns,
        [
            (
                s.sampler,
                str(s.batch_size),
                number_text(s.lr),
                str(s.score(by) or "none"),
                f"{s.steps_per_second:.1f}",
                str(s.failed),
            )
            for s in rows
        ],
    )


def _arguments(parser: ArgumentParser) -> None:
    add_subject(parser)
    what = parser.add_argument_group("what is compared")
    add = what.add_argument
    add("--samplers", metavar="A,B,C", default="", help="samplers (see `gssl list samplers`), as they are")
    add(
        "--sampler",
        metavar=("NAME", "KEY=VALUE"),
        nargs="+",
        action="append",
        default=[],
        help="one sampler with options of its own; may be repeated",
    )
    add("--batch-size", metavar="B,...", default="512", help="expected targets in a batch (default: 512)")
    add("--lr", metavar="LR,...", default="0.001,0.01", help="learning rates, constant (default: 0.001,0.01)")
    add("--seeds", metavar="N", type=integer(1, MOST_SEEDS), default=1, help="repetitions of each (default: 1)")
    add("--seed", metavar="N", type=integer(0), default=0, help="the first (default: 0)")
    add("--encoder", metavar="NAME", help="name or import path (default: the preset's, or the method's own)")
    add(
        "--probe",
        metavar="NAME",
        help="protocol that gives the validation score (default: the dataset's, or the task's)",
    )
    add_problem(what, one_training=True)
    add("--preset", metavar="NAME", help="published settings: a name, or `none` (default: that of the dataset)")
    add(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="one setting of every training, as for `gssl run`; may be repeated",
    )
    how = parser.add_argument_group("how long, and what is kept")
    add = how.add_argument
    add("--seconds", metavar="S", type=positive, default=30.0, help="equal time, without observing (default: 30)")
    lengths = how.add_mutually_exclusive_group()
    lengths.add_argument(
        "--steps", metavar="N", type=integer(1), default=300, help="equal number of updates (default: 300)"
    )
    lengths.add_argument(
        "--epochs", metavar="N", type=integer(1), help="equal number of passes over the data, in place of updates"
    )
    add("--points", metavar="N", type=integer(1), default=6, help="observations in each of the two (default: 6)")
    add(
        "--clock",
        metavar="wall|cpu",
        type=choice("wall", "cpu"),
        default="wall",
        help="what seconds are of; cpu is the computing time of all threads, for a machine that does other work too",
    )
    add("--device", metavar="auto|cpu|cuda", type=choice("auto", "cpu", "cuda"), default="auto")
    add("--gradient-error", action="store_true", help="also the error of the gradient at each observation")
    add(
        "--probe-items",
        metavar="N",
        type=integer(1),
        help="the probe takes at most so many random training and validation items (default: all)",
    )
    add("--out", metavar="FILE", type=Path, help="keep every training here; what it holds already is not repeated")
    add("--plot", metavar="FILE", type=Path, help="draw the curves, as SVG or PNG")
    add_json(parser)


COMMAND = Command(
    "converge",
    "train with several samplers, compare at equal steps and seconds",
    _EXAMPLES,
    _arguments,
    run,
    trains=True,
)
