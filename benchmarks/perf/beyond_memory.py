"""A graph whose features exceed the memory: import and training within a limit, and what papers100M would need."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from gssl.benchmarks.perf.beyond_graph import BeyondGraph
from gssl.benchmarks.perf.beyond_train import BeyondCase, Made, Trained, import_limited, train_limited
from gssl.benchmarks.perf.machine import describe
from gssl.benchmarks.perf.measure import in_fresh_process
from gssl.benchmarks.perf.result import Measured, PerfResult, compare
from gssl.common.errors import InputError
from gssl.common.options import PositiveInt

_MIB = 2**20
_GIB = 2**30
# ogbn-papers100M (Hu et al., 2020, arXiv:2005.00687): its edges as they are, which is one direction.
_NODES, _EDGES, _DIM = 111_059_956, 1_615_685_872, 128

Named = Literal["graphsage", "labor", "mvs"]


def run(
    *,
    nodes: tuple[PositiveInt, ...] = (1_000_000, 10_000_000),
    degree: PositiveInt = 11,
    features: PositiveInt = 192,
    hidden: PositiveInt = 64,
    batch_size: PositiveInt = 1024,
    samplers: tuple[Named, ...] = ("graphsage", "mvs"),
    repeats: PositiveInt = 20,
    limit_mib: PositiveInt = 3072,
    sort_mib: PositiveInt = 256,
    threads: PositiveInt = 1,
    folder: str = "",
) -> PerfResult:
    """Import and training of a synthetic graph whose features are larger than a limit on the memory.

    A graph of each size is drawn and imported piece by piece, then BGRL trains on it with each sampler, each in a
    process of its own that is kept below the limit: by the control group that the command was started in, if that has
    one (``systemd-run --scope -p MemoryMax=4G gssl perf beyond-memory``), else by ``RLIMIT_DATA`` and by giving back
    pages of files. ``ours`` is a step of the first sampler on the largest graph, the peer the same on the smallest, so
    that a ratio of 1 is a step that does not depend on the graph. ``memory`` is the peak resident memory of training.

    Args:
        nodes: of each graph, rising; features of the last should exceed the limit.
        degree: drawn in-edges of a node, in both directions together.
        features: of a node.
        hidden: width of both layers of the encoder, a GCN.
        batch_size: targets of a batch.
        samplers: that train.
        repeats: measured steps.
        limit_mib: memory that each process may hold.
        sort_mib: memory that sorting edges may take.
        threads: of each process.
        folder: where the graph is kept meanwhile; empty for the system's folder of temporary files.
    """
    limit = limit_mib * _MIB
    if 4 * nodes[-1] * features <= limit:
        raise InputError(
            f"features of {nodes[-1]} nodes take {4 * nodes[-1] * features / _MIB:.0f} MiB, which the limit of "
            f"{limit_mib} MiB holds: raise nodes or features, or lower limit_mib"
        )
    made, trained = list[Made](), list[Trained]()
    for size in nodes:
        graph = BeyondGraph(size, size * degree // 2, features)
        with tempfile.TemporaryDirectory(prefix="gssl-beyond-", dir=folder or None) as place:
            made.append(in_fresh_process(import_limited, graph, place, sort_mib, limit))
            for sampler in samplers:
                case = BeyondCase(place, sampler, hidden, batch_size, repeats, limit)
                trained.append(in_fresh_process(train_limited, case, threads))
                shutil.rmtree(Path(place) / "history", ignore_errors=True)
    first, last = trained[: len(samplers)], trained[-len(samplers) :]
    figures: dict[str, float | str] = {
        "features_mb": last[0].features / _MIB,
        "limit_mb": last[0].limit / _MIB,
        "features_over_limit": last[0].features / last[0].limit,
        "limited_by": last[0].limited_by,
        "why": last[0].why,
    }
    for size, one in zip(nodes, made, strict=True):
        figures |= {f"import_{size}_{key}": value for key, value in _of_import(one).items()}
    for found in trained:
        figures |= {f"{found.sampler}_{found.nodes}_{key}": value for key, value in found.figures().items()}
        figures[f"{found.nodes}_edges"] = float(found.edges)
    return compare(
        "beyond-memory",
        _measured(last[0]),
        [_measured(first[0])] if len(nodes) > 1 else [],
        absent={},
        figures=figures | {f"papers100M_{key}": value for key, value in papers(made, first, last).items()},
        config={
            "nodes": str(list(nodes)),
            "degree": degree,
            "features": features,
            "hidden": hidden,
            "batch_size": batch_size,
            "samplers": str(list(samplers)),
            "repeats": repeats,
            "limit_mib": limit_mib,
            "sort_mib": sort_mib,
            "threads": threads,
        },
        environment=describe(threads),
    )


def papers(made: list[Made], small: list[Trained], large: list[Trained]) -> Mapping[str, float | str]:
    """What papers100M would need, with every edge in both directions: disk by arithmetic, memory by a straight line.

    Args:
        made: imports, of the smallest graph first.
        small, large: trainings on the smallest and on the largest graph, by the same samplers.
    """
    records = 2 * _EDGES
    disk = {
        "features": 4 * _NODES * _DIM,
        "edges": 8 * records,  # int64, for there are more than 2 ** 31 - 1 of them
        "offsets": 8 * (_NODES + 1),
        "labels": 8 * _NODES,
    }
    scratch = 8 * records + 4 * _NODES
    kept = sum(disk.values())
    peak = disk["edges"] + disk["offsets"] + disk["labels"] + max(scratch, disk["features"])
    found: dict[str, float | str] = {f"disk_{key}_gib": value / _GIB for key, value in disk.items()}
    found |= {"disk_scratch_gib": scratch / _GIB, "disk_gib": kept / _GIB, "disk_peak_gib": peak / _GIB}
    found["import_gib"] = (max(one.most for one in made) + 4 * 8 * _NODES) / _GIB  # and labels as they are converted
    told = []
    for one, other in zip(small, large, strict=True):
        rows = (other.nodes - one.nodes) or 1
        slope = max(0.0, (other.most - one.most) / rows)
        own = other.most + slope * (_NODES - other.nodes)
        found |= {f"{one.sampler}_bytes_per_node": slope, f"{one.sampler}_gib": own / _GIB}
        told.append(f"{own / _GIB:.1f} with {one.sampler}")
    found["statement"] = (
        f"papers100M ({_NODES:,} nodes, {_EDGES:,} edges in one direction, {_DIM} features) as an undirected graph "
        f"would take {kept / _GIB:.0f} GiB of disk ({peak / _GIB:.0f} while it is imported), "
        f"{found['import_gib']:.1f} GiB of memory to import and, to train, GiB of memory of its own: "
        f"{', '.join(told)}; pages of files use what else is free"
    )
    return found


def _of_import(made: Made) -> dict[str, float]:
    return {
        "seconds": made.seconds,
        "peak_mb": made.most / _MIB,
        "libraries_mb": made.libraries / _MIB,
        "disk_mb": made.disk / _MIB,
        "scratch_mb": made.scratch / _MIB,
    }


def _measured(found: Trained) -> Measured:
    return Measured(f"{found.sampler}, {found.nodes} nodes", found.steps, found.peak / _MIB)
