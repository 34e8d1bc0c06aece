"""``gssl variance``: what samplers do to the gradient at frozen weights."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gssl.cards.answer import Answer, Table
from gssl.cli.command import Command
from gssl.cli.output import say
from gssl.cli.parser import add_json, choice, integer
from gssl.cli.request import add_problem, add_subject

if TYPE_CHECKING:
    from gssl.variance.measure import SamplerError
    from gssl.variance.moments import Error

_EXAMPLES = (
    "gssl variance supervised ogbn-wordnet --samplers uniform+exact,minvar+exact,mvs --batch-size 512",
    "gssl variance BGRL Cora --samplers graphsage,labor,minvar+adjoint --batch-size 256 --draws 100",
    "gssl variance GRACE Cora --setting auxiliary --samplers graphsage,uniform+exact",
    "gssl variance supervised Cora --samplers graphsage --set sampler.fanouts=[5,5] --plot variance.svg",
)


def run(args: Namespace) -> Answer:
    """Measure and compare."""
    from gssl.common.errors import unknown
    from gssl.config.layer import from_assignments
    from gssl.config.resolve import Request
    from gssl.experiment.prepare import prepare
    from gssl.variance.sampler_errors import VarianceRequest, known_options, sampler_errors

    samplers = tuple(filter(None, (name.strip() for name in args.samplers.split(","))))
    options = tuple(from_assignments(args.set).section("sampler").options.items())
    for key, _ in options:
        if key not in (known := known_options(samplers)):
            raise unknown("option of these samplers", key, known)
    rest = tuple(text for text in args.set if not text.startswith("sampler."))
    asked = Request(
        method=args.method,
        encoder=args.encoder,
        seed=args.seed,
        preset=args.preset,
        assignments=rest,
        task=args.task,
        setting=args.setting,
        labels=args.labels,
    )
    config, dataset = prepare(asked, args.dataset)
    request = VarianceRequest(
        samplers=samplers,
        batch_size=args.batch_size,
        draws=args.draws,
        warmup=args.warmup,
        views=args.views,
        norms=args.norms,
        options=options,
        seed=args.seed,
        device=args.device,
    )
    errors = sampler_errors(request, config, dataset, say=say)
    if args.plot is not None:
        from gssl.variance.plot import draw

        draw(errors, args.plot, title=f"{config.method.name} on {dataset.name}, batches of {args.batch_size}")
    data: dict[str, Any] = {
        "method": config.method.name,
        "dataset": dataset.name,
        "task": config.task.name,
        "setting": config.setting.name,
        "batch_size": args.batch_size,
        "draws": args.draws,
        "warmup": args.warmup,
        "norms": args.norms,
        "config_hash": config.hash,
        "samplers": {name: _mapping(error) for name, error in errors.items()},
    }
    return Answer(data, [_table(errors), _layer_table(errors)])


def _mapping(found: SamplerError) -> dict[str, Any]:
    return {
        **_numbers(found.total),
        "layers": [{"name": name, **_numbers(error)} for name, error in found.layers.items()],
        "embedding": found.embedding,
        "ms_per_batch": found.ms_per_batch,
        "ms_per_step": found.ms_per_step,
        "nodes": found.nodes,
        "edges": found.edges,
        "draws": found.draws,
    }


def _numbers(error: Error) -> dict[str, float]:
    return {**asdict(error), "mse": error.mse}


def _table(errors: dict[str, SamplerError]) -> Table:
    columns = ("sampler", "bias²", "variance", "sum", "embedding error", "ms/batch", "ms/step", "nodes", "edges")
    rows = [
        (
            name,
            f"{e.total.bias2:.4f}",
            f"{e.total.variance:.4f}",
            f"{e.total.mse:.4f}",
            f"{e.embedding[-1]:.2e}",
            f"{e.ms_per_batch:.1f}",
            f"{e.ms_per_step:.1f}",
            f"{e.nodes:.0f}",
            f"{e.edges:.0f}",
        )
        for name, e in errors.items()
    ]
    return Table("error of the gradient, relative to the squared norm of the full one", columns, rows)


def _layer_table(errors: dict[str, SamplerError]) -> Table:
    layers = list(next(iter(errors.values())).layers)
    rows = [
        (name, *(f"{e.layers[layer].bias2:.3f} + {e.layers[layer].variance:.3f}" for layer in layers))
        for name, e in errors.items()
    ]
    return Table("bias² + variance of each part's gradient, relative to its own", ("sampler", *layers), rows)


def _arguments(parser: ArgumentParser) -> None:
    add_subject(parser)
    add = parser.add_argument
    add(
        "--samplers",
        metavar="A,B,C",
        required=True,
        help="samplers (see `gssl list samplers`) or SELECTION+PROPAGATION",
    )
    add("--batch-size", metavar="B", type=integer(1), default=512, help="expected targets in a batch (default: 512)")
    add("--draws", metavar="R", type=integer(2), default=50, help="batches of each sampler (default: 50)")
    add("--warmup", metavar="N", type=integer(0), default=20, help="full-batch steps before freezing (default: 20)")
    add("--views", metavar="V", type=integer(1), default=8, help="draws of the views in the full gradient (default: 8)")
    add(
        "--norms",
        metavar="fresh|own",
        type=choice("fresh", "own"),
        default="fresh",
        help="norms that minvar draws by: those of all items at the frozen weights, or its own (default: fresh)",
    )
    add("--encoder", metavar="NAME", help="name or import path (default: the preset's, or the method's own)")
    add_problem(parser, one_training=True)
    add("--preset", metavar="NAME", help="published settings: a name, or `none` (default: that of the dataset)")
    add(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="one setting, as for `gssl run`; sampler.X goes to every sampler that has the option; may be repeated",
    )
    add("--seed", metavar="N", type=integer(0), default=0, help="decides everything (default: 0)")
    add("--device", metavar="auto|cpu|cuda", type=choice("auto", "cpu", "cuda"), default="auto")
    add("--plot", metavar="FILE", type=Path, help="also draw the table, as SVG or PNG")
    add_json(parser)


COMMAND = Command(
    "variance", "measure what samplers do to the gradient at frozen weights", _EXAMPLES, _arguments, run, trains=True
)
