"""The training loop: one for full graphs, for batches of graphs and for sampled batches."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from gssl.common.errors import InputError, TrainingError
from gssl.graph.batch import MiniBatch
from gssl.graph.gpu.aggregate import unfused
from gssl.graph.staleness import StalenessLog
from gssl.method import Method, Player, scalar
from gssl.samplers.base import Sampler
from gssl.training.budget import check_memory
from gssl.training.checkpoint import load_checkpoint, save_checkpoint
from gssl.training.clock import Mark
from gssl.training.config import TrainConfig
from gssl.training.device import float32_products, make_optimizer, resolve_device
from gssl.training.embed import over_items
from gssl.training.epochs import close_epoch
from gssl.training.finite import see, settle
from gssl.training.group import ALONE, Group
from gssl.training.loss_scale import LossScale
from gssl.training.memory import PeakMemory
from gssl.training.norms import GradientNorms
from gssl.training.parallel import (
    build_shared_fabric,
    reducer,
    shared_sampler,
)
from gssl.training.progress import Progress, Quiet
from gssl.training.result import TrainResult, mean_or_none, total_or_none
from gssl.training.saver import Saver
from gssl.training.schedule import rate_factor
from gssl.training.signals import DeferredSignals
from gssl.training.state import TrainingRun, Turn
from gssl.training.streams import start_streams

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def pretrain(
    method: Method,
    sampler: Sampler,
    config: TrainConfig,
    *,
    seed: int,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    config_key: str = "",
    validate: Callable[[], float] | None = None,
    watch: Callable[[float], bool] | None = None,
    group: Group = ALONE,
) -> TrainResult:
    """Train a method in place.

    Each epoch starts its random streams anew from ``seed`` and its own number, so a run that was interrupted and
    resumed ends with the same bits. Gradients add up over batches whose ``step`` is false. The method ends in
    evaluation mode, on the device that it was trained on.

    Args:
        method: what to train; only parameters that require gradients are updated. With ``trains = False`` no epoch
            is run.
        sampler: where batches come from.
        config: epochs, optimizer, schedule and so on.
        seed: seed of augmentation, dropout and noise.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoint: file to resume from if it exists, and to write every ``config.checkpoint_seconds``, at the end,
            and on SIGINT or SIGTERM (after the update under way; a second signal does not wait).
        progress: display; None shows nothing.
        config_key: hash of the whole configuration; a checkpoint with another one is refused.
        validate: score of the weights after an epoch, higher is better. It replaces the loss as criterion of
            early stopping, and the weights of the best epoch are kept even without patience.
        watch: called before every update with the loss of its last batch, while gradients are those of the update
            and weights those before it; training ends without the update if it returns true.
        group: the processes that train together. Each calls this with the same arguments, but ``checkpoint`` and
            ``progress`` are for the first alone, which also validates; what it finds, all of them have.

    Returns:
        The curve and its summary.

    Raises:
        InputError: no such device, nothing to train, a sampler that the method cannot use, or a checkpoint that
            cannot be used.
        TrainingError: the loss or the gradient is not finite, or the loss exploded.
        KeyboardInterrupt: SIGINT, after the checkpoint was written.
        Interrupted: SIGTERM, after the checkpoint was written.
    """
    if not (config.epochs and method.trains):
        return _untrained(method, device, checkpoint, config_key)
    run = _prepare(method, sampler, config, seed, device, group)
    run.restore(group.first(lambda: load_checkpoint(checkpoint, config_key=config_key) if checkpoint else None))
    memory = PeakMemory(run.device)
    display = progress or Quiet()
    display.start(config.epochs, run.position.epoch)
    several = group.world > 1
    try:
        tf32 = float32_products(run.device, tf32=config.tf32)
        with tf32, DeferredSignals(active=several or checkpoint is not None, impatient=not several) as signals:
            saver = Saver(run, signals, checkpoint, config_key)
            while run.position.epoch < config.epochs and not run.exhausted:
                _epoch(run, saver, watch)
                for record in close_epoch(run, validate):
                    display.epoch(record)
                saver.between_updates(ends_epoch=True)
            saver.save()
    finally:
        display.stop()
    if run.best is not None:
        method.load_state_dict(run.best.weights)
    method.eval()
    seconds = [record.seconds for record in run.curve]
    return TrainResult(
        curve=tuple(run.curve),
        seconds=sum(seconds),
        seconds_per_epoch=statistics.median(seconds) if seconds else 0.0,
        peak_memory_mb=group.most(memory.mib())[0],
        stopped_early=run.exhausted and len(run.curve) < config.epochs,
        best_epoch=None if run.best is None else run.best.epoch,
        cpu_seconds=total_or_none([record.cpu_seconds for record in run.curve]),
        load=mean_or_none([record.load for record in run.curve]),
        notes=_notes(sampler, run.device),
    )


def _notes(sampler: Sampler, device: torch.device) -> tuple[str, ...]:
    """What the sampler says, and why torch operators sum what a Triton kernel would, unless the sampler says why."""
    reason, said = unfused(device), sampler.notes
    if reason is None or any(reason in note for note in said):
        return said
    return (*said, f"sums over neighbors are made by torch operators, and not by a Triton kernel: {reason}")


def _untrained(method: Method, device: str, checkpoint: Path | None, config_key: str) -> TrainResult:
    target = torch.device(resolve_device(device))
    memory = PeakMemory(target)
    method.to(target).eval()
    if checkpoint is not None and load_checkpoint(checkpoint, config_key=config_key) is None:
        save_checkpoint(checkpoint, {"method": method.state_dict(), "best": None}, config_key=config_key)
    seconds, cpu_seconds = method.solved_in
    return TrainResult((), seconds, 0.0, memory.mib(), stopped_early=False, best_epoch=None, cpu_seconds=cpu_seconds)


def _prepare(
    method: Method, sampler: Sampler, config: TrainConfig, seed: int, device: str, group: Group
) -> TrainingRun:
    method.check_sampler(sampler)
    sampler = shared_sampler(sampler, method, group)
    fabric = build_shared_fabric(device, config.precision, group, tf32=config.tf32)
    check_memory(method, sampler, config, fabric.device)
    fabric.to_device(method)
    sampler.place(fabric.device)
    LossScale.of(fabric).check(sampler)
    players = method.players()
    if not any(player.parameters for player in players.values()):
        raise InputError(f"{type(method).__name__} has no parameters to train; use --epochs 0")
    method.zero_grad()
    shared = reducer(fabric, method, group)
    return TrainingRun(
        method=method,
        sampler=sampler,
        config=config,
        seed=seed,
        fabric=fabric,
        turns=tuple(
            _turn(fabric, name, player, config, shared.of(player.loss or method.loss))
            for name, player in players.items()
        ),
        group=group,
        reducer=shared,
    )


def _turn(fabric: Fabric, name: str, player: Player, config: TrainConfig, loss: Callable[[MiniBatch], Tensor]) -> Turn:
    own = replace(
        config,
        lr=config.lr if player.lr is None else player.lr,
        weight_decay=config.weight_decay if player.weight_decay is None else player.weight_decay,
    )
    # The wrapper steps through the loss scaler of 16-bit precision and is an Optimizer in all but its type.
    wrapped = fabric.setup_optimizers(make_optimizer(player, own))
    return Turn(name, player, cast("torch.optim.Optimizer", wrapped), loss)


def _epoch(run: TrainingRun, saver: Saver, watch: Callable[[float], bool] | None) -> None:
    """Run (the rest of) the epoch under way, up to its last update or until ``watch`` has seen enough."""
    method, position, loss_scale = run.method, run.position, LossScale.of(run.fabric)
    pending = False
    with closing(_batches(run)) as batches:
        _begin(run, batches)
        mark = Mark.now()
        for batch in batches:
            batch = run.move(batch, run.device)
            if batch.plan.refresh:
                _refresh(run, batch)
                continue
            only_measured = batch.plan.measure and not batch.plan.step
            if only_measured:
                method.eval()  # norms and history without dropout
            else:
                _earlier_turns(run, batch)
            reducing = run.reducer.reducing(now=batch.plan.step)
            norms_of = GradientNorms(method, loss_scale, active=batch.plan.measure)
            with _alone(run, run.last), norms_of as norms, reducing:
                with run.fabric.autocast():
                    loss = scalar(run.last.loss(batch)) * method.mass(batch) * batch.plan.scale
                if only_measured and _needs_no_encoder(run, batch):
                    norms.backward(loss)
                else:
                    run.fabric.backward(loss)
            if batch.plan.measure and run.group.every(loss_scale.known(found := norms.of(batch))):
                run.sampler.observe(batch, found)
            if batch.plan.history is not None:
                run.reads.merge(batch.plan.history.reads)
            if only_measured:
                run.last.optimizer.zero_grad()
                method.train()
                continue
            see(run, loss, "loss")
            position.batches += 1
            pending = not batch.plan.step
            if batch.plan.step:
                if watch is not None and watch(loss.item()):
                    settle(run)
                    run.watched_enough = True
                    return
                _update(run, run.last, position.batches - 1)
                method.after_step(_progress(run))
                run.reducer.settle()
                position.spend(mark)
                saver.between_updates()
                mark = Mark.now()
        position.spend(mark)
    if pending or not position.batches:
        raise TrainingError(
            f"epoch {position.epoch}: the sampler {type(run.sampler).__name__} yielded "
            f"{'no batch with step=True at the end' if pending else 'no batch'}; its epochs must end with an update"
        )


def _needs_no_encoder(run: TrainingRun, batch: MiniBatch) -> bool:
    """Whether norms of the batch come from the measured module alone: adjoints are those of all layers, and the loss
    scaler of 16-bit precision must scale every gradient alike.
    """
    stored = batch.plan.history is not None and batch.plan.history.mode in ("adjoint", "compensated")
    return not stored and run.config.precision != "16-mixed"


def _batches(run: TrainingRun) -> Generator[MiniBatch, None, None]:
    # A generator of its own can be closed, and with it that of the sampler, whatever iterator that is.
    yield from run.sampler.epoch(run.position.epoch)


def _begin(run: TrainingRun, batches: Iterator[MiniBatch]) -> None:
    """Start the random streams of an epoch, and pass over the batches before an interruption."""
    method, position = run.method, run.position
    method.train()
    start_streams(method, run.seed, position.epoch, run.device)
    run.reads, run.empty_before = StalenessLog(), run.sampler.empty_draws
    if not position.batches:
        _renew(run)
        run.part_streams()
    else:
        next(islice(batches, position.batches - 1, None))
        run.restore_rng()


def _renew(run: TrainingRun) -> None:
    """Let the method make what it makes from current embeddings."""
    method = run.method
    if type(method).begin_epoch is Method.begin_epoch:
        return  # a sampler of the user's own need not know its graph
    method.eval()
    graph, started = run.sampler.graph, Mark.now()
    method.begin_epoch(run.position.epoch, lambda function: over_items(function, graph, partial(_moved, run)))
    run.reducer.settle()
    method.train()
    run.position.spend(started)


def _moved(run: TrainingRun, batch: MiniBatch) -> MiniBatch:
    """A batch of what is embedded, on the device; only the whole graph is worth being remembered there."""
    return run.move(batch, run.device) if batch.graph_ptr is None else batch.sent(run.device)


@torch.no_grad()
def _refresh(run: TrainingRun, batch: MiniBatch) -> None:
    """Let the encoder write the history, without dropout."""
    run.method.eval()
    with run.fabric.autocast():
        run.method.loss(batch)
    run.method.train()


def _earlier_turns(run: TrainingRun, batch: MiniBatch) -> None:
    """The turns of all players but the last."""
    for turn in run.turns[:-1]:
        with _alone(run, turn), run.reducer.reducing(now=batch.plan.step):
            with run.fabric.autocast():
                loss = scalar(turn.loss(batch)) * run.method.mass(batch) * batch.plan.scale
            run.fabric.backward(loss)
        see(run, loss, f"loss of {turn.name}")
        if batch.plan.step:
            _update(run, turn, run.position.batches)


@contextmanager
def _alone(run: TrainingRun, turn: Turn) -> Iterator[None]:
    """While entered, nobody but this player gets gradients."""
    others = [p for other in run.turns if other is not turn for p in other.parameters]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


def _update(run: TrainingRun, turn: Turn, done: int) -> None:
    """One optimizer step of a player with its accumulated gradients, after ``done`` batches of the epoch."""
    position, config = run.position, run.config
    before = position.epoch + min(done / run.sampler.batches_per_epoch, 1.0)
    factor = rate_factor(before, epochs=config.epochs, warmup=config.warmup_epochs, schedule=config.schedule)
    position.lr = config.lr * factor
    for group in turn.optimizer.param_groups:
        group["lr"] = (config.lr if turn.player.lr is None else turn.player.lr) * factor * group.get("rate", 1.0)
    norm = _clipped(run, turn)
    if config.precision != "16-mixed":  # there the loss scaler skips such steps and lowers its scale
        see(run, norm, "gradient norm")
    turn.optimizer.step()
    turn.optimizer.zero_grad()


def _progress(run: TrainingRun) -> float:
    """The finished share of training, in (0, 1]."""
    position = run.position
    done = position.epoch + min(position.batches / run.sampler.batches_per_epoch, 1.0)
    return done / run.config.epochs


def _clipped(run: TrainingRun, turn: Turn) -> Tensor:
    """Clip the gradients if the configuration says so; their norm before."""
    largest = run.config.clip_norm
    if largest is None:
        return torch.nn.utils.get_total_norm([p.grad for p in turn.parameters if p.grad is not None])
    norm = run.fabric.clip_gradients(run.method, turn.optimizer, max_norm=largest, error_if_nonfinite=False)
    assert norm is not None
    return norm
