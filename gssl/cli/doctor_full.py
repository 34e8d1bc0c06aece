"""``gssl doctor --full``: whether a device computes what the CPU does, and how fast."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gssl.cards.answer import Answer, Table
from gssl.cli.output import say
from gssl.cli.parser import integer, positive
from gssl.common.errors import InputError
from gssl.common.launch import require_one_process

if TYPE_CHECKING:
    from gssl.benchmarks.gpu.check import Checked

_CPU_SCALE = 0.001


def add_full(parser: ArgumentParser) -> None:
    """Declare the options of the full check."""
    parser.add_argument("--full", action="store_true", help="compare a device with the CPU, then measure its speed")
    parser.add_argument(
        "--device", metavar="NAME", help="with --full: cuda, cpu (the CPU with itself, small) or auto (the default)"
    )
    parser.add_argument("--out", metavar="DIR", help="with --full: folder of check.json (default: gssl-check)")
    parser.add_argument(
        "--seconds", type=positive, metavar="N", help="with --full: for all parts together (default: 480)"
    )
    parser.add_argument(
        "--scale",
        type=positive,
        metavar="SHARE",
        help="with --full: share of the sizes that figures are measured at (default: 1, and 0.001 on the CPU)",
    )
    parser.add_argument("--parts", metavar="NAMES", help="with --full: some parts only, with commas between them")
    parser.add_argument(
        "--every", type=integer(1), metavar="N", help="with --full: every N-th method, pair and so on, as a trial"
    )


def refuse_without_full(args: Namespace) -> None:
    """Options of the full check mean nothing without it.

    Raises:
        InputError: one was given.
    """
    for name in ("device", "out", "seconds", "scale", "parts", "every"):
        if getattr(args, name) is not None:
            raise InputError(f"--{name} is for the full check: say gssl doctor --full --{name} {getattr(args, name)}")


def run_full(args: Namespace) -> Answer:
    """Carry out the check.

    Raises:
        InputError: no such device, part or size, or a folder that has results already.
    """
    from gssl.benchmarks.gpu.check import USUAL_SECONDS, check
    from gssl.benchmarks.gpu.parts import chosen
    from gssl.benchmarks.gpu.setup import Setup
    from gssl.training.device import resolve_device

    require_one_process(os.environ)
    device = resolve_device(args.device or "auto")
    scale = args.scale or (1.0 if device == "cuda" else _CPU_SCALE)
    if scale > 1:
        raise InputError(f"--scale is a share of the sizes, at most 1 (got {scale:g})")
    setup = Setup(device, scale, args.every or 1)
    checked = check(chosen(args.parts), setup, Path(args.out or "gssl-check"), args.seconds or USUAL_SECONDS, say)
    failure = ""
    if checked.problems:
        failure = f"{len(checked.problems)} of the comparisons with the CPU failed; see {checked.file}"
    return Answer(checked.mapping(), _blocks(checked), failure)


def _blocks(checked: Checked) -> list[Table | str]:
    setup, parts = checked.setup, checked.parts
    title = f"{setup.device} against the CPU, figures at {setup.scale:g} of the full size"
    columns = ("part", "status", "seconds", "as on the CPU", "skipped")
    blocks: list[Table | str] = [Table(title, columns, [_part(part) for part in parts])]
    figures = [figure for part in parts for figure in _list(part["figures"])]
    if figures:
        blocks.append(Table("figures", ("figure", "value", "target", "reached", "is"), [_figure(f) for f in figures]))
    lines = [f"problem: {problem}" for problem in checked.problems] + [f"not had: {r}" for r in checked.remarks]
    blocks.append("\n".join(lines or ["no problems found"]))
    blocks.append(f"everything is in {checked.file}")
    return blocks


def _part(part: Mapping[str, Any]) -> Sequence[str]:
    verdicts = [case["verdict"] for case in _list(part["cases"])]
    compared = len(verdicts) - verdicts.count("skipped")
    same = f"{verdicts.count('same')} of {compared}" if compared else ""
    skipped = str(verdicts.count("skipped") or "")
    return (part["name"], part["status"], f"{part['seconds']:.0f}", same, skipped)


def _figure(figure: Mapping[str, Any]) -> Sequence[str]:
    value = "none" if figure["value"] is None else f"{figure['value']:.3g}"
    unit = {"times": " times", "share": "", "s": " s"}[figure["unit"]]
    bound = f"{'at least' if figure['at_least'] else 'at most'} {figure['target']:g}"
    reached = {True: "yes", False: "no", None: "not judged"}[figure["reached"]]
    return (figure["name"], value + unit, bound, reached, figure["what"])


def _list(value: object) -> list[Mapping[str, Any]]:
    assert isinstance(value, list)
    return value
