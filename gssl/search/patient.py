"""Storages that wait for a server that does not answer: a database that is started again, or a proxy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import GrpcStorageProxy, RDBStorage
from optuna.trial import TrialState

from gssl.results.database import PATIENCE_SECONDS, is_passing, patiently, shown

# What Optuna and its cache call; each is one transaction, and twice is once but for what is said at `_state`.
_CALLS = (
    "create_new_study",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "get_all_trials",
    "get_trial",
    "get_trial_id_from_study_id_trial_number",
    "set_study_user_attr",
    "set_study_system_attr",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "set_trial_intermediate_value",
)
# Those of the database that its cache calls instead of the public ones.
_BEHIND = (
    "_create_new_trial",
    "_set_trial_param",
    "_get_trials",
    "_get_best_trial_id",
    "_get_stale_trial_ids",
)


def is_away(error: BaseException) -> bool:
    """Whether a storage that said so may answer in a moment."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    code = getattr(cause, "code", None)
    if type(cause).__module__.startswith("grpc") and callable(code):  # grpc need not be installed
        return bool(code().name == "UNAVAILABLE")
    return cause is not None and is_passing(cause)


def make_patient(kind: type[RDBStorage] | type[GrpcStorageProxy], *arguments: Any, **options: Any) -> Any:
    """A storage of that kind which waits for its server once it is open.

    Args:
        kind: class of Optuna.
        arguments, options: of the class.
    """
    names = (*_CALLS, "create_new_trial", "set_trial_param", *_BEHIND)
    calls = {name: _waiting(getattr(kind, name)) for name in names if hasattr(kind, name)}
    calls["set_trial_state_values"] = _state(kind)
    if hasattr(kind, "record_heartbeat"):
        calls["record_heartbeat"] = _heartbeat(_waiting(kind.record_heartbeat))
    return type(f"Patient{kind.__name__}", (kind,), calls)(*arguments, **options)


def _waiting(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        return _patiently(partial(original, self, *arguments, **options), self)

    return call


def _heartbeat(beat: Callable[..., Any]) -> Callable[..., Any]:
    """A thread of Optuna's calls it, which has nobody to tell; whoever trains finds out by itself."""

    @wraps(beat)
    def call(self: Any, trial_id: int) -> None:
        try:
            beat(self, trial_id)
        except Exception as error:
            if not is_away(error):
                raise

    return call


def _state(kind: Any) -> Callable[..., Any]:
    """As the others; a trial whose end was kept although the connection was lost is not ended a second time.

    A trial may likewise have been taken from the queue without a word. It then has no owner, and is given up and begun
    again like one whose process was killed in that moment.
    """
    original = kind.set_trial_state_values

    @wraps(original)
    def call(self: Any, trial_id: int, state: TrialState, values: Any = None) -> Any:
        attempts = 0

        def once() -> Any:
            nonlocal attempts
            attempts += 1
            try:
                return original(self, trial_id, state=state, values=values)
            except UpdateFinishedTrialError:
                trial = self.get_trial(trial_id)
                if attempts > 1 and trial.state == state and (values is None or trial.values == list(values)):
                    return True
                raise

        return _patiently(once, self)

    return call


def _patiently(work: Callable[[], Any], storage: Any) -> Any:
    where = getattr(storage, "url", "")
    return patiently(work, f"the storage {shown(where)}".rstrip(), seconds=PATIENCE_SECONDS, passing=is_away)
