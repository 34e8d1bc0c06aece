"""``gssl perf``: speed and memory against peers, as ratios."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gssl.cards.answer import Answer, Table
from gssl.cli.command import Command
from gssl.cli.parser import add_json

if TYPE_CHECKING:
    from gssl.benchmarks.perf.result import Peer, PerfResult, PerfTable

_EXAMPLES = (
    "gssl perf spmm                    message passing against PyG",
    "gssl perf infonce --json          the contrastive loss against the stored matrix, as JSON",
    "gssl perf spmm --set nodes=10000 --set threads=1",
    "gssl perf methods --set 'methods=[DGI, GraphCL]' --set sources=clones",
)


def run(args: Namespace) -> Answer:
    """Run one benchmark."""
    from gssl.benchmarks.perf.registry import BENCHMARKS
    from gssl.benchmarks.perf.result import PerfTable
    from gssl.config.layer import from_assignments
    from gssl.config.options import settled

    name = BENCHMARKS.canonical(args.name)
    benchmark = BENCHMARKS.get(name)
    given = from_assignments(args.set).section("method").options
    result = benchmark(**settled(benchmark, [given], what=f"benchmark {name}"))
    if isinstance(result, PerfTable):
        return Answer(result.mapping(), _of_methods(result))
    return Answer(result.mapping(), [_table(result), *_remarks(result)])


def _of_methods(table: PerfTable) -> list[Table | str]:
    """A row for each peer of each method, and what was left out."""
    rows = [_row(result, peer) for result in table.results for peer in result.peers]
    columns = ("method", "on", "peer", "its ms", "our ms", "times faster", "its MiB", "our MiB", "times smaller")
    lines = [f"{r.name} against {name}: {why}" for r in table.results for name, why in r.absent.items()]
    lines += [f"{name} has no peer here: {why}" for name, why in table.without.items()]
    title = f"a training step of {len(table.results)} methods against {table.compared} peers ({_pairs(table.config)})"
    slower = "slower than " + ", ".join(table.slower) if table.slower else "slower than none"
    return [Table(title, columns, rows), *(["\n".join(lines)] if lines else []), slower]


def _row(result: PerfResult, peer: Peer) -> tuple[str, ...]:
    numbers = (peer.seconds * 1000, result.ours * 1000, peer.ratio, peer.memory_mb, result.ours_memory_mb)
    theirs, ours, ratio, memory, our_memory = numbers
    times = (f"{theirs:.1f}", f"{ours:.1f}", f"{ratio:.2f}")
    sizes = (f"{memory:.0f}", f"{our_memory:.0f}", f"{peer.memory_ratio:.2f}")
    return (result.name, str(result.config["data"]), peer.name, *times, *sizes)


def _table(result: PerfResult) -> Table:
    ours = ("gssl", f"{result.ours * 1000:.1f}", f"{result.ours_memory_mb:.0f}", "", "")
    rows = [
        (
            peer.name,
            f"{peer.seconds * 1000:.1f}",
            f"{peer.memory_mb:.0f}",
            f"{peer.ratio:.2f}",
            f"{peer.memory_ratio:.2f}",
        )
        for peer in result.peers
    ]
    columns = ("", "ms (median)", "peak MiB", "times faster", "times smaller")
    return Table(f"{result.name} ({_pairs(result.config)})", columns, [ours, *rows])


def _remarks(result: PerfResult) -> list[str]:
    lines = [f"{name} is not installed: {reason}" for name, reason in result.absent.items()]
    if result.figures:
        lines.append(_pairs(result.figures))
    return ["\n".join(lines)] if lines else []


def _pairs(values: Mapping[str, object]) -> str:
    shown = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="NAME",
        help="spmm, infonce, grace-step, neighbor, mvs, memory, prefetch, inference, beyond-memory, torchrun, or "
        "methods",
    )
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="a size, repeats or threads; may be repeated"
    )
    add_json(parser)


COMMAND = Command("perf", "measure speed and memory against other libraries", _EXAMPLES, _arguments, run)
