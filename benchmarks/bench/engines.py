"""Where cells are worked on at the same time: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import sqlalchemy as sa

from gssl.benchmarks.bench.cell import Cell
from gssl.benchmarks.bench.cluster import Sight, require_all_see, require_seen, said, shown_to_nodes
from gssl.benchmarks.bench.gpus import gpus_of
from gssl.benchmarks.bench.process import Processes
from gssl.benchmarks.bench.work import Done, Worker
from gssl.common.errors import InputError, TrainingError
from gssl.results.cells import Cells
from gssl.results.database import PATIENCE_SECONDS
from gssl.results.places import runs_root
from gssl.results.store import Store


class Engine(Protocol):
    """Works on cells and says what became of each, in the order in which they end.

    Attributes:
        here: whether on this machine.
    """

    here: ClassVar[bool]

    def __call__(self, worker: Worker, cells: Sequence[Cell]) -> Iterator[Done]: ...


@dataclass(frozen=True)
class Local:
    """Processes on this machine, each watched by a thread of joblib.

    Attributes:
        workers: cells at the same time.
    """

    here: ClassVar[bool] = True
    workers: int

    def __call__(self, worker: Worker, cells: Sequence[Cell]) -> Iterator[Done]:
        from joblib import Parallel, delayed

        pool = Parallel(self.workers, backend="threading", batch_size=1, return_as="generator_unordered")
        yield from pool(delayed(worker)(cell) for cell in cells)


@dataclass(frozen=True)
class Ray:
    """A Ray cluster: the one at ``$RAY_ADDRESS``, or one that is started on this machine.

    Each cell asks for the processors and accelerators of its budget, and for one GPU where it computes on CUDA and the
    budget says nothing of them. Every node must see the same store, folder of
    runs, data and plug-ins; that is checked on each before the first cell, and with every cell.

    Attributes:
        workers: processors of a cluster that is started here.
    """

    here: ClassVar[bool] = False
    workers: int

    def __post_init__(self) -> None:
        _ray()  # a missing package is said before anything begins

    def __call__(self, worker: Worker, cells: Sequence[Cell]) -> Iterator[Done]:
        ray = _ray()
        self._begin(ray, cells, worker.device)
        with shown_to_nodes(_absolute(worker.db), cells) as sight:
            require_all_see(ray, sight)
            yield from self._results(ray, worker, cells, sight)

    def _results(self, ray: Any, worker: Worker, cells: Sequence[Cell], sight: Sight) -> Iterator[Done]:
        remote, available = ray.remote(_remote_cell), ray.cluster_resources().get("GPU", 0.0)
        waiting = [
            remote.options(
                num_cpus=cell.budget.cpus, num_gpus=gpus_of(cell, worker.device, available), max_retries=3
            ).remote(cell, sight, worker.device, worker.threads)
            for cell in cells
        ]
        try:
            while waiting and not worker.stopping():
                ready, waiting = ray.wait(waiting, timeout=1.0)
                yield from ray.get(ready)
        except ray.exceptions.RayTaskError as error:
            raise said(error) from error
        except ray.exceptions.RayError as error:
            raise TrainingError(f"the Ray cluster lost a cell ({error}); the same command goes on") from error
        finally:
            for task in waiting:
                ray.cancel(task, force=True)

    def _begin(self, ray: Any, cells: Sequence[Cell], device: str) -> None:
        """Connect, and see to it that every cell can be placed.

        Raises:
            InputError: there is no cluster, or a cell asks for more than it has.
        """
        if not ray.is_initialized():
            try:
                ray.init(
                    **_resources(self.workers),
                    runtime_env={"env_vars": _environment()},
                    log_to_driver=False,
                    configure_logging=False,
                )
            except (ConnectionError, RuntimeError) as error:
                raise InputError(f"no Ray cluster can be reached or started ({error}); change RAY_ADDRESS") from error
        there = ray.cluster_resources()
        gpus = max(gpus_of(cell, device, there.get("GPU", 0.0)) for cell in cells)
        for name, wanted in (("CPU", max(c.budget.cpus for c in cells)), ("GPU", gpus)):
            if wanted > there.get(name, 0.0):
                raise InputError(
                    f"a cell asks for {wanted:g} {name}, but the Ray cluster has {there.get(name, 0.0):g}; lower the "
                    "budget of the suite, raise --workers, or join a larger cluster with RAY_ADDRESS"
                )


ENGINES: dict[str, type[Local] | type[Ray]] = {"local": Local, "ray": Ray}


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise InputError("--engine ray needs the package ray: pip install 'gssl[ray]'") from None
    return ray


def _environment() -> dict[str, str]:
    """Variables of the workers: where data and runs are, and where this process finds its modules."""
    kept = {name: os.environ[name] for name in ("GSSL_DATA", "GSSL_MIRROR") if os.environ.get(name)}
    path = os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH"))))
    return {**kept, "GSSL_RUNS": str(runs_root().absolute()), "PYTHONPATH": path}


def _absolute(db: str) -> str:
    """A database URL that means the same in another working folder."""
    url = sa.make_url(db)
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":", "file:")):
        return db
    return url.set(database=str(Path(url.database).absolute())).render_as_string(hide_password=False)


def _resources(workers: int) -> dict[str, Any]:
    return {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers, "include_dashboard": False}


def _remote_cell(cell: Cell, sight: Sight, device: str, threads: int) -> Done:
    """The same work on a node of the cluster."""
    require_seen(sight)
    with Store(sight.db, patience=PATIENCE_SECONDS) as store:
        return Worker(Cells(store), Processes(), sight.db, device, threads)(cell)
