"""Memory and time of a training step as the graph grows: BGRL by MVS on R-MAT graphs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from statistics import median

from gssl.benchmarks.perf.footprint import Case, Footprint, train
from gssl.benchmarks.perf.graphs import store_rmat
from gssl.benchmarks.perf.machine import describe
from gssl.benchmarks.perf.measure import in_fresh_process
from gssl.benchmarks.perf.result import Measured, PerfResult, compare
from gssl.common.options import Positive, PositiveInt

_MIB = 2**20
_GIB = 2**30
# ogbn-papers100M (Hu et al., 2020, arXiv:2005.00687): its edges as they are, which is one direction.
_PAPERS_NODES, _PAPERS_EDGES = 111_059_956, 1_615_685_872


def run(
    *,
    nodes: tuple[PositiveInt, ...] = (250_000, 1_000_000, 4_000_000),
    degree: Positive = 20.0,
    features: PositiveInt = 128,
    hidden: PositiveInt = 128,
    batch_size: PositiveInt = 1024,
    pool: PositiveInt = 32_768,
    checkpoint_every: PositiveInt = 20,
    checkpoint_batch: PositiveInt = 4096,
    repeats: PositiveInt = 60,
    threads: PositiveInt = 1,
) -> PerfResult:
    """Training BGRL by MVS on R-MAT graphs of growing size: resident memory, and time of a step.

    ``ours`` is a step on the largest graph, the peers are the same on the smaller ones, so a ratio of 1 is a step
    whose cost does not depend on the graph. ``memory`` is the peak of the process without what it must hold: the
    libraries, graph, features and history. Each size runs in a process of its own, once with norms learnt on line
    (the headline) and once with checkpoints of ``pool`` nodes in pieces, whose cost stands apart. Features are normal
    noise, ids are shuffled, the history is bfloat16, the encoder a GCN of two layers.

    Args:
        nodes: of each graph, rising.
        degree: mean number of neighbors.
        features: of a node.
        hidden: width of both layers.
        batch_size: targets of a batch.
        pool: size of V_S, the nodes that a checkpoint measures.
        checkpoint_every: batches between checkpoints.
        checkpoint_batch: nodes of a piece of a checkpoint.
        repeats: measured steps.
        threads: of each process.
    """
    online: list[Footprint] = []
    published: list[Footprint] = []
    for size in nodes:
        with tempfile.TemporaryDirectory(prefix="gssl-perf-") as folder:
            in_fresh_process(store_rmat, folder, size, degree)
            case = partial(Case, folder, features, hidden, batch_size, repeats)
            for found, options in (
                (online, {"norms": "online"}),
                (
                    published,
                    {
                        "gamma": max(min(pool, size), batch_size) / size,
                        "checkpoint_every": checkpoint_every,
                        "checkpoint_batch": checkpoint_batch,
                    },
                ),
            ):
                found.append(in_fresh_process(train, case(options=options), threads))
    *smaller, largest = [Measured(f"{f.nodes} nodes", f.steps, f.rest / _MIB) for f in online]
    figures = described("online", online) | described("checkpoint", published)
    return compare(
        "memory",
        largest,
        smaller,
        absent={},
        figures=figures | {f"papers100M_{key}": value for key, value in extrapolated(online).items()},
        config={
            "nodes": str(list(nodes)),
            "degree": degree,
            "features": features,
            "hidden": hidden,
            "batch_size": batch_size,
            "pool": pool,
            "checkpoint_every": checkpoint_every,
            "checkpoint_batch": checkpoint_batch,
            "repeats": repeats,
            "threads": threads,
        },
        environment=describe(threads),
    )


def described(name: str, found: list[Footprint]) -> dict[str, float | str]:
    """The figures of one variant: one for each size, and how the largest compares with the smallest."""
    figures: dict[str, float | str] = {}
    for footprint in found:
        figures |= {f"{name}_{footprint.nodes}_{key}": value for key, value in footprint.figures().items()}
    first, last = found[0], found[-1]
    figures[f"{name}_step_growth"] = median(last.steps) / median(first.steps)
    figures[f"{name}_training_growth"] = median(last.training) / median(first.training)
    figures[f"{name}_rest_growth_mb"] = (last.rest - first.rest) / _MIB
    return figures


def extrapolated(found: list[Footprint]) -> Mapping[str, float | str]:
    """What papers100M would need, from the bytes of a node and of an edge, and the rest's straight line over nodes."""
    first, last = found[0], found[-1]
    slope = max(0.0, (last.rest - first.rest) / (last.nodes - first.nodes)) if last.nodes > first.nodes else 0.0
    per_node = (last.graph - 4 * last.edges) / last.nodes
    graph = 4 * _PAPERS_EDGES + per_node * _PAPERS_NODES
    features = last.features / last.nodes * _PAPERS_NODES
    history = last.history / last.nodes * _PAPERS_NODES
    rest = last.rest + slope * (_PAPERS_NODES - last.nodes)
    total = graph + features + history + rest
    return {
        "graph_gib": graph / _GIB,
        "features_gib": features / _GIB,
        "history_gib": history / _GIB,
        "rest_gib": rest / _GIB,
        "rest_bytes_per_node": slope,
        "total_gib": total / _GIB,
        "statement": (
            f"papers100M ({_PAPERS_NODES:,} nodes, {_PAPERS_EDGES:,} directed edges, 128 features) would need "
            f"{total / _GIB:.0f} GiB: graph {graph / _GIB:.1f}, features {features / _GIB:.1f}, history "
            f"{history / _GIB:.1f}, everything else {rest / _GIB:.1f}; features and history may be memory-mapped, "
            f"which leaves {(graph + rest) / _GIB:.1f} GiB; with every edge in both directions "
            f"{4 * _PAPERS_EDGES / _GIB:.1f} GiB more"
        ),
    }
