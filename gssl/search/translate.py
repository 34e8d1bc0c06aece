"""The one place where a declared range becomes a suggestion of Optuna."""

from __future__ import annotations

from optuna.trial import BaseTrial

from gssl.common.space import Choice, Float, Int, Space
from gssl.search.space import Value


def suggest(trial: BaseTrial, key: str, space: Space) -> Value:
    """The value of a parameter in a trial.

    Raises:
        TypeError: a kind of range that is not known here.
    """
    match space:
        case Float(low, high, log):
            return trial.suggest_float(key, low, high, log=log)
        case Int(low, high, log):
            return trial.suggest_int(key, low, high, log=log)
        case Choice(values):
            return trial.suggest_categorical(key, values)
    raise TypeError(f"the range of {key} is of an unknown kind: {space!r}")
