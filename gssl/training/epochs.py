"""The end of an epoch: its record, and the weights that are kept if they are the best."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from gssl.training.clock import Mark, load_average
from gssl.training.finite import TOGETHER, settle
from gssl.training.parallel import require_same_weights
from gssl.training.result import EpochRecord
from gssl.training.state import Best, Position, TrainingRun


def close_epoch(run: TrainingRun, validate: Callable[[], float] | None) -> tuple[EpochRecord, ...]:
    """Book the epoch, keep its weights if they are the best, and move to the next.

    An epoch of one batch on a device is over before its loss is known, and asking for that would make the host wait at
    each step. Where nothing depends on it, the losses of some epochs are asked for together; their wall and CPU time is
    known together, too, and each gets an equal share.

    Returns:
        The records that are complete now, in order; none where later ones will be complete with this.
    """
    postponed = _may_be_told_later(run, validate)
    if not postponed:
        mark = Mark.now()
        settle(run)
        run.position.spend(mark)
    score = None
    if validate is not None:
        run.method.eval()
        score = run.group.first(validate)
    require_same_weights(run.method, run.group, run.position.epoch)
    done = run.position
    record = EpochRecord(
        done.epoch,
        math.nan if postponed else done.loss_sum / done.batches,
        done.lr,
        done.seconds,
        score,
        run.reads.report(),
        run.sampler.empty_draws - run.empty_before,
        run.group.total(done.cpu_seconds)[0],
        load_average(),
    )
    run.curve.append(record)
    run.position = Position(epoch=done.epoch + 1)
    if postponed:
        run.untold = len(run.curve) - 1 if run.untold is None else run.untold
        return ()
    told = _share_time(run)
    if validate is None and run.config.patience is None:
        return told
    criterion = record.loss if score is None else -score
    if run.best is None or criterion < run.best.score:
        run.best = Best.copy_of(run.method, done.epoch, criterion)
    return told


def _may_be_told_later(run: TrainingRun, validate: Callable[[], float] | None) -> bool:
    """Whether the loss of the epoch may stay on the device for now. The first one is what others are compared with."""
    position, config = run.position, run.config
    return (
        len(run.unseen) in range(1, TOGETHER)
        and position.batches == 1
        and 0 < position.epoch < config.epochs - 1
        and validate is None
        and config.patience is None
        and not run.watched_enough
    )


def _share_time(run: TrainingRun) -> tuple[EpochRecord, ...]:
    """The records since the last that were complete, which had to wait for each other."""
    first = run.untold if run.untold is not None else len(run.curve) - 1
    run.untold = None
    group = run.curve[first:]
    if len(group) > 1:
        seconds = sum(record.seconds for record in group) / len(group)
        cpu_seconds = sum(record.cpu_seconds or 0.0 for record in group) / len(group)
        group = [replace(record, seconds=seconds, cpu_seconds=cpu_seconds) for record in group]
        run.curve[first:] = group
    return tuple(group)
