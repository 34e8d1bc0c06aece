"""Training on a graph whose features exceed a limit on the memory, and what the process holds meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from gssl.benchmarks.perf.beyond_graph import BeyondGraph, make
from gssl.benchmarks.perf.footprint import Stopwatch
from gssl.benchmarks.perf.limits import Held, held, limited
from gssl.datasets.imported.manifest import read_manifest
from gssl.datasets.imported.read import mapped_dataset
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.samplers.named import graphsage, labor, mvs
from gssl.samplers.pair import PairSampler
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain
from gssl.training.memory import PeakMemory

_WARM = 5  # steps


@dataclass(frozen=True)
class BeyondCase:
    """One training.

    Attributes:
        folder: holds ``graph/``, and takes the files of a history.
        sampler: ``graphsage`` or ``labor`` with fan-outs 10 and 5, or ``mvs`` with a history in files.
        hidden: width of both layers.
        batch_size: targets of a batch.
        repeats: measured steps.
        limit: bytes of memory.
    """

    folder: str
    sampler: str
    hidden: int
    batch_size: int
    repeats: int
    limit: int


@dataclass(frozen=True)
class Trained:
    """What it took. Memory in bytes, times in seconds.

    Attributes:
        sampler: of the training.
        nodes, edges: of the graph.
        features: bytes of the features.
        libraries: own memory before the graph was opened.
        first, last, most: own memory after the first measured step, after the last, and the largest after any.
        files: largest resident pages of files after a step.
        peak: largest resident memory of the process at any time, with pages of files.
        reclaimed: how often pages of files were given back.
        limited_by, limit, why: how the memory was limited.
        steps: seconds of each measured step.
        rows: nodes of a batch, mean.
    """

    sampler: str
    nodes: int
    edges: int
    features: int
    libraries: int
    first: int
    last: int
    most: int
    files: int
    peak: int
    reclaimed: int
    limited_by: str
    limit: int
    why: str
    steps: tuple[float, ...]
    rows: float

    def figures(self) -> dict[str, float | str]:
        """For the result file; MiB and milliseconds."""
        sizes = ("libraries", "first", "last", "most", "files", "peak")
        found: dict[str, float | str] = {f"{name}_mb": getattr(self, name) / 2**20 for name in sizes}
        return found | {
            "growth_mb": (self.last - self.first) / 2**20,
            "step_milliseconds": 1e3 * median(self.steps),
            "rows_per_batch": self.rows,
            "reclaimed": self.reclaimed,
        }


@dataclass(frozen=True)
class Made:
    """What an import took: bytes and seconds."""

    seconds: float
    most: int
    libraries: int
    disk: int
    scratch: int


def import_limited(graph: BeyondGraph, folder: str, memory_mib: int, limit: int) -> Made:
    """Draw and import a graph within a limit. Call it in a fresh process."""
    torch.set_num_threads(1)
    limited(limit)
    before, meter, started = held().own, PeakMemory(torch.device("cpu")), time.perf_counter()
    done = make(graph, folder, memory_mib)
    disk = sum(int(file["bytes"]) for file in done.manifest.files.values())
    scratch = 2 * graph.pairs * 8
    return Made(time.perf_counter() - started, int(meter.mib() * 2**20), before, disk, scratch)


def train_limited(case: BeyondCase, threads: int) -> Trained:
    """Train BGRL for some steps within a limit. Call it in a fresh process."""
    torch.set_num_threads(threads)
    limit = limited(case.limit)
    libraries = held().own
    folder = Path(case.folder) / "graph"
    graph = mapped_dataset(folder, read_manifest(folder)).graph
    torch.manual_seed(0)
    method = BGRL(GCN(graph.in_dim, hidden_dim=case.hidden))
    watch = Stopwatch(_sampler(case, graph))
    mapped = (dense_features(graph.x), graph.block.pattern.col)
    meter, seen, reclaimed = PeakMemory(torch.device("cpu")), list[Held](), 0

    def observe(loss: float) -> bool:
        nonlocal reclaimed
        seen.append(held())
        reclaimed += limit.keep(*mapped)
        return len(seen) > _WARM + case.repeats

    pretrain(method, watch, TrainConfig(epochs=1_000_000), seed=0, watch=observe)
    kept = seen[_WARM:]
    return Trained(
        sampler=case.sampler,
        nodes=graph.num_nodes,
        edges=graph.num_edges,
        features=4 * graph.num_nodes * graph.in_dim,
        libraries=libraries,
        first=kept[0].own,
        last=kept[-1].own,
        most=max(step.own for step in kept),
        files=max(step.files for step in seen),
        peak=int(meter.mib() * 2**20),
        reclaimed=reclaimed,
        limited_by=limit.by,
        limit=limit.bytes,
        why=limit.why,
        steps=tuple(watch.steps[_WARM:]),
        rows=sum(watch.nodes) / len(watch.nodes),
    )


def _sampler(case: BeyondCase, graph: Graph) -> PairSampler:
    given = {"num_layers": 2, "batch_size": case.batch_size, "seed": 0}
    if case.sampler == "mvs":  # its rows of every node and layer are in files, too
        files = {"history_storage": "mmap", "history_folder": Path(case.folder) / "history"}
        return mvs(graph, norms="online", history_precision="bfloat16", **files, **given)
    return {"graphsage": graphsage, "labor": labor}[case.sampler](graph, fanouts=(10, 5), **given)
