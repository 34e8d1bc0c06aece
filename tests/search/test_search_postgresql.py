"""A search whose storage is a server that is started again in the middle, and one that goes away for good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import pytest
from optuna.trial import TrialState

from gssl.search.storage import open_storage

if TYPE_CHECKING:
    from conftest import PostgreSQL, Tuner


def test_a_restart_in_the_middle_stops_no_worker_and_repeats_no_trial(
    tuner: Tuner, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINY_PAUSE", "0.3")
    monkeypatch.setenv("TINY_LOG", str(tuner.lab.folder / "log"))
    away = postgresql.restart((tuner.lab.folder / "log").exists)
    words = ("--workers", "2", "--pruner", "none", "--out", "mine")
    result = tuner.tune(*words, "--storage", postgresql.database("studies"), trials=6)
    away.join()
    assert result["trials"] == {"total": 6, "complete": 6, "pruned": 0, "failed": 0, "running": 0}
    study = json.loads(Path(result["study_file"]).read_text())
    assert [trial["state"] for trial in study["trials"]] == ["complete"] * 6


def test_a_server_that_goes_away_is_told_in_one_line(
    tuner: Tuner, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql.database("gone")
    monkeypatch.setattr("gssl.search.patient.PATIENCE_SECONDS", 1.0)
    monkeypatch.setenv("TINY_PAUSE", "1.0")
    monkeypatch.setenv("TINY_LOG", str(tuner.lab.folder / "log"))
    away = postgresql.restart((tuner.lab.folder / "log").exists, seconds=8.0)
    err = tuner.refused("--space", "space.yaml", "--storage", url, "--out", "mine")
    away.join()
    assert "cannot be used" in err
    assert "Traceback" not in err


def test_an_end_that_was_kept_although_the_connection_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/study.db"))
    trial = study.ask()
    storage = study._storage._backend  # type: ignore[attr-defined]  # below the cache
    commit, calls = storage.scoped_session.session_factory.class_.commit, list[int]()

    def lose(session: object) -> None:
        commit(session)
        calls.append(1)
        if len(calls) == 1:
            from sqlalchemy.exc import OperationalError

            raise OperationalError("", None, Exception("gone"), connection_invalidated=True)

    monkeypatch.setattr(storage.scoped_session.session_factory.class_, "commit", lose)
    study.tell(trial, 0.5)
    assert len(calls) > 1
    assert [(t.state, t.value) for t in study.trials] == [(TrialState.COMPLETE, 0.5)]
