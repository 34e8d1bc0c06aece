"""Keeps what a run measures: files in its folder, rows in the results store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import torch

from gssl.common.errors import InputError, LostProcessError, TrainingError
from gssl.common.files import write_json
from gssl.evaluate.judge import combined_hash
from gssl.experiment.beside import below_untrained
from gssl.experiment.filed import Outcome
from gssl.graph.staleness import overall
from gssl.results.columns import metrics_text
from gssl.results.environment import Environment
from gssl.results.folder import RunFolder, RunIdentity
from gssl.results.seed import SeedMetrics
from gssl.results.store import RunRow, Status, Store
from gssl.results.summary import mean_and_std, summarise
from gssl.settings.problem import Problem
from gssl.tasks.base import AnySplit
from gssl.training.result import mean_or_none, total_or_none


class Record:
    """The results of one run while it is carried out.

    Args:
        run: which run.
        folder: its folder, locked.
        store: where each seed gets a row.
        environment: of this process.
        problem: what is done in it.
        remarks: what should be said of its parts.
        world_size: processes that train together.
    """

    def __init__(
        self,
        run: RunIdentity,
        folder: RunFolder,
        store: Store,
        environment: Environment,
        *,
        problem: Problem,
        remarks: Sequence[str] = (),
        world_size: int = 1,
    ) -> None:
        self.folder = folder
        self._run = run
        self._world_size = world_size
        self._store = store
        self._environment = environment.mapping()
        self._metric = problem.task.metric
        self._probe_version = problem.task.version
        self._notes = (*problem.notes, *remarks)
        self._seed_notes: tuple[str, ...] = ()
        self._seeds: dict[int, SeedMetrics] = {}

    def begin(self, *, resumed: bool) -> None:
        """Identify the folder, or take over what is finished in it."""
        self.folder.sweep()
        if not resumed:
            self.folder.begin(self._run, self._environment)
            return
        former = self.folder.environment()["hash"]
        if former != self._environment["hash"]:
            self._seed_notes = (f"begun in environment {former}, finished in {self._environment['hash']}",)
        for seed in self._run.config.seeds:
            metrics = self.folder.finished_seed(seed)
            if metrics is not None:
                self._seeds[seed] = metrics
                row = self._row(metrics)
                stored = self._store.find(row.key)
                if stored is None or stored.status != "done":  # the process ended between the file and the row
                    self._store.record(row)

    def has(self, seed: int) -> bool:
        """Whether a seed is finished."""
        return seed in self._seeds

    def keep(self, seed: int, outcomes: Sequence[Outcome], splits: Sequence[AnySplit]) -> None:
        """Finish a seed.

        Args:
            seed: which one.
            outcomes: of its trainings.
            splits: what it was judged on.
        """
        scores = [score for outcome in outcomes for score in outcome.scores]
        stale, oldest = overall(row for o in outcomes for record in o.trained.curve for row in record.history)
        metrics = SeedMetrics(
            seed=seed,
            val=mean_and_std([score.val for score in scores])[0],
            test=mean_and_std([score.test for score in scores])[0],
            splits=tuple(scores),
            split_hash=_hash(splits),
            epochs=max(outcome.trained.epochs for outcome in outcomes),
            pretrain_seconds=sum(outcome.trained.seconds for outcome in outcomes),
            seconds_per_epoch=max(outcome.trained.seconds_per_epoch for outcome in outcomes),
            probe_seconds=sum(outcome.probe_seconds for outcome in outcomes),
            peak_memory_mb=max(outcome.trained.peak_memory_mb for outcome in outcomes),
            environment=self._environment,
            date=_now(),
            notes=(*self._seed_notes, *dict.fromkeys(note for outcome in outcomes for note in outcome.warnings)),
            empty_draws=sum(outcome.trained.empty_draws for outcome in outcomes),
            staleness_mean=stale,
            staleness_max=oldest,
            pretrain_cpu_seconds=total_or_none(outcome.trained.cpu_seconds for outcome in outcomes),
            load=mean_or_none(outcome.trained.load for outcome in outcomes if outcome.trained.epochs),
        )
        write_json(self.folder.seed(seed) / "metrics.json", metrics.mapping())
        self._seeds[seed] = metrics
        self._store.record(self._row(metrics))

    @contextmanager
    def failures(self, seed: int, splits: Sequence[AnySplit]) -> Iterator[None]:
        """A seed that fails gets a row that says why.

        Raises:
            TrainingError: the memory ran out.
        """
        try:
            yield
        except (InputError, LostProcessError):  # the surroundings are at fault: the seed can be resumed
            raise
        except Exception as error:
            memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
            advice = "; a smaller encoder.hidden_dim or --batch-size needs less" if memory else ""
            kind = "" if isinstance(error, TrainingError) else f"{type(error).__name__}: "
            message = f"{kind}{error}{advice}"
            empty = SeedMetrics(seed, None, None, (), _hash(splits), 0, 0.0, 0.0, 0.0, 0.0, self._environment, _now())
            self._store.record(self._row(empty, status="failed", message=message))
            if memory:
                raise TrainingError(message) from error
            raise

    def finish(self) -> dict[str, Any]:
        """The result of the run, which is then a finished one."""
        config = self._run.config
        seeds = [self._seeds[seed] for seed in config.seeds]
        beside = below_untrained(self._store, [self._row(metrics) for metrics in seeds])
        result = summarise(
            config,
            seeds,
            metric=self._metric,
            probe_version=self._probe_version,
            notes=(*self._notes, *beside),
            world_size=self._world_size,
        )
        result["run_dir"] = str(self.folder.path.resolve())
        self.folder.finish(result)
        return result

    def _row(self, seed: SeedMetrics, *, status: Status = "done", message: str = "") -> RunRow:
        config, environment = self._run.config, seed.environment
        return RunRow(
            method=config.method.name,
            config_hash=config.hash,
            dataset=config.dataset,
            dataset_checksum=self._run.dataset_checksum,
            split_hash=seed.split_hash,
            probe=config.probe.name,
            probe_version=self._probe_version,
            seed=seed.seed,
            environment_hash=environment["hash"],
            status=status,
            metric=self._metric,
            val=seed.val,
            test=seed.test,
            epochs=seed.epochs,
            pretrain_seconds=seed.pretrain_seconds,
            probe_seconds=seed.probe_seconds,
            peak_memory_mb=seed.peak_memory_mb,
            encoder=config.encoder.name,
            sampler=config.sampler.name,
            preset=config.preset or "",
            run_dir=str(self.folder.path.resolve()),
            date=seed.date,
            git_hash=environment["git_hash"] + ("+" if environment["git_dirty"] else ""),
            config=json.dumps(config.mapping()),
            environment=json.dumps(environment),
            message=message,
            task=config.task.name,
            setting=config.setting.name,
            metrics=metrics_text(seed.metrics(self._metric)),
            pretrain_cpu_seconds=seed.pretrain_cpu_seconds,
            load=seed.load,
        )


def _hash(splits: Sequence[AnySplit]) -> str:
    return combined_hash(splits) if splits else ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
