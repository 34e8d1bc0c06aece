"""Fine-tuning: where it starts, what moves, how it is trained, and what it sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.types import Dataset, Level
from gssl.experiment.run import run_experiment
from gssl.graph.batch import MiniBatch
from gssl.method import Method
from gssl.methods.finetuned import FineTuned
from gssl.samplers.full import GraphBatches
from gssl.samplers.pair import PairSampler
from gssl.settings.base import Training
from gssl.settings.problem import Problem, make_problem
from gssl.testing.toy import toy_dataset
from gssl.training.loop import pretrain
from gssl.training.progress import Quiet

SMALL = ("encoder.hidden_dim=8", "train.epochs=2", "finetune.epochs=3", "finetune.lr=0.05")


def request(method: str, *assignments: str, **given: Any) -> Request:
    return Request(method, setting="finetune", preset="none", assignments=(*SMALL, *assignments), **given)


def problem(dataset: Dataset, method: str, *assignments: str, **given: Any) -> Problem:
    subject = Subject("toy", "toy", dataset.level, "LBFGS")
    return make_problem(resolve(request(method, *assignments, **given), subject), dataset)


def trained(training: Training, source: Method | None = None) -> Method:
    method = training.method(source)
    seed = derive_seed(training.seed, "train")
    pretrain(method, training.sampler(method), training.train, seed=seed, validate=training.validate(method))
    return method


def weights_of(method: Method) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in method.state_dict().items()}


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(value, two[name]) for name, value in one.items())


@pytest.mark.parametrize(("level", "name", "probe"), [("node", "BGRL", "P4"), ("graph", "GraphCL", "P7")])
def test_every_split_starts_from_the_same_pretrained_weights(level: Level, name: str, probe: str) -> None:
    dataset = toy_dataset(level, splits=("one", "two", "three"))
    folds = ("probe.folds=3",) if probe == "P7" else ()
    before, *rest = problem(dataset, name, *folds, probe=probe).trainings(0)
    assert before.splits == ()
    assert [training.number for training in rest] == [0, 1, 2]
    assert all(training.source is before for training in rest)
    source = trained(before)
    kept = weights_of(source)
    for training in rest:
        method = training.method(source)
        assert isinstance(method, FineTuned)
        assert same(weights_of(method.pretrained), kept)
        assert method.pretrained is not source
        trained(training, source)
        assert same(weights_of(source), kept)


def test_encoder_and_head_move_and_nothing_else_does() -> None:
    """BGRL has a predictor and a target network, which pretraining alone needs."""
    before, training = problem(toy_dataset("node"), "BGRL").trainings(0)
    source = trained(before)
    start = training.method(source)
    first, last = dict(start.named_parameters()), dict(trained(training, source).named_parameters())
    moved = {name for name, value in first.items() if not torch.equal(value, last[name])}
    assert moved == {name for name in first if name.startswith(("encoder.", "head."))}
    target = {name: value for name, value in source.state_dict().items() if name.startswith("target")}
    assert target
    after = weights_of(trained(training, source))
    assert all(torch.equal(value, after[f"pretrained.{name}"]) for name, value in target.items())


def test_it_has_training_options_of_its_own() -> None:
    found = problem(toy_dataset("node"), "GRACE", "train.lr=0.007", "finetune.weight_decay=0.1")
    before, training = found.trainings(0)
    assert (before.train.epochs, before.train.lr, before.train.weight_decay) == (2, 0.007, 0.0)
    assert (training.train.epochs, training.train.lr, training.train.weight_decay) == (3, 0.05, 0.1)


def test_unless_told_otherwise_its_batches_are_as_large_as_those_of_pretraining() -> None:
    subject = Subject("toy", "toy", "graph", "LBFGS")
    plain = resolve(Request("GraphCL", setting="finetune", preset="none", batch_size=24), subject)
    other = resolve(replace(request("GraphCL", "finetune.batch_size=7"), batch_size=24), subject)
    assert plain.finetune is not None
    assert other.finetune is not None
    assert (plain.finetune.batch_size, plain.finetune.epochs) == (24, 100)
    dataset = toy_dataset("graph")
    before, training = make_problem(other, dataset).trainings(0)
    sizes = [part.sampler(part.method(before.method())) for part in (before, training)]
    assert [sampler.batch_size for sampler in sizes if isinstance(sampler, GraphBatches)] == [24, 7]


def test_options_of_fine_tuning_are_part_of_the_identity_and_its_checkpoints_are_not() -> None:
    subject = Subject("toy", "toy", "node", "LBFGS")
    plain, faster, saving = (
        resolve(request("GRACE", *more), subject)
        for more in ((), ("finetune.schedule=cosine",), ("finetune.checkpoint_seconds=3",))
    )
    assert plain.hash == saving.hash != faster.hash


@pytest.mark.parametrize(("amount", "expected"), [(0.2, 7), (5, 10), (None, 33)])
def test_it_learns_from_as_many_labels_as_it_is_given(amount: float | int | None, expected: int) -> None:
    dataset = toy_dataset("node")
    before, training = problem(dataset, "GRACE", labels=amount).trainings(4)
    method = training.method(before.method())
    assert isinstance(method, FineTuned)
    known = method.known.nonzero().squeeze(1)
    assert len(known) == expected
    assert torch.isin(known, dataset.splits[0].train).all()
    assert training.items is not None
    assert training.items.sort().values.equal(known)


def test_sampled_batches_are_about_the_labelled_nodes_alone() -> None:
    before, training = problem(toy_dataset("node"), "GRACE", sampler="graphsage", batch_size=10, labels=0.5).trainings(
        0
    )
    samplers = [part.sampler(part.method(before.method())) for part in (before, training)]
    populations = [sampler.selection.population for sampler in samplers if isinstance(sampler, PairSampler)]
    assert len(populations[0]) == 120
    assert training.items is not None
    assert populations[1].ids.tolist() == training.items.tolist()
    trained(training, trained(before))


def test_a_batch_holds_no_more_than_the_labelled_items() -> None:
    """A batch size that suits the pretraining on all nodes is no reason to refuse a few labels."""
    given: dict[str, Any] = {"sampler": "graphsage", "batch_size": 100, "labels": 4}
    before, training = problem(toy_dataset("node"), "GRACE", **given).trainings(0)
    method = before.method()
    assert next(iter(before.sampler(method).epoch(0))).num_targets == 100
    count = len(training.lesson.train)  # type: ignore[attr-defined]
    assert count < 20
    assert [batch.num_targets for batch in training.sampler(training.method(method)).epoch(0)] == [count]
    given["sampler"] = "mvs"
    _, training = problem(toy_dataset("node"), "GRACE", "sampler.gamma=0.9", **given).trainings(0)
    with pytest.raises(InputError, match=rf"fine-tuning on {count} labelled items, in batches of {count}.*raise gamma"):
        training.sampler(training.method(method))


def with_labels(dataset: Dataset, change: Callable[[Tensor], None]) -> Dataset:
    assert dataset.labels is not None
    y = dataset.labels.y.clone()
    change(y)
    return replace(dataset, labels=replace(dataset.labels, y=y))


def test_no_label_reaches_pretraining_and_no_test_label_fine_tuning() -> None:
    dataset = toy_dataset("graph")
    test = dataset.splits[0].test

    def flip_all(y: Tensor) -> None:
        y.copy_(1 - y)

    def flip_test(y: Tensor) -> None:
        y[test] = 1 - y[test]

    kept = []
    for data in (dataset, with_labels(dataset, flip_all), with_labels(dataset, flip_test)):
        before, training = problem(data, "GraphCL").trainings(0)
        source = trained(before)
        kept.append((weights_of(source), weights_of(trained(training, source))))
    assert same(kept[0][0], kept[1][0])
    assert same(kept[0][1], kept[2][1])
    assert not same(kept[0][1], kept[1][1])


def carry_out(dataset: Dataset, out: Path, *assignments: str, seeds: int = 1) -> dict[str, Any]:
    config = resolve(request("GRACE", *assignments, seeds=seeds, probe="P4"), Subject("toy", "toy", "node", "LBFGS"))
    return run_experiment(
        config,
        dataset,
        device="cpu",
        display=lambda _: Quiet(),
        say=lambda _: None,
        out=out,
        db=f"sqlite:///{out}.db",
    )


def test_a_run_keeps_both_trainings(tmp_path: Path) -> None:
    result = carry_out(toy_dataset("node", splits=("one", "two")), tmp_path / "run", seeds=2)
    assert (result["setting"], result["seeds"], result["probe"]) == ("finetune", 2, "P4")
    for seed in (0, 1):
        home = tmp_path / "run" / f"seed-{seed}"
        curves = {path: len(path.read_text().splitlines()) for path in sorted(home.rglob("curve.jsonl"))}
        assert list(curves.values()) == [2, 3, 3]
        assert not (home / "embeddings.npz").exists()
        assert (home / "split-1" / "embeddings.npz").exists()
    assert result["epochs"] == 3  # of the longest training


@pytest.mark.parametrize("stop", [2, 4])
def test_a_run_that_was_stopped_goes_on_with_the_same_bits(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first split's fine-tuning, and in the second's."""
    dataset, calls, loss = toy_dataset("node", splits=("one", "two")), [], FineTuned.loss
    whole = carry_out(dataset, tmp_path / "whole")

    def stopped(method: FineTuned, batch: MiniBatch) -> Tensor:
        calls.append(1)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return loss(method, batch)

    monkeypatch.setattr(FineTuned, "loss", stopped)
    with pytest.raises(KeyboardInterrupt):
        carry_out(dataset, tmp_path / "parts")
    resumed = carry_out(dataset, tmp_path / "parts")
    assert whole["metrics"] == resumed["metrics"]
    for part in ("split-0", "split-1"):
        states = [
            torch.load(tmp_path / name / "seed-0" / part / "checkpoint.pt", weights_only=True)["state"]["best"][2]
            for name in ("whole", "parts")
        ]
        assert same(*states)


def test_raw_features_have_nothing_to_fine_tune() -> None:
    with pytest.raises(InputError, match="raw has no encoder to fine-tune; use untrained"):
        problem(toy_dataset("node"), "raw")


def test_new_weights_may_be_fine_tuned() -> None:
    before, training = problem(toy_dataset("node"), "untrained").trainings(0)
    source = trained(before)
    assert same(weights_of(source), weights_of(before.method()))
    fine = trained(training, source)
    pairs = zip(fine.encoder.parameters(), source.encoder.parameters(), strict=True)
    assert not any(torch.equal(one, other) for one, other in pairs)


def test_folds_with_validation_choose_the_epoch_where_the_usual_protocol_has_none() -> None:
    config = resolve(Request("GraphCL", setting="finetune", labels=0.1), Subject("MUTAG", "MUTAG", "graph", "P5-RBF"))
    assert config.probe.name == "P7"
    dataset = toy_dataset("graph")
    trainings = make_problem(config, dataset).trainings(1)
    assert len(trainings) == 11
    tests = torch.cat([split.test for training in trainings for split in training.splits])
    assert tests.sort().values.equal(torch.arange(60))


def test_supervised_rows_are_the_same_training_without_a_source() -> None:
    subject = Subject("toy", "toy", "node", "LBFGS")
    config = resolve(Request("supervised", labels=0.5, preset="none", probe="P4"), subject)
    assert config.setting.name == "supervised"
    first, second = make_problem(config, toy_dataset("node", splits=("one", "two"))).trainings(0)
    assert (first.source, first.number, second.number) == (None, 0, 1)
    assert first.items is not None
    assert len(first.items) in (16, 17)  # of 33, a class at a time
    for wrong, other in (("GRACE", "supervised"), ("supervised", "finetune"), ("supervised", "auxiliary")):
        with pytest.raises(InputError, match=f"--setting {other} does not fit the method"):
            resolve(Request(wrong, setting=other), subject)
