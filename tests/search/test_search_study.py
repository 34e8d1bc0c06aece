"""Studies that go on: after an interruption, with more trials, and only with what they were made for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import pytest
from optuna.trial import TrialState

from gssl.search import trials
from gssl.search.algorithms import ALGORITHMS, make_sampler

if TYPE_CHECKING:
    from conftest import Tuner


def load(tuner: Tuner, folder: str, name: str = "Denoise-split") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{tuner.lab.folder}/{folder}/study.db")


def test_same_seed_same_study_and_more_trials_go_on(tuner: Tuner) -> None:
    whole = tuner.tune("--out", "whole", trials=5)
    assert whole["trials"]["total"] == 5
    first = tuner.tune("--out", "parts", trials=2)
    assert first["trials"]["total"] == 2
    second = tuner.tune("--out", "parts", trials=5)
    assert tuner.trials(second) == tuner.trials(whole)
    assert tuner.tune("--out", "parts", trials=5)["best"] == second["best"]  # nothing is left to do
    assert len(load(tuner, "parts").trials) == 5
    other = tuner.tune("--out", "other", "--seed", "1", trials=2)
    assert tuner.trials(other) != tuner.trials(first)


def test_an_interrupted_study_ends_like_one_that_was_not(tuner: Tuner, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tuner.tune("--out", "whole", "--pruner", "none", trials=3)
    words = ("tune", "tiny:Denoise", "split.npz", "--trials", "3", "--space", "space.yaml", "--epochs", "4")
    monkeypatch.setenv("TINY_STOP", "3")  # Ctrl-C in the third step of the first trial
    _, err = tuner.lab.gssl(*words, "--seeds", "1", "--out", "broken", "--pruner", "none", code=130)
    assert "same command resumes" in err
    assert [trial.state for trial in load(tuner, "broken").trials] == [TrialState.FAIL]
    monkeypatch.delenv("TINY_STOP")
    resumed = tuner.tune("--out", "broken", "--pruner", "none", trials=3)
    assert tuner.trials(resumed) == tuner.trials(whole)
    assert resumed["trials"] == {"total": 3, "complete": 3, "pruned": 0, "failed": 0, "running": 0}
    assert load(tuner, "broken").trials[1].user_attrs["retry_of"] == 0


def test_a_trial_whose_process_died_is_begun_again(tuner: Tuner) -> None:
    tuner.tune("--out", "mine", trials=1)
    study = load(tuner, "mine")
    lost = study.ask()
    for name, values in study.trials[0].distributions.items():
        lost._suggest(name, values)
    lost.set_user_attr(trials.OWNER, {**trials.owner(), "started": 1.0})  # the number of a process, but not this one
    study.ask().set_user_attr(trials.OWNER, {**trials.owner(), "host": "elsewhere"})
    alive = study.ask()
    alive.set_user_attr(trials.OWNER, trials.owner())
    assert trials.missing(study, 4) == 0
    assert trials.recover(study) == 1
    assert trials.recover(study) == 0
    states = [trial.state for trial in study.trials]
    running = TrialState.RUNNING
    assert states == [TrialState.COMPLETE, TrialState.FAIL, running, running, TrialState.WAITING]
    assert trials.missing(study, 4) == 1
    again = study.ask()
    assert again.suggest_float("noise", 0.01, 1.0, log=True) == study.trials[1].params["noise"]


def test_a_trial_that_died_while_its_values_were_drawn_is_drawn_anew() -> None:
    """Half of its values given and the other half drawn would be values that no undisturbed search has."""
    study = optuna.create_study(sampler=make_sampler("tpe", 0, 1))
    study.set_user_attr(trials.IDENTITY, {"space": {"x": {}, "y": {}}})

    def drawn() -> dict[str, float]:
        trial = study.ask()
        return {name: trial.suggest_float(name, 0.0, 1.0) for name in ("x", "y")}

    lost = study.ask()
    x = lost.suggest_float("x", 0.0, 1.0)
    lost.set_user_attr(trials.OWNER, {**trials.owner(), "started": 1.0})
    assert trials.recover(study) == 0
    whole = optuna.create_study(sampler=make_sampler("tpe", 0, 1)).ask()
    assert drawn() == {name: whole.suggest_float(name, 0.0, 1.0) for name in ("x", "y")}
    assert whole.params["x"] == x


def test_values_that_kill_their_process_are_given_up() -> None:
    study = optuna.create_study()
    for _ in range(4):
        if trials.missing(study, 1) == 0:
            break
        trial = study.ask()
        trial.suggest_float("x", 0.0, 1.0)
        trial.set_user_attr(trials.OWNER, {**trials.owner(), "started": 1.0})
        trials.recover(study)
    assert [trial.state for trial in study.trials] == 3 * [TrialState.FAIL]
    assert len({trial.params["x"] for trial in study.trials}) == 1
    assert trials.missing(study, 1) == 0


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_algorithm_goes_on_as_if_it_had_not_stopped(name: str) -> None:
    def values(stops: tuple[int, ...]) -> list[dict[str, float]]:
        storage = optuna.storages.InMemoryStorage()
        for stop in stops:
            sampler = make_sampler(name, 3, 1)
            study = optuna.create_study(storage=storage, study_name="s", sampler=sampler, load_if_exists=True)
            while len(study.trials) < stop:
                study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_int("k", 1, 9), n_trials=1)
        return [trial.params for trial in study.trials]

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    whole = values((14,))
    assert len({str(params) for params in whole}) > 10
    if name not in ("cmaes", "gp"):  # these keep more than values and results; they go on, by another path
        assert values((1, 2, 5, 12, 14)) == whole
    else:
        assert len(values((2, 14))) == 14


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "encoder.num_layers=1"), "encoder: num_layers 2, 1"),
        (("--probe", "P3-BGRL"), 'probe: name "LBFGS", "P3-BGRL"'),
        (("--seed", "4"), "seed: 0, 4"),
        (("--algorithm", "random"), 'algorithm: "tpe", "random"'),
        (("--objective", "val,seconds"), "objective: "),
        (("--space", "other.yaml"), "space: noise"),
    ],
)
def test_another_search_under_the_same_name_is_refused(tuner: Tuner, arguments: tuple[str, ...], message: str) -> None:
    (tuner.lab.folder / "other.yaml").write_text("noise: {type: float, low: 0.5, high: 1.0}\n")
    tuner.tune("--out", "mine", trials=1)
    err = tuner.refused("--space", "space.yaml", "--epochs", "4", "--out", "mine", *arguments)
    assert "searches something else (there, now)" in err
    assert message in err
    assert "choose another --study" in err


def test_another_method_or_dataset_under_the_same_name_is_refused(tuner: Tuner) -> None:
    tuner.tune("--out", "mine", "--study", "s", trials=1)
    err = tuner.refused("--out", "mine", "--study", "s", "--epochs", "4", method="DGI")
    assert 'method: name "tiny:Denoise", "DGI"' in err
    err = tuner.refused("--space", "space.yaml", "--out", "mine", "--study", "s", "--epochs", "4", data="graph.npz")
    assert 'dataset: "split", "graph"' in err
    assert "data: " not in err  # the two differ in name and masks, not in what is learnt from


def test_a_study_of_someone_else_is_left_alone(tuner: Tuner) -> None:
    storage = f"sqlite:///{tuner.lab.folder}/theirs.db"
    study = optuna.create_study(storage=storage, study_name="s")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    err = tuner.refused("--space", "space.yaml", "--storage", storage, "--study", "s")
    assert "was not made by gssl" in err
    assert len(study.trials) == 1


def test_the_first_trial_is_the_default_and_scores_as_a_run_does(tuner: Tuner) -> None:
    result = tuner.tune("--out", "mine", trials=2)
    study = json.loads(Path(result["study_file"]).read_text())
    assert study["trials"][0]["default"] is True
    assert study["trials"][0]["reports"]  # a look on the way changes nothing
    params = study["trials"][0]["params"]
    assert params["noise"] == 0.1
    assert params["encoder.hidden_dim"] == 12  # the nearest to the encoder's default in the space
    words = ("run", "tiny:Denoise", "split.npz", "--epochs", "4", "--set", "encoder.hidden_dim=12")
    out, _ = tuner.lab.gssl(*words, "--set", f"train.lr={params['train.lr']}", "--seed", "0", "--json")
    assert json.loads(out)["val_mean"] == study["trials"][0]["values"][0]


def test_training_that_fails_is_a_result_too(tuner: Tuner) -> None:
    (tuner.lab.folder / "space.yaml").write_text("explode: {type: choice, values: [false, true]}\n")
    result = tuner.tune("--out", "mine", "--algorithm", "random", "--pruner", "none", trials=6)
    study = json.loads(Path(result["study_file"]).read_text())
    failed = [trial for trial in study["trials"] if "error" in trial]
    assert len(failed) == result["trials"]["failed"] > 0
    assert all(trial["params"]["explode"] and "the loss is" in trial["error"] for trial in failed)
    assert result["best"]["params"]["explode"] is False
    (tuner.lab.folder / "space.yaml").write_text("explode: {type: choice, values: [true]}\n")
    words = ("tune", "tiny:Denoise", "split.npz", "--trials", "1", "--space", "space.yaml", "--out", "bad")
    _, err = tuner.lab.gssl(*words, "--set", "noise=0.5", code=1)
    assert "no trial was finished" in err
    assert "the loss is" in err


def test_a_crash_of_one_choice_fails_its_trials_alone(tuner: Tuner) -> None:
    path = tuner.lab.folder / "tiny.py"
    fault = "assert self.noise < 0.5, 'too loud'\n        clean"
    path.write_text(path.read_text().replace("self.watched()\n        clean", fault, 1))
    (tuner.lab.folder / "space.yaml").write_text("noise: {type: choice, values: [0.1, 0.9]}\n")
    result = tuner.tune("--out", "mine", "--algorithm", "random", "--pruner", "none", trials=6)
    study = json.loads(Path(result["study_file"]).read_text())
    failed = [trial for trial in study["trials"] if "error" in trial]
    assert failed
    assert {trial["params"]["noise"] for trial in failed} == {0.9}
    assert {trial["error"] for trial in failed} == {"AssertionError: too loud"}
    assert result["best"]["params"]["noise"] == 0.1


def test_a_results_store_that_cannot_be_used_is_told_before_the_search(tuner: Tuner) -> None:
    err = tuner.refused("--db", "postgresql://user@host:port/name", "--space", "space.yaml", "--out", "mine")
    assert "is not a database URL" in err
    assert not (tuner.lab.folder / "mine" / "study.db").exists()
